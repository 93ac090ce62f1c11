//! What is written to a workload's folder, and what is said about it.

use std::path::Path;

use anyhow::Context as _;

use super::{live, say::say};
use crate::{
    profile::seccomp::{Options, SeccompProfile, oci::OciSeccomp},
    recording::{Executable, Recording, store},
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

/// Renders the files of `formats` from the recordings of one workload.
pub(super) fn render(
    recordings: &[Recording],
    formats: &[Format],
    options: &Options,
) -> anyhow::Result<Vec<(&'static str, String)>> {
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
    let rendered = render(std::slice::from_ref(recording), &Format::ALL, options)
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
    let coverage = &recording.coverage;
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
            if coverage.complete {
                "the recording is complete"
            } else {
                "the recording is NOT complete"
            }
        );
    }
    for reason in &coverage.reasons {
        say!("not complete: {}", reason.text);
    }
    if !coverage.losses.is_none() {
        say!("losses: {}", live::losses(&coverage.losses));
    }
    if !quiet {
        say!("profile  {}", folder.join(SECCOMP).display());
        say!("review   {}", folder.join(REVIEW).display());
    }
}
