//! `tracer verify`: check a profile against a recording, or run a command under it.

mod live;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Exit, Failure,
    input::{self, HostArgs, label},
    stderr::{plain, say},
    text_or_json::TextOrJson,
};
use crate::{cli::confinement::Writes, store::OutputFile};
use syscalls::{OciRuntime, runtime_init::RuntimeSelection};
use tracer_core::{
    profile::seccomp::evaluate::Filter,
    recording::Recording,
    verify::{Enforced, Intersection, Report, VerifyInput, intersection, verify},
};

/// Check a profile against a recording, or run a command under it.
///
/// With --recording, nothing runs. tracer evaluates every recorded call, with its recorded arguments, as
/// runc and crun would enforce the profile. It also evaluates the calls of the runtimes themselves, with and
/// without noNewPrivileges. A call that depends on an unrecorded argument is undecided.
///
/// With a command, tracer runs it in its own cgroup under the profile. It reports each denied call on
/// standard error, with the program, the arguments and the number of times. With --log-only, the command
/// runs without the filter, and the calls that it would have denied are reported at the end.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer verify seccomp.json --recording profiles-out/nginx\n",
    "  tracer verify seccomp.json --recording v1/web v2/web --runtime runc@1.3\n",
    "  tracer verify deploy/profiles.yaml#web --recording profiles-out/web\n",
    "  tracer verify seccomp.json --recording profiles-out/web --intersect-with docker-default.json\n",
    "  tracer verify seccomp.json -- ./server --self-test\n",
    "  tracer verify seccomp.json --log-only --update profiles-out/server -- ./server --self-test\n\n",
    "Exit status:\n",
    "  0 nothing would be denied, 1 error, 2 wrong usage, 3 something would be denied, or is undecided\n",
    "  and --require-decided was given. With a command: 3 if anything was denied, otherwise the status\n",
    "  of the command (128+N if signal N ended it); 125 tracer failed, 126 the command cannot be\n",
    "  executed, 127 the command was not found",
))]
#[command(override_usage = concat!(
    "tracer verify [OPTIONS] <PROFILE> --recording <RECORDING>...\n",
    "       tracer verify [OPTIONS] <PROFILE> -- CMD [ARG]...",
))]
#[command(group = clap::ArgGroup::new("what").required(true).args(["recording", "command"]))]
pub(super) struct Args {
    /// The seccomp profile, in any form that `tracer audit` reads, or a directory with a seccomp.json;
    /// FILE#NAME selects one of several
    #[arg(value_name = "PROFILE")]
    profile: PathBuf,

    /// Recordings to check: recording.json files, or their directories
    #[arg(long, value_name = "RECORDING", num_args = 1..)]
    recording: Vec<PathBuf>,

    /// Check as well what remains when a runtime intersects the profile with this baseline (KEP-6061): Docker's or
    /// CRI-O's default, or another file (repeatable)
    #[arg(long, value_name = "BASELINE", conflicts_with = "command")]
    intersect_with: Vec<PathBuf>,

    /// Container runtimes: runc, crun@1.21, a comma-separated list, or none [default: all]. A command runs
    /// as under the first one
    #[arg(long, value_name = "RUNTIME[@VERSION]")]
    runtime: Vec<RuntimeSelection>,

    /// noNewPrivileges of the containers (allowPrivilegeEscalation: false) [default: both]
    #[arg(long, value_name = "BOOL", conflicts_with = "command")]
    no_new_privileges: Option<bool>,

    /// Include interactive sessions (phase terminal)
    #[arg(long, conflicts_with = "command")]
    terminal: bool,

    /// Exit with 3 if a call is undecided
    #[arg(long)]
    require_decided: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    format: TextOrJson,

    /// Write the result to this file, `-` for standard output; required for --format json with a command
    #[arg(long = "output", short, alias = "report", value_name = "FILE")]
    report: Option<PathBuf>,

