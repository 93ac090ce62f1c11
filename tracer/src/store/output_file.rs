//! The one file that `--output FILE` names.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use super::{
    StoreError,
    disk::{default_mode, stat, sync},
    old_set, scratch,
    walk::{self, Entry, Resolved},
};

/// How long to wait for somebody to read a named pipe.
const NO_READER: Duration = Duration::from_secs(10);

/// Where a result goes: opened before the work for it is done, written after.
///
/// `-` is standard output. A device or a pipe is written to. A regular file is replaced in one step, and keeps its
/// mode and owner; where a link leads to it, the file is replaced and not the link.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout,
    /// A device, a pipe, or something open that has no name.
    Open(File),
    /// A file that is replaced, or is not there yet.
    Regular {
        parent: OwnedFd,
        name: OsString,
        old: Option<Stat>,
    },
}

impl OutputFile {
    /// Finds out what a path is. In a directory, `usual` is the file's name. Directories that lead to it are created.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Write`].
    pub fn open(path: &Path, usual: &str) -> Result<Self, StoreError> {
        if path.as_os_str() == "-" {
            return Ok(Self {
                path: path.to_owned(),
                target: Target::Stdout,
            });
        }
        let failed = |cause| StoreError::File {
            path: path.to_owned(),
            cause,
        };
        let resolved = walk::resolve(path, true).map_err(failed)?;
        let in_directory = match &resolved.entry {
            Some(Entry::Named(stat)) if walk::kind(stat) == FileType::Directory => {
                Some(walk::open_directory(&resolved.parent, &resolved.name).map_err(failed)?)
            }
            _ => None,
        };
        let (path, resolved) = match in_directory {
            Some(parent) => {
                let stat = stat(&parent, usual);
                let entry = stat.map(Entry::Named);
                (
                    path.join(usual),
                    Resolved {
                        parent,
                        name: usual.into(),
                        entry,
                    },
                )
            }
            None => (path.to_owned(), resolved),
        };
        let target = target(resolved).map_err(|cause| StoreError::Write {
            path: path.clone(),
            cause,
        })?;
        Ok(Self { path, target })
    }

    /// The path of the file, if it is one that others can open by it.
    pub fn path(&self) -> Option<&Path> {
        match self.target {
            Target::Regular { .. } => Some(&self.path),
            _ => None,
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`StoreError::Write`]; a regular file is then as it was.
    pub fn write(self, bytes: &[u8]) -> Result<(), StoreError> {
        // Whoever read it may have seen enough.
        let enough = |error: io::Error| match error.kind() {
            io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        };
        let written = match self.target {
            Target::Stdout => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
                written.or_else(enough)
            }
            Target::Open(mut file) => file.write_all(bytes).or_else(enough),
            Target::Regular { parent, name, old } => replace(&parent, &name, old.as_ref(), bytes),
        };
        written.map_err(|cause| StoreError::Write {
            path: self.path,
            cause,
        })
    }
}

fn target(resolved: Resolved) -> io::Result<Target> {
    let Resolved {
        parent,
        name,
        entry,
    } = resolved;
    let old = match entry {
        None => None,
        Some(Entry::Open) => {
            let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&parent, &name, flags, Mode::empty())?;
            return Ok(Target::Open(file.into()));
        }
        Some(Entry::Named(stat)) => match walk::kind(&stat) {
            FileType::RegularFile => Some(stat),
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                return Ok(Target::Open(open_special(&parent, &name, &stat)?));
            }
            FileType::Symlink => {
                return Err(io::Error::other(
                    "it is a symbolic link in a directory that was named",
                ));
            }
            FileType::Directory => return Err(Errno::ISDIR.into()),
            _ => {
                return Err(io::Error::other(
                    "it is a socket, which cannot be written to like a file",
                ));
            }
        },
    };
    scratch::remove_abandoned_files(&parent)?;
    // What cannot be written is reported before the work is done.
    let (_lock, temporary) = scratch::make_file(&parent, Mode::from_raw_mode(0o600))?;
    rustix::fs::unlinkat(&parent, &temporary, AtFlags::empty())?;
    Ok(Target::Regular { parent, name, old })
}

/// Opens a device or a pipe for writing. A pipe without a reader is waited for, for a moment: opening it with
/// blocking would wait for ever (fifo(7)).
fn open_special(parent: &OwnedFd, name: &OsString, stat: &Stat) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let begin = Instant::now();
    let file = loop {
        match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Err(Errno::NXIO) if walk::kind(stat) == FileType::Fifo => {
                if begin.elapsed() > NO_READER {
                    let seconds = NO_READER.as_secs();
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("it is a pipe, and no program reads it after {seconds} seconds"),
                    ));
                }
                thread::sleep(Duration::from_millis(20));
            }
            opened => break opened?,
        }
    };
    let now = rustix::fs::fstat(&file)?;
    if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
        return Err(io::Error::other("it was replaced while it was opened"));
    }
    let blocking = rustix::fs::fcntl_getfl(&file)? - OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&file, blocking)?;
    Ok(file.into())
}

fn replace(parent: &OwnedFd, name: &OsString, old: Option<&Stat>, bytes: &[u8]) -> io::Result<()> {
    let mode = old.map_or_else(|| default_mode(&name.to_string_lossy()), old_set::file_mode);
    let (file, temporary) = scratch::make_file(parent, mode)?;
    let written = write_all(file, old, bytes)
        .and_then(|()| Ok(rustix::fs::renameat(parent, &temporary, parent, name)?));
    if let Err(error) = written {
        scratch::gone(rustix::fs::unlinkat(parent, &temporary, AtFlags::empty()))?;
        return Err(error);
    }
    // The name is on disk when the directory is. The file is there already, whether that fails or not.
    if let Err(error) = walk::open_directory(parent, ".").and_then(sync) {
        log::warn!(
            "{} is new, but may be lost if the machine crashes now: {error}",
            name.display()
        );
    }
    Ok(())
}

fn write_all(file: OwnedFd, old: Option<&Stat>, bytes: &[u8]) -> io::Result<()> {
    if let Some(stat) = old {
        let owner = rustix::fs::Uid::from_raw(stat.st_uid);
        let group = rustix::fs::Gid::from_raw(stat.st_gid);
        // Only root can give a file away.
        let _ = rustix::fs::fchown(&file, Some(owner), Some(group));
        // The umask does not count for a mode that somebody chose.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(stat.st_mode & 0o777))?;
    }
    let mut file = File::from(file);
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
