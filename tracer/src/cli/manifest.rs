//! `tracer generate --for`: a manifest with what names the profile in it.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;

use super::{
    Exit, Failure, input, output,
    stderr::{plain, say},
};
use crate::store::{self, OutputFile};
use tracer_core::{
    formats::{Profiles, Settings},
    patch::{self, Applied, Input},
    recording::Recording,
};

/// Puts the references to the profiles of recordings into a manifest, and prints it or writes it back. Each
/// recording is of one container, as those of a pod are.
pub(super) fn run(
    path: &Path,
    in_place: bool,
    recordings: &[Recording],
    settings: &Settings,
) -> Result<(), Failure> {
    if path.is_dir() {
        let text = "is a directory; give the manifest's file";
        return Err(anyhow::anyhow!("{} {text}", path.display()).into());
    }
    let bytes = store::read_up_to(path, tracer_core::recording::json::MAX_BYTES)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let before = Input::new(input::label(path), bytes).map_err(patch::Error::from)?;
    let mut text = before.text().to_owned();
    let mut seen = BTreeMap::new();
    for recording in recordings {
        let applied = apply(path, &text, recording, settings)?;
        for container in &applied.containers {
            let name = recording.workload.name.as_str();
            if let Some(other) = seen.insert(container.clone(), name) {
                let error = anyhow::anyhow!(
                    "{} is what both {} and {} would be put into; give the recordings one by one, each with --container",
                    plain(container),
                    plain(other),
                    plain(name)
                );
                return Err(Failure::new(Exit::Usage, error));
            }
        }
        report(&applied, applied.text != text);
        text = applied.text;
    }
    if !in_place {
        io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    }
    if text != before.text() {
        write_back(path, &text)?;
    }
    Ok(())
}

/// Puts the references to the profile of one recording into a manifest.
fn apply(
    path: &Path,
    text: &str,
    recording: &Recording,
    settings: &Settings,
) -> Result<Applied, Failure> {
    let input = Input::new(input::label(path), text.as_bytes().to_vec());
    let input = input.map_err(patch::Error::from)?;
    let profiles = Profiles::from_recording(recording, settings)?;
    let models = output::models(&profiles, recording, settings);
    let hardening = models.hardening_in_pod();
    let context = models.context(&hardening)?;
    let chosen = settings.targets.container.as_deref();
    Ok(patch::apply(&input, &context, &models.placement(), chosen)?)
}

fn report(applied: &Applied, is_changed: bool) {
    for container in &applied.containers {
        let changed = if is_changed {
            "profile added"
        } else {
            "already up to date"
        };
        say!("{}: {changed}", plain(container));
    }
    for warning in &applied.warnings {
        say!("warning: {}", plain(warning));
    }
    for advice in &applied.advice {
        say!("advice: {}", plain(advice));
    }
}

/// Whole or not at all, where a link leads, with the permissions that the file had.
fn write_back(path: &Path, text: &str) -> anyhow::Result<()> {
    Ok(OutputFile::open(path, "manifest.yaml")?.write(text.as_bytes())?)
}
