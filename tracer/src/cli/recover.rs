//! `tracer recover`: finish what a killed tracer had begun.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{
    Exit, Failure, name,
    output::{self, NewFiles},
    previous::ToWrite,
    profile::ProfileArgs,
    stderr::say,
};
use crate::store::{Checkpoints, OutputDirectory};
use tracer_core::{formats::Settings, recording::Recording};
use tracer_recorder::cgroup::remove_abandoned_cgroups;

/// Finish the recordings that a killed tracer had begun.
///
/// tracer keeps what it records in the output directory, every few seconds. After a kill, a crash of the machine or a
/// lack of memory, this makes recordings and profiles of it. They say that they are not complete. `tracer record` does
/// the same when it begins. No recording that is there is replaced: the recovered one is then put beside it, in
/// NAME.recovered-1.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer recover\n",
    "  tracer recover profiles",
))]
pub(super) struct Args {
    /// The directory that was given to `tracer record` with --output
    #[arg(default_value = output::DEFAULT_DIRECTORY, value_name = "DIR")]
    directory: PathBuf,

    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let settings = args.profile.settings()?;
    // It is not made: what was killed had made it.
    std::fs::read_dir(&args.directory)
        .with_context(|| format!("cannot read the directory {}", args.directory.display()))?;
    remove_abandoned_cgroups();
    let output = OutputDirectory::open(&args.directory)?;
    let recovered = recover(&output, &settings, &|_| false, false)?;
    if recovered == 0 {
        say!(
            "there is nothing to recover in {}: no tracer was killed while it recorded there, or it still runs",
            args.directory.display()
        );
    }
    Ok(Exit::Fine)
}

/// Recovers what is left in the output directory of a recording that is to begin. What goes wrong keeps nobody from
/// recording. `is_taken` says which names the recording will write to.
pub(super) fn before_recording(
    output: &OutputDirectory,
    is_taken: impl Fn(&str) -> bool,
    quiet: bool,
) {
    if let Err(error) = recover(output, &Settings::default(), &is_taken, quiet) {
        say!("{error:#}");
    }
}

/// Makes recordings of the checkpoints that killed runs left, and returns how many there were.
fn recover(
    output: &OutputDirectory,
    settings: &Settings,
    is_taken: &dyn Fn(&str) -> bool,
    quiet: bool,
) -> anyhow::Result<usize> {
    let path = output.path().display();
    let left = output
        .abandoned_checkpoints()
        .with_context(|| format!("cannot look for checkpoints in {path}"))?;
    let mut count = 0;
    for checkpoints in left {
        let from = checkpoints.path().display().to_string();
        count += recover_run(output, checkpoints, settings, is_taken, quiet)
            .with_context(|| format!("cannot recover all of {from}, which stays"))?;
    }
    Ok(count)
}

/// Recovers what one run left.
fn recover_run(
    output: &OutputDirectory,
    checkpoints: Checkpoints,
    settings: &Settings,
    is_taken: &dyn Fn(&str) -> bool,
    quiet: bool,
) -> anyhow::Result<usize> {
    let mut count = 0;
    let mut failed = None;
    for (number, recording) in checkpoints.recordings()? {
        let done = recording
            .map_err(anyhow::Error::from)
            .and_then(|recording| save(output, &recording, settings, is_taken, quiet))
            .and_then(|saved| {
                checkpoints.remove(number)?;
                Ok(saved)
            });
        match done {
            Ok(saved) => count += usize::from(saved),
            // The others can still be saved.
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => {
            checkpoints.discard()?;
            Ok(count)
        }
    }
}

/// Saves one recording, unless it is there already: its tracer may have been killed in its last moment.
fn save(
    output: &OutputDirectory,
    recording: &Recording,
    settings: &Settings,
    is_taken: &dyn Fn(&str) -> bool,
    quiet: bool,
) -> anyhow::Result<bool> {
    name::check(recording, output.path())?;
    let workload = &recording.workload.name;
    let beside = |number: usize| format!("{workload}.recovered-{number}");
    let is_there = |name: &str| {
        let known = output.recording(name);
        known.is_some_and(|known| continues(&known, recording))
    };
    if is_there(workload) {
        return Ok(false);
    }
    let mut place = workload.clone();
    let mut number = 0;
    while output.has(&place) || (number == 0 && is_taken(&place)) {
        if number > 0 && is_there(&place) {
            return Ok(false);
        }
        number += 1;
        place = beside(number);
    }
    let to_write = ToWrite {
        recording: recording.clone(),
        kept: None,
    };
    let new = NewFiles::render(&to_write, settings);
    new.write(output, &place)?;
    let directory = output.path().join(&place);
    say!(
        "a tracer was killed while it recorded {workload}; what it had recorded is in {}",
        directory.display()
    );
    // The recording is saved, whatever the parser says of the profile.
    if let Err(error) = new.check(&directory, &mut || false) {
        say!("{error:#}");
    }
    output::coverage(recording, quiet);
    Ok(true)
}

/// Whether a recording is of the same instances as an earlier one: its end, or the same recovered before.
fn continues(later: &Recording, earlier: &Recording) -> bool {
    earlier.instances.iter().all(|instance| {
        let same = |it: &&tracer_core::recording::Instance| {
            it.cgroup == instance.cgroup && it.began == instance.began
        };
        later.instances.iter().any(|it| same(&it))
    })
}
