//! Tiny root file systems for containers, from programs of this machine.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{process, requires};

/// A root file system in a directory: busybox with all its applets, and what is added.
#[derive(Debug)]
pub struct Rootfs(PathBuf);

impl Rootfs {
    /// Makes one in an empty directory.
    ///
    /// # Errors
    /// When busybox is not installed, or the directory cannot be written to.
    pub fn new(dir: &Path) -> Result<Self> {
        let rootfs = Self(dir.to_owned());
        let busybox = requires::which("busybox").context("busybox is not installed")?;
        rootfs.copy(&busybox, Path::new("/bin/busybox"))?;
        let applets = process::run(Command::new(&busybox).arg("--list"))?.success()?;
        for applet in applets.text().lines().filter(|name| *name != "busybox") {
            symlink("busybox", dir.join("bin").join(applet))
                .with_context(|| format!("making applet {applet}"))?;
        }
        Ok(rootfs)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Adds a program of this machine, where it is, and the libraries that it is linked with.
    ///
    /// # Errors
    /// When it cannot be read or the directory cannot be written to.
    pub fn with_program(self, program: &Path) -> Result<Self> {
        self.copy(program, program)?;
        // ldd's status is 1 for a static program, which needs nothing.
        let libraries = process::run(Command::new("ldd").arg(program))?;
        for library in libraries.text().split_whitespace().map(Path::new) {
            if library.is_absolute() {
                self.copy(library, library)?;
            }
        }
        Ok(self)
    }

    /// Adds a program as `/bin/NAME`, without libraries.
    ///
    /// # Errors
    /// When it cannot be read or the directory cannot be written to.
    pub fn with_static(self, program: &Path, name: &str) -> Result<Self> {
        self.copy(program, &Path::new("/bin").join(name))?;
        Ok(self)
    }

    /// Writes it as a tar file without compression.
    ///
    /// # Errors
    /// When tar fails.
    pub fn tar(&self, file: &Path) -> Result<()> {
        tar(&self.0, file, &["."])
    }

    /// Writes it as an image of one layer that runs `command`, in the form of `docker save`
    /// (moby, image/spec/v1.2.md). `scratch` is a directory for what is put in.
    ///
    /// # Errors
    /// When a program fails or a file cannot be written.
    pub fn archive(&self, scratch: &Path, name: &str, command: &[&str], file: &Path) -> Result<()> {
        fs::create_dir_all(scratch).with_context(|| format!("making {}", scratch.display()))?;
        let layer = scratch.join("layer.tar");
        self.tar(&layer)?;
        let sum = process::run(Command::new("sha256sum").arg(&layer))?.success()?;
        let sum = sum.text();
        let sum = sum.split(' ').next().context("sha256sum said nothing")?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": command, "Env": ["PATH=/bin"] },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{sum}")] },
        });
        let manifest = json!([
            { "Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"] },
        ]);
        fs::write(scratch.join("config.json"), config.to_string())?;
        fs::write(scratch.join("manifest.json"), manifest.to_string())?;
        tar(
            scratch,
            file,
            &["manifest.json", "config.json", "layer.tar"],
        )
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let to = self.0.join(to.strip_prefix("/").unwrap_or(to));
        let directory = to.parent().context("a file lies in a directory")?;
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        fs::copy(from, &to)
            .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
        Ok(())
    }
}

fn tar(directory: &Path, file: &Path, what: &[impl AsRef<OsStr>]) -> Result<()> {
    process::run(
        Command::new("tar")
            .args(["--numeric-owner", "--owner=0", "--group=0", "-C"])
            .arg(directory)
            .arg("-cf")
            .arg(file)
            .args(what),
    )?
    .success()
    .with_context(|| format!("packing {}", directory.display()))?;
    Ok(())
}
