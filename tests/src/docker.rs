//! Docker, started for one test: a containerd in a [`IsolatedNode`] of its own, and `dockerd` on top, which
//! is how the packages of Docker and of Debian run it on a node. Without networks: a container has
//! the host's.

use std::{ffi::OsStr, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    containerd::{Containerd, last_words},
    isolated_node::IsolatedNode,
    process::{self, Running},
    rootfs::Rootfs,
    scratch::Scratch,
    wait,
};

/// The image of every container.
pub const IMAGE: &str = "tracer-e2e/work:1";

/// The daemon's options: no bridge and no firewall rules, which would be the machine's own; and
/// whatever the machine has for systemd, cgroups as a directory each.
const OPTIONS: [&str; 7] = [
    "--host=unix:///run/docker.sock",
    "--containerd=/run/containerd/containerd.sock",
    "--bridge=none",
    "--iptables=false",
    "--ip6tables=false",
    "--exec-opt=native.cgroupdriver=cgroupfs",
    "--config-file",
];

/// A running Docker. Its containers end with it.
#[derive(Debug)]
pub struct Docker {
    // Before containerd, below which is the place.
    daemon: Running,
    containerd: Containerd,
}

impl Docker {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it does not: with what it said.
    pub fn start() -> Result<Self> {
        Self::configured("{}", &[])
    }

    /// The same with this `daemon.json`, and with more options.
    ///
    /// # Errors
    /// When it does not answer: with what it said.
    pub fn configured(configuration: &str, more: &[&str]) -> Result<Self> {
        let containerd = Containerd::start()?;
        // The machine's own says nothing here.
        let config = containerd
            .place()
            .scratch()
            .file("daemon.json", configuration)?;
        let options = OPTIONS.map(OsStr::new);
        let options: Vec<_> = options
            .into_iter()
            .chain([config.as_os_str()])
            .chain(more.iter().map(OsStr::new))
            .collect();
        let mut docker = Self {
            daemon: containerd.place().daemon("dockerd", &options)?,
            containerd,
        };
        let ready = wait::until("dockerd to answer", || {
            ensure!(docker.daemon.ended()?.is_none(), "dockerd ended");
            let asked = process::run(docker.command().arg("version"))?;
            Ok(asked.status.success().then_some(()))
        });
        ready.with_context(|| last_words(&docker.daemon))?;
        Ok(docker)
    }

    /// Where it is.
    pub fn place(&self) -> &IsolatedNode {
        self.containerd.place()
    }

    /// `docker`, its client.
    pub fn command(&self) -> Command {
        self.place().command("docker")
    }

    /// Makes the image that its containers are of.
    ///
    /// # Errors
    /// When Docker refuses it.
    pub fn import(&self, rootfs: &Rootfs) -> Result<()> {
        let scratch = Scratch::new()?;
        let tar = scratch.join("rootfs.tar");
        rootfs.tar(&tar)?;
        process::run(self.command().arg("import").arg(tar).arg(IMAGE))?
            .success()
            .context("importing the image")?;
        Ok(())
    }

    /// A command that runs `argv` in a container of that name, with `dir` as a directory that it
    /// shares with the test, and ends when that does, with its output and status. `options` are
    /// `docker run`'s own. Seccomp is Docker's default filter, unless they say otherwise.
    pub fn run(
        &self,
        name: &str,
        dir: &Path,
        options: &[impl AsRef<OsStr>],
        argv: &[impl AsRef<OsStr>],
    ) -> Command {
        let mut command = self.command();
        command
            .args(["run", "--rm", "--network=host", "--name", name])
            // Docker's own default may be above what may be given here.
            .arg("--ulimit=nofile=1024:1024")
            .arg("--workdir")
            .arg(dir)
            .arg(format!("--volume={0}:{0}", dir.display()))
            .args(options)
            .arg(IMAGE)
            .args(argv);
        command
    }
}
