//! What is recorded so far, on disk while it is recorded: a hidden directory in the output directory with a file for
//! each workload. The directory is locked as long as its tracer lives, so that the next run can tell what a killed one
//! left.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{
    OutputDirectory, RECORDING_FILE, StoreError,
    disk::{stat, sync},
    file_set::existing,
    old_set, parse,
    scratch::{self, CHECKPOINTS},
};
use tracer_core::recording::{Recording, json::MAX_BYTES};

/// The name of a file before it is whole.
const UNFINISHED: &str = "new";

/// The checkpoints of one run.
#[derive(Debug)]
pub struct Checkpoints {
    parent: OwnedFd,
    /// Holds the lock.
    fd: OwnedFd,
    name: String,
    path: PathBuf,
}

impl OutputDirectory {
    /// Makes a place for the checkpoints of this run.
    ///
    /// # Errors
    /// When the directory cannot be made or locked.
    pub fn checkpoints(&self) -> io::Result<Checkpoints> {
        let (fd, name) = scratch::make_directory(&self.fd, CHECKPOINTS)?;
        Ok(Checkpoints {
            parent: self.fd.try_clone()?,
            fd,
            path: self.path.join(&name),
            name,
        })
    }

    /// The checkpoints of runs that were killed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn abandoned_checkpoints(&self) -> io::Result<Vec<Checkpoints>> {
        let found = scratch::abandoned(&self.fd, |subject| subject == CHECKPOINTS)?;
        let of = |(fd, name, _): (OwnedFd, std::ffi::OsString, _)| {
            Ok(Checkpoints {
                parent: self.fd.try_clone()?,
                fd,
                path: self.path.join(&name),
                name: name.to_string_lossy().into_owned(),
            })
        };
        found.into_iter().map(of).collect()
    }

    /// Whether there is something of this name.
    pub fn has(&self, name: &str) -> bool {
        stat(&self.fd, name).is_some()
    }

    /// The recording in a workload's directory, if there is one that can be read. No link is followed.
    pub fn recording(&self, name: &str) -> Option<Recording> {
        let directory = existing(&self.fd, name).ok()??;
        let path = self.path.join(name).join(RECORDING_FILE);
        read(&directory, RECORDING_FILE, &path).ok()
    }
}

impl Checkpoints {
    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the checkpoint of a workload, in one step and synced.
    ///
    /// # Errors
    /// When it cannot be written; the one before is then untouched.
    pub fn write(&self, workload: usize, bytes: &[u8]) -> io::Result<()> {
        let written = self.write_new(bytes).and_then(|()| {
            let name = file_name(workload);
            Ok(rustix::fs::renameat(&self.fd, UNFINISHED, &self.fd, &name)?)
        });
        if let Err(error) = written {
            scratch::gone(rustix::fs::unlinkat(&self.fd, UNFINISHED, AtFlags::empty()))?;
            return Err(error);
        }
        sync(&self.fd)
    }

    fn write_new(&self, bytes: &[u8]) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let mut file = File::from(rustix::fs::openat(&self.fd, UNFINISHED, flags, mode)?);
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Removes the checkpoint of a workload.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, workload: usize) -> io::Result<()> {
        scratch::gone(rustix::fs::unlinkat(
            &self.fd,
            file_name(workload),
            AtFlags::empty(),
        ))
    }

    /// The workloads and their recordings.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn recordings(&self) -> io::Result<Vec<(usize, Result<Recording, StoreError>)>> {
        let names = scratch::names(&self.fd)?;
        let numbers = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_suffix(SUFFIX)?.parse().ok());
        let mut numbers: Vec<usize> = numbers.collect();
        numbers.sort_unstable();
        let read = |number| {
            let name = file_name(number);
            (number, read(&self.fd, &name, &self.path.join(&name)))
        };
        Ok(numbers.into_iter().map(read).collect())
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        old_set::remove_all(&self.fd, 0)?;
        scratch::gone(rustix::fs::unlinkat(
            &self.parent,
            &self.name,
            AtFlags::REMOVEDIR,
        ))
    }
}

/// What the name of a checkpoint ends with.
const SUFFIX: &str = ".json";

/// Numbers, since a workload's name may be as long as a file's.
fn file_name(workload: usize) -> String {
    format!("{workload}{SUFFIX}")
}

fn read(at: &OwnedFd, name: &str, path: &Path) -> Result<Recording, StoreError> {
    let failed = |cause| StoreError::Read {
        path: path.to_owned(),
        cause,
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(at, name, flags, Mode::empty());
    let mut bytes = Vec::new();
    opened
        .map_err(io::Error::from)
        .and_then(|fd| File::from(fd).take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(failed)?;
    parse(&bytes, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::{profile::seccomp::fixture::mixed, recording::json};

    #[test]
    fn checkpoints_are_of_a_killed_run_once_nobody_holds_them() {
        let scratch = tempfile::tempdir().unwrap();
        let output = OutputDirectory::open(scratch.path()).unwrap();
        let running = output.checkpoints().unwrap();
        let recording = mixed();
        running
            .write(3, &json::to_compact_json(&recording))
            .unwrap();
        running.write(7, b"{").unwrap();
        running.write(8, b"{").unwrap();
        running.remove(8).unwrap();
        assert!(output.abandoned_checkpoints().unwrap().is_empty());
        // As a kill does.
        drop(running);
        // Nor does the cleaning of temporary files take them.
        let again = OutputDirectory::open(scratch.path()).unwrap();
        let mut left = again.abandoned_checkpoints().unwrap();
        let left = left.pop().unwrap();
        let mut found = left.recordings().unwrap().into_iter();
        let (number, read) = found.next().unwrap();
        assert_eq!((number, read.unwrap()), (3, recording));
        let (number, read) = found.next().unwrap();
        assert!(number == 7 && read.is_err());
        assert!(found.next().is_none());
        // Two do not recover the same.
        assert!(output.abandoned_checkpoints().unwrap().is_empty());
        left.discard().unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
        let scratch = tempfile::tempdir().unwrap();
        let output = OutputDirectory::open(scratch.path()).unwrap();
        let running = output.checkpoints().unwrap();
        running.write(0, b"before").unwrap();
        // Something is in the way.
        rustix::fs::mkdirat(&running.fd, UNFINISHED, Mode::RWXU).unwrap();
        assert!(running.write(0, b"after").is_err());
        let kept = std::fs::read(running.path().join("0.json")).unwrap();
        assert_eq!(kept, b"before");
    }
}
