//! The files of one workload, replaced as one.
//!
//! A new directory is made beside the old one, in a directory that nobody else can enter. It gets the new files, and
//! hard links to all else that is in the old directory. The two then change places, which is one step for the kernel
//! (`renameat2` with `RENAME_EXCHANGE`, Linux 3.15). A kill at any moment leaves the old files or the new ones.
//!
//! Where a file system cannot do that, the files are renamed one by one, the recording first.

use std::{io, os::fd::OwnedFd, path::PathBuf};

use rustix::fs::{AtFlags, FileType, RenameFlags};

use super::{
    OutputDirectory, RECORDING_FILE, StoreError,
    disk::{
        default_mode, is_no_room, is_taken, is_unsupported, move_new, parent, stat, sync, sync_all,
        write_new,
    },
    leftover, lock,
    old_set::{self, Carried},
    scratch, walk,
};

/// What is to be in a workload's directory.
#[derive(Debug)]
pub struct FileSet<'a> {
    /// Names, with directories, and texts. When a recording is the first, it is kept even when there is no room for
    /// the others.
    pub files: &'a [(String, String)],
    /// Names of files that an earlier run may have written and that do not belong to this set. A name that ends in
    /// `/` is a directory of blobs, which are named by their hash.
    pub stale: Vec<&'a str>,
}

impl FileSet<'_> {
    /// Whether an old file is replaced or left out.
    pub(super) fn drops(&self, path: &str) -> bool {
        self.files.iter().any(|(name, _)| name == path) || self.is_stale(path)
    }

    fn is_stale(&self, path: &str) -> bool {
        self.stale
            .iter()
            .any(|stale| match path.strip_prefix(stale) {
                Some("") => true,
                Some(blob) => stale.ends_with('/') && old_set::is_blob(blob),
                None => false,
            })
    }

    fn has_recording(&self) -> bool {
        self.files
            .first()
            .is_some_and(|(name, _)| name == RECORDING_FILE)
    }
}

impl OutputDirectory {
    /// Replaces the files of a workload by new ones. Other files in its directory stay.
    ///
    /// # Errors
    /// [`StoreError::Write`]: the old files are untouched. [`StoreError::Partly`]: some are. [`StoreError::NoRoom`] and [`StoreError::Blocked`]: the
    /// recording was saved, they say where.
    pub fn replace(&self, name: &str, set: &FileSet<'_>) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let write = |cause| StoreError::Write {
            path: path.clone(),
            cause,
        };
        // What is there is looked at only when no other run can change it.
        let (_lock, old) = match lock::hold(&self.fd, lock::PATIENCE) {
            Ok(lock) => (Some(lock), existing(&self.fd, name)),
            Err(cause) => (None, Err(cause)),
        };
        let old = match old {
            Err(cause) if !set.has_recording() => return Err(write(cause)),
            old => old,
        };
        let staged = Staged::new(self, name).map_err(write)?;
        let (missing, cause) = match staged.write(set, old.as_ref().ok().and_then(Option::as_ref)) {
            Ok(missing) => missing,
            Err((file, cause)) => {
                return Err(StoreError::Write {
                    path: path.join(file),
                    cause,
                });
            }
        };
        let old = match old {
            Ok(old) => old,
            Err(cause) => {
                let saved = staged.save_beside().map_err(write)?;
                return Err(StoreError::Blocked { path, saved, cause });
            }
        };
        if let Some(cause) = cause {
            let saved = match old {
                Some(_) => staged.save_beside(),
                None => match staged.install_new() {
                    // What was made there meanwhile stays, and the recording too.
                    Err(error) if is_taken(&error) => staged.save_beside(),
                    installed => installed.map(|()| path.clone()),
                },
            };
            let saved = saved.map_err(write)?;
            return Err(StoreError::NoRoom {
                missing,
                saved,
                cause,
            });
        }
        let cause = match staged.install_again(old, set) {
            Ok(()) => return Ok(()),
            Err(Failed::Untouched(cause)) => cause,
            Err(Failed::Partly { moved, left, cause }) => {
                let saved = staged.save_beside().ok();
                return Err(StoreError::Partly {
                    path,
                    moved,
                    left,
                    saved,
                    cause,
                });
            }
        };
        if set.has_recording() {
            // It cannot be made again.
            let saved = staged.save_beside().map_err(write)?;
            return Err(StoreError::Blocked { path, saved, cause });
        }
        Err(write(cause))
    }
}

