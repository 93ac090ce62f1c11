//! Debian's kernels, fetched and not installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::cmd::{self, say};
use crate::debian::{Apt, unpack};
use crate::workspace::Workspace;

/// A release of Debian, by the kernel that is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Release {
    /// Linux 5.10
    Debian11,
    /// Linux 6.1
    Debian12,
    /// Linux 6.12
    Debian13,
}

impl Release {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debian11 => "debian11",
            Self::Debian12 => "debian12",
            Self::Debian13 => "debian13",
        }
    }

    fn suite(self) -> &'static str {
        match self {
            Self::Debian11 => "bullseye",
            Self::Debian12 => "bookworm",
            Self::Debian13 => "trixie",
        }
    }
}

/// An unpacked kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// As `uname -r` prints it there.
    pub(crate) version: String,
    root: PathBuf,
}

impl Kernel {
    /// The newest kernel of that release at the time when it was first asked for.
    pub(crate) fn of(workspace: &Workspace, release: Release) -> Result<Self> {
        let home = workspace.target.join("vm").join(release.name());
        if let Ok(kernel) = Self::open(&home) {
            return Ok(kernel);
        }
        let directory = workspace.target.join("vm");
        let partial = directory.join(format!(".{}.{}", release.name(), std::process::id()));
        let made = fetch(release, &partial).and_then(|()| {
            Self::open(&partial)?;
            // Another run may have made it meanwhile; then this one is not needed.
            let _ = fs::rename(&partial, &home);
            Self::open(&home)
        });
        // Gone already when all went well.
        let _ = fs::remove_dir_all(&partial);
        made.with_context(|| format!("there is no kernel of {}", release.name()))
    }

    fn open(root: &Path) -> Result<Self> {
        let modules = root.join("lib/modules");
        let version = fs::read_dir(&modules)
            .and_then(|mut entries| entries.next().transpose())
            .with_context(|| format!("cannot read {}", modules.display()))?
            .with_context(|| format!("{} is empty", modules.display()))?
            .file_name();
        let kernel = Self {
            version: version.to_string_lossy().into_owned(),
            root: root.to_path_buf(),
        };
        ensure!(
            kernel.image().is_file(),
            "there is no {}",
            kernel.image().display()
        );
        Ok(kernel)
    }

    /// What is booted.
    pub(crate) fn image(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.version))
    }

    /// The files of these modules and of all that they need, in the order in which they load; what
    /// is built into the kernel has none.
    pub(crate) fn modules(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for name in names {
            let plan = cmd::read(
                Command::new("modprobe")
                    .args(["--ignore-install", "--show-depends"])
                    .args(["--set-version", &self.version, "--dirname"])
                    .args([self.root.as_os_str(), name.as_ref()])
                    .env("PATH", path()),
            )?;
            for file in insmods(&plan) {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }
}

/// The files in what modprobe would do: `insmod FILE OPTIONS…` or `builtin NAME`.
fn insmods(plan: &str) -> impl Iterator<Item = PathBuf> {
    plan.lines()
        .filter_map(|line| line.strip_prefix("insmod "))
        .map(|file| PathBuf::from(file.trim_end()))
}

/// kmod and busybox lie where `sudo` and a plain user do not always look.
fn path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

fn fetch(release: Release, into: &Path) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "only the kernels for x86-64 were ever tried"
    );
    let apt = Apt::new(&into.join("apt"), release.suite())?;
    say(format_args!(
        "fetches the newest kernel of {} from {}",
        release.name(),
        apt.mirror
    ));
    apt.update()?;
    let depends = cmd::read(
        apt.command("apt-cache")
            .args(["depends", "linux-image-amd64"]),
    )?;
    let package = dependency(&depends)
        .with_context(|| format!("linux-image-amd64 depends on no kernel:\n{depends}"))?;
    unpack(&apt.download(package)?, into)?;
    apt.remove()?;
    // Since Debian 13 there is only /usr/lib; depmod and modprobe want the old place.
    if !into.join("lib").exists() {
        symlink("usr/lib", into.join("lib")).context("cannot link lib")?;
    }
    let kernel = Kernel::open(into)?;
    cmd::run(
        Command::new("depmod")
            .arg("--basedir")
            .args([into.as_os_str(), kernel.version.as_ref()])
            .env("PATH", path()),
    )
}

/// `  Depends: linux-image-6.1.0-50-amd64`.
fn dependency(depends: &str) -> Option<&str> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_kernel_behind_the_metapackage() {
        let depends = "linux-image-amd64\n  Depends: linux-image-6.1.0-50-amd64\n";
        assert_eq!(dependency(depends), Some("linux-image-6.1.0-50-amd64"));
        assert_eq!(dependency("linux-image-amd64\n"), None);
    }

    #[test]
    fn built_in_modules_have_no_file() {
        let plan = "builtin virtio\ninsmod /k/lib/modules/6/kernel/net/9p/9pnet.ko.xz \n";
        let files: Vec<_> = insmods(plan).collect();
        assert_eq!(
            files,
            [PathBuf::from("/k/lib/modules/6/kernel/net/9p/9pnet.ko.xz")]
        );
    }
}
