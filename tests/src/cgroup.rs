//! Cgroups that go away with their test.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::scratch::unique;

/// Where the v2 hierarchy is mounted: the first mount of it, as in
/// proc_pid_mountinfo(5).
///
/// # Errors
/// When it is mounted nowhere.
pub fn v2_mount() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading the mount table")?;
    mounts
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .find(|(_, kind)| kind.starts_with("cgroup2 "))
        .and_then(|(mount, _)| mount.split(' ').nth(4))
        .map(PathBuf::from)
        .context("no cgroup v2 hierarchy is mounted")
}

/// Whether v1 hierarchies are mounted beside the v2 one.
///
/// # Errors
/// When the mount table cannot be read.
pub fn is_hybrid() -> Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading the mount table")?;
    Ok(mounts.lines().any(|line| line.contains(" - cgroup ")))
}

/// Where the hierarchies are mounted: the v2 one, and those of v1.
///
/// # Errors
/// When the mount table cannot be read.
pub fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading the mount table")?;
    Ok(mounts
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .filter(|(_, kind)| kind.starts_with("cgroup2 ") || kind.starts_with("cgroup "))
        .filter_map(|(mount, _)| mount.split(' ').nth(4))
        .map(PathBuf::from)
        .collect())
}

/// The paths of all v2 cgroups, below the mount.
///
/// # Errors
/// When the hierarchy cannot be read.
pub fn all() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(&v2_mount()?, &mut found);
    Ok(found)
}

/// The cgroups of that name in all hierarchies, v1 too.
///
/// # Errors
/// When the mount table cannot be read.
pub fn named(name: &str) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading the mount table")?;
    let mut found = Vec::new();
    for (mount, _) in mounts
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .filter(|(_, kind)| kind.starts_with("cgroup"))
    {
        let path = mount.split(' ').nth(4).context("a mount without a path")?;
        walk(Path::new(path), &mut found);
    }
    found.retain(|path| path.ends_with(name));
    Ok(found)
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    // A cgroup may go away under the walk.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
            walk(&entry.path(), found);
        }
    }
}

/// A cgroup of the test's own.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one below the root of the hierarchy.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        Self::at(v2_mount()?.join(unique(&format!("tracer-e2e-{name}"))))
    }

    /// Makes one below this one.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn child(&self, name: &str) -> Result<Self> {
        Self::at(self.path.join(name))
    }

    /// Makes one at a path of the test's choice.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn at(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("making cgroup {}", path.display()))?;
        Ok(Self { path })
    }

    /// Takes over one that somebody else made, to remove it.
    pub fn adopt(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that processes are written to.
    pub fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Moves a process here.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add(&self, pid: u32) -> Result<()> {
        fs::write(self.procs(), pid.to_string())
            .with_context(|| format!("moving {pid} to {}", self.path.display()))
    }

    /// Removes it; nobody may be left in it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self) -> Result<()> {
        fs::remove_dir(&self.path).with_context(|| format!("removing {}", self.path.display()))
    }
}

impl Drop for Cgroup {
    /// Ends what is left in it, by id, and removes it: also when the test panicked.
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.path.exists() && self.remove().is_err() && Instant::now() < deadline {
            let left = fs::read_to_string(self.procs()).unwrap_or_default();
            for pid in left.lines().filter_map(|line| line.parse().ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
