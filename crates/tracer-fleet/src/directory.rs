//! A directory as a store: a disk, NFS, or a volume of Kubernetes.
//!
//! Whoever may write there may put anything there: links are not followed, and only plain files are read.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Write as _},
    ops::ControlFlow,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{Listed, Put, Store, StoreError, parts};

/// How deep a list goes: the parts of a name.
const MAX_DEPTH: usize = 16;

/// A directory of objects.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: String,
}

impl Directory {
    /// Opens it.
    ///
    /// # Errors
    /// When it is not there, and is not to be made or cannot be.
    pub fn open(path: &str, create: bool) -> Result<Self, StoreError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Address {
                url: format!("file://{path}"),
                reason: "the directory does not exist".to_owned(),
            },
            io::ErrorKind::PermissionDenied => StoreError::Refused(format!("{path}: {error}")),
            _ => unavailable(path, &error),
        };
        if create {
            std::fs::create_dir_all(path).map_err(failed)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|it| failed(it.into()))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Opens a directory below it, part by part.
    fn walk(&self, parts: &[&str], create: bool) -> io::Result<OwnedFd> {
        let mut at = self.fd.try_clone()?;
        for part in parts {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = match rustix::fs::openat(&at, *part, flags, Mode::empty()) {
                Err(Errno::NOENT) if create => {
                    match rustix::fs::mkdirat(&at, *part, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    rustix::fs::openat(&at, *part, flags, Mode::empty())?
                }
                opened => opened?,
            };
        }
        Ok(at)
    }

    /// Where an object is: its directory, and its name there.
    fn place<'a>(&self, name: &'a str, create: bool) -> Result<(OwnedFd, &'a str), StoreError> {
        let parts = parts(name)?;
        let Some((file, above)) = parts.split_last() else {
            return Err(StoreError::Name(name.to_owned()));
        };
        let at = self
            .walk(above, create)
            .map_err(|it| self.error(name, &it))?;
        Ok((at, file))
    }

    fn error(&self, name: &str, error: &io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound(name.to_owned()),
            io::ErrorKind::PermissionDenied => {
                StoreError::Refused(format!("{}/{name}: {error}", self.path))
            }
            _ => unavailable(&format!("{}/{name}", self.path), error),
        }
    }

    /// Writes a file that nobody sees, and gives it its name at once.
    fn write(at: &OwnedFd, file: &str, bytes: &[u8]) -> io::Result<Put> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Of several nodes on one NFS, two may have the same process id.
        let temporary = format!(
            ".{}.{}-{number}",
            &file[..file.len().min(100)],
            process::id()
        );
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(at, &temporary, flags, Mode::from_raw_mode(0o644))?;
        let mut opened = File::from(opened);
        let written = opened.write_all(bytes).and_then(|()| opened.sync_all());
        // A link, since a rename would replace what is there.
        let linked = written.and_then(|()| {
            match rustix::fs::linkat(at, &temporary, at, file, AtFlags::empty()) {
                Ok(()) => Ok(Put::Written),
                Err(Errno::EXIST) => Ok(Put::Present),
                Err(error) => Err(error.into()),
            }
        });
        let removed = rustix::fs::unlinkat(at, &temporary, AtFlags::empty());
        let put = linked?;
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        rustix::fs::fsync(at)?;
        Ok(put)
    }

    fn below(
        &self,
        at: OwnedFd,
        prefix: &str,
        depth: usize,
        each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        if depth > MAX_DEPTH {
            return Ok(ControlFlow::Continue(()));
        }
        for entry in Dir::read_from(&at)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            // Hidden files are temporary, and what is no text is none of ours.
            let Some(name) = name.to_str().filter(|it| !it.starts_with('.')) else {
                continue;
            };
            let stat = match rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            let whole = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}/{name}")
            };
            let flow = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let flags =
                        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    match rustix::fs::openat(&at, name, flags, Mode::empty()) {
                        Ok(inner) => self.below(inner, &whole, depth + 1, each)?,
                        Err(Errno::NOENT) => ControlFlow::Continue(()),
                        // One directory that somebody closed ends no listing. It is listed itself, and refused by name.
                        Err(Errno::ACCESS | Errno::LOOP | Errno::NOTDIR) => each(Listed {
                            name: whole,
                            bytes: 0,
                            written_ms: written_ms(&stat),
                        }),
                        Err(error) => return Err(error.into()),
                    }
                }
                // Links, devices and pipes too: it is for the reader to refuse them by name.
                _ => each(Listed {
                    name: whole,
                    bytes: u64::try_from(stat.st_size).unwrap_or(0),
                    written_ms: written_ms(&stat),
                }),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn written_ms(stat: &rustix::fs::Stat) -> u64 {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanoseconds = stat.st_mtime_nsec;
    seconds
        .saturating_mul(1_000)
        .saturating_add(nanoseconds / 1_000_000)
}

