//! The process that ships: it reads the spool, and sends what is new to the store.

use std::{
    io::{self, BufRead as _, Read as _, Write as _},
    os::fd::AsFd as _,
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use nix::sys::signal::{SigHandler, Signal, signal};

use super::ship::{Order, Turn};
use crate::{
    cli::{
        Exit, Failure,
        confinement::report_confined,
        saving::is_confined,
        stderr::{self, plain, say},
    },
    store::{Spool, SpoolEntry},
};
use tracer_fleet::{
    Store, StoreError, open,
    retry::wait,
    shipper::{Item, ShipError, Shipper},
};
use tracer_recorder::confine;

/// How long the last turn may take, when the agent has ended.
const LAST: Duration = Duration::from_secs(10);

/// What the name of the directory of notes ends with; the rest is that of the spool.
const NOTES: &str = ".shipped";

pub(super) fn run() -> Result<Exit, Failure> {
    // A terminal's Ctrl-C and a service manager's SIGTERM are for the agent: what it has written last is to be shipped.
    for ignored in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: no handler is run.
        unsafe { signal(ignored, SigHandler::SigIgn) }.context("cannot ignore a signal")?;
    }
    let order = order()?;
    stderr::use_json(order.is_json);
    let end = end_of_input()?;
    let spool = Spool::open(Path::new(&order.spool))?;
    let notes = format!("{}{NOTES}", order.spool.trim_end_matches('/'));
    let shipper = Shipper::new(&notes, &order.store, &order.node, order.max_bytes)
        .with_context(|| format!("cannot use {notes}"))?;
    let mut worker = Worker {
        shipper,
        spool,
        order,
        failures: 0,
        is_warned: false,
    };
    let Some(store) = worker.open_store(&end) else {
        return Ok(Exit::Fine);
    };
    worker.confine();
    worker.work(store.as_ref(), &end);
    Ok(Exit::Fine)
}

fn order() -> anyhow::Result<Order> {
    let mut line = String::new();
    io::stdin().lock().take(1 << 20).read_line(&mut line)?;
    serde_json::from_str(&line).context("only an agent starts this command")
}

/// Says when the agent is gone.
fn end_of_input() -> io::Result<Receiver<()>> {
    let (gone, is_gone) = mpsc::channel::<()>();
    thread::Builder::new()
        .name("tracer-end".to_owned())
        .spawn(move || {
            if is_confined() {
                // What it lacks is said of the thread that ships.
                drop(confine::client(&[]));
            }
            let _: io::Result<u64> = io::copy(&mut io::stdin().lock(), &mut io::sink());
            drop(gone);
        })?;
    Ok(is_gone)
}

struct Worker {
    shipper: Shipper,
    spool: Spool,
    order: Order,
    /// In a row.
    failures: u32,
    is_warned: bool,
}

impl Worker {
    /// Opens the store. A directory may not be mounted yet: it is not made, since that would be below where it is going
    /// to be mounted. `None` when the agent is gone.
    fn open_store(&mut self, end: &Receiver<()>) -> Option<Box<dyn Store>> {
        loop {
            match open(&self.order.store, false) {
                Ok(store) => return Some(store),
                Err(error) => {
                    let turn = Turn {
                        failure: Some(error.kind().to_owned()),
                        ..self.left(Turn::default())
                    };
                    let next = self.failed(&turn, &error.to_string(), error.retry_after());
                    if is_gone(end, next) {
                        return None;
                    }
                }
            }
        }
    }

    /// Gives up what shipping does not take.
    fn confine(&self) {
        if !is_confined() {
            return;
        }
        let store = self
            .order
            .store
            .strip_prefix("file://")
            .and_then(|path| std::fs::File::open(path).ok());
        let mut writes = vec![self.shipper.descriptor()];
        writes.extend(store.iter().map(|it| it.as_fd()));
        report_confined("shipper", &confine::client(&writes));
    }

    fn work(&mut self, store: &dyn Store, end: &Receiver<()>) {
        loop {
            let next = self.turn(store, Until::Asked(end));
            if is_gone(end, next) {
                self.turn(store, Until::Time(Instant::now() + LAST));
                return;
            }
        }
    }

