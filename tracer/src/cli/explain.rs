//! `tracer explain`: why a call is in a profile.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use super::{Exit, Failure, profile::ProfileArgs};
use crate::{explain::explain, recording::store, report};

/// Says why a call is in a profile, or is not.
///
/// Shows the layers that want it, who was seen to make it, when and with which arguments, what it gives
/// to somebody who has taken over the workload, which capability it takes, and what changes without it.
/// The profile is the one that `generate` makes of the recording with the same options.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer explain profiles-out/nginx ptrace\n",
    "  tracer explain profiles-out/nginx/recording.json openat2 --format json",
))]
pub(super) struct Args {
    /// The recording: a recording.json, or a folder that holds one
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,

    /// The name of the call
    #[arg(value_name = "NAME")]
    name: String,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    profile: ProfileArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let options = args.profile.settings()?.seccomp;
    let recording = store::read(&args.recording)?;
    let explanation = explain(&recording, &options, &args.name)?;
    let text = match args.format {
        Format::Text => report::explanation(&explanation),
        Format::Json => serde_json::to_string_pretty(&explanation)? + "\n",
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Fine)
}
