//! `tracer record`: record a command from its first call, or what runs already.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use clap::builder::NonEmptyStringValueParser;

use super::{
    Exit, Failure, apparmor_parser,
    attach::{self, Plan, Saving},
    format, name, output,
    previous::PreviousArgs,
    profile::ProfileArgs,
    progress_line::{ProgressLine, View},
    record_gvisor::{self, GvisorArgs},
    recover,
    saving::Keeper,
    stderr::say,
};
use crate::store::{self, OutputDirectory};
use tracer_core::agent::Span;
use tracer_recorder::{
    bpf::{Mechanism, MechanismChoice, Settings},
    confine::profile::Calls,
    record::{RecordError, RunAs, command, signals::Signals},
};

/// Record a command, container, pod or cgroup, and write its profile.
///
/// Runs the command in its own cgroup, or records containers, pods and cgroups.
#[derive(Debug, clap::Args)]
#[command(long_about = long_about())]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer record -- ls -l /\n",
    "  tracer record --name web --output-dir profiles -- nginx -g 'daemon off;'\n",
    "  tracer record --user nobody --follow -- ./start-daemon\n",
    "  tracer record --cgroup /system.slice/redis.service --duration 10m\n",
    "  tracer record --container web\n",
    "  tracer record --container web --wait     # then: docker run --name web ...\n",
    "  tracer record --pod shop/cart-7d4b9c6f5-x2x9k --duration 1h\n",
    "  tracer record --all --duration 1h\n",
    "  tracer record --container web --until-stable 10m\n",
    "  tracer record --gvisor -- runsc run --bundle . web\n\n",
    "Exit status:\n",
    "  the status of the command (128+N if signal N ended it), 0 for containers, pods and cgroups;\n",
    "  125 tracer failed, 126 the command cannot be executed, 127 the command was not found,\n",
    "  2 wrong usage, 3 the recording is incomplete and --require-complete was given,\n",
    "  4 nothing was recorded",
))]
#[command(override_usage = concat!(
    "tracer record [OPTIONS] -- CMD [ARG]...\n",
    "       tracer record [OPTIONS] --gvisor -- runsc [OPTION]... <run|create|do> [ARG]...\n",
    "       tracer record [OPTIONS] <--container <ID|NAME>|--pod <NAMESPACE/NAME>|--cgroup <PATH>|--all>...",
))]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["cgroup", "container", "pod", "all", "command"]))]
pub(super) struct Args {
    /// Name of the workload and of its directory [default: from the command, container or cgroup]
    #[arg(long, value_parser = name::parse)]
    pub(super) name: Option<String>,

    /// Directory that holds a directory for each workload
    #[arg(
        long = "output-dir",
        short,
        alias = "output",
        default_value = output::DEFAULT_DIRECTORY,
        value_name = "DIR"
    )]
    pub(super) output: PathBuf,

    /// Stop after this time (90, 90s, 10m, 1h30m, 1d); a command gets SIGTERM, ten seconds later SIGKILL
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) duration: Option<Duration>,

    /// Stop when no new call or argument value appeared for this long
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(super) until_stable: Option<Duration>,

    /// Record this cgroup: its directory, or its path from /proc/PID/cgroup (repeatable)
    // Not empty: an unset variable in a script must not mean the root of the hierarchy.
    #[arg(long, value_name = "PATH", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["user", "follow", "command"])]
    pub(super) cgroup: Vec<String>,

    /// Record this container: its name, or the beginning of its id (repeatable)
    #[arg(long, value_name = "ID|NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["user", "follow", "command"])]
    pub(super) container: Vec<String>,

    /// Record the containers of this pod, each as its own workload (repeatable)
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["user", "follow", "command"])]
    pub(super) pod: Vec<String>,

    /// Record all containers, running ones and those that start later, until stopped
    #[arg(long, conflicts_with_all = ["user", "follow", "command", "name"])]
    pub(super) all: bool,

    /// Wait for containers and pods that are not running yet, and record them from their first system call;
    /// stops when they exit, or after --duration, which also records restarts
    #[arg(long, conflicts_with_all = ["user", "follow", "command", "cgroup"])]
    pub(super) wait: bool,

    /// CRI socket for names and labels of pods [default: those of containerd, CRI-O, cri-dockerd, k3s and
    /// RKE2]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["user", "follow", "command"])]
    pub(super) cri_socket: Option<PathBuf>,

    /// Run the command as this user: a name, a uid, or uid:gid
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Continue until everything that the command started has exited, including daemons
    #[arg(long)]
    follow: bool,

    /// Exit with 3 if the recording is incomplete
    #[arg(long)]
    pub(super) require_complete: bool,

    /// Print only warnings and errors
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// Size of the ring buffer for first-seen details: a power of two, at least a page
    #[arg(long, value_name = "BYTES", default_value_t = Settings::default().ring_bytes)]
    ring_size: u32,

    /// Maximum number of tracked (container, phase, executable) combinations
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_rows)]
    max_rows: u32,

    /// Maximum number of followed cgroups, processes and threads under a filter
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_cgroups)]
    max_cgroups: u32,

    /// How file, capability, socket and signal use is recorded; `none` records system calls only
    #[arg(long, value_enum, default_value_t)]
    accesses: AccessSource,

    /// Maximum number of different accesses to files and the like
    #[arg(long, value_name = "N", default_value_t = Settings::default().max_accesses)]
    max_accesses: u32,

    /// Record what the SELinux policy does not allow this type, which `tracer selinux domain` prints. A command
    /// is started in it; containers are to be started in it
    #[arg(long, value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    selinux_type: Option<String>,

    /// Show the progress line although the command writes to the same terminal
    #[arg(long, conflicts_with = "quiet")]
    live: bool,

    /// Print the messages of tracer's kernel programs
    #[arg(long, hide_long_help = true)]
    kernel_log: bool,

    #[command(flatten)]
    pub(super) gvisor: GvisorArgs,

    #[command(flatten)]
    pub(super) previous: PreviousArgs,

    #[command(flatten)]
    pub(super) profile: ProfileArgs,

    /// The command to record, and its arguments
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn long_about() -> String {
    format!(
        "Record a command, container, pod or cgroup, and write its profile.\n\n\
         A command runs in its own cgroup and is recorded from its first system call, with everything that it starts. \
         --container, --pod and --cgroup can be repeated; each workload gets a directory for all its replicas and restarts. \
         Writes {}, {} to DIR/NAME, as far as the recording has data for them. \
         The command keeps its standard streams, signals and exit status.",
        store::RECORDING_FILE,
        format::default_locations()
    )
}

