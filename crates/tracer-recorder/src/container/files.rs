//! Reading what others wrote: runtimes as root, rootless runtimes as anyone.

use std::{
    fs::{self, OpenOptions},
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::Value;

pub use self::fields::Fields;
use self::fields::Memory;
use super::ContainerError;

mod fields;

/// Longest file that is read. The largest bundles seen have some hundred kilobytes.
pub const MAX_FILE: u64 = 8 << 20;
/// Most entries of one directory that are looked at; a node has some hundred containers.
pub const MAX_ENTRIES: usize = 10_000;

/// A container's id that can be a part of a path: the rule of runc and crun
/// (runc 1.1, libcontainer/factory_linux.go: `^[\w+-\.]+$`, where `+-\.` is a range with the comma in
/// it), and no longer than a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

impl Id {
    /// # Errors
    /// [`ContainerError::Id`].
    pub fn new(text: &str) -> Result<Self, ContainerError> {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"_+,-.".contains(&b);
        if (1..=255).contains(&text.len()) && ![".", ".."].contains(&text) && text.bytes().all(fine)
        {
            Ok(Self(text.to_owned()))
        } else {
            let shown = text.chars().take(80).collect();
            Err(ContainerError::Id(shown))
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A root directory below which runtimes keep their state: `/`, or another in tests.
///
/// Clones share what [`Files::fields`] keeps.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
    memory: Arc<Mutex<Memory>>,
}

impl Files {
    /// Below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            memory: Arc::default(),
        }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an absolute path lies below the root.
    ///
    /// # Errors
    /// [`ContainerError::Path`] for a path that is not absolute or has `..` in it.
    pub fn at(&self, path: &Path) -> Result<PathBuf, ContainerError> {
        let mut whole = self.root.clone();
        let mut components = path.components();
        if components.next() != Some(Component::RootDir) {
            return Err(ContainerError::Path(path.to_owned()));
        }
        for component in components {
            match component {
                Component::Normal(name) => whole.push(name),
                Component::CurDir => {}
                _ => return Err(ContainerError::Path(path.to_owned())),
            }
        }
        Ok(whole)
    }

    /// The JSON in a file, at most [`MAX_FILE`] long; `None` when there is no such file. With
    /// `owner`, only a file of that user's is read: what a user wrote must not make tracer read
    /// what the user cannot.
    ///
    /// # Errors
    /// When it is no regular file, too long, someone else's, or no JSON.
    pub fn json(&self, path: &Path, owner: Option<u32>) -> Result<Option<Value>, ContainerError> {
        let bytes = self.bytes(path, owner)?;
        bytes.map(|bytes| parse(path, &bytes)).transpose()
    }

    /// The text in a file, what is no UTF-8 in it replaced; `None` when there is no such file.
    ///
    /// # Errors
    /// When it is no regular file, or too long.
    pub fn text(&self, path: &Path) -> Result<Option<String>, ContainerError> {
        let bytes = self.bytes(path, None)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Whether there is a directory.
    pub fn is_directory(&self, path: &Path) -> bool {
        self.at(path).is_ok_and(|at| at.is_dir())
    }

    fn bytes(&self, path: &Path, owner: Option<u32>) -> Result<Option<Vec<u8>>, ContainerError> {
        let opened = self.open(path, owner)?;
        opened.map(|(file, _)| content(path, file)).transpose()
    }

    /// Opens a regular file of that owner; `None` when there is no such file.
    fn open(
        &self,
        path: &Path,
        owner: Option<u32>,
    ) -> Result<Option<(fs::File, fs::Metadata)>, ContainerError> {
        // A FIFO or a device must not make us wait; a link must not lead elsewhere.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY)
            .open(self.at(path)?);
        let file = match opened {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(path, error)),
        };
        let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
        if !metadata.is_file() {
            return Err(not_read(path, "not a regular file".to_owned()));
        }
        if owner.is_some_and(|owner| owner != metadata.uid()) {
            let what = "owned by another user than the container".to_owned();
            return Err(not_read(path, what));
        }
        Ok(Some((file, metadata)))
    }

    /// The names in a directory that can be ids, in order; none when there is no such directory.
    pub fn ids(&self, directory: &Path) -> Vec<Id> {
        let Some(entries) = self.at(directory).ok().and_then(|at| fs::read_dir(at).ok()) else {
            return Vec::new();
        };
        let mut ids: Vec<Id> = entries
            .take(MAX_ENTRIES)
            .flatten()
            .filter_map(|entry| Id::new(entry.file_name().to_str()?).ok())
            .collect();
        ids.sort();
        ids
    }
}

/// All of a file, at most [`MAX_FILE`] bytes.
fn content(path: &Path, file: fs::File) -> Result<Vec<u8>, ContainerError> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > MAX_FILE {
        let what = format!("longer than {} MiB", MAX_FILE >> 20);
        return Err(not_read(path, what));
    }
    Ok(bytes)
}

/// The JSON that `bytes` are. serde_json's limit of depth (128) stands.
fn parse(path: &Path, bytes: &[u8]) -> Result<Value, ContainerError> {
    serde_json::from_slice(bytes).map_err(|source| ContainerError::Json {
        path: path.to_owned(),
        source,
    })
}

fn unreadable(path: &Path, source: std::io::Error) -> ContainerError {
    ContainerError::Read {
        path: path.to_owned(),
        source,
    }
}

fn not_read(path: &Path, what: String) -> ContainerError {
    ContainerError::NotRead {
        path: path.to_owned(),
        what,
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// The text at a JSON pointer, when it is text and not empty.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value
        .pointer(pointer)?
        .as_str()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_leave_their_directory() {
        for text in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\nb",
            "a\0b",
            "\u{1b}[2J",
            &"a".repeat(256),
        ] {
            assert!(Id::new(text).is_err(), "{text:?}");
        }
        for text in [
            "a",
            "web-1",
            "a.b_c+d",
            "a,b",
            ".hidden",
            "...",
            &"f".repeat(64),
        ] {
            assert_eq!(Id::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn reads_only_regular_files_of_the_expected_owner() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::new(root.path());
        fs::write(root.path().join("ok"), "{}").unwrap();
        fs::write(root.path().join("long"), vec![b' '; 9 << 20]).unwrap();
        fs::write(root.path().join("deep"), "[".repeat(100_000)).unwrap();
        std::os::unix::fs::symlink("ok", root.path().join("link")).unwrap();
        nix::unistd::mkfifo(&root.path().join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let read = |name: &str| files.json(Path::new(name), None);
        assert!(read("/ok").unwrap().is_some());
        assert!(read("/absent").unwrap().is_none());
        assert!(read("/ok/below").unwrap().is_none());
        for name in ["/long", "/deep", "/link", "/fifo", "ok", "/../ok", "/"] {
            let error = read(name).unwrap_err().to_string();
            assert!(!error.contains('\n'), "{name}: {error}");
        }
        let own = nix::unistd::geteuid().as_raw();
        assert!(files.json(Path::new("/ok"), Some(own)).is_ok());
        assert!(files.json(Path::new("/ok"), Some(own + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn ids_and_paths_cannot_escape_the_root(text in "[a./\\\\\u{0}-]{0,12}|\\PC{0,8}") {
            if let Ok(id) = Id::new(&text) {
                let joined = Path::new("/x").join(id.as_str());
                proptest::prop_assert_eq!(joined.parent(), Some(Path::new("/x")));
            }
            if let Ok(path) = Files::new("/x").at(Path::new(&text)) {
                proptest::prop_assert!(path.starts_with("/x"));
                proptest::prop_assert!(path.components().all(|c| c != Component::ParentDir));
            }
        }
    }
}
