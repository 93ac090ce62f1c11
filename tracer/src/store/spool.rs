//! An agent's store of recordings: one compressed file for each workload key, named by digests of the key and of what
//! is in it, in a directory that only root can enter.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    process::geteuid,
};

use super::{
    OutputDirectory, StoreError,
    disk::{stat, sync},
    lock,
    packed::{comment, pack, unpack},
    parse, scratch, walk,
};
use tracer_core::{
    agent::{SpoolKey, SpoolName},
    recording::{
        Recording,
        json::{self, MAX_BYTES},
    },
};

/// How long another agent is waited for, which may just be ending.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the names in a spool are read at most until two readings agree.
const LISTINGS: usize = 20;

/// A directory of recordings, by workload key.
#[derive(Debug)]
pub struct Spool {
    fd: OwnedFd,
    path: PathBuf,
    /// Held by an agent as long as it lives.
    _lock: Option<OwnedFd>,
}

/// A recording in a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolEntry {
    /// Its file's name.
    pub name: SpoolName,
    /// Whose it is.
    pub key: SpoolKey,
    /// The size of the file.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
}

impl Spool {
    /// Opens a spool to write to it, or makes one. Only root can enter it from then on, and no other agent can open it
    /// so.
    ///
    /// # Errors
    /// [`StoreError::Directory`].
    pub fn begin(path: &Path) -> Result<Self, StoreError> {
        let failed = |cause| StoreError::Directory {
            path: path.to_owned(),
            cause,
        };
        // What an interrupted run left is cleaned up by it.
        let OutputDirectory { fd, path } = OutputDirectory::open(path)?;
        let secured = only_ours(&fd).and_then(|()| {
            let lock = lock::hold(&fd, PATIENCE);
            lock.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => {
                    io::Error::other("another agent uses it; stop that one first")
                }
                _ => error,
            })
        });
        let lock = secured.map_err(failed)?;
        Ok(Self {
            fd,
            path,
            _lock: Some(lock),
        })
    }

    /// Opens a spool to read it. It is not made, and an agent may be writing to it.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let fd = walk::directory(path, false).map_err(|cause| StoreError::Spool {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            fd,
            path: path.to_owned(),
            _lock: None,
        })
    }

    /// Its path, as the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The recordings, by workload, the latest of each first. What is no recording is left out. While an agent
    /// replaces files, a recording may be listed twice: as it was, and as it is.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn entries(&self) -> io::Result<Vec<SpoolEntry>> {
        // A file that is replaced while the names are read may be missed under both of its names.
        let mut names = self.names()?;
        let mut found = BTreeMap::new();
        for _ in 0..LISTINGS {
            found.extend(names.iter().filter_map(|name| {
                let entry = self.entry(name.clone())?;
                Some((name.clone(), entry))
            }));
            let now = self.names()?;
            if now == names {
                found.retain(|name, _| now.contains(name));
                break;
            }
            names = now;
        }
        let mut entries: Vec<_> = found.into_values().collect();
        entries.sort_by(|a, b| {
            let key = a.key.cmp(&b.key);
            key.then(b.written.cmp(&a.written))
                .then(a.name.cmp(&b.name))
        });
        Ok(entries)
    }

    fn names(&self) -> io::Result<BTreeSet<SpoolName>> {
        let names = scratch::names(&self.fd)?;
        let names = names.iter().filter_map(|name| name.to_str());
        Ok(names.filter_map(SpoolName::parse).collect())
    }

    fn entry(&self, name: SpoolName) -> Option<SpoolEntry> {
        let file = self.open_file(&name.to_string()).ok()?;
        let metadata = file.metadata().ok()?;
        let key: SpoolKey = serde_json::from_slice(&comment(&file)?).ok()?;
        // A name that is another key's is none of ours.
        (SpoolName::new(&key, &[]).key() == name.key()).then_some(SpoolEntry {
            name,
            key,
            bytes: metadata.len(),
            written: metadata.modified().ok()?,
        })
    }

    fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?.into())
    }

    /// Where a recording is, for messages.
    pub fn place(&self, name: &SpoolName) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// Reads a recording.
    ///
    /// # Errors
    /// [`StoreError`]; also when its content is not what its name says.
    pub fn read(&self, name: &SpoolName) -> Result<Recording, StoreError> {
        let path = self.place(name);
        let failed = |cause| StoreError::Read {
            path: path.clone(),
            cause,
        };
        let mut bytes = Vec::new();
        let file = self.open_file(&name.to_string()).map_err(failed)?;
        file.take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let content = unpack(bytes, MAX_BYTES).map_err(failed)?;
        if !name.is_of(&content) {
            let cause = io::Error::other("its content is not what its name says: it is damaged");
            return Err(failed(cause));
        }
        parse(&content, &path)
    }

    /// Writes a recording, whole and synced. The file that it replaces stays until it is removed.
    ///
    /// # Errors
    /// When it cannot be written; nothing has changed then.
    pub fn write(&self, key: &SpoolKey, recording: &Recording) -> io::Result<SpoolEntry> {
        let content = json::to_compact_json(recording);
        let name = SpoolName::new(key, &content);
        let packed = pack(&content, &serde_json::to_string(key)?)?;
        let (file, temporary) = scratch::make_file(&self.fd, Mode::from_raw_mode(0o600))?;
        let written = write_all(file, &packed).and_then(|()| {
            let target = name.to_string();
            Ok(rustix::fs::renameat(
                &self.fd, &temporary, &self.fd, target,
            )?)
        });
        if let Err(error) = written {
            scratch::gone(rustix::fs::unlinkat(&self.fd, &temporary, AtFlags::empty()))?;
            return Err(error);
        }
        sync(&self.fd)?;
        Ok(SpoolEntry {
            name,
            key: key.clone(),
            bytes: packed.len() as u64,
            written: SystemTime::now(),
        })
    }

    /// Removes a recording.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, name: &SpoolName) -> io::Result<()> {
        let name = name.to_string();
        scratch::gone(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()))
    }

    /// Renames a recording that cannot be used, so that nobody reads it and nothing is lost. Returns where it is.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn set_aside(&self, name: &SpoolName) -> io::Result<PathBuf> {
        let aside = format!("{name}.damaged");
        rustix::fs::renameat(&self.fd, name.to_string(), &self.fd, &aside)?;
        Ok(self.path.join(aside))
    }

    /// Whether it has a recording of that name.
    pub fn has(&self, name: &SpoolName) -> bool {
        stat(&self.fd, name.to_string()).is_some()
    }
}

