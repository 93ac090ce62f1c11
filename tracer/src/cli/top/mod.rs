//! `tracer top`: record, and show on a screen of its own what comes of it. `state` holds what is shown, `feed` fills
//! it, `draw` draws it, `screen` has the terminal.

mod draw;
mod feed;
mod keys;
mod screen;
mod spooled;
mod state;

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
    name, output,
    previous::PreviousArgs,
    progress_line::{ProgressLine, View},
    record::{self, duration, failed},
    spool::SpoolArgs,
    stderr::say,
    text_or_json::TextOrJson,
};
use feed::{EventLines, Feed};
use screen::Screen;
use state::Shared;
use tracer_recorder::{
    bpf::Settings,
    record::{
        attach::{Naming, RecordTarget, Request},
        command,
        signals::Signals,
    },
};

/// Record, and show what is new and how risky it is as it happens.
///
/// Records all containers, or those that are given, as "tracer record" does, and writes the same files when it ends.
/// The screen shows the workloads, what each did for the first time with its risk, how long nothing was new, and
/// what was lost.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Keys:\n",
    "  q, Ctrl-C  save and quit\n",
    "  Up, Down   show one workload; Esc shows all\n",
    "  r          show risky observations only\n",
    "  s          sort workloads by risk, name, or the latest news\n",
    "  PgUp, PgDn scroll\n\n",
    "Without a terminal it prints one line a minute.\n\n",
    "Examples:\n",
    "  tracer top\n",
    "  tracer top --container web --wait\n",
    "  tracer top --until-stable 10m -- ./server\n",
    "  tracer top --spool                   # what the agent on this host records\n",
    "  tracer top --format json --duration 1h > events.jsonl",
))]
#[command(override_usage = concat!(
    "tracer top [OPTIONS]\n",
    "       tracer top [OPTIONS] -- CMD [ARG]...\n",
    "       tracer top --spool [--spool-directory <DIR>]",
))]
pub(super) struct Args {
    /// Record this container: its name, or the beginning of its id (repeatable)
    #[arg(long, value_name = "ID|NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "command")]
    container: Vec<String>,

    /// Record the containers of this pod, each as its own workload (repeatable)
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "command")]
    pod: Vec<String>,

    /// Record this cgroup: its directory, or its path from /proc/PID/cgroup (repeatable)
    #[arg(long, value_name = "PATH", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = ["command", "wait"])]
    cgroup: Vec<String>,

    /// Record all containers, running ones and those that start later; the default
    #[arg(long, conflicts_with = "command")]
    all: bool,

    /// Wait for containers and pods that are not running yet
    #[arg(long, conflicts_with = "command")]
    wait: bool,

    /// Show what the agent on this host has recorded, and record nothing
    #[arg(long, conflicts_with_all = ["command", "container", "pod", "cgroup", "all", "wait", "format"])]
    spool: bool,

    #[command(flatten)]
    agent: SpoolArgs,

    /// Name of the workload and of its directory [default: from the command, container or cgroup]
    #[arg(long, value_parser = name::parse)]
    name: Option<String>,

    /// Directory that holds a directory for each workload
    #[arg(long, short, default_value = output::DEFAULT_DIRECTORY, value_name = "DIR")]
    output_dir: PathBuf,

    /// Stop after this time (90, 90s, 10m, 1h30m, 1d)
    #[arg(long, value_parser = duration, value_name = "TIME")]
    duration: Option<Duration>,

    /// Stop when no new call or argument value appeared for this long
    #[arg(long, value_parser = duration, value_name = "TIME")]
    until_stable: Option<Duration>,

    /// What to show: a screen, or JSON lines: one object for each new observation
    #[arg(long, value_enum, default_value_t)]
    format: TextOrJson,

    #[command(flatten)]
    previous: PreviousArgs,

    /// The command to record, and its arguments. Its output is shown on the screen; its standard input is empty
    #[arg(trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    if args.spool {
        return spooled::run(&args.agent);
    }
    if args.format == TextOrJson::Json && !args.command.is_empty() {
        let error = anyhow::anyhow!(
            "the command writes to standard output too; use tracer watch --format json --output FILE -- CMD"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
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
        let shown = show(&args)?;
        record(args, shown, &mut signals).await
    })
}

/// What tells of a recording, and what sees it grow.
struct Shown {
    view: Box<dyn View>,
    observer: Option<Box<dyn super::saving::Observer>>,
}

/// The screen; JSON lines; or a line a minute where there is no terminal.
fn show(args: &Args) -> Result<Shown, Failure> {
    if args.format == TextOrJson::Json {
        return Ok(Shown {
            view: Box::new(ProgressLine::new(false, true)),
            observer: Some(Box::new(EventLines::new())),
        });
    }
    if let Some(why) = no_screen() {
        say!("{why}, so there is no screen: one line a minute is printed");
        return Ok(Shown {
            view: Box::new(ProgressLine::new(false, true)),
            observer: None,
        });
    }
    let state = Shared::default();
    let screen = Screen::open(state.clone(), !args.command.is_empty());
    Ok(Shown {
        view: Box::new(screen.context("cannot use the terminal").map_err(failed)?),
        observer: Some(Box::new(Feed::new(state))),
    })
}

/// Why there can be no screen.
fn no_screen() -> Option<&'static str> {
    if !io::stdout().is_terminal() {
        return Some("standard output is not a terminal");
    }
    if std::env::var_os("TERM").is_none_or(|it| it.is_empty() || it == "dumb") {
        return Some("TERM names no terminal that can be drawn on");
    }
    screen::is_background().then_some("tracer runs in the background")
}

async fn record(args: Args, shown: Shown, signals: &mut Signals) -> Result<Exit, Failure> {
    let Shown { mut view, observer } = shown;
    let saving = Saving {
        output: args.output_dir,
        settings: super::profile::ProfileArgs::default().settings()?,
        previous: args.previous,
        quiet: false,
        require_complete: false,
        observer,
    };
    if args.command.is_empty() {
        let is_all = args.cgroup.is_empty() && args.container.is_empty() && args.pod.is_empty();
        let wanted: Vec<RecordTarget> =
            attach::targets(&args.cgroup, &args.container, &args.pod, args.all || is_all)
                .map_err(|error| Failure::new(Exit::Usage, error))?;
        let request = Request {
            wanted,
            wait: args.wait,
            duration: args.duration,
            until_stable: args.until_stable,
            cri_socket: None,
            naming: Naming {
                given: args.name,
                clean: name::from_path,
            },
            settings: Settings::default(),
        };
        attach::run(Plan { request, saving }, signals, &mut *view).await
    } else {
        let name = args.name;
        let request = command::Request {
            name: name.unwrap_or_else(|| name::from_command(&args.command)),
            command: args.command,
            user: None,
            follow: false,
            duration: args.duration,
            until_stable: args.until_stable,
            filter: None,
            settings: Settings::default(),
        };
        record::run_command(Plan { request, saving }, signals, &mut *view).await
    }
}
