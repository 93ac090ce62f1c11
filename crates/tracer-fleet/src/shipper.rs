//! What a node does with its recordings: it ships what is new, and remembers what it has shipped.
//!
//! What was shipped is noted after the store has it. A node that is killed in between makes the same objects again, and
//! finds them in the store.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags},
    io::Errno,
};
use thiserror::Error;
use tracer_core::{
    agent::{SpoolKey, SpoolName},
    fleet::{Gathering, News, Object, is_due, may_be_deleted, news, split},
    recording::Recording,
};

use crate::{
    Put, Store, StoreError,
    object::{MAX_PACKED, name, pack, unpack},
};

/// What the names of notes end with.
const SUFFIX: &str = ".shipped";

/// A recording that may have to be shipped.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Whose it is.
    pub key: &'a SpoolKey,
    /// Names its content: an item of the same version was not changed.
    pub version: &'a str,
    /// When it was written, in milliseconds since 1970.
    pub written_ms: u64,
}

/// What became of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    /// Objects that the store did not have.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that it had.
    pub present: u64,
    /// Objects of one fact that is larger than an object should be.
    pub oversize: u64,
}

/// Why a recording was not shipped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ShipError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recording could not be read.
    #[error("cannot read the recording: {0}")]
    Recording(Box<dyn std::error::Error + Send + Sync>),
    /// What was shipped cannot be noted.
    #[error("cannot note what was shipped: {0}")]
    Note(#[from] io::Error),
}

/// Ships the recordings of a node.
pub struct Shipper {
    notes: OwnedFd,
    node: String,
    max_bytes: u64,
    /// The versions that were looked at.
    seen: BTreeMap<SpoolKey, String>,
}

impl Shipper {
    /// Of a node of that name, to the store at an address: what one store has, another has not. `notes` is a directory
    /// that nobody else writes to; it is made when it is not there.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn new(notes: &str, store: &str, node: &str, max_bytes: u64) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;

