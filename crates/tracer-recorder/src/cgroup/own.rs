//! A cgroup made for one command, and taken away again.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{Cgroup, CgroupError, Hierarchy};

/// A cgroup of our own. Dropping it moves what still runs in it back to where tracer runs, and
/// removes it with everything below.
#[derive(Debug)]
pub struct OwnCgroup {
    cgroup: Cgroup,
    parent: PathBuf,
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
            "tracer-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = parent.path.join(&name);
        let directory = parent.directory.join(&name);
        let create = |cause| CgroupError::Create {
            path: path.clone(),
            cause,
        };
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

fn move_to(directory: &Path, pid: i32) -> io::Result<()> {
    fs::write(directory.join("cgroup.procs"), pid.to_string())
}
