//! Directories that go away with their test.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// A directory of the test's own, open to every user.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// When the temporary directory of the machine cannot be written to.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("tracer-e2e-")
            .tempdir()
            .context("making a temporary directory")?;
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
        Ok(Self(dir))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of something in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a directory in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.join(name);
        fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.join(name);
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// A name that no other test, and no other run of the tests, uses at this time.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{prefix}-{}-{}",
        process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Something mounted for the test.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// A file system in memory; `options` as in mount(8).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn tmpfs(path: &Path, options: &str) -> Result<Self> {
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options),
        )
        .with_context(|| format!("mounting a tmpfs on {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// A directory that cannot be written to, not even by root.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn read_only(path: &Path) -> Result<Self> {
        let none = None::<&str>;
        let refused = || format!("making {} read-only", path.display());
        mount(Some(path), path, none, MsFlags::MS_BIND, none).with_context(refused)?;
        let mounted = Self(path.to_owned());
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, path, none, read_only, none).with_context(refused)?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
