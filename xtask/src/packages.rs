//! The programs of Debian and Ubuntu that the tests work with.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd::{self, say};
use crate::workspace::Workspace;

/// What the tests use.
pub(crate) const TESTS: [&str; 30] = [
    "apparmor",
    "binutils",
    "busybox-static",
    "checkpolicy",
    "containerd",
    "crun",
    "docker.io",
    "gcc",
    "gcc-multilib",
    "iproute2",
    "libc6-dev",
    "libc6-dev-i386",
    "libcap2-bin",
    "libseccomp2",
    "musl-tools",
    "nginx-light",
    "nodejs",
    "patchelf",
    "perl",
    "postgresql",
    "procps",
    "python3",
    "redis-server",
    "redis-tools",
    "rpm",
    "runc",
    "secilc",
    "skopeo",
    "strace",
    "systemd",
];

/// The services that come with them. A test starts what it needs by itself.
const SERVICES: [(&str, &str); 6] = [
    ("containerd", "containerd.service"),
    ("docker.io", "docker.service"),
    ("docker.io", "docker.socket"),
    ("nginx-light", "nginx.service"),
    ("postgresql", "postgresql.service"),
    ("redis-server", "redis-server.service"),
];

/// Runs a command during which nothing that is installed starts a service: invoke-rc.d(8) and
/// deb-systemd-invoke(1p) ask /usr/sbin/policy-rc.d, and 101 means no. A machine that has a policy
/// keeps it. A shell's traps take ours away again even when this is interrupted; should it be
/// killed, the next run knows its own file by its second line.
const WITHOUT_SERVICES: &str = r#"
policy=/usr/sbin/policy-rc.d
mark='# For the time of one cargo xtask test.'
if [ ! -e "$policy" ] || [ "$(sed -n 2p "$policy")" = "$mark" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi
"$@"
"#;

/// Installs what is missing, where this may be done. Returns what is still missing.
pub(crate) fn ensure(
    workspace: &Workspace,
    packages: &[&'static str],
    install: bool,
) -> Result<Vec<&'static str>> {
    let missing = missing(packages)?;
    if missing.is_empty() || !install {
        return Ok(missing);
    }
    if cmd::find("apt-get").is_none() {
        say(format_args!(
            "there is no apt here; tests skip that miss one of: {}",
            missing.join(" ")
        ));
        return Ok(missing);
    }
    if !cmd::is_root() {
        say(format_args!(
            "tests that miss a program skip; to have them all: sudo apt-get install \
             --no-install-recommends {}",
            missing.join(" ")
        ));
        return Ok(missing);
    }
    let log = workspace.target.join("log/apt.log");
    say(format_args!(
        "installs with apt: {} ({})",
        missing.join(" "),
        workspace.short(&log)
    ));
    apt_install(&missing, &log)?;
    disable_services(&missing)?;
    self::missing(packages)
}

/// Which of the packages are not installed; all of them where dpkg is not in use.
fn missing(packages: &[&'static str]) -> Result<Vec<&'static str>> {
    if cmd::find("dpkg-query").is_none() {
        return Ok(packages.to_vec());
    }
    let mut query = Command::new("dpkg-query");
    query
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(packages);
    // Its status is 1 when it does not know one of them, which is what we ask for.
    let output = query.output().with_context(|| cmd::not_started(&query))?;
    let known = String::from_utf8_lossy(&output.stdout);
    Ok(not_installed(packages, &known))
}

fn not_installed(packages: &[&'static str], known: &str) -> Vec<&'static str> {
    let installed = |package: &str| {
        known
            .lines()
            .any(|line| line.strip_prefix(package) == Some(" installed"))
    };
    packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect()
}

fn apt_install(packages: &[&str], log: &Path) -> Result<()> {
    let directory = log.parent().context("a log lies in a directory")?;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    // An old list does not matter when it names what is needed, and when it does not, the
    // installation says so.
    let _ = apt(&["update"], &[], &file)?;
    if apt(&INSTALL, packages, &file)? {
        return Ok(());
    }
    // One that this release does not have, or that would drive out another, keeps only itself out.
    let mut refused = Vec::new();
    for package in packages {
        if !apt(&INSTALL, &[package], &file)? {
            refused.push(*package);
        }
    }
    if !refused.is_empty() {
        say(format_args!(
            "apt does not install {}; tests that need it skip. {} says:\n{}",
            refused.join(" "),
            log.display(),
            errors(log)
        ));
    }
    Ok(())
}

/// Nothing is removed: a package that conflicts with an installed one is the user's to choose.
const INSTALL: [&str; 4] = ["install", "--yes", "--no-install-recommends", "--no-remove"];

/// Runs apt-get and returns whether it succeeded.
fn apt(verb: &[&str], packages: &[&str], log: &File) -> Result<bool> {
    let clone = || log.try_clone().context("cannot share the log with apt");
    let mut command = Command::new("sh");
    command
        .args(["-c", WITHOUT_SERVICES, "sh", "apt-get", "--quiet=2"])
        .args(["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"])
        .args(verb)
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Ubuntu's needrestart would restart the machine's own services.
        .env("NEEDRESTART_SUSPEND", "1")
        .stdin(std::process::Stdio::null())
        .stdout(clone()?)
        .stderr(clone()?);
    let status = command
        .status()
        .with_context(|| cmd::not_started(&command))?;
    Ok(status.success())
}

/// Debian enables a service when it is installed, so that the next boot would start it.
fn disable_services(installed: &[&str]) -> Result<()> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    for (package, service) in SERVICES {
        if installed.contains(&package) {
            cmd::run(Command::new("systemctl").args(["disable", "--quiet", service]))?;
            say(format_args!(
                "disabled {service}: the tests start their own"
            ));
        }
    }
    Ok(())
}

/// What apt complained of, each complaint once; failing that, its last words.
fn errors(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut errors: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("E: ")) {
        if !errors.contains(&line) {
            errors.push(line);
        }
    }
    if errors.is_empty() {
        errors = text.lines().rev().take(12).collect();
        errors.reverse();
    }
    errors.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let known: String = TESTS
            .iter()
            .filter(|package| **package != "perl")
            .map(|package| match *package {
                "runc" => "runc config-files\n".to_owned(),
                package => format!("{package} installed\n"),
            })
            .collect();
        assert_eq!(not_installed(&TESTS, &known), ["perl", "runc"]);
    }

    #[test]
    fn package_prefix_is_not_a_match() {
        assert!(not_installed(&TESTS, "gcc-multilib installed\n").contains(&"gcc"));
    }
}
