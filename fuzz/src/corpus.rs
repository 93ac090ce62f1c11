//! What to begin with, and what failed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{run::Failure, targets::Target};

/// Inputs of a target.
pub(crate) struct Corpus(pub(crate) Vec<Vec<u8>>);

impl Corpus {
    /// Reads the files of a target, in the order of their names.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub(crate) fn read(directory: &Path, target: Target) -> Result<Self> {
        let directory = directory.join(target.as_str());
        let mut paths = fs::read_dir(&directory)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.path()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .with_context(|| format!("reading {}", directory.display()))?;
        paths.sort();
        ensure!(!paths.is_empty(), "{} is empty", directory.display());
        let read =
            |path: PathBuf| fs::read(&path).with_context(|| format!("reading {}", path.display()));
        paths.into_iter().map(read).collect::<Result<_>>().map(Self)
    }
}

/// Writes an input that failed, to be looked at and to become part of the corpus.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn keep(directory: &Path, target: Target, failure: &Failure) -> Result<PathBuf> {
    let path = directory.join(format!("{target}-{}.json", failure.execution));
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, &failure.input))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
