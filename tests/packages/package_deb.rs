//! The package for Debian and Ubuntu, by dpkg, lintian and systemd.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Result, ensure};
use tracer_tests::{
    Outcome, needs,
    process::{self, Running},
    release,
    requires::{Need, program},
};

use super::root::Root;

fn dpkg(root: &Root, args: &[&str]) -> Result<String> {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.path().display()))
        .args(args)
        .env("PATH", tracer_tests::tracer::PATH);
    Ok(process::run(&mut dpkg)?.success()?.text())
}

fn install(root: &Root) -> Outcome {
    fs::create_dir_all(root.join("/var/lib/dpkg"))?;
    let file = release::files().join(release::deb());
    dpkg(root, &["--install", &file.display().to_string()])?;
    Ok(())
}

/// The regular files and links below a directory, but for dpkg's own.
fn files(directory: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    Ok(found)
}

#[test]
fn deb_is_installed_used_and_purged_in_a_fresh_root() -> Outcome {
    needs!(
        Need::Packages,
        Need::Root,
        Need::Cgroup2,
        Need::Program("dpkg", "dpkg"),
        program::UNSHARE,
        program::BUSYBOX
    );
    let root = Root::new()?;
    install(&root)?;
    let verified = dpkg(&root, &["--verify", "tracer"])?;
    ensure!(verified.is_empty(), "{verified}");
    for path in [
        "/usr/share/man/man1/tracer-record.1.gz",
        "/usr/share/bash-completion/completions/tracer",
        "/usr/share/zsh/vendor-completions/_tracer",
        "/usr/share/fish/vendor_completions.d/tracer.fish",
        "/usr/share/doc/tracer/copyright",
        "/usr/share/doc/tracer/THIRD-PARTY-LICENSES.txt.gz",
    ] {
        ensure!(root.join(path).is_file(), "no {path}");
    }
    root.use_tracer()?;
    root.run_unit()?;
    dpkg(&root, &["--purge", "tracer"])?;
    let left = files(&root.join("/usr")).unwrap_or_default();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

#[test]
fn deb_has_units_that_systemd_accepts() -> Outcome {
    needs!(
        Need::Packages,
        Need::Root,
        Need::Program("dpkg", "dpkg"),
        program::BUSYBOX,
        program::SYSTEMD_ANALYZE
    );
    let root = Root::new()?;
    install(&root)?;
    // systemd looks for the program, which is in the root directory.
    let program = root.join("/usr/bin/tracer").display().to_string();
    let units = root.join("/units");
    fs::create_dir(&units)?;
    let names = ["tracer-record.service", "tracer-agent.service"];
    for name in names {
        let unit = fs::read_to_string(root.join("/usr/lib/systemd/system").join(name))?;
        ensure!(unit.contains("ExecStart=/usr/bin/tracer "), "{unit}");
        fs::write(units.join(name), unit.replace("/usr/bin/tracer", &program))?;
    }
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["verify", "--man=no", "--generators=no"])
        .args(names)
        .env("SYSTEMD_UNIT_PATH", format!("{}:", units.display()))
        .current_dir(&units);
    let analyzed = process::run(&mut analyze)?;
    let said: Vec<_> = analyzed
        .stderr
        .lines()
        .filter(|line| line.contains("tracer"))
        .collect();
    ensure!(said.is_empty(), "{said:#?}");
    Ok(())
}

#[test]
fn deb_follows_debian_policy() -> Outcome {
    needs!(Need::Packages, Need::Lintian);
    let file = release::files().join(release::deb());
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--allow-root", "--fail-on", "error,warning"])
        // It did not come to Debian by an upload that closes a bug.
        .args(["--suppress-tags", "initial-upload-closes-no-bugs"])
        // A static program that can lie anywhere in memory looks like a library to lintian.
        .args(["--suppress-tags", "shared-library-lacks-prerequisites"])
        .arg(file);
    Running::spawn(&mut lintian)?
        .wait_within(Duration::from_secs(300))?
        .success()?;
    Ok(())
}