/// Takes the directory away from everybody else.
fn only_ours(fd: &OwnedFd) -> io::Result<()> {
    let owner = rustix::fs::fstat(fd)?.st_uid;
    if owner != geteuid().as_raw() {
        return Err(io::Error::other(format!(
            "it belongs to another user (uid {owner}), who could change what is kept in it"
        )));
    }
    Ok(rustix::fs::fchmod(fd, Mode::RWXU)?)
}

fn write_all(file: OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::from(file);
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use tracer_core::profile::seccomp::fixture::mixed;

    fn key(owner: &str) -> SpoolKey {
        SpoolKey {
            owner: owner.to_owned(),
            ..SpoolKey::default()
        }
    }

    #[test]
    fn a_recording_is_read_as_it_was_written_also_by_other_commands() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("a/spool");
        let spool = Spool::begin(&place).unwrap();
        let recording = mixed();
        let written = spool.write(&key("web"), &recording).unwrap();
        assert_eq!(
            spool.write(&key("web"), &recording).unwrap().name,
            written.name
        );
        let entries = Spool::open(&place).unwrap().entries().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (&entries[0].key, entries[0].bytes),
            (&key("web"), written.bytes)
        );
        assert_eq!(spool.read(&written.name).unwrap(), recording);
        assert_eq!(
            super::super::read(&spool.place(&written.name)).unwrap(),
            recording
        );
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place), 0o700);
        assert_eq!(mode(&spool.place(&written.name)), 0o600);
        spool.remove(&written.name).unwrap();
        assert!(!spool.has(&written.name) && spool.entries().unwrap().is_empty());
    }

    #[test]
    fn a_recording_that_is_being_replaced_is_listed() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::begin(scratch.path()).unwrap();
        let mut other = mixed();
        other.instances.clear();
        let recordings = [mixed(), other];
        let mut last = spool.write(&key("web"), &recordings[0]).unwrap();
        let reader = Spool::open(scratch.path()).unwrap();
        let is_read = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for recording in recordings.iter().rev().cycle() {
                    let next = spool.write(&key("web"), recording).unwrap();
                    spool.remove(&last.name).unwrap();
                    last = next;
                    if is_read.load(order) {
                        break;
                    }
                }
            });
            let missed = (0..300).filter(|_| reader.entries().unwrap().is_empty());
            let missed = missed.count();
            is_read.store(true, order);
            assert_eq!(missed, 0);
        });
    }

    #[test]
    fn what_is_damaged_or_strange_is_no_recording() {
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::begin(scratch.path()).unwrap();
        let entry = spool.write(&key("web"), &mixed()).unwrap();
        // Another content under the same name.
        let forged = pack(b"{}", &serde_json::to_string(&key("web")).unwrap()).unwrap();
        std::fs::write(spool.place(&entry.name), forged).unwrap();
        let error = spool.read(&entry.name).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        // Another key under the name, a link, and a file that is none of ours.
        let other = pack(b"{}", &serde_json::to_string(&key("cart")).unwrap()).unwrap();
        std::fs::write(spool.place(&entry.name), other).unwrap();
        let link = SpoolName::new(&key("db"), b"{}");
        std::os::unix::fs::symlink(spool.place(&entry.name), spool.place(&link)).unwrap();
        std::fs::write(scratch.path().join("notes"), "").unwrap();
        assert_eq!(spool.entries().unwrap(), []);
        assert!(spool.read(&link).is_err());
    }
}
