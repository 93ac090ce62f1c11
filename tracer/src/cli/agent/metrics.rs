//! What an agent tells of itself, as Prometheus' text format 0.0.4 has it.
//!
//! Labels are namespace, workload, kind and reason, and nothing that a workload chooses often: no process, path or
//! call. Workloads beyond a number are counted and have no metrics of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{metric_families::FAMILIES, ship::Turn};
use tracer_core::{
    agent::SpoolKey,
    recording::{LossKind, Losses, Recording, estimate::Discovery},
};
use tracer_recorder::record::RecorderStatus;

/// How long the recording loop may be silent before the agent is not well. It turns ten times a second.
const SILENCE: Duration = Duration::from_secs(30);

/// How many workloads without metrics are counted.
const MAX_WITHOUT: usize = 10_000;

/// Shared by the threads of an agent.
#[derive(Debug)]
pub(super) struct Metrics {
    began: Instant,
    began_s: u64,
    /// When the recording loop turned last, in milliseconds since the start; 0 before the first time.
    turned: AtomicU64,
    is_ready: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limit: usize,
    recorder: RecorderStatus,
    checkpoint_s: u64,
    reloads: BTreeMap<&'static str, u64>,
    workloads: BTreeMap<(String, String), OfWorkload>,
    /// Workloads that have none of their own; not all of them are told apart for ever.
    without: BTreeSet<(String, String)>,
    spool: SpoolSize,
    writes: BTreeMap<&'static str, u64>,
    removed: BTreeMap<&'static str, u64>,
    last_write_failed: bool,
    ship: ShipState,
}

/// What was shipped, in all.
#[derive(Debug, Default)]
struct ShipState {
    objects: BTreeMap<&'static str, u64>,
    bytes: u64,
    failures: BTreeMap<String, u64>,
    backlog: u64,
    oldest_s: u64,
    last_s: u64,
}

/// How large the spool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SpoolSize {
    pub(super) bytes: u64,
    pub(super) max_bytes: u64,
    pub(super) files: u64,
}

/// A number of a workload.
type NumberOf = fn(&OfWorkload) -> u64;

#[derive(Debug, Default)]
struct OfWorkload {
    instances: u64,
    syscalls: u64,
    accesses: u64,
    new: u64,
    last_new_s: u64,
    losses: Losses,
    reasons: Vec<String>,
}

fn now_s() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)
}

/// How much there is of a recording: calls, and everything else.
pub(super) fn size(recording: &Recording) -> (u64, u64) {
    let accesses = recording.files.len()
        + recording.capabilities.len()
        + recording.sockets.len()
        + recording.signals.len()
        + recording.traces.len()
        + recording.mounts.len();
    (recording.syscalls.len() as u64, accesses as u64)
}

