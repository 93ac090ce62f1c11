//! The package for Fedora and its relatives, by rpm itself.

use std::process::Command;

use anyhow::{Result, ensure};
use tracer_tests::{
    Outcome, needs, process, release,
    requires::{Need, program},
    tracer,
};

use super::root::Root;

fn rpm(root: &Root, args: &[&str]) -> Result<String> {
    let mut rpm = Command::new("rpm");
    rpm.arg(format!("--root={}", root.path().display()))
        .args(["--dbpath", "/var/lib/rpm"])
        .args(args)
        .env("PATH", tracer::PATH);
    Ok(process::run(&mut rpm)?.success()?.text())
}

#[test]
fn rpm_is_installed_used_and_erased_in_a_fresh_root() -> Outcome {
    needs!(
        Need::Packages,
        Need::Root,
        Need::Cgroup2,
        Need::Program("rpm", "rpm"),
        program::UNSHARE,
        program::BUSYBOX
    );
    let root = Root::new()?;
    let file = release::files().join(release::rpm());
    let file = file.display().to_string();
    rpm(&root, &["--initdb"])?;
    rpm(&root, &["--install", &file])?;
    let verified = rpm(&root, &["--verify", "tracer"])?;
    ensure!(verified.is_empty(), "{verified}");
    for path in [
        "/usr/share/man/man1/tracer-record.1.gz",
        "/usr/share/bash-completion/completions/tracer",
        "/usr/share/zsh/site-functions/_tracer",
        "/usr/share/licenses/tracer/THIRD-PARTY-LICENSES.txt",
    ] {
        ensure!(root.join(path).is_file(), "no {path}");
    }
    root.use_tracer()?;
    root.run_unit()?;
    rpm(&root, &["--erase", "tracer"])?;
    ensure!(!root.join("/usr/bin/tracer").exists());
    ensure!(!root.join("/usr/share/doc/tracer").exists());
    Ok(())
}