/// The directory of a workload; `None` when there is none.
pub(super) fn existing(at: &OwnedFd, name: &str) -> io::Result<Option<OwnedFd>> {
    match walk::open_directory(at, name) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // O_DIRECTORY|O_NOFOLLOW: ENOTDIR for links too (fs/namei.c, do_open).
        Err(_) if is_link(at, name) => Err(io::Error::other(
            "it is a symbolic link, and tracer does not follow links there",
        )),
        Err(error) => Err(error),
    }
}

fn is_link(at: &OwnedFd, name: &str) -> bool {
    let stat = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| walk::kind(&stat) == FileType::Symlink)
}

/// New files in a temporary directory, which goes away when they are not installed.
struct Staged<'a> {
    output: &'a OutputDirectory,
    /// The workload's name.
    name: &'a str,
    /// The temporary directory and its name. Only we can enter it, so nobody changes what is in it.
    outer: OwnedFd,
    outer_name: String,
    /// The new directory in it, and its name: it has its own inode number, which says after a kill whether it has
    /// changed places already.
    inner: OwnedFd,
    inner_name: String,
}

impl<'a> Staged<'a> {
    fn new(output: &'a OutputDirectory, name: &'a str) -> io::Result<Self> {
        let (outer, outer_name) = scratch::make_directory(&output.fd, name)?;
        let inner = walk::make_directory(&outer, UNNAMED)?;
        let inner_name = named(rustix::fs::fstat(&inner)?.st_ino);
        rustix::fs::renameat(&outer, UNNAMED, &outer, &inner_name)?;
        Ok(Self {
            output,
            name,
            outer,
            outer_name,
            inner,
            inner_name,
        })
    }

    /// Writes the files, and says which there was no room for.
    fn write(
        &self,
        set: &FileSet<'_>,
        old: Option<&OwnedFd>,
    ) -> Result<Missing, (String, io::Error)> {
        let (mut missing, mut why) = (Vec::new(), None);
        for (name, text) in set.files {
            match self.write_one(name, text, old) {
                Ok(()) => {}
                Err(error)
                    if is_no_room(&error) && set.has_recording() && name != RECORDING_FILE =>
                {
                    missing.push(name.clone());
                    why = Some(error);
                }
                Err(error) => return Err((name.clone(), error)),
            }
        }
        Ok((missing, why))
    }

    fn write_one(&self, name: &str, text: &str, old: Option<&OwnedFd>) -> io::Result<()> {
        let (directory, file) = parent(&self.inner, name)?;
        let kept = old.and_then(|old| old_set::mode(old, name));
        let mode = kept.unwrap_or(default_mode(name));
        let written = write_new(&directory, file, text.as_bytes(), mode, kept.is_some());
        if written.is_err() {
            scratch::gone(rustix::fs::unlinkat(&directory, file, AtFlags::empty()))?;
        }
        written
    }

    /// Puts the new directory in its place. When somebody without our lock made one there meanwhile, that is the old
    /// one then.
    fn install_again(&self, old: Option<OwnedFd>, set: &FileSet<'_>) -> Result<(), Failed> {
        let was_free = old.is_none();
        match self.install(old, set) {
            Err(Failed::Untouched(error)) if was_free && is_taken(&error) => {
                self.install(existing(&self.output.fd, self.name)?, set)
            }
            installed => installed,
        }
    }

