//! `tracer verify`: would a profile have let a recording run, and does it let a command run?

mod live;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Exit, Failure,
    input::{self, HostArgs, label},
};
use crate::store::OutputFile;
use syscalls::{OciRuntime, runtime_init::RuntimeSelection};
use tracer_core::{
    recording::Recording,
    verify::{Enforced, Report, VerifyInput, verify},
};

/// Says whether a profile would have let a recording run, or runs a command under it.
///
/// With --recording, nothing is run. Every call that was recorded goes through the profile as runc and
/// crun put it in force, with each combination of arguments that was recorded, and so does what the
/// runtimes themselves call before they start the workload, with and without noNewPrivileges. What a
/// profile asks of an argument that was not recorded is told as undecided.
///
/// With a command, it is run in a cgroup of its own with the profile as its seccomp filter, and each call
/// that is denied is told on standard error, with who made it, its arguments and how often. With
/// --log-only the command runs without the filter, and what it would have denied is told at the end.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer verify seccomp.json --recording profiles-out/nginx\n",
    "  tracer verify seccomp.json --recording v1/web v2/web --runtime runc@1.3\n",
    "  tracer verify deploy/profiles.yaml#web --recording profiles-out/web\n",
    "  tracer verify seccomp.json -- ./server --self-test\n",
    "  tracer verify seccomp.json --log-only --update profiles-out/server -- ./server --self-test\n\n",
    "Exit status:\n",
    "  0 nothing would be denied, 1 it could not be done, 2 wrong usage, 3 something would be denied,\n",
    "  or cannot be decided and --require-decided was given. With a command: 3 when anything was denied,\n",
    "  else that of the command, 128+N when signal N ended it; 125 tracer failed, 126 the command could\n",
    "  not be run, 127 it could not be found",
))]
#[command(override_usage = concat!(
    "tracer verify [OPTIONS] <PROFILE> --recording <RECORDING>...\n",
    "       tracer verify [OPTIONS] <PROFILE> -- CMD [ARG]...",
))]
#[command(group = clap::ArgGroup::new("what").required(true).args(["recording", "command"]))]
pub(super) struct Args {
    /// The seccomp profile, in any form that `tracer audit` reads, or a folder with a seccomp.json; of a
    /// file with several, FILE#NAME
    #[arg(value_name = "PROFILE")]
    profile: PathBuf,

    /// What is to run under it: recording.json files, or folders that hold one
    #[arg(long, value_name = "RECORDING", num_args = 1..)]
    recording: Vec<PathBuf>,

    /// The container runtimes that are to start it: runc, crun@1.21, several with commas between them, or
    /// none [default: all]. A command is run as the first of runc and crun that is named would have it
    #[arg(long, value_name = "RUNTIME[@VERSION]")]
    runtime: Vec<RuntimeSelection>,

    /// noNewPrivileges of the containers (allowPrivilegeEscalation: false) [default: both]
    #[arg(long, value_name = "BOOL", conflicts_with = "command")]
    no_new_privileges: Option<bool>,

    /// Count what people did in terminals too
    #[arg(long, conflicts_with = "command")]
    terminal: bool,

    /// Exit with 3, too, when something cannot be decided
    #[arg(long)]
    require_decided: bool,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Write the result to this file, `-` for standard output; for a command, whose output is its own, needed for --format json
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Run the command as this user: a name, a uid, or uid:gid
    #[arg(long, value_name = "USER", requires = "command")]
    user: Option<String>,

    /// Run the command without the filter, and tell what it would have denied
    #[arg(long, requires = "command")]
    log_only: bool,

    /// Merge what was seen of the command into this recording: a recording.json, or a folder that holds
    /// one. `tracer generate` then makes a profile that allows it; what the filter stopped only with
    /// --allow-blocked, so --log-only is the better way to it
    #[arg(long, value_name = "RECORDING", requires = "command")]
    update: Option<PathBuf>,

    /// No progress and no summary; denials and errors only
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    host: HostArgs,

    /// The command to run under the profile, and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let choice = RuntimeSelection::union(args.runtime.iter().cloned())
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    if !args.command.is_empty() {
        return live::run(args, &choice);
    }
    let recordings: Vec<_> = args
        .recording
        .iter()
        .map(|path| input::recording(path))
        .collect::<Result<_, _>>()?;
    let report = offline(args, choice, &recordings)?;
    let text = match args.format {
        Format::Text => tracer_report::verification(&report, &label(&args.profile)),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    match &args.report {
        Some(file) => write(file, &text)?,
        None => super::print(text.as_bytes())?,
    }
    Ok(verdict(args, &report))
}

fn verdict(args: &Args, report: &Report) -> Exit {
    if report.denies() || (args.require_decided && report.is_undecided()) {
        Exit::No
    } else {
        Exit::Fine
    }
}

fn offline(
    args: &Args,
    runtime_init: RuntimeSelection,
    recordings: &[Recording],
) -> anyhow::Result<Report> {
    let read = input::seccomp(&args.profile)?;
    let mut profiles = Vec::new();
    for native in args.host.natives(recordings)? {
        let profile = args.host.resolve(&read, native, recordings)?;
        for runtime in runtimes(&runtime_init) {
            profiles.push(Enforced {
                profile: profile.clone(),
                host: args.host.host(native, runtime),
            });
        }
    }
    let names = args.recording.iter().map(|path| label(path));
    Ok(verify(&VerifyInput {
        profiles,
        recordings: names.zip(recordings).collect(),
        runtime_init,
        no_new_privileges: args.no_new_privileges,
        terminal: args.terminal,
    }))
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    OutputFile::open(file, "verify.txt")
        .and_then(|output| output.write(text.as_bytes()))
        .context("cannot write the result")
}

/// The runtimes that a choice names; both when it names none.
fn runtimes(choice: &RuntimeSelection) -> Vec<OciRuntime> {
    let chosen = |runtime: &OciRuntime| {
        *choice == RuntimeSelection::None || choice.rows().any(|row| row.runtime == *runtime)
    };
    OciRuntime::ALL.into_iter().filter(chosen).collect()
}
