//! `tracer record`: record a command from its first call, or what runs already.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitStatus,
    time::Duration,
};

use anyhow::Context as _;
use clap::builder::NonEmptyStringValueParser;

use super::{
    Exit, Failure, attach, format, name, output, profile::ProfileArgs, progress_line::ProgressLine,
    stderr::say,
};
use crate::store::{self, OutputDirectory};
use tracer_core::recording::Recording;
use tracer_recorder::{
    bpf::{Mechanism, MechanismChoice, Settings},
    record::{
        RecordError, RunAs, command,
        signals::{ReceivedSignal, Signals},
    },
};

/// Records a command, a container or a cgroup, and writes its profile.
///
/// Runs the command in a cgroup of its own, or records containers, pods and cgroups.
#[derive(Debug, clap::Args)]
#[command(long_about = long_about())]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer record -- ls -l /\n",
    "  tracer record --name web --output profiles -- nginx -g 'daemon off;'\n",
    "  tracer record --user nobody --follow -- ./start-daemon\n",
    "  tracer record --cgroup /system.slice/redis.service --duration 10m\n",
    "  tracer record --container web\n",
    "  tracer record --container web --wait     # then: docker run --name web ...\n",
    "  tracer record --pod shop/cart-7d4b9c6f5-x2x9k --duration 1h\n",
    "  tracer record --all --duration 1h\n",
    "  tracer record --container web --until-stable 10m\n\n",
    "Exit status:\n",
    "  that of the command, 128+N when signal N ended it; 0 for what ran already; 125 tracer failed,\n",
    "  126 the command could not be run, 127 it could not be found, 2 wrong usage,\n",
    "  3 the recording is incomplete and --require-complete was given,\n",
    "  4 nothing was recorded",
))]
#[command(override_usage = concat!(
    "tracer record [OPTIONS] -- CMD [ARG]...\n",
    "       tracer record [OPTIONS] <--container <ID|NAME>|--pod <NAMESPACE/NAME>|--cgroup <PATH>|--all>...",
))]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["cgroup", "container", "pod", "all", "command"]))]
pub(super) struct Args {
    /// The workload's name, which is the name of its folder [default: the command's, the container's or the cgroup's]
    #[arg(long, value_parser = name::parse)]
    pub(super) name: Option<String>,

    /// The folder that holds a folder for each workload
    #[arg(long, short, default_value = output::DEFAULT_DIRECTORY, value_name = "DIR")]
    pub(super) output: PathBuf,

    /// End after this time (90s, 10m, 1h30m); a command gets SIGTERM, ten seconds later SIGKILL
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) duration: Option<Duration>,

    /// End when nothing new came for this long, no call and no value of an argument; with --duration, by whichever comes first
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) until_stable: Option<Duration>,

    /// Record this cgroup: its directory, or its path as in /proc/PID/cgroup
    // Not empty: an unset variable in a script must not mean the root of the hierarchy.
    #[arg(long, value_name = "PATH", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["user", "follow", "command"])]
    pub(super) cgroup: Vec<String>,

    /// Record this container: its name, or the beginning of its id
    #[arg(long, value_name = "ID|NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["user", "follow", "command"])]
    pub(super) container: Vec<String>,

    /// Record the containers of this pod, each as a workload of its own
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["user", "follow", "command"])]
    pub(super) pod: Vec<String>,

    /// Record all containers, those that run and those that are started later, until it is ended
    #[arg(long, conflicts_with_all = ["user", "follow", "command", "name"])]
    pub(super) all: bool,

    /// Wait for containers and pods that do not run yet, and record them from their first call; ends
    /// when they are gone, or with --duration then, so that restarts are recorded too
    #[arg(long, conflicts_with_all = ["user", "follow", "command", "cgroup"])]
    pub(super) wait: bool,

    /// Ask this CRI socket for the names and labels of pods [default: those of containerd, CRI-O,
    /// cri-dockerd and k3s, where they are]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["user", "follow", "command"])]
    pub(super) cri_socket: Option<PathBuf>,

    /// Run the command as this user: a name, a uid, or uid:gid
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Go on until everything the command started has ended, daemons too
    #[arg(long)]
    follow: bool,

    /// Exit with 3 when the recording cannot be called complete
    #[arg(long)]
    pub(super) require_complete: bool,

    /// No progress and no summary; warnings and errors only
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// Size in bytes of the ring that carries evidence: a power of two, at least a page
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().ring_bytes)]
    ring_size: u32,

    /// How many (container, phase, executable) can be told apart at once
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_rows)]
    max_rows: u32,

    /// How many cgroups, processes and threads under a filter can be followed at once
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_cgroups)]
    max_cgroups: u32,

    /// By what files, capabilities, sockets and signals are seen; `none` records system calls only
    #[arg(long, value_enum, default_value_t)]
    accesses: AccessSource,

    /// How many different accesses to files and the like can be told apart at once
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_accesses)]
    max_accesses: u32,

    /// Show the live line although the command writes to this terminal too
    #[arg(long, conflicts_with = "quiet")]
    live: bool,

    /// Print the kernel programs' own diagnostics to standard error
    #[arg(long)]
    kernel_log: bool,

    #[command(flatten)]
    pub(super) profile: ProfileArgs,

    /// The command to record, and its arguments
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn long_about() -> String {
    format!(
        "Records a command, a container or a cgroup, and writes its profile.\n\n\
         Runs the command in a cgroup of its own and records it from its very first call, with everything it starts; \
         or records containers, pods and cgroups: those options can be repeated, and each workload gets a folder, \
         with all its replicas and restarts in it. Writes {}, {} to OUTPUT/NAME, as far as it has something for them. \
         The command's standard output, input, signals and exit status are its own.",
        store::RECORDING_FILE,
        format::default_locations()
    )
}

