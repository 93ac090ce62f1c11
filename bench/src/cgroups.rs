//! Cgroups of our own in the v2 hierarchy, removed again whatever happens.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// A cgroup; with it go the cgroups below it, and the processes in all of them.
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes a cgroup at the top of the v2 hierarchy.
    ///
    /// # Errors
    /// When no v2 hierarchy is mounted, or it is read-only.
    pub(crate) fn top(name: &str) -> Result<Self> {
        let mount = mount_point()?;
        Self::make(mount.join(format!("tracer-bench-{}-{name}", std::process::id())))
    }

    /// Makes a cgroup in this one. It is removed with this one.
    pub(crate) fn child(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path).with_context(|| format!("cannot make the cgroup {path:?}"))?;
        Ok(path)
    }

    fn make(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("cannot make the cgroup {path:?}"))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The id by which the kernel side knows it: the inode number of its directory.
    pub(crate) fn id(&self) -> Result<u64> {
        let metadata = fs::metadata(&self.path)
            .with_context(|| format!("cannot look at the cgroup {:?}", self.path))?;
        Ok(metadata.ino())
    }
}

/// Moves a process to a cgroup.
pub(crate) fn add(cgroup: &Path, pid: u32) -> Result<()> {
    fs::write(cgroup.join("cgroup.procs"), pid.to_string())
        .with_context(|| format!("cannot move process {pid} to {cgroup:?}"))
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Processes that were told to end may take a moment to be gone.
        let deadline = Instant::now() + Duration::from_secs(5);
        while let Err(error) = remove(&self.path) {
            if Instant::now() > deadline {
                eprintln!(
                    "tracer-bench: cannot remove the cgroup {:?}: {error}",
                    self.path
                );
                return;
            }
            let _ = fs::write(self.path.join("cgroup.kill"), "1");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Removes a cgroup and those below it, deepest first.
fn remove(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

fn mount_point() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read mountinfo")?;
    mounts
        .lines()
        .find_map(|line| {
            // Fields before " - " vary in number; the file system type follows it (proc(5)).
            let (before, after) = line.split_once(" - ")?;
            (after.split(' ').next() == Some("cgroup2")).then_some(())?;
            Some(PathBuf::from(before.split(' ').nth(4)?))
        })
        .context("no cgroup v2 hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup")
}
