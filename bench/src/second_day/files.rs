//! What an operation needs of files that the AppArmor profile of another run does not have.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use tracer_core::{
    profile::apparmor::{AppArmorProfile, Options},
    recording::{Recording, json},
};
use tracer_tests::{missed::missed, scratch::Scratch};

/// Most accesses that are named.
const SHOWN: usize = 6;

/// Records an operation by `record`, and names what the profile of the recording in `base` denies of it.
pub(super) fn denied(
    scratch: &Scratch,
    base: &Path,
    record: impl FnOnce(&Path) -> Result<()>,
) -> Result<Option<String>> {
    let operation = scratch.dir("operation")?;
    // It works, as was seen before; a signal may end what records it.
    let _ = record(&operation);
    let next = read(&operation)?;
    fs::remove_dir_all(&operation)?;
    let base = read(base)?;
    let learned = std::slice::from_ref(&base);
    let profile = AppArmorProfile::from_recordings(learned, &Options::default());
    let (mut missed, _) = missed(&profile.context("no profile")?, &next);
    if missed.is_empty() {
        return Ok(None);
    }
    let more = missed.len().saturating_sub(SHOWN);
    missed.truncate(SHOWN);
    if more > 0 {
        missed.push(format!("{more} more"));
    }
    Ok(Some(missed.join(", ")))
}

fn read(output: &Path) -> Result<Recording> {
    let path = output.join("program/recording.json");
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(json::parse(&text)?)
}