        let of_store = hmac_sha256::Hash::hash(store.as_bytes());
        let of_store = of_store.iter().take(16).map(|byte| format!("{byte:02x}"));
        let notes = &format!("{notes}/{}", of_store.collect::<String>());
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(notes)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(notes, flags, Mode::empty())?;
        let owner = rustix::fs::fstat(&fd)?.st_uid;
        if owner != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other(format!(
                "{notes} belongs to another user (uid {owner})"
            )));
        }
        rustix::fs::fchmod(&fd, Mode::RWXU)?;
        Ok(Self {
            notes: fd,
            node: node.to_owned(),
            max_bytes,
            seen: BTreeMap::new(),
        })
    }

    /// The directory of notes.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.notes.as_fd()
    }

    /// Whether an item was changed since it was shipped.
    pub fn is_new(&self, item: &Item<'_>) -> bool {
        self.seen
            .get(item.key)
            .is_none_or(|version| version != item.version)
    }

    /// Ships what is new of an item.
    ///
    /// # Errors
    /// [`ShipError`]. Nothing is noted then, and the next time the same is tried.
    pub fn ship<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        store: &dyn Store,
        item: &Item<'_>,
        read: impl FnOnce() -> Result<Recording, E>,
    ) -> Result<Shipped, ShipError> {
        let mut shipped = Shipped::default();
        if !self.is_new(item) {
            return Ok(shipped);
        }
        let recording = read().map_err(|error| ShipError::Recording(Box::new(error)))?;
        // What the store may have deleted since is shipped again.
        let known = self.known(item.key)?.filter(|known| {
            let state = known.nodes.get(&self.node);
            state.is_some_and(|it| !may_be_deleted(it.as_of_ms, item.written_ms))
        });
        if let Some((part, now)) = self.to_ship(known.as_ref(), item, recording) {
            self.put(store, part, &mut shipped)?;
            let mut all = Gathering::default();
            known.into_iter().chain([now]).for_each(|it| all.add(it));
            if let Some(all) = all.finish() {
                self.note(&all)?;
            }
        }
        self.seen.insert(item.key.clone(), item.version.to_owned());
        Ok(shipped)
    }

    /// What is to be shipped, and what is known by then.
    fn to_ship(
        &self,
        known: Option<&Object>,
        item: &Item<'_>,
        recording: Recording,
    ) -> Option<(Object, Object)> {
        let last = known
            .and_then(|known| known.nodes.get(&self.node))
            .map(|state| state.as_of_ms);
        let began_ms = began_ms(&recording);
        let at = item.written_ms.max(last.unwrap_or(0));
        let mut now = Object::of_node(item.key.clone(), &self.node, at, recording);
        let mut found = news(known, &now);
        // A clock that was set back: the node's later word is still the later one.
        if last == Some(at) && found != News::Nothing {
            if let Some(state) = now.nodes.get_mut(&self.node) {
                state.as_of_ms += 1;
            }
            found = news(known, &now);
        }
        match found {
            News::Nothing => None,
            News::Later(_) if !is_due(began_ms, last.unwrap_or(0), at) => None,
            News::Later(part) | News::Facts(part) => Some((*part, now)),
        }
    }

    fn put(
        &self,
        store: &dyn Store,
        part: Object,
        shipped: &mut Shipped,
    ) -> Result<(), StoreError> {
        let limit = self.max_bytes;
        let done = split(part, &mut |it| pack(it).len() as u64 <= limit);
        shipped.oversize += done.oversize as u64;
        for object in done.parts {
            let packed = pack(&object);
            match store.put(&name(&object.key, &packed), &packed)? {
                Put::Written => {
                    shipped.objects += 1;
                    shipped.bytes += packed.len() as u64;
                }
                Put::Present => shipped.present += 1,
            }
        }
        Ok(())
    }

    /// Forgets what was shipped of workloads that the node has no more.
    ///
    /// # Errors
    /// When the notes cannot be read.
    pub fn keep_only(&mut self, keys: &[&SpoolKey]) -> io::Result<()> {
        let kept: Vec<_> = keys.iter().map(|key| note_name(key)).collect();
        for entry in Dir::read_from(&self.notes)? {
            let entry = entry?;
            let Ok(file) = entry.file_name().to_str() else {
                continue;
            };
            if file.ends_with(SUFFIX) && !kept.iter().any(|it| it == file) {
                rustix::fs::unlinkat(&self.notes, file, AtFlags::empty())?;
            }
        }
        self.seen.retain(|key, _| keys.contains(&key));
        Ok(())
    }

    /// What was shipped of a workload. A note that cannot be read counts as none: all of it is shipped again then.
    fn known(&self, key: &SpoolKey) -> io::Result<Option<Object>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.notes, note_name(key), flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            file => File::from(file?),
        };
        let mut bytes = Vec::new();
        file.take(MAX_PACKED).read_to_end(&mut bytes)?;
        let object =
            unpack(&bytes).inspect_err(|error| log::warn!("a note of what was shipped: {error}"));
        Ok(object.ok().filter(|object| object.key == *key))
    }

    fn note(&self, all: &Object) -> io::Result<()> {
        let name = note_name(&all.key);
        let temporary = format!(".{name}");
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.notes, &temporary, flags, Mode::from_raw_mode(0o600))?;
        let mut file = File::from(file);
        file.write_all(&pack(all))?;
        file.sync_all()?;
        rustix::fs::renameat(&self.notes, &temporary, &self.notes, &name)?;
        Ok(rustix::fs::fsync(&self.notes)?)
    }
}

fn note_name(key: &SpoolKey) -> String {
    format!("{}{SUFFIX}", SpoolName::new(key, &[]).key())
}

/// When the first instance began that is listed.
fn began_ms(recording: &Recording) -> u64 {
    let began = recording.instances.iter().map(|it| it.began.parse());
    let first = began.filter_map(Result::<jiff::Timestamp, _>::ok).min();
    first.map_or(0, |it| u64::try_from(it.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
#[path = "shipper_tests.rs"]
mod tests;