impl Metrics {
    pub(super) fn new(limit: u32) -> Self {
        Self {
            began: Instant::now(),
            began_s: now_s(),
            turned: AtomicU64::new(0),
            is_ready: AtomicBool::new(false),
            state: Mutex::new(State {
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
                ..State::default()
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers are as good as they were when another thread failed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recording loop turned.
    pub(super) fn turned(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.turned.store(since.max(1), Ordering::Relaxed);
    }

    /// Recording has begun.
    pub(super) fn ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// Why the agent is not well, if it is not.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let turned = Duration::from_millis(self.turned.load(Ordering::Relaxed));
        (self.began.elapsed().saturating_sub(turned) > SILENCE)
            .then_some("the recording loop does not turn")
    }

    /// Why the agent is not ready, if it is not.
    pub(super) fn missing(&self) -> Option<&'static str> {
        if !self.is_ready.load(Ordering::Relaxed) {
            return Some("recording has not begun");
        }
        if self.state().last_write_failed {
            return Some("the spool cannot be written");
        }
        self.problem()
    }

    pub(super) fn checkpoint(&self, status: RecorderStatus) {
        let mut state = self.state();
        state.recorder = status;
        state.checkpoint_s = now_s();
    }

    pub(super) fn reloaded(&self, result: &'static str) {
        *self.state().reloads.entry(result).or_default() += 1;
    }

    pub(super) fn spool(&self, size: SpoolSize) {
        self.state().spool = size;
    }

    pub(super) fn wrote(&self, is_done: bool) {
        let mut state = self.state();
        state.last_write_failed = !is_done;
        let result = if is_done { "done" } else { "failed" };
        *state.writes.entry(result).or_default() += 1;
    }

    pub(super) fn removed(&self, reason: &'static str) {
        *self.state().removed.entry(reason).or_default() += 1;
    }

    /// One turn of shipping.
    pub(super) fn shipped(&self, turn: &Turn) {
        let mut state = self.state();
        let ship = &mut state.ship;
        *ship.objects.entry("written").or_default() += turn.objects;
        *ship.objects.entry("present").or_default() += turn.present;
        ship.bytes += turn.bytes;
        if let Some(reason) = &turn.failure {
            *ship.failures.entry(reason.clone()).or_default() += 1;
        } else {
            ship.last_s = now_s();
        }
        ship.backlog = turn.backlog;
        ship.oldest_s = turn.oldest_ms / 1_000;
    }

    /// A workload's recording was written; `new` is how many calls and accesses it did not have before.
    pub(super) fn workload(&self, key: &SpoolKey, recording: &Recording, new: u64) {
        let name = (key.namespace.clone(), key.name());
        let mut state = self.state();
        let is_full = state.workloads.len() >= state.limit;
        if is_full && !state.workloads.contains_key(&name) {
            if state.without.len() < MAX_WITHOUT {
                state.without.insert(name);
            }
            return;
        }
        let of = state.workloads.entry(name).or_default();
        let (syscalls, accesses) = size(recording);
        (of.syscalls, of.accesses) = (syscalls, accesses);
        of.instances = Discovery::from_recording(recording).instances;
        of.losses = recording.coverage.losses;
        of.reasons = recording
            .coverage
            .reasons
            .iter()
            .filter_map(|reason| serde_json::to_value(reason.code()).ok())
            .filter_map(|code| code.as_str().map(str::to_owned))
            .collect();
        of.reasons.dedup();
        if new > 0 {
            of.new += new;
            of.last_new_s = now_s();
        }
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let state = self.state();
        let mut out = Text(String::new());
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.family("tracer_agent_info", &[(&version, 1)]);
        out.family("tracer_agent_start_time_seconds", &[(&[], self.began_s)]);
        out.counters("tracer_agent_reloads_total", "result", &state.reloads);
        out.family(
            "tracer_checkpoint_time_seconds",
            &[(&[], state.checkpoint_s)],
        );
        let recorder = &state.recorder;
        out.family("tracer_containers_recorded", &[(&[], recorder.recorded)]);
        out.family("tracer_containers_unwritten", &[(&[], recorder.ended)]);
        out.family(
            "tracer_containers_unnamed_total",
            &[(&[], recorder.unnamed)],
        );
        out.family("tracer_syscalls_total", &[(&[], recorder.calls)]);
        let losses = recorder.losses.iter();
        let losses: Vec<_> = losses
            .map(|(kind, count)| (loss_name(kind), count))
            .collect();
        let losses: BTreeMap<_, _> = losses
            .iter()
            .map(|(it, count)| (it.as_str(), *count))
            .collect();
        out.counters("tracer_losses_total", "kind", &losses);
        out.workloads(&state);
        out.family(
            "tracer_workloads_without_metrics",
            &[(&[], state.without.len() as u64)],
        );
        out.family("tracer_spool_bytes", &[(&[], state.spool.bytes)]);
        out.family("tracer_spool_max_bytes", &[(&[], state.spool.max_bytes)]);
        out.family("tracer_spool_files", &[(&[], state.spool.files)]);
        out.counters("tracer_spool_writes_total", "result", &state.writes);
        out.counters("tracer_spool_removed_total", "reason", &state.removed);
        out.ship(&state.ship);
        out.0
    }
}

fn loss_name(kind: LossKind) -> String {
    let value = serde_json::to_value(kind).ok();
    value
        .as_ref()
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A sample: its labels, and its value.
type Sample<'a> = (&'a [(&'a str, &'a str)], u64);

/// The text under way.
struct Text(String);

impl Text {
    fn head(&mut self, name: &str) {
        if let Some((_, kind, help)) = FAMILIES.iter().find(|(its, ..)| *its == name) {
            let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        }
    }

    fn sample(&mut self, name: &str, (labels, value): Sample<'_>) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    fn family(&mut self, name: &str, samples: &[Sample<'_>]) {
        self.head(name);
        for sample in samples {
            self.sample(name, *sample);
        }
    }

    fn counters(&mut self, name: &str, label: &str, counts: &BTreeMap<&str, u64>) {
        self.head(name);
        for (text, count) in counts {
            self.sample(name, (&[(label, text)], *count));
        }
    }

    fn ship(&mut self, ship: &ShipState) {
        self.counters("tracer_ship_objects_total", "result", &ship.objects);
        self.family("tracer_ship_bytes_total", &[(&[], ship.bytes)]);
        let failures = ship.failures.iter();
        let failures: BTreeMap<_, _> = failures.map(|(it, count)| (it.as_str(), *count)).collect();
        self.counters("tracer_ship_failures_total", "reason", &failures);
        self.family("tracer_ship_backlog", &[(&[], ship.backlog)]);
        self.family("tracer_ship_oldest_time_seconds", &[(&[], ship.oldest_s)]);
        self.family("tracer_ship_last_time_seconds", &[(&[], ship.last_s)]);
    }

    fn workloads(&mut self, state: &State) {
        let numbers: [(&str, NumberOf); 5] = [
            ("tracer_workload_instances", |it| it.instances),
            ("tracer_workload_syscalls", |it| it.syscalls),
            ("tracer_workload_accesses", |it| it.accesses),
            ("tracer_workload_new_total", |it| it.new),
            ("tracer_workload_last_new_time_seconds", |it| it.last_new_s),
        ];
        for (name, number) in numbers {
            self.head(name);
            for ((namespace, workload), of) in &state.workloads {
                let labels = [("namespace", namespace.as_str()), ("workload", workload)];
                self.sample(name, (&labels, number(of)));
            }
        }
        self.head("tracer_workload_losses");
        for ((namespace, workload), of) in &state.workloads {
            for (kind, count) in of.losses.iter() {
                let kind = loss_name(kind);
                let labels = [
                    ("namespace", namespace.as_str()),
                    ("workload", workload),
                    ("kind", &kind),
                ];
                self.sample("tracer_workload_losses", (&labels, count));
            }
        }
        self.head("tracer_workload_incomplete");
        for ((namespace, workload), of) in &state.workloads {
            for reason in &of.reasons {
                let labels = [
                    ("namespace", namespace.as_str()),
                    ("workload", workload),
                    ("reason", reason),
                ];
                self.sample("tracer_workload_incomplete", (&labels, 1));
            }
        }
    }
}

/// A label's value, as the format wants it; other control characters are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars().take(200) {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            character if character.is_control() => {}
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
