//! What is written to a workload's folder, and what is said about it.

use std::{path::Path, time::Duration};

use anyhow::Context as _;

use super::{
    live,
    say::{plain, say},
};
use crate::{
    profile::seccomp::{Options, SeccompProfile, oci::OciSeccomp},
    recording::{Discovery, Executable, Recording, store},
    report,
};

/// The default `--output`.
pub(super) const FOLDER: &str = "profiles-out";

const SECCOMP: &str = "seccomp.json";
const REVIEW: &str = "REVIEW.md";

/// A file that can be rendered from recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Format {
    /// seccomp.json: the OCI runtime's seccomp profile (Docker, containerd, CRI-O, Podman)
    Seccomp,
    /// REVIEW.md: every rule with its reason and its evidence, for a person
    Review,
}

impl Format {
    const ALL: [Self; 2] = [Self::Seccomp, Self::Review];
}

/// Renders the files of `formats` from the recording of a workload.
pub(super) fn render(
    recording: &Recording,
    formats: &[Format],
    options: &Options,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let recordings = std::slice::from_ref(recording);
    let profile = SeccompProfile::from_recordings(recordings, options)?;
    formats
        .iter()
        .map(|format| {
            Ok(match format {
                Format::Seccomp => (SECCOMP, OciSeccomp::from(&profile).to_json()?),
                Format::Review => (REVIEW, report::review(recordings, &profile)),
            })
        })
        .collect()
}

/// Writes a new recording and all that is rendered from it.
pub(super) fn write(folder: &Path, recording: &Recording, options: &Options) -> anyhow::Result<()> {
    let rendered = render(recording, &Format::ALL, options)
        .context("cannot make a profile from the recording");
    let mut files = vec![(store::RECORDING, store::to_json(recording))];
    match rendered {
        Ok(rendered) => files.extend(rendered),
        Err(error) => {
            // The recording itself is the dearer part: never lose it to a profile's trouble.
            store::write(folder, &files)?;
            return Err(error);
        }
    }
    Ok(store::write(folder, &files)?)
}

/// Tells on standard error what came of a recording. What makes it incomplete is told even when
/// `quiet`.
pub(super) fn summary(folder: &Path, recording: &Recording, quiet: bool) {
    if !quiet {
        let executables = recording
            .syscalls
            .iter()
            .flat_map(|syscall| &syscall.evidence)
            .map(|evidence| &evidence.executable)
            .filter(|executable| {
                matches!(executable, Executable::Path(_) | Executable::Truncated(_))
            })
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        say!(
            "recorded {} system calls by {executables} {}; {}",
            recording.syscalls.len(),
            if executables == 1 {
                "executable"
            } else {
                "executables"
            },
            verdict(recording)
        );
    }
    coverage(recording, quiet);
    if !quiet {
        say!("profile  {}", folder.join(SECCOMP).display());
        say!("review   {}", folder.join(REVIEW).display());
    }
}

/// Whether a recording is complete, in a few words.
pub(super) fn verdict(recording: &Recording) -> &'static str {
    if recording.coverage.complete {
        "the recording is complete"
    } else {
        "the recording is NOT complete"
    }
}

/// Tells what can be said of a recording: what makes it incomplete always, the rest unless `quiet`.
pub(super) fn coverage(recording: &Recording, quiet: bool) {
    let coverage = &recording.coverage;
    for reason in &coverage.reasons {
        say!("not complete: {}", plain(&reason.text));
    }
    if !coverage.losses.is_none() {
        say!("losses: {}", live::losses(&coverage.losses));
    }
    if quiet {
        return;
    }
    for note in &coverage.notes {
        say!("note: {}", plain(&note.text));
    }
    if let Some(discovery) = coverage.discovery.as_ref().and_then(discovered) {
        say!("{discovery}");
    }
}

/// How far discovery had come; `None` when there is nothing to tell.
fn discovered(discovery: &Discovery) -> Option<String> {
    let quiet = match (discovery.recorded_s, discovery.quiet_s) {
        // A command that ran for a moment is no surprise.
        (Some(60..), Some(seconds)) => format!(
            "the last new one came {} before the end",
            live::short(Duration::from_secs(seconds))
        ),
        _ => String::new(),
    };
    let parts: Vec<_> = [discovery.brief(), quiet]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| format!("calls: {}", parts.join("; ")))
}
