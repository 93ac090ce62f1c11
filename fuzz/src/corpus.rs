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
    pub(crate) fn read(folder: &Path, target: Target) -> Result<Self> {
        let folder = folder.join(target.as_str());
        let mut paths = fs::read_dir(&folder)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.path()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .with_context(|| format!("reading {}", folder.display()))?;
        paths.sort();
        ensure!(!paths.is_empty(), "{} is empty", folder.display());
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
pub(crate) fn keep(folder: &Path, target: Target, failure: &Failure) -> Result<PathBuf> {
    let path = folder.join(format!("{target}-{}.json", failure.execution));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, &failure.input))
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
