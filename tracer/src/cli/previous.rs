//! What becomes of a recording that is where a new one goes. By default nothing is lost: it stays
//! beside the new one, under a number.

use std::path::Path;

use anyhow::Context as _;

use super::stderr::say;
use crate::store;
use tracer_core::recording::{Recording, json, merge::Merge};

/// Most earlier recordings that are kept in one directory.
const MAX_KEPT: usize = 1000;

/// What to do with a recording that is there already.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct PreviousArgs {
    /// Merge with the recording that is already in the workload's directory [default: keep it there as
    /// recording.N.json]
    #[arg(long, conflicts_with = "replace")]
    merge: bool,

    /// Replace the recording that is already in the workload's directory
    #[arg(long)]
    replace: bool,
}

/// The recording to write, and the file that keeps the one that was there.
#[derive(Debug)]
pub(super) struct ToWrite {
    pub(super) recording: Recording,
    pub(super) kept: Option<(String, String)>,
}

impl PreviousArgs {
    /// Decides about the recording in `directory`, if there is one.
    ///
    /// # Errors
    /// When one is to be merged and cannot be read.
    pub(super) fn apply(self, directory: &Path, new: Recording) -> anyhow::Result<ToWrite> {
        let as_it_is = |recording| ToWrite {
            recording,
            kept: None,
        };
        let path = directory.join(store::RECORDING_FILE);
        if self.replace || !path.is_file() {
            return Ok(as_it_is(new));
        }
        if self.merge {
            let mut old = store::read(&path).context("cannot merge with the previous recording")?;
            old.workload.name.clone_from(&new.workload.name);
            let mut merge = Merge::default();
            merge.add(old);
            merge.add(new);
            return Ok(as_it_is(merge.finish().context("nothing to merge")?));
        }
        // Whatever it is: a recording of another version, or a damaged one, is not lost either.
        let bytes = store::read_up_to(&path, json::MAX_BYTES)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            anyhow::bail!(
                "{} is not a recording; move it away, or replace it with --replace",
                path.display()
            );
        };
        let name = (1..=MAX_KEPT)
            .map(|number| format!("recording.{number}.json"))
            .find(|name| !directory.join(name).exists())
            .with_context(|| {
                format!(
                    "{} has {MAX_KEPT} earlier recordings; remove some, or use --merge or --replace",
                    directory.display()
                )
            })?;
        say!(
            "kept the previous recording as {} (--merge unites them, --replace discards it)",
            directory.join(&name).display()
        );
        Ok(ToWrite {
            recording: new,
            kept: Some((name, text)),
        })
    }
}
