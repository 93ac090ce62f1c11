//! `cargo xtask kubernetes`: the programs of a Kubernetes cluster, for the tests that start one.
//!
//! They are built from Go modules whose versions `tests/kubernetes` keeps: about nine minutes on two
//! processors, 4 GB in Go's own cache. Once built they are kept in the target directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd::{self, say};
use crate::workspace::Workspace;

/// The names that the one program of Kubernetes runs as.
const COMPONENTS: [&str; 5] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubectl",
];

/// The programs beside it, by package.
const SERVICES: [&str; 4] = [
    "github.com/containerd/containerd/v2/cmd/containerd",
    "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    "github.com/containerd/containerd/v2/cmd/ctr",
    "github.com/johannesboyne/gofakes3/cmd/gofakes3",
];

/// The Go that the modules ask for. One that is at least 1.21 fetches it by itself.
const GO: &str = "go1.26.8";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let out = workspace.target.join("kubernetes");
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    if cmd::find("go").is_none() {
        bail!("there is no Go; install Go 1.21 or later, which fetches {GO} by itself");
    }
    let source = workspace.root.join("tests/kubernetes");
    components(&source.join("components"), &out)?;
    services(&source.join("services"), &out)?;
    say(format_args!(
        "built Kubernetes in {}",
        workspace.short(&out)
    ));
    Ok(())
}

/// Kubernetes itself: one program, and a link for each name.
fn components(source: &Path, out: &Path) -> Result<()> {
    let version =
        cmd::read(go(source).args(["list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"]))?;
    let version = version.trim();
    say(format_args!("builds Kubernetes {version}"));
    let flags = format!(
        "-s -w -X k8s.io/component-base/version.gitVersion={version} \
         -X k8s.io/client-go/pkg/version.gitVersion={version}"
    );
    let mut build = go(source);
    build.args(["build", "-trimpath", "-ldflags", &flags, "-o"]);
    cmd::run(build.arg(out.join("kubernetes")).arg("."))?;
    for name in COMPONENTS {
        let link = out.join(name);
        // It may be there already.
        if fs::symlink_metadata(&link).is_err() {
            symlink("kubernetes", &link)
                .with_context(|| format!("cannot make {}", link.display()))?;
        }
    }
    Ok(())
}

fn services(source: &Path, out: &Path) -> Result<()> {
    say(format_args!("builds etcd, containerd and an S3 server"));
    let mut etcd = go(source);
    etcd.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]);
    cmd::run(etcd.arg(out.join("etcd")).arg("go.etcd.io/etcd/server/v3"))?;
    let mut others = go(source);
    others.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]);
    // With a slash at its end it is a directory for all of them.
    cmd::run(others.arg(out.join("")).args(SERVICES))
}

fn go(directory: &Path) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(directory)
        .env("GOFLAGS", "-buildvcs=false -mod=mod")
        .env("GOTOOLCHAIN", GO);
    command
}
