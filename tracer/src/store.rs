//! Recordings and profiles on disk: read with every check, written whole or not at all.

mod checkpoints;
mod directory;
mod disk;
mod file_set;
mod input;
mod leftover;
mod lock;
mod old_set;
mod output_file;
mod packed;
mod scratch;
mod spool;
mod walk;

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use tracer_core::recording::{
    Recording,
    json::{self, MAX_BYTES, ParseError, SCHEMAS},
};

pub use checkpoints::Checkpoints;
pub use directory::OutputDirectory;
pub use file_set::FileSet;
pub use input::read_up_to;
pub use output_file::OutputFile;
pub use packed::unpack;
pub use spool::{Spool, SpoolEntry};

/// Name of the recording in a workload's directory.
pub const RECORDING_FILE: &str = "recording.json";

/// What some editors put before the text of a file.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a file could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {cause}; give a recording.json that tracer wrote, or its directory", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is too large.
    #[error("{} has {size} bytes, more than any recording ({limit}); give a recording.json that tracer wrote", .path.display(), limit = MAX_BYTES)]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// It is no recording.
    #[error("{} is {cause}; record again, or restore the file", .path.display())]
    ParseError {
        /// Which file.
        path: PathBuf,
        /// What and where, with line and column.
        cause: ParseError,
    },
    /// Its schema is another one.
    #[error("{} has the schema {found:?}, this tracer reads {known}; use the version of tracer that wrote it, or a newer one", .path.display(), known = SCHEMAS.join(" and "))]
    Schema {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The output directory cannot be used.
    #[error("cannot write to the output directory {}: {cause}; choose another one with --output-dir", .path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A spool cannot be read.
    #[error("cannot read the spool {}: {cause}; an agent makes it: systemctl enable --now tracer-agent; if its configuration is elsewhere, give it with --config", .path.display())]
    Spool {
        /// Which directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file that was named for the output cannot be used.
    #[error("cannot write to the file {}: {cause}; choose another one with --output", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {cause}; the previous contents are unchanged", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// There was room for the recording and not for everything else.
    #[error("no room for {} ({cause}); the recording is in {}: free some space, then run tracer generate {}", .missing.join(", "), .saved.display(), .saved.join(RECORDING_FILE).display())]
    NoRoom {
        /// The files that are missing.
        missing: Vec<String>,
        /// The directory with the others.
        saved: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The files were replaced one by one, and not all of them.
    #[error("only some files in {} are new: {cause}; new: {}; as before: {}{}", .path.display(), .moved.join(", "), .left.join(", "), new_text(.saved.as_deref()))]
    Partly {
        /// The directory.
        path: PathBuf,
        /// The files that are new.
        moved: Vec<String>,
        /// The files that are as before.
        left: Vec<String>,
        /// Where the new ones of these are.
        saved: Option<PathBuf>,
        /// Why.
        cause: io::Error,
    },
    /// Something is in the way that tracer neither follows nor removes.
    #[error("cannot write to {}: {cause}; the files are in {}", .path.display(), .saved.display())]
    Blocked {
        /// Where they should be.
        path: PathBuf,
        /// Where they are.
        saved: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

fn new_text(saved: Option<&Path>) -> String {
    saved.map_or_else(String::new, |it| {
        format!(", and the new ones of these are in {}", it.display())
    })
}

impl StoreError {
    /// Whether the system failed, as when there are too many open files, and the file may be as it should be.
    pub(crate) fn is_of_the_system(&self) -> bool {
        matches!(self, Self::Read { cause, .. } if cause.raw_os_error().is_some())
    }
}

/// Reads a recording. A directory stands for the `recording.json` in it.
///
/// # Errors
/// [`StoreError`]; nothing is guessed or left out.
pub fn read(path: &Path) -> Result<Recording, StoreError> {
    let path = if path.is_dir() {
        path.join(RECORDING_FILE)
    } else {
        path.to_owned()
    };
    let failed = |cause| StoreError::Read {
        path: path.clone(),
        cause,
    };
    let bytes = read_up_to(&path, MAX_BYTES).map_err(failed)?;
    // An agent keeps recordings compressed.
    let bytes = unpack(bytes, MAX_BYTES).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        let size = path
            .metadata()
            .map_or(MAX_BYTES, |it| it.len())
            .max(MAX_BYTES + 1);
        return Err(StoreError::TooLarge { path, size });
    }
    parse(&bytes, &path)
}

/// Reads the bytes of a recording; `path` is for messages.
///
/// # Errors
/// [`StoreError::ParseError`], [`StoreError::Schema`].
pub fn parse(bytes: &[u8], path: &Path) -> Result<Recording, StoreError> {
    let path = || path.to_owned();
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    json::parse(text).map_err(|error| match error {
        ParseError::Schema { found } => StoreError::Schema {
            path: path(),
            found,
        },
        other => StoreError::ParseError {
            path: path(),
            cause: other,
        },
    })
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
