//! `tracer watch`: what a workload does that profiles which are not enforced would deny, or that an accepted
//! recording does not have.

mod denials;
mod expected;
mod reporter;

pub(super) use denials::warn_of_unlogged;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::builder::NonEmptyStringValueParser;

use super::{
    Exit, Failure, attach,
    input::HostArgs,
    name,
    record::{duration, failed, record_failure},
    stderr::say,
};
pub(super) use reporter::Output as EventOutput;
use reporter::{Output, Reporter};
use syscalls::runtime_init::RuntimeSelection;
use tracer_core::shadow::{Shadow, Summary, Suppression};
use tracer_recorder::{
    bpf::Settings,
    confine::profile::Calls,
    record::{
        Progress, ProgressListener, RunAs,
        attach::{Attachment, Ended, Naming, Request},
        command,
        signals::Signals,
    },
};

/// The longest file of suppressions.
const MAX_SUPPRESSIONS: u64 = 1 << 20;

/// Report what a profile would deny, without enforcing it, and what is new.
///
/// Records a command, containers, pods or cgroups as `tracer record` does, and loads no profile. Within a second
/// of the first time that something is done, tracer evaluates it against each PROFILE and prints one line if it
/// would be denied: once for each workload, program and thing. A recording as PROFILE reports what it does not
/// have (drift). Losses are reported too. At the end there is a summary; nothing is saved.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer watch seccomp.json apparmor.profile --container web\n",
    "  tracer watch profiles-out --all --format json\n",
    "  tracer watch profiles-out/web/recording.json --container web    # drift\n",
    "  tracer watch seccomp.json -- ./server --self-test\n",
    "  tracer watch --denials --container web\n",
    "  tracer watch profiles-out --pod shop/cart --suppress 'kind=files what=/tmp/*'\n\n",
    "Exit status:\n",
    "  3 something would be denied, was denied, or is new, and was not suppressed; otherwise the status of\n",
    "  the command, or 0; 4 nothing was recorded; 2 wrong usage, 125 tracer failed, 126 the command cannot\n",
    "  be executed, 127 the command was not found",
))]
#[command(override_usage = concat!(
    "tracer watch [OPTIONS] <PROFILE>... <--container <ID|NAME>|--pod <NAMESPACE/NAME>|--cgroup <PATH>|--all>...\n",
    "       tracer watch [OPTIONS] <PROFILE>... -- CMD [ARG]...\n",
    "       tracer watch [OPTIONS] --denials [--container <ID|NAME>|--pod <NAMESPACE/NAME>|--cgroup <PATH>]...",
))]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["cgroup", "container", "pod", "all", "command", "denials"]))]
pub(super) struct Args {
    /// A seccomp or AppArmor profile in any form that `tracer audit` reads (FILE#NAME selects one of several), a
    /// workload's directory or a directory of them (each workload is judged by its own profiles), or a recording
    #[arg(value_name = "PROFILE", required_unless_present = "denials")]
    profile: Vec<PathBuf>,

    /// Watch this cgroup: its directory, or its path from /proc/PID/cgroup (repeatable)
    #[arg(long, value_name = "PATH", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "command")]
    cgroup: Vec<String>,

    /// Watch this container: its name, or the beginning of its id (repeatable)
    #[arg(long, value_name = "ID|NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "command")]
    container: Vec<String>,

    /// Watch the containers of this pod (repeatable)
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "command")]
    pod: Vec<String>,

    /// Watch all containers, running ones and those that start later, until stopped
    #[arg(long, conflicts_with = "command")]
    all: bool,

    /// Report what seccomp, AppArmor and SELinux deny or log, from the kernel's audit records, instead: of the
    /// containers, pods and cgroups that are given, or of everything. Nothing is recorded
    #[arg(long, conflicts_with_all = ["profile", "command", "wait"])]
    denials: bool,

    /// Wait for containers and pods that are not running yet
    #[arg(long, conflicts_with_all = ["command", "cgroup"])]
    wait: bool,

    /// CRI socket for names and labels of pods [default: those of containerd, CRI-O, cri-dockerd, k3s and
    /// RKE2]
    #[arg(long, value_name = "PATH", conflicts_with = "command")]
    cri_socket: Option<PathBuf>,

    /// Name of the command's workload, by which its profiles are picked from a directory [default: from the
    /// command]
    #[arg(long, value_parser = name::parse, requires = "command")]
    name: Option<String>,

    /// Run the command as this user: a name, a uid, or uid:gid
    #[arg(long, value_name = "USER", requires = "command")]
    user: Option<String>,

    /// Stop after this time (90, 90s, 10m, 1h30m, 1d)
    #[arg(long, value_parser = duration, value_name = "TIME")]
    duration: Option<Duration>,

    /// Output format: lines of text, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Write events to this file instead of standard output; required for --format json with a command, whose
    /// standard output is its own
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Leave out events that match: KEY=GLOB pairs, such as 'kind=files what=/tmp/*' (repeatable). Keys:
    /// workload, executable, event, kind, what, detail, profile, severity
    #[arg(long, value_name = "PATTERN")]
    suppress: Vec<Suppression>,

    /// File of such patterns, one a line; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,

    /// Container runtimes to evaluate seccomp profiles for: runc, crun@1.21, or a comma-separated list
    /// [default: all]
    #[arg(long, value_name = "RUNTIME[@VERSION]")]
    runtime: Vec<RuntimeSelection>,

    /// Directory of the files that AppArmor profiles include
    #[arg(long, value_name = "DIR", default_value = "/etc/apparmor.d")]
    apparmor_root: PathBuf,

    /// Maximum number of different accesses to files and the like
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_accesses)]
    max_accesses: u32,

    /// Print events and errors only
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    host: HostArgs,

    /// The command to watch, and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Text
    Text,
    /// JSON lines
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.format == Format::Json && args.output.is_none() && !args.command.is_empty() {
        let error = anyhow::anyhow!(
            "the command writes to standard output; give a file for the events with --output"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    let output = Output::open(args).map_err(failed)?;
    let shadow = Shadow::new(
        expected::read(args).map_err(failed)?,
        suppressions(args).map_err(failed)?,
    );
    let runtime = crate::cli::runtime::one_thread().map_err(failed)?;
    runtime.block_on(async {
        if args.command.is_empty() {
            let signals = Signals::catch_without_command();
            let mut signals = signals.context("cannot catch signals").map_err(failed)?;
            match args.denials {
                true => denials::watch(args, output, &mut signals).await,
                false => attached(args, shadow, output, &mut signals).await,
            }
        } else {
            let mut signals = Signals::catch()
                .context("cannot catch signals")
                .map_err(failed)?;
            with_command(args, shadow, output, &mut signals).await
        }
    })
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            max_accesses: self.max_accesses,
            ..Settings::default()
        }
    }
}

