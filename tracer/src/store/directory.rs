//! The output directory: opened before any work is done for it, and written by its descriptor.

use std::{
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::AtFlags;

use super::{StoreError, file_set, leftover, scratch, walk};

/// A directory that holds a directory for each workload.
///
/// It stays the same directory whatever happens to its path meanwhile: a workload that puts a link in its place
/// does not change where tracer writes.
#[derive(Debug)]
pub struct OutputDirectory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl OutputDirectory {
    /// Opens it, or creates it with those above it. Cleans up what a killed run left in it, and makes sure that it
    /// can be written to.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = walk::directory(path, true).and_then(|fd| prepared(fd, path));
        opened.map_err(|cause| failed(path, cause))
    }

    /// Opens a directory in it, or creates it. A link is not followed.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn subdirectory(&self, name: &str) -> Result<Self, StoreError> {
        let path = self.path.join(name);
        self.check(name)?;
        let opened = walk::make_directory(&self.fd, name).and_then(|fd| prepared(fd, &path));
        opened.map_err(|cause| failed(&path, cause))
    }

    /// Makes sure that a workload's directory can be put there: nothing is, or a directory.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn check(&self, name: &str) -> Result<(), StoreError> {
        let found = file_set::existing(&self.fd, name);
        found
            .map(drop)
            .map_err(|cause| failed(&self.path.join(name), cause))
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Its path, as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is now, if its path leads elsewhere by now.
    pub fn moved_to(&self) -> Option<PathBuf> {
        let now = walk::directory(&self.path, false).and_then(|fd| Ok(rustix::fs::fstat(fd)?));
        let ours = rustix::fs::fstat(&self.fd).ok()?;
        let is_same = now.is_ok_and(|now| (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino));
        if is_same {
            return None;
        }
        let link = format!("/proc/self/fd/{}", self.fd.as_fd().as_raw_fd());
        Some(fs::read_link(link).unwrap_or_else(|_| self.path.clone()))
    }
}

fn prepared(fd: OwnedFd, path: &Path) -> io::Result<OutputDirectory> {
    if let Err(error) = leftover::clean(&fd, path) {
        log::warn!(
            "cannot remove everything that an interrupted tracer left in {}: {error}",
            path.display()
        );
    }
    let (_lock, name) = scratch::make_directory(&fd, "check")?;
    rustix::fs::unlinkat(&fd, &name, AtFlags::REMOVEDIR)?;
    Ok(OutputDirectory {
        fd,
        path: path.to_owned(),
    })
}

fn failed(path: &Path, cause: io::Error) -> StoreError {
    StoreError::Directory {
        path: path.to_owned(),
        cause,
    }
}