    /// Puts the new directory in its place.
    fn install(&self, old: Option<OwnedFd>, set: &FileSet<'_>) -> Result<(), Failed> {
        let at = &self.output.fd;
        let Some(old) = old else {
            return Ok(self.install_new()?);
        };
        if let Some(blocked) = set
            .files
            .iter()
            .find_map(|(name, _)| old_set::blocked(&old, name))
        {
            let path = self.output.path.join(self.name);
            let blocked = format!("{}/{blocked}; move it away", path.display());
            return Err(io::Error::other(blocked).into());
        }
        let carried = old_set::carry(&old, &self.inner, set)?;
        sync_all(&self.inner)?;
        if matches!(carried, Carried::All) {
            match rustix::fs::renameat_with(
                &self.outer,
                &self.inner_name,
                at,
                self.name,
                RenameFlags::EXCHANGE,
            ) {
                Ok(()) => {
                    // The new files are there, whatever happens from now on.
                    self.sync_or_warn(at);
                    self.retire_or_save(&old);
                    return Ok(());
                }
                Err(error) if is_unsupported(error) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        self.one_by_one(&old, set)
    }

    /// Puts the new directory in its place, where nothing is.
    fn install_new(&self) -> io::Result<()> {
        sync_all(&self.inner)?;
        move_new(&self.outer, &self.inner_name, &self.output.fd, self.name)?;
        self.sync_or_warn(&self.output.fd);
        Ok(())
    }

    /// Removes the old directory, which stands in the place of the new one now. What cannot be removed gets a name
    /// beside it.
    fn retire_or_save(&self, old: &OwnedFd) {
        let retired = if is_same(&self.outer, &self.inner_name, old) {
            old_set::retire(&self.outer, &self.inner_name, &self.inner)
        } else {
            // It is not ours to remove.
            Err(io::Error::other("it was replaced by something else"))
        };
        let Err(cause) = retired else { return };
        let path = self.output.path.join(self.name);
        match self.save_beside() {
            Ok(saved) => log::warn!(
                "{} is new, but what was there before cannot be removed: {cause}; it is {} now",
                path.display(),
                saved.display()
            ),
            Err(error) => log::warn!(
                "{} is new, but what was there before can be neither removed ({cause}) nor moved ({error}); it is {} now",
                path.display(),
                self.output
                    .path
                    .join(&self.outer_name)
                    .join(&self.inner_name)
                    .display()
            ),
        }
    }

    /// Writes names to disk that are there already. A failure changes nothing about them.
    fn sync_or_warn(&self, directory: &OwnedFd) {
        if let Err(error) = sync(directory) {
            log::warn!(
                "{} is new, but may be lost if the machine crashes now: {error}",
                self.output.path.join(self.name).display()
            );
        }
    }

    /// Renames the files into the directory that is there.
    fn one_by_one(&self, old: &OwnedFd, set: &FileSet<'_>) -> Result<(), Failed> {
        // What is in the way of a directory is found before anything is moved.
        let mut moves = Vec::new();
        for (name, _) in set.files {
            let (from, file) = parent(&self.inner, name)?;
            moves.push((from, parent(old, name)?.0, file));
        }
        for (done, (from, to, file)) in moves.into_iter().enumerate() {
            if let Err(error) = rustix::fs::renameat(&from, file, &to, file) {
                return Err(Failed::after(done, set, error.into()));
            }
            self.sync_or_warn(&to);
        }
        if let Err(error) = old_set::remove_stale(old, set) {
            log::warn!(
                "{} is new, but files of an earlier run are left in it: {error}",
                self.output.path.join(self.name).display()
            );
        }
        Ok(())
    }

    /// Gives the directory that is in the temporary one a name of its own beside the workload's.
    fn save_beside(&self) -> io::Result<PathBuf> {
        let at = &self.output.fd;
        let name = leftover::save_beside(&self.outer, &self.inner_name, at, self.name)?;
        self.sync_or_warn(at);
        Ok(self.output.path.join(name))
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // After an exchange, the old directory may be there. Then the outer one is not empty and stays.
        let ours = if is_same(&self.outer, &self.inner_name, &self.inner) {
            old_set::remove_all(&self.inner, 0).and_then(|()| {
                scratch::gone(rustix::fs::unlinkat(
                    &self.outer,
                    &self.inner_name,
                    AtFlags::REMOVEDIR,
                ))
            })
        } else {
            Ok(())
        };
        let removed = ours.and_then(|()| {
            scratch::gone(rustix::fs::unlinkat(
                &self.output.fd,
                &self.outer_name,
                AtFlags::REMOVEDIR,
            ))
        });
        if let Err(error) = removed {
            log::warn!(
                "{} is left behind: {error}",
                self.output.path.join(&self.outer_name).display()
            );
        }
    }
}

/// Whether a name leads to this directory.
fn is_same(at: &OwnedFd, name: &str, directory: &OwnedFd) -> bool {
    let (Some(there), Ok(stat)) = (stat(at, name), rustix::fs::fstat(directory)) else {
        return false;
    };
    (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino)
}

/// Why a new directory, or its files, could not be put in their place.
#[derive(Debug)]
enum Failed {
    /// The old files are there.
    Untouched(io::Error),
    /// Some old files are there, and some new ones.
    Partly {
        moved: Vec<String>,
        left: Vec<String>,
        cause: io::Error,
    },
}

impl Failed {
    /// The failure after so many files were moved.
    fn after(done: usize, set: &FileSet<'_>, cause: io::Error) -> Self {
        let names = || set.files.iter().map(|(name, _)| name.clone());
        if done == 0 {
            return Self::Untouched(cause);
        }
        Self::Partly {
            moved: names().take(done).collect(),
            left: names().skip(done).collect(),
            cause,
        }
    }
}

impl From<io::Error> for Failed {
    fn from(cause: io::Error) -> Self {
        Self::Untouched(cause)
    }
}

/// The files that there was no room for, and why.
type Missing = (Vec<String>, Option<io::Error>);

/// The name of a new directory whose inode number is not known yet.
const UNNAMED: &str = "set";

fn named(inode: u64) -> String {
    format!("{UNNAMED}-{inode}")
}

#[cfg(test)]
mod tests;
