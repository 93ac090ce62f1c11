//! Shipping recordings to a store, as seen by the agent: a process of its own does it, which has the network and no
//! capability. It ends when the agent ends, however that ends: its standard input is closed then.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::metrics::Metrics;
use crate::cli::stderr::say;
use tracer_core::agent::{Configuration, LogFormat};

/// How long an agent that ends waits for the last of it to be shipped.
const LAST: Duration = Duration::from_secs(15);

/// When another process is started for one that ended by itself.
const RESTART: Duration = Duration::from_secs(10);

/// How long a line of the process may be.
const MAX_LINE: u64 = 64 << 10;

/// What the process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The spool.
    pub(super) spool: String,
    /// The address of the store.
    pub(super) store: String,
    /// How often, in milliseconds.
    pub(super) interval_ms: u64,
    /// How large an object may be.
    pub(super) max_bytes: u64,
    /// The node's name.
    pub(super) node: String,
    /// Whether messages are JSON objects.
    pub(super) is_json: bool,
}

/// What the process says after each turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Turn {
    /// Objects that the store did not have.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Objects that it had.
    pub(super) present: u64,
    /// Why it ended early, in a word.
    pub(super) failure: Option<String>,
    /// Recordings that are still to be shipped.
    pub(super) backlog: u64,
    /// When the oldest of them was written; 0 when there is none.
    pub(super) oldest_ms: u64,
}

impl Order {
    /// By the settings; `None` when nothing is to be shipped.
    pub(super) fn from_settings(settings: &Configuration) -> anyhow::Result<Option<Self>> {
        let ship = &settings.ship;
        if ship.store.is_empty() {
            return Ok(None);
        }
        let node = if ship.node.is_empty() {
            rustix::system::uname()
                .nodename()
                .to_str()
                .map(str::to_owned)
        } else {
            Ok(ship.node.clone())
        };
        let interval = Duration::from(ship.interval).as_millis();
        Ok(Some(Self {
            spool: settings.spool.directory.clone(),
            store: ship.store.clone(),
            interval_ms: u64::try_from(interval).unwrap_or(u64::MAX),
            max_bytes: ship.max_bytes,
            node: node.context("the host's name is not text; give --ship-node")?,
            is_json: settings.log_format == LogFormat::Json,
        }))
    }
}

/// The standard input of the process that runs now.
type Input = Arc<Mutex<State>>;

/// What the agent's end changes.
#[derive(Default)]
struct State {
    input: Option<ChildStdin>,
    is_ending: bool,
}

/// Shipping under way.
pub(super) struct Ship {
    input: Input,
    is_ended: Receiver<()>,
    /// Dropped to say that the agent ends.
    end: Sender<()>,
}

impl Ship {
    /// Starts the process, by a thread that keeps the right to.
    pub(super) fn start(order: Order, metrics: Arc<Metrics>) -> io::Result<Self> {
        let input: Input = Arc::default();
        let (ended, is_ended) = mpsc::channel();
        let (end, is_asked_to_end) = mpsc::channel::<()>();
        let first = spawn(&order, &input)?;
        let shared = Arc::clone(&input);
        let named = thread::Builder::new().name("tracer-ship".to_owned());
        named.spawn(move || {
            follow(first, &metrics);
            while !is_ending(&shared) {
                say!("the process that ships ended; another one is started");
                // At the agent's end nobody waits for it.
                if is_asked_to_end.recv_timeout(RESTART) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                match spawn(&order, &shared) {
                    Ok(next) => follow(next, &metrics),
                    Err(error) => say!("cannot start the process that ships: {error}"),
                }
            }
            // Nobody may want to know any more.
            let _ = ended.send(());
        })?;
        Ok(Self {
            input,
            is_ended,
            end,
        })
    }

    /// Has the last of it shipped, and ends.
    pub(super) fn finish(self) {
        let mut state = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_ending = true;
        // The process sees that, and ships the last of it.
        state.input = None;
        drop(state);
        drop(self.end);
        if self.is_ended.recv_timeout(LAST).is_err() {
            say!("not everything was shipped; the spool keeps it");
        }
    }
}

fn is_ending(input: &Input) -> bool {
    input
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_ending
}

fn spawn(order: &Order, input: &Input) -> io::Result<Child> {
    let mut child = Command::new("/proc/self/exe")
        .args(["agent", "ship"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stdin.write_all(&line)?;
    let mut state = input.lock().unwrap_or_else(PoisonError::into_inner);
    // Without it the process ends by itself.
    if !state.is_ending {
        state.input = Some(stdin);
    }
    drop(state);
    Ok(child)
}

/// Takes what the process says until it ends.
fn follow(mut child: Child, metrics: &Metrics) {
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        loop {
            let mut line = String::new();
            match lines.by_ref().take(MAX_LINE).read_line(&mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => match serde_json::from_str(&line) {
                    Ok(turn) => metrics.shipped(&turn),
                    Err(error) => log::warn!("the process that ships: {error}"),
                },
            }
        }
    }
    if let Err(error) = child.wait() {
        log::warn!("the process that ships: {error}");
    }
}
