//! `tracer agent`: record all containers of a node continuously, and keep what is recorded in a spool.

mod keeper;
mod listener;
mod metric_families;
mod metrics;
mod names;
mod notify;
mod policy;
mod serve;
pub(super) mod settings;
mod ship;
mod ship_worker;
mod spooler;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::Duration,
};

use anyhow::Context as _;
use clap::Subcommand;

use super::{
    Exit, Failure, name, print,
    record::{failed, record_failure},
    stderr::{self, say},
};
use crate::store::Spool;
use keeper::SpoolKeeper;
use listener::AgentListener;
use metrics::Metrics;
use notify::Notifier;
use policy::{Policy, in_force};
use serve::Server;
use settings::SettingsArgs;
use ship::{Order, Ship};
use tracer_core::agent::{AccessSource, Configuration, LogFormat};
use tracer_recorder::{
    bpf::{Mechanism, MechanismChoice, Settings as Kernel},
    container::Selector,
    record::{
        NameSource,
        attach::{Attachment, Ended, Naming, RecordTarget, Request},
        signals::Signals,
    },
};

/// Record all containers of this node continuously, into a spool.
///
/// The settings come from a file, the environment and flags; SIGHUP reads them again. `tracer spool` lists what was
/// recorded, and `tracer rollout status` says when a profile may be enforced.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer agent --config /etc/tracer/agent.toml\n",
    "  tracer agent --include namespace=shop --listen 127.0.0.1:9465\n",
    "  tracer agent check --config agent.toml\n",
    "  systemctl enable --now tracer-agent",
))]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    settings: SettingsArgs,
}

/// How long threads may take to end that only look at something.
const END: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the settings, or say what is wrong with them (exit status 2)
    Check(Box<CheckArgs>),
    /// Ship the recordings of an agent, which tells what on standard input
    #[command(hide = true)]
    Ship,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    let usage = |error| Failure::new(Exit::Usage, error);
    if let Some(Command::Check(args)) = &args.command {
        let settings = args.settings.load().map_err(usage)?;
        print(check_text(&args.settings, &settings)?.as_bytes())?;
        return Ok(Exit::Fine);
    }
    if matches!(args.command, Some(Command::Ship)) {
        return ship_worker::run();
    }
    let settings = args.settings.load().map_err(usage)?;
    stderr::use_json(settings.log_format == LogFormat::Json);
    let runtime = crate::cli::runtime::one_thread().map_err(failed)?;
    let ended = runtime.block_on(record(args.settings, settings));
    // All is written. Whoever still looks for a runtime's sockets is not waited for.
    runtime.shutdown_timeout(END);
    ended
}

fn check_text(args: &SettingsArgs, settings: &Configuration) -> anyhow::Result<String> {
    let from = settings::describe(args);
    Ok(format!(
        "# The settings in force, from {from}, variables and flags.\n{}",
        toml::to_string(settings)?
    ))
}

async fn record(args: SettingsArgs, settings: Configuration) -> Result<Exit, Failure> {
    let mut signals = Signals::catch_without_command()
        .context("cannot catch signals")
        .map_err(failed)?;
    let request = request(&settings);
    let order = Order::from_settings(&settings).map_err(failed)?;
    let metrics = Arc::new(Metrics::new(settings.metrics_workloads));
    // What cannot be had is said now and not after an hour.
    let spool = Spool::begin(Path::new(&settings.spool.directory)).map_err(failed)?;
    let server = server(&settings).map_err(failed)?;
    let notifier = notifier();
    let shared = Arc::new(RwLock::new(settings));
    let mut keeper = SpoolKeeper::new(spool, Arc::clone(&shared), Arc::clone(&metrics));
    let (policy, reloader) = Policy::new(
        Arc::clone(&shared),
        Arc::clone(&notifier),
        Arc::clone(&metrics),
    );
    let mut listener = AgentListener;
    let (names, names_process) = match names::of(&in_force(&shared).kubernetes) {
        Some((names, process)) => (Some(Box::new(names) as Box<dyn NameSource>), Some(process)),
        None => (None, None),
    };
    let attachment = Attachment::supervised(request, Box::new(policy), names, &mut listener)
        .await
        .map_err(record_failure)?;
    // Threads only now: the processes that were started meanwhile are copies of this one.
    reloader
        .start(args)
        .context("cannot start the thread that reads settings")
        .map_err(failed)?;
    if let Some(process) = names_process {
        process
            .start()
            .context("cannot start the thread that asks for names")
            .map_err(failed)?;
    }
    if let Some(server) = server {
        server
            .start(Arc::clone(&metrics))
            .context("cannot start the thread that serves metrics")
            .map_err(failed)?;
    }
    let ship = order
        .map(|order| Ship::start(order, Arc::clone(&metrics)))
        .transpose()
        .context("cannot start the thread that ships")
        .map_err(failed)?;
    metrics.ready();
    notifier.ready();
    let directory = in_force(&shared).spool.directory;
    say!("recording containers into {directory}");
    let run = attachment.run(&mut signals, &mut keeper, &mut listener);
    let (recordings, ended) = match run.await {
        Ok(ended) => ended,
        Err(error) => {
            // What was handed over before is written all the same.
            keeper.finish(Vec::new());
            ship.into_iter().for_each(Ship::finish);
            return Err(record_failure(error));
        }
    };
    notifier.stopping();
    let is_written = keeper.finish(recordings);
    ship.into_iter().for_each(Ship::finish);
    match ended {
        Ended::Failed(error) => Err(record_failure(error)),
        Ended::Asked | Ended::Removed if is_written => {
            say!("stopped; the recordings are in {directory}");
            Ok(Exit::Fine)
        }
        Ended::Asked | Ended::Removed => Err(failed(anyhow::anyhow!(
            "not all that was recorded could be written to the spool {directory}"
        ))),
    }
}

fn server(settings: &Configuration) -> anyhow::Result<Option<Server>> {
    let listen = settings.listen.as_str();
    if listen.is_empty() {
        return Ok(None);
    }
    let server = Server::bind(listen);
    server.map(Some).with_context(|| {
        format!("cannot serve metrics at {listen}; choose another place with --listen")
    })
}

fn notifier() -> Arc<Notifier> {
    let notifier = Notifier::from_environment().unwrap_or_else(|error| {
        say!("cannot reach the service manager: {error}");
        Notifier::default()
    });
    Arc::new(notifier)
}

/// What is recorded: everything, by the settings of the kernel side.
fn request(settings: &Configuration) -> Request {
    let accesses = match settings.accesses {
        AccessSource::Best => MechanismChoice::Best,
        AccessSource::Lsm => MechanismChoice::Only(Mechanism::Lsm),
        AccessSource::Fexit => MechanismChoice::Only(Mechanism::FunctionExit),
        AccessSource::SysExit => MechanismChoice::Only(Mechanism::Exits),
        AccessSource::None => MechanismChoice::None,
    };
    Request {
        wanted: vec![RecordTarget::Containers(Selector::All)],
        wait: false,
        duration: None,
        until_stable: None,
        cri_socket: Some(settings.cri_socket.as_str())
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
        naming: Naming {
            given: None,
            clean: name::from_path,
        },
        settings: Kernel {
            accesses,
            ..Kernel::default()
        },
    }
}
