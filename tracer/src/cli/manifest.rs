//! `tracer generate --for`: a manifest with what names the profile in it.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Context as _;

use super::{
    Failure, input, output,
    stderr::{plain, say},
};
use crate::store::{self, OutputFile};
use tracer_core::{
    formats::{Profiles, Settings},
    patch::{self, Applied, Input},
    recording::Recording,
};

/// Puts the references to the profile of a recording into a manifest, and prints it or writes it back.
pub(super) fn run(
    path: &Path,
    in_place: bool,
    recording: &Recording,
    settings: &Settings,
) -> Result<(), Failure> {
    if path.is_dir() {
        let text = "is a directory; give the manifest's file";
        return Err(anyhow::anyhow!("{} {text}", path.display()).into());
    }
    let bytes = store::read_up_to(path, tracer_core::recording::json::MAX_BYTES)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let before = Input::new(input::label(path), bytes).map_err(patch::Error::from)?;
    let profiles = Profiles::from_recording(recording, settings)?;
    let models = output::models(&profiles, recording, settings);
    let hardening = models.hardening_in_pod();
    let context = models.context(&hardening)?;
    let chosen = settings.targets.container.as_deref();
    let applied = patch::apply(&before, &context, &models.placement(), chosen)?;
    let Applied {
        text,
        containers,
        warnings,
    } = applied;
    for container in containers {
        let changed = if text == before.text() {
            "already up to date"
        } else {
            "profile added"
        };
        say!("{}: {changed}", plain(&container));
    }
    for warning in warnings {
        say!("warning: {}", plain(&warning));
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

/// Whole or not at all, where a link leads, with the permissions that the file had.
fn write_back(path: &Path, text: &str) -> anyhow::Result<()> {
    Ok(OutputFile::open(path, "manifest.yaml")?.write(text.as_bytes())?)
}
