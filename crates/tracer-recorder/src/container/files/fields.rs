//! What was read of a file is kept, and read again only when the file has changed. A node has hundreds of
//! containers, whose files are looked at for each new cgroup; parsing them all each time takes so long that
//! the recorder falls behind.

use std::{
    collections::{BTreeMap, HashMap},
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{Files, MAX_ENTRIES, content, parse};
use crate::container::ContainerError;

/// Some fields of a JSON file, by their pointers (RFC 6901).
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<&'static str, Value>);

impl Fields {
    fn of(value: &Value, pointers: &[&'static str]) -> Self {
        let found = pointers
            .iter()
            .filter_map(|pointer| Some((*pointer, value.pointer(pointer)?.clone())));
        Self(found.collect())
    }

    /// The field at a pointer that was asked for.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.0.get(pointer)
    }

    /// The text at a pointer that was asked for, when it is text and not empty.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        let text = self.get(pointer)?.as_str();
        text.filter(|text| !text.is_empty())
    }
}

/// The fields of files that were read, each with what the file was then.
#[derive(Debug, Default)]
pub(super) struct Memory {
    files: HashMap<PathBuf, (Stamp, Arc<Fields>)>,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            // Unlike the time of modification, no program can set it.
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a later write would show. The kernel's clock for files moves once in some milliseconds: a file
    /// may change twice within one of them.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let changed = Duration::from_secs(u64::try_from(self.changed.0).unwrap_or(u64::MAX));
        now.saturating_sub(Duration::from_secs(2)) > changed
    }
}

impl Files {
    /// The fields at `pointers` of the JSON in a file, under the rules of [`Files::json`]; `None` when there is no
    /// such file. One path is always asked with the same pointers. A file that has not changed since the last
    /// time is not read again.
    ///
    /// # Errors
    /// Those of [`Files::json`].
    pub fn fields(
        &self,
        path: &Path,
        owner: Option<u32>,
        pointers: &[&'static str],
    ) -> Result<Option<Arc<Fields>>, ContainerError> {
        let Some((file, metadata)) = self.open(path, owner)? else {
            self.memory().files.remove(path);
            return Ok(None);
        };
        let stamp = Stamp::of(&metadata);
        if let Some((known, fields)) = self.memory().files.get(path)
            && *known == stamp
        {
            return Ok(Some(Arc::clone(fields)));
        }
        let value = parse(path, &content(path, file)?)?;
        let fields = Arc::new(Fields::of(&value, pointers));
        let mut memory = self.memory();
        // Nobody asks again for what is gone.
        if memory.files.len() >= MAX_ENTRIES {
            memory.files.clear();
        }
        if stamp.is_settled() {
            let kept = (stamp, Arc::clone(&fields));
            memory.files.insert(path.to_owned(), kept);
        }
        Ok(Some(fields))
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::*;

    const POINTERS: [&str; 2] = ["/name", "/deep/number"];

    #[test]
    fn unchanged_file_is_read_once_and_a_changed_one_again() {
        let root = tempfile::tempdir().unwrap();
        let (file, at) = (root.path().join("state.json"), Path::new("/state.json"));
        let files = Files::new(root.path());
        let read = || files.fields(at, None, &POINTERS).unwrap();
        assert!(read().is_none());
        fs::write(&file, r#"{"name":"a","deep":{"number":1},"other":[]}"#).unwrap();
        // What may still change without a sign is not kept.
        assert!(!Arc::ptr_eq(&read().unwrap(), &read().unwrap()));
        let settled = Duration::from_secs(10);
        let start = std::time::Instant::now();
        let kept = loop {
            let (first, second) = (read().unwrap(), read().unwrap());
            if Arc::ptr_eq(&first, &second) {
                break first;
            }
            assert!(start.elapsed() < settled, "never kept");
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(kept.text("/name"), Some("a"));
        assert_eq!(kept.get("/deep/number"), Some(&Value::from(1)));
        assert_eq!(kept.get("/other"), None);
        // Written in place, with the same length.
        fs::write(&file, r#"{"name":"b","deep":{"number":1},"other":[]}"#).unwrap();
        assert_eq!(read().unwrap().text("/name"), Some("b"));
        // Replaced, as runc does.
        fs::write(root.path().join("new"), r#"{"name":"c"}"#).unwrap();
        fs::rename(root.path().join("new"), &file).unwrap();
        assert_eq!(read().unwrap().text("/name"), Some("c"));
        fs::remove_file(&file).unwrap();
        assert!(read().is_none());
    }
}
