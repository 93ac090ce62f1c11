//! A cgroup made for one command, and taken away again.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use nix::fcntl::{Flock, FlockArg};

use super::{Cgroup, CgroupError, Hierarchy};

/// A cgroup of our own. Dropping it moves what still runs in it back to where tracer runs, and
/// removes it with everything below.
#[derive(Debug)]
pub struct OwnCgroup {
    cgroup: Cgroup,
    parent: PathBuf,
    /// Locked as long as we live, so that no other tracer takes the cgroup for one that was left.
    _lock: Flock<File>,
    /// Keeps a private mount, and with it the paths above, as long as the cgroup.
    _hierarchy: Hierarchy,
}

impl OwnCgroup {
    /// Makes one below tracer's own cgroup, so that limits which hold for tracer go on to hold for
    /// the command.
    ///
    /// # Errors
    /// [`CgroupError::Create`].
    pub fn create(hierarchy: &Hierarchy) -> Result<Self, CgroupError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = hierarchy.current()?;
        let name = format!(
            "{PREFIX}{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = parent.path.join(&name);
        let directory = parent.directory.join(&name);
        let create = |cause| CgroupError::Create {
            path: path.clone(),
            cause,
        };
        remove_abandoned(&parent.directory);
        match fs::create_dir(&directory) {
            Ok(()) => {}
            // Left by a tracer that was killed, whose pid came round again.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_dir(&directory).map_err(create)?;
                fs::create_dir(&directory).map_err(create)?;
            }
            Err(error) => return Err(create(error)),
        }
        Ok(Self {
            _lock: lock(&directory).map_err(create)?,
            cgroup: hierarchy.at(&path)?,
            parent: parent.directory,
            _hierarchy: hierarchy.clone(),
        })
    }

    /// The cgroup itself.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// The file by which a process moves itself in, by writing "0".
    ///
    /// # Errors
    /// [`CgroupError::Enter`].
    pub fn procs_file(&self) -> Result<File, CgroupError> {
        OpenOptions::new()
            .write(true)
            .open(self.cgroup.directory.join("cgroup.procs"))
            .map_err(|cause| self.refused(cause))
    }

    /// The error of a process that could not move itself in.
    pub fn refused(&self, cause: io::Error) -> CgroupError {
        CgroupError::Enter {
            path: self.cgroup.path.clone(),
            cause,
        }
    }

    fn clear(&self) -> io::Result<()> {
        // A process may fork while it is being moved, so look again until none is left; each round
        // moves all that the one before left behind, and a fork bomb does not keep us for ever.
        for _ in 0..100 {
            let processes = self.cgroup.processes()?;
            if processes.is_empty() {
                break;
            }
            for pid in processes {
                let _ = move_to(&self.parent, pid);
            }
        }
        for directory in self.cgroup.subtree()?.iter().rev() {
            fs::remove_dir(directory)?;
        }
        Ok(())
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            log::warn!(
                "the cgroup {} is left behind: {error}",
                self.cgroup.path.display()
            );
        }
    }
}

/// What the name of every such cgroup begins with; our process id and a number follow.
const PREFIX: &str = "tracer-";

fn lock(directory: &Path) -> io::Result<Flock<File>> {
    Flock::lock(File::open(directory)?, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, error)| error.into())
}

/// Removes the cgroups that killed tracers left, unless something runs in them still.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(owner) else {
            continue;
        };
        let directory = entry.path();
        if Path::new("/proc").join(pid.to_string()).exists() {
            continue;
        }
        // A tracer in another pid namespace holds the lock. A cgroup with processes cannot be removed (EBUSY).
        if let Ok(_lock) = lock(&directory)
            && let Err(error) = remove_tree(&directory)
        {
            log::debug!("the cgroup {} stays: {error}", directory.display());
        }
    }
}

/// Removes a cgroup and those in it.
fn remove_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

/// The process id in the name of a cgroup of this kind.
fn owner(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let _: u32 = number.parse().ok()?;
    pid.parse().ok()
}

fn move_to(directory: &Path, pid: i32) -> io::Result<()> {
    fs::write(directory.join("cgroup.procs"), pid.to_string())
}