    /// Ships what there is. Returns when to do so again.
    fn turn(&mut self, store: &dyn Store, until: Until<'_>) -> Duration {
        let mut turn = Turn::default();
        let result = self.ship(store, until, &mut turn);
        let turn = self.left(turn);
        let interval = Duration::from_millis(self.order.interval_ms);
        match result {
            Ok(()) => {
                self.failures = 0;
                if self.is_warned {
                    self.is_warned = false;
                    say!("ships to {} again", plain(&self.order.store));
                }
                report(&turn);
                // Nodes that were started together do not all come at one time.
                interval.mul_f64(
                    0.9 + 0.2 * f64::from(u32::try_from(random() % 1_000).unwrap_or(0)) / 1_000.0,
                )
            }
            Err(error) => {
                let (kind, after) = match &error {
                    ShipError::Store(error) => (error.kind(), error.retry_after()),
                    ShipError::Recording(_) => ("recording", None),
                    _ => ("note", None),
                };
                let turn = Turn {
                    failure: Some(kind.to_owned()),
                    ..turn
                };
                self.failed(&turn, &error.to_string(), after)
            }
        }
    }

    fn failed(&mut self, turn: &Turn, error: &str, after: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if !self.is_warned {
            self.is_warned = true;
            let store = plain(&self.order.store);
            say!(
                "cannot ship to {store}: {}; it is tried again",
                plain(error)
            );
        }
        report(turn);
        wait(self.failures, after, random())
    }

    /// The latest recording of each workload: while the agent replaces one, both are listed.
    fn entries(&self) -> io::Result<Vec<SpoolEntry>> {
        let mut entries = self.spool.entries()?;
        entries.dedup_by(|later, first| later.key == first.key);
        Ok(entries)
    }

    fn ship(
        &mut self,
        store: &dyn Store,
        until: Until<'_>,
        turn: &mut Turn,
    ) -> Result<(), ShipError> {
        let entries = self.entries()?;
        let mut left_out = None;
        for entry in &entries {
            if until.is_over() {
                return Ok(());
            }
            let version = entry.name.to_string();
            let spool = &self.spool;
            let item = item(entry, &version);
            match self.shipper.ship(store, &item, || spool.read(&entry.name)) {
                Ok(shipped) => {
                    turn.objects += shipped.objects;
                    turn.bytes += shipped.bytes;
                    turn.present += shipped.present;
                }
                // The agent has replaced it since: the next turn has the new one.
                Err(ShipError::Recording(_)) if !spool.has(&entry.name) => {}
                // One that is damaged, or that the store does not take, keeps no other from being shipped.
                Err(error) if is_of_one(&error) => left_out = Some(error),
                Err(error) => return Err(error),
            }
        }
        let keys: Vec<_> = entries.iter().map(|entry| &entry.key).collect();
        self.shipper.keep_only(&keys)?;
        left_out.map_or(Ok(()), Err)
    }

    /// What is left to be shipped.
    fn left(&self, mut turn: Turn) -> Turn {
        let mut oldest: Option<u64> = None;
        for entry in self.entries().unwrap_or_default() {
            let version = entry.name.to_string();
            let item = item(&entry, &version);
            if self.shipper.is_new(&item) {
                turn.backlog += 1;
                oldest = Some(oldest.map_or(item.written_ms, |it| it.min(item.written_ms)));
            }
        }
        turn.oldest_ms = oldest.unwrap_or(0);
        turn
    }
}

/// How long a turn may take.
#[derive(Clone, Copy)]
enum Until<'a> {
    /// Until the agent is gone.
    Asked(&'a Receiver<()>),
    /// Until then.
    Time(Instant),
}

impl Until<'_> {
    fn is_over(self) -> bool {
        match self {
            Self::Asked(end) => is_gone(end, Duration::ZERO),
            Self::Time(time) => Instant::now() > time,
        }
    }
}

/// Whether an error says something of one recording only.
fn is_of_one(error: &ShipError) -> bool {
    matches!(
        error,
        ShipError::Recording(_)
            | ShipError::Store(
                StoreError::Refused(_) | StoreError::TooLarge { .. } | StoreError::Name(_)
            )
    )
}

fn item<'a>(entry: &'a SpoolEntry, version: &'a str) -> Item<'a> {
    let written = entry.written.duration_since(UNIX_EPOCH).unwrap_or_default();
    Item {
        key: &entry.key,
        version,
        written_ms: u64::try_from(written.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Waits. Returns whether the agent is gone.
fn is_gone(end: &Receiver<()>, time: Duration) -> bool {
    matches!(end.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
}

/// Tells the agent. Nobody may listen any more.
fn report(turn: &Turn) {
    if let Ok(mut line) = serde_json::to_vec(turn) {
        line.push(b'\n');
        let mut out = io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}

/// A number that differs between nodes and times.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};

    RandomState::new().hash_one(SystemTime::now())
}
