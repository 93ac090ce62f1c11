//! A cgroup made for one command, and taken away again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
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
    /// Where processes are moved to in the end: opened before tracer gives up the right to open it.
    parent_procs: Option<File>,
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
        remove_abandoned(&parent.directory);
        let mut attempt = 0;
        loop {
            let name = format!(
                "{PREFIX}{}-{}",
                process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            );
            let path = parent.path.join(&name);
            let directory = parent.directory.join(&name);
            attempt += 1;
            match create_locked(&directory) {
                Ok(lock) => {
                    return Ok(Self {
                        _lock: lock,
                        cgroup: hierarchy.at(&path)?,
                        parent_procs: procs(&parent.directory)
                            .inspect_err(|error| log::debug!("nothing can be moved back: {error}"))
                            .ok(),
                        _hierarchy: hierarchy.clone(),
                    });
                }
                // The cleaning of another run was faster than our lock, or a tracer that was killed left one whose
                // pid came round again.
                Err(error)
                    if attempt < ATTEMPTS
                        && matches!(
                            error.kind(),
                            io::ErrorKind::AlreadyExists
                                | io::ErrorKind::NotFound
                                | io::ErrorKind::WouldBlock
                        ) => {}
                Err(cause) => return Err(CgroupError::Create { path, cause }),
            }
        }
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
        procs(&self.cgroup.directory).map_err(|cause| self.refused(cause))
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
                if let Some(mut procs) = self.parent_procs.as_ref() {
                    let _ = procs.write_all(pid.to_string().as_bytes());
                }
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

/// How many names are tried until one is free.
const ATTEMPTS: u32 = 100;

fn create_locked(directory: &Path) -> io::Result<Flock<File>> {
    fs::create_dir(directory)?;
    let lock = lock(directory)?;
    // Whoever cleans up holds the lock until it is gone.
    fs::metadata(directory)?;
    Ok(lock)
}

fn lock(directory: &Path) -> io::Result<Flock<File>> {
    Flock::lock(File::open(directory)?, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, error)| error.into())
}

/// Removes the cgroups that killed tracers left below the one that this process is in.
pub fn remove_abandoned_cgroups() {
    match Hierarchy::open().and_then(|it| it.current()) {
        Ok(parent) => remove_abandoned(&parent.directory),
        Err(error) => log::debug!("no cgroup is cleaned up: {error}"),
    }
}

/// Removes the cgroups that killed tracers left, unless something runs in them still.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(is_own_name) {
            continue;
        }
        let directory = entry.path();
        // A tracer that runs holds the lock; its pid says nothing, since another process may have it by now. A cgroup
        // with processes cannot be removed (EBUSY).
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

/// Whether a name is that of such a cgroup.
fn is_own_name(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).and_then(|it| it.split_once('-'));
    numbers.is_some_and(|(pid, number)| pid.parse::<u32>().is_ok() && number.parse::<u32>().is_ok())
}

/// The file by which processes are moved into a cgroup.
fn procs(directory: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .open(directory.join("cgroup.procs"))
}
