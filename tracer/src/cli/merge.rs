//! `tracer merge`: one recording from many.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use tracer_core::recording::json;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Exit, Failure, input, name, output, stderr::say};
use crate::store::{self, OutputFile};
use tracer_core::recording::{Recording, merge::Merge, plain_text::counted};
use tracer_report::words;

/// Merge recordings of replicas, nodes, versions and architectures.
///
/// The result holds everything that any of them observed. Order and duplicates do not matter. The result
/// says where the recordings differ in kernel, architecture, image or command. It lists up to 100 instances
/// and counts the others.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer merge node-1/web node-2/web --output web/recording.json\n",
    "  tracer merge v1/web v2/web --output web.json && tracer generate web.json\n",
    "  tracer merge web-x86/recording.json web-arm/recording.json --name web -o web.json",
))]
pub(super) struct Args {
    /// Recordings of one workload: recording.json files, or their directories
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,

    /// File to write, or directory for a recording.json; `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: PathBuf,

    /// Name of the workload, required if the recordings have different ones
    #[arg(long, value_parser = name::parse)]
    name: Option<String>,

    /// Print only errors and reasons for incompleteness
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    // What cannot be written is said now and not after thousands of recordings.
    let output = OutputFile::open(&args.output, store::RECORDING_FILE)?;
    let path = output.path().map(Path::to_owned);
    let recording = merge(args)?;
    output.write(json::to_json(&recording).as_bytes())?;
    summary(args, &recording);
    // Last: whoever reads it may have gone, the file is there all the same.
    if let Some(path) = path {
        writeln!(io::stdout(), "{}", path.display())?;
    }
    Ok(Exit::Fine)
}

/// One recording after the other: at any time, one of them is in memory, and what is known by then.
fn merge(args: &Args) -> anyhow::Result<Recording> {
    let progress = progress(args);
    let mut merge = Merge::default();
    let mut name = args.name.clone();
    for path in &args.recordings {
        let mut recording = input::recording(path)?;
        let its = &mut recording.workload.name;
        if args.name.is_some() {
            its.clone_from(name.get_or_insert_default());
        } else if *name.get_or_insert_with(|| its.clone()) != *its {
            anyhow::bail!(
                "{} is of the workload {its}, the ones before it of {}; give recordings of one workload, or name the result with --name",
                path.display(),
                name.unwrap_or_default()
            );
        }
        merge.add(recording);
        progress.inc(1);
    }
    progress.finish_and_clear();
    merge.finish().context("nothing to merge")
}

/// A bar on a terminal, else nothing.
fn progress(args: &Args) -> ProgressBar {
    let target = if args.quiet {
        ProgressDrawTarget::hidden()
    } else {
        // indicatif itself draws nothing when standard error is no terminal.
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(args.recordings.len() as u64), target);
    match ProgressStyle::with_template("{pos} of {len} recordings {wide_bar} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn summary(args: &Args, recording: &Recording) {
    if !args.quiet {
        say!(
            "merged {} of {}: {}, {}; {}",
            counted(args.recordings.len(), "recording", "recordings"),
            recording.workload.name,
            counted(recording.runs(), "instance", "instances"),
            counted(words::calls(recording).own, "system call", "system calls"),
            output::verdict(recording)
        );
    }
    output::coverage(recording, args.quiet);
}