fn unavailable(place: &str, error: &io::Error) -> StoreError {
    StoreError::Unavailable {
        reason: format!("{place}: {error}"),
        retry_after: None,
    }
}

impl Store for Directory {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        let (at, file) = self.place(name, true)?;
        if rustix::fs::statat(&at, file, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Ok(Put::Present);
        }
        Self::write(&at, file, bytes).map_err(|it| self.error(name, &it))
    }

    fn has(&self, name: &str) -> Result<bool, StoreError> {
        let (at, file) = match self.place(name, false) {
            Err(StoreError::NotFound(_)) => return Ok(false),
            place => place?,
        };
        match rustix::fs::statat(&at, file, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.error(name, &error.into())),
        }
    }

    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let (at, file) = self.place(name, false)?;
        // Without waiting for whoever writes to a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(&at, file, flags, Mode::empty()) {
            // A link, a socket, a device that nobody drives.
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Err(no_file(name)),
            opened => File::from(opened.map_err(|it| self.error(name, &it.into()))?),
        };
        let metadata = opened.metadata().map_err(|it| self.error(name, &it))?;
        if !metadata.is_file() {
            return Err(no_file(name));
        }
        let mut bytes = Vec::new();
        opened
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|it| self.error(name, &it))?;
        if bytes.len() as u64 > limit {
            return Err(StoreError::TooLarge {
                name: name.to_owned(),
                limit,
            });
        }
        Ok(bytes)
    }

    fn list(
        &self,
        prefix: &str,
        each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let at = match self.walk(&parts(prefix)?, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            at => at.map_err(|it| self.error(prefix, &it))?,
        };
        let listed = self.below(at, prefix, 0, each);
        listed.map(drop).map_err(|it| self.error(prefix, &it))
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let (at, file) = match self.place(name, false) {
            Err(StoreError::NotFound(_)) => return Ok(()),
            place => place?,
        };
        match rustix::fs::unlinkat(&at, file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.error(name, &error.into())),
        }
    }
}

fn no_file(name: &str) -> StoreError {
    StoreError::Refused(format!("{name} is not a plain file"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::conformance;

    #[test]
    fn a_directory_does_what_a_store_must() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("new/store");
        assert!(Directory::open(path.to_str().unwrap(), false).is_err());
        let store = Directory::open(path.to_str().unwrap(), true).unwrap();
        conformance::check(&store).unwrap();
    }

    #[test]
    fn links_pipes_and_devices_are_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let (inside, outside) = (scratch.path().join("store"), scratch.path().join("outside"));
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("secret"), "secret").unwrap();
        let store = Directory::open(inside.to_str().unwrap(), true).unwrap();
        symlink(&outside, inside.join("d")).unwrap();
        symlink(outside.join("secret"), inside.join("f")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            inside.join("p"),
            FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        for name in ["d/secret", "f", "p"] {
            let error = store.get(name, 100).unwrap_err();
            assert!(!matches!(error, StoreError::NotFound(_)), "{name}: {error}");
        }
        assert!(store.put("d/new", b"x").is_err());
        assert!(!outside.join("new").exists());
        // A link is listed as an object that cannot be read, and not as a directory.
        let mut names = Vec::new();
        store
            .list("", &mut |it| {
                names.push(it.name);
                ControlFlow::Continue(())
            })
            .unwrap();
        names.sort();
        assert_eq!(names, ["d", "f", "p"]);
        store.delete("f").unwrap();
        assert!(outside.join("secret").exists());
    }
}