/// How accesses to files and the like are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum AccessSource {
    /// The best mechanism of this kernel
    #[default]
    Best,
    /// BPF LSM hooks
    Lsm,
    /// Exits of the kernel's security functions (fexit)
    Fexit,
    /// System call exits; some accesses cannot be observed
    SysExit,
    /// Record system calls only
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
            selinux_type: self.selinux_type.clone(),
        }
    }

    /// What becomes of the recording.
    pub(super) fn saving(&self) -> Result<Saving, Failure> {
        Ok(Saving {
            output: self.output.clone(),
            settings: self.profile.settings()?,
            previous: self.previous,
            quiet: self.quiet,
            require_complete: self.require_complete,
            observer: None,
        })
    }

    /// Whether the progress line is wanted in any case.
    pub(super) const fn is_live(&self) -> bool {
        self.live
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
    // Before there is another thread, and before programs may not be started any more.
    apparmor_parser::start_broker();
    let runtime = crate::cli::runtime::one_thread().map_err(failed)?;
    runtime.block_on(async {
        let caught = if args.command.is_empty() {
            Signals::catch_without_command()
        } else {
            Signals::catch()
        };
        let mut signals = caught.context("cannot catch signals").map_err(failed)?;
        if args.gvisor.is_given() {
            let mut args = args;
            let command = std::mem::take(&mut args.command);
            record_gvisor::record(args, command, &mut signals).await
        } else if args.command.is_empty() {
            attach::record(&args, &mut signals).await
        } else {
            record_command(args, &mut signals).await
        }
    })
}

async fn record_command(args: Args, signals: &mut Signals) -> Result<Exit, Failure> {
    let saving = args.saving()?;
    let settings = args.settings();
    let name = args
        .name
        .unwrap_or_else(|| name::from_command(&args.command));
    let user = args
        .user
        .as_deref()
        .map(RunAs::resolve)
        .transpose()
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let plan = Plan {
        saving,
        request: command::Request {
            name,
            command: args.command,
            user,
            follow: args.follow,
            duration: args.duration,
            until_stable: args.until_stable,
            filter: None,
            settings,
        },
    };
    // A line that is drawn over and over would spoil what the command prints on the same terminal.
    let mut live = ProgressLine::new(args.quiet, args.live || !io::stdout().is_terminal());
    run_command(plan, signals, &mut live).await
}

/// Records a command as planned, and keeps its recording.
pub(super) async fn run_command(
    plan: Plan<command::Request>,
    signals: &mut Signals,
    live: &mut dyn View,
) -> Result<Exit, Failure> {
    let Plan { request, saving } = plan;
    // Opened before the command starts: what it does to the path then changes nothing.
    let output = OutputDirectory::open(&saving.output).map_err(failed)?;
    output.check(&request.name).map_err(failed)?;
    recover::before_recording(&output, |it| it == request.name, saving.quiet);
    let mut keeper = Keeper::new(output, saving.settings, saving.previous, Calls::Record)
        .observed_by(saving.observer);
    // When it fails, a checkpoint may be all there is: it stays.
    let (recording, status) = command::run(request, signals, &mut keeper, live)
        .await
        .map_err(record_failure)?;
    live.clear();
    if !recording.has_program() {
        output::nothing(&recording);
        return Ok(Exit::Nothing);
    }
    warn_of_failure(&recording);
    let saved = keeper.finish(vec![recording], signals, saving.quiet);
    let exit = saved.verdict(saving.require_complete, Exit::from_status(status));
    saved.failure.map_or(Ok(exit), Err)
}

/// Says first of all that a command failed: its profile would be taken for one of all its work.
fn warn_of_failure(recording: &tracer_core::recording::Recording) {
    if let Some(failure) = tracer_report::words::failure(recording) {
        say!("warning: {failure}");
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

/// A span as people write it: `90` (seconds), `90s`, `10m`, `1h 30m`, `2d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Span>().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_needs_no_dashes_before_it() {
        use clap::Parser as _;

        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        for line in ["record ls -l", "record -- ls -l", "record --name x ls -l"] {
            let line = Line::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(line.args.command, ["ls", "-l"]);
        }
        // A misspelt flag is not the command.
        assert!(Line::try_parse_from("record --nmae x ls".split(' ')).is_err());
    }

    #[test]
    fn parses_human_durations() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration("1d12h"), Ok(Duration::from_secs(129_600)));
        for wrong in ["", "0", "d", "1.5d", "-1d", "-5s", "0s", "0d", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
