//! Recordings and profiles on disk: read with every check, written whole or not at all.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use thiserror::Error;

use tracer_core::recording::{
    Recording,
    json::{self, MAX_BYTES, ParseError, SCHEMAS},
};

/// Name of the recording in a workload's folder.
pub const RECORDING_FILE: &str = "recording.json";

/// Why a file could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {cause}; give a recording.json that tracer wrote, or its folder", .path.display())]
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
    /// The output folder cannot be used.
    #[error("cannot write to the output folder {}: {cause}; choose another one with --output", .path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {cause}; what stood there before is untouched", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Reads a recording. A folder stands for the `recording.json` in it.
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
    let file = File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(StoreError::TooLarge { path, size });
    }
    let mut bytes = Vec::new();
    // The limit again, for what is no regular file.
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    parse(&bytes, &path)
}

/// Reads the bytes of a recording; `path` is for messages.
///
/// # Errors
/// [`StoreError::ParseError`], [`StoreError::Schema`].
pub fn parse(bytes: &[u8], path: &Path) -> Result<Recording, StoreError> {
    let path = || path.to_owned();
    json::parse(bytes).map_err(|error| match error {
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

/// Makes the folder, and makes sure that it can be written to, before any work is done for it.
///
/// # Errors
/// [`StoreError::Folder`].
pub fn prepare(directory: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::Folder {
        path: directory.to_owned(),
        cause,
    };
    fs::create_dir_all(directory).map_err(failed)?;
    NamedTempFile::new_in(directory).map_err(failed)?;
    Ok(())
}

/// Writes several files into a folder, or into folders in it: all of them are complete and on disk under
/// temporary names before the first one gets its own.
///
/// # Errors
/// [`StoreError::Write`]; what stood there before is untouched, unless the renames themselves fail.
pub fn write(directory: &Path, files: &[(impl AsRef<str>, String)]) -> Result<(), StoreError> {
    let mut folders = BTreeSet::from([directory.to_owned()]);
    let written = files
        .iter()
        .map(|(name, text)| {
            let path = directory.join(name.as_ref());
            let parent = path.parent().unwrap_or(directory).to_owned();
            let made = fs::create_dir_all(&parent);
            let file = made.and_then(|()| temporary(&parent, text));
            folders.insert(parent);
            file.map(|file| (file, path.clone()))
                .map_err(|cause| StoreError::Write { path, cause })
        })
        .collect::<Result<Vec<_>, _>>()?;
    for (file, path) in written {
        file.persist(&path).map_err(|error| StoreError::Write {
            path,
            cause: error.error,
        })?;
    }
    // The names are on disk when the folders are.
    for directory in folders {
        File::open(&directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|cause| StoreError::Write {
                path: directory.clone(),
                cause,
            })?;
    }
    Ok(())
}

/// Removes files that are there. A name that ends with `/` is a directory of blobs: only these are
/// removed from it.
///
/// # Errors
/// [`StoreError::Write`], with the first that cannot be removed.
pub fn remove<'a>(
    directory: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), StoreError> {
    for name in names {
        if name.ends_with('/') {
            remove_blobs(&directory.join(name), &BTreeSet::new())?;
        } else {
            remove_file(&directory.join(name))?;
        }
    }
    Ok(())
}

/// Removes the blobs that nothing names any more: of each directory of blobs (a name that ends with `/`)
/// that has some among `files`, what is not among these. Nothing else in the folder is touched.
///
/// # Errors
/// [`StoreError::Write`], with the first that cannot be removed.
pub fn remove_old_blobs<'a>(
    directory: &Path,
    names: impl IntoIterator<Item = &'a str>,
    files: &[(String, String)],
) -> Result<(), StoreError> {
    for name in names.into_iter().filter(|name| name.ends_with('/')) {
        let current: BTreeSet<_> = files
            .iter()
            .filter_map(|(file, _)| file.strip_prefix(name))
            .collect();
        if !current.is_empty() {
            remove_blobs(&directory.join(name), &current)?;
        }
    }
    Ok(())
}

/// Removes the blobs in a directory, which are named by their SHA-256, but for some.
fn remove_blobs(blobs: &Path, keep: &BTreeSet<&str>) -> Result<(), StoreError> {
    let failed = |cause| StoreError::Write {
        path: blobs.to_owned(),
        cause,
    };
    let entries = match fs::read_dir(blobs) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let is_blob = |name: &str| name.len() == 64 && name.bytes().all(|it| it.is_ascii_hexdigit());
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| is_blob(name) && !keep.contains(name)) {
            remove_file(&path)?;
        }
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(StoreError::Write {
            path: path.to_owned(),
            cause,
        }),
        _ => Ok(()),
    }
}

fn temporary(directory: &Path, text: &str) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;

    let mut file = tempfile::Builder::new()
        .prefix(".tracer-")
        // Profiles are made to be committed and reviewed: as readable as any file, by the umask.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