/// What was typed and what is in the file.
fn suppressions(args: &Args) -> anyhow::Result<Vec<Suppression>> {
    let mut all = args.suppress.clone();
    if let Some(file) = &args.suppressions {
        let bytes = crate::store::read_up_to(file, MAX_SUPPRESSIONS)
            .with_context(|| format!("cannot read {}", file.display()))?;
        anyhow::ensure!(
            bytes.len() as u64 <= MAX_SUPPRESSIONS,
            "{} is longer than 1 MiB",
            file.display()
        );
        let of_file = Suppression::from_file(&String::from_utf8_lossy(&bytes));
        all.extend(of_file.with_context(|| file.display().to_string())?);
    }
    Ok(all)
}

async fn attached(
    args: &Args,
    shadow: Shadow,
    output: Output,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let wanted = attach::targets(&args.cgroup, &args.container, &args.pod, args.all)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let request = Request {
        wanted,
        wait: args.wait,
        duration: args.duration,
        until_stable: None,
        cri_socket: args.cri_socket.clone(),
        naming: Naming {
            given: None,
            clean: name::from_path,
        },
        settings: args.settings(),
    };
    let mut listener = Listener { quiet: args.quiet };
    let attachment = Attachment::begin(request, &mut listener)
        .await
        .map_err(record_failure)?;
    let asks = args.all || !args.container.is_empty() || !args.pod.is_empty();
    let calls = if asks {
        Calls::RecordAndAsk
    } else {
        Calls::Record
    };
    let mut reporter = Reporter::start(shadow, output, calls).map_err(failed)?;
    let (recordings, ended) = attachment
        .run(signals, &mut reporter, &mut listener)
        .await
        .map_err(record_failure)?;
    let summary = reporter.finish(recordings).map_err(failed)?;
    match ended {
        Ended::Failed(error) => Err(record_failure(error)),
        Ended::Asked | Ended::Removed => Ok(verdict(&summary, Exit::Fine)),
    }
}

async fn with_command(
    args: &Args,
    shadow: Shadow,
    output: Output,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let user = args.user.as_deref().map(RunAs::resolve).transpose();
    let user = user.map_err(|error| Failure::new(Exit::Usage, error))?;
    let name = args.name.clone();
    let request = command::Request {
        name: name.unwrap_or_else(|| name::from_command(&args.command)),
        command: args.command.clone(),
        user,
        follow: false,
        duration: args.duration,
        until_stable: None,
        filter: None,
        settings: args.settings(),
    };
    let mut reporter = Reporter::start(shadow, output, Calls::Record).map_err(failed)?;
    let mut listener = Listener { quiet: args.quiet };
    let (recording, status) = command::run(request, signals, &mut reporter, &mut listener)
        .await
        .map_err(record_failure)?;
    let summary = reporter.finish(vec![recording]).map_err(failed)?;
    Ok(verdict(&summary, Exit::from_status(status)))
}

fn verdict(summary: &Summary, otherwise: Exit) -> Exit {
    if summary.has_findings() {
        Exit::No
    } else if summary.workloads.is_empty() {
        say!("nothing ran that was asked for");
        Exit::Nothing
    } else {
        otherwise
    }
}

/// Says on standard error what is watched.
struct Listener {
    quiet: bool,
}

impl ProgressListener for Listener {
    fn began(&mut self, what: &str) {
        if !self.quiet {
            say!("watching {what}");
        }
    }

    fn waits(&mut self) {
        if !self.quiet {
            say!("waiting for it to start (Ctrl-C to stop)");
        }
    }

    fn note(&mut self, text: &str) {
        say!("{text}");
    }

    fn ends(&mut self, why: &str) {
        if !self.quiet {
            say!("{why}");
        }
    }

    fn progress(&mut self, _: &Progress) {}
}