/// By what accesses to files and the like are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum AccessSource {
    /// The best that this kernel offers
    #[default]
    Best,
    /// Programs on the hooks of the security modules
    Lsm,
    /// Programs at the ends of the kernel's security functions
    Fexit,
    /// The ends of system calls: some things cannot be seen
    SysExit,
    /// Not at all
    None,
}

impl AccessSource {
    const fn choice(self) -> MechanismChoice {
        match self {
            Self::Best => MechanismChoice::Best,
            Self::Lsm => MechanismChoice::Only(Mechanism::Lsm),
            Self::Fexit => MechanismChoice::Only(Mechanism::FunctionExit),
            Self::SysExit => MechanismChoice::Only(Mechanism::Exits),
            Self::None => MechanismChoice::None,
        }
    }
}

impl Args {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            ring_bytes: self.ring_size,
            max_rows: self.max_rows,
            max_cgroups: self.max_cgroups,
            discover: false,
            accesses: self.accesses.choice(),
            max_accesses: self.max_accesses,
            report_every_blocked: false,
            kernel_log: self.kernel_log,
        }
    }

    /// What is logged when RUST_LOG does not say. The kernel programs' messages carry the name of
    /// their crate.
    pub(super) const fn log_filter(&self) -> &'static str {
        if self.kernel_log {
            "warn,tracer_kernel=debug"
        } else {
            "warn"
        }
    }
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    // One thread: what is recorded gets the other processors.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
        .map_err(failed)?;
    runtime.block_on(async {
        let mut signals = Signals::catch()
            .context("cannot catch signals")
            .map_err(failed)?;
        if args.command.is_empty() {
            attach::record(&args, &mut signals).await
        } else {
            record_command(args, &mut signals).await
        }
    })
}

async fn record_command(args: Args, signals: &mut Signals) -> Result<Exit, Failure> {
    let settings = args.settings();
    let options = args.profile.settings()?;
    let name = args
        .name
        .unwrap_or_else(|| name::from_command(&args.command.first().cloned().unwrap_or_default()));
    let directory = args.output.join(&name);
    let user = args
        .user
        .as_deref()
        .map(RunAs::resolve)
        .transpose()
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    // Opened before the command starts: what it does to the path then changes nothing.
    let output = OutputDirectory::open(&args.output).map_err(failed)?;
    output.check(&name).map_err(failed)?;

    // A line that is drawn over and over would spoil what the command prints on the same terminal.
    let mut live = ProgressLine::new(args.quiet, args.live || !io::stdout().is_terminal());
    let request = command::Request {
        name,
        command: args.command,
        user,
        follow: args.follow,
        duration: args.duration,
        until_stable: args.until_stable,
        filter: None,
        settings,
    };
    let (recording, status) = command::run(request, signals, &mut live)
        .await
        .map_err(record_failure)?;
    live.clear();
    if !recording.has_program() {
        output::nothing(&recording);
        return Ok(Exit::Nothing);
    }
    warn_of_failure(status);
    let mut ends = || signals.pending().is_some_and(ReceivedSignal::asks_to_end);
    output::write(&output, &recording, &options, &mut ends).map_err(failed)?;
    output::summary(&directory, &recording, args.quiet);
    Ok(verdict(
        &recording,
        args.require_complete,
        Exit::from_status(status),
    ))
}

/// Says first of all that a command failed: its profile would be taken for one of all its work. Not of one
/// that was told to end.
fn warn_of_failure(status: ExitStatus) {
    use std::os::unix::process::ExitStatusExt as _;

    use nix::sys::signal::Signal;

    const ASKS: [Signal; 4] = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGKILL,
        Signal::SIGTERM,
    ];
    let was_asked = status
        .signal()
        .is_some_and(|signal| ASKS.iter().any(|it| *it as i32 == signal));
    if !status.success() && !was_asked {
        say!(
            "warning: the command failed ({status}); the profile holds only what it did until then"
        );
    }
}

/// The exit that a recording earns, when everything else went well.
pub(super) fn verdict(recording: &Recording, require_complete: bool, otherwise: Exit) -> Exit {
    if require_complete && !recording.coverage.complete {
        Exit::No
    } else {
        otherwise
    }
}

pub(super) fn failed(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Exit::RecordFailed, error)
}

pub(super) fn record_failure(error: RecordError) -> Failure {
    let exit = match &error {
        // As `env` has it: the file that the kernel did not find is the interpreter.
        RecordError::NotFound(_) | RecordError::NoInterpreter(_) => Exit::NotFound,
        RecordError::NotExecutable { .. } => Exit::NotExecutable,
        _ => Exit::RecordFailed,
    };
    Failure::new(exit, error)
}

/// A span as people write it: `90s`, `10m`, `1h 30m`, `2d`; a bare number is refused, since nothing
/// says whether it means seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const SENTENCE: &str = "give a time such as 90s, 10m or 1h30m";
    let span: jiff::SignedDuration = text.parse().map_err(|_| SENTENCE.to_owned())?;
    Duration::try_from(span)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| SENTENCE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_human_durations() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        for wrong in ["", "10", "-5s", "0s", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