    /// Run the command as this user: a name, a uid, or uid:gid
    #[arg(long, value_name = "USER", requires = "command")]
    user: Option<String>,

    /// Run the command without the filter, and report the calls that it would have denied
    #[arg(long, requires = "command")]
    log_only: bool,

    /// Merge the observed calls into this recording (a recording.json or its directory), so that `tracer
    /// generate` allows them; use it with --log-only, since calls that the filter blocked also need
    /// --allow-blocked
    #[arg(long, value_name = "RECORDING", requires = "command")]
    update: Option<PathBuf>,

    /// Print only denials and errors
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    host: HostArgs,

    /// The command to run under the profile, and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Args {
    /// What is written; `None` when a command is to be run.
    pub(super) fn writes(&self) -> Option<Writes> {
        let files = self.report.iter().chain(&self.update);
        self.command.is_empty().then(|| Writes::to_files(files))
    }
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
    let report = offline(args, choice.clone(), &recordings)?;
    let intersections = intersections(args, &choice, &recordings)?;
    let text = match args.format {
        TextOrJson::Text => {
            let parts = intersections.iter().map(tracer_report::intersection);
            tracer_report::verification(&report, &label(&args.profile)) + &parts.collect::<String>()
        }
        TextOrJson::Json => json_text(&report, &intersections)?,
    };
    match &args.report {
        Some(file) => write(file, &text)?,
        None => super::print(text.as_bytes())?,
    }
    let verdict = match verdict(args, &report) {
        Exit::Fine if intersections.iter().any(Intersection::denies) => return Ok(Exit::No),
        verdict => verdict,
    };
    if verdict == Exit::No && !args.quiet {
        let recordings: Vec<_> = args.recording.iter().map(|path| label(path)).collect();
        say!(
            "next: to generate a profile that allows them, run: tracer generate {}",
            plain(&recordings.join(" "))
        );
    }
    Ok(verdict)
}

fn json_text(report: &Report, intersections: &[Intersection]) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(report)?;
    if let (false, Some(fields)) = (intersections.is_empty(), value.as_object_mut()) {
        fields.insert(
            "intersections".to_owned(),
            serde_json::to_value(intersections)?,
        );
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// What becomes of the profile under each baseline.
fn intersections(
    args: &Args,
    runtime_init: &RuntimeSelection,
    recordings: &[Recording],
) -> anyhow::Result<Vec<Intersection>> {
    if args.intersect_with.is_empty() {
        return Ok(Vec::new());
    }
    let profile = input::seccomp(&args.profile)?;
    let of = |path: &PathBuf| {
        let baseline = input::seccomp(path)?;
        let mut profiles = Vec::new();
        let mut filters = Vec::new();
        for native in args.host.natives(recordings)? {
            let limit = args.host.resolve(&baseline, native, recordings)?;
            let own = args.host.resolve(&profile, native, recordings)?;
            for runtime in runtimes(runtime_init) {
                let host = args.host.host(native, runtime);
                // What a runtime refuses is in the report.
                if let (Ok(own), Ok(limit)) = (Filter::new(&own, host), Filter::new(&limit, host)) {
                    filters.push((own, limit));
                }
                profiles.push(Enforced {
                    profile: limit.clone(),
                    host,
                });
            }
        }
        let names = args.recording.iter().map(|path| label(path));
        let input = VerifyInput {
            profiles,
            recordings: names.zip(recordings).collect(),
            runtime_init: runtime_init.clone(),
            no_new_privileges: args.no_new_privileges,
            terminal: args.terminal,
        };
        Ok(intersection(label(path), &input, filters))
    };
    args.intersect_with.iter().map(of).collect()
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
pub(super) fn runtimes(choice: &RuntimeSelection) -> Vec<OciRuntime> {
    let chosen = |runtime: &OciRuntime| {
        *choice == RuntimeSelection::None || choice.rows().any(|row| row.runtime == *runtime)
    };
    OciRuntime::ALL.into_iter().filter(chosen).collect()
}
