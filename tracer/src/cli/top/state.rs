//! What the screen shows: filled by the recording, drawn by another thread.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::keys::Key;
use crate::cli::progress_line::short;
use tracer_core::{
    audit::Severity,
    recording::{Losses, Recording, plain_text::counted},
    shadow::{Event, EventKind},
};
use tracer_recorder::record::Progress;
use tracer_report::words;

/// How many news are kept: older ones are in the recording.
const MAX_NEWS: usize = 2000;

/// How many messages are kept.
const MAX_MESSAGES: usize = 200;

/// How many news a page has.
const PAGE: usize = 10;

/// The state, as two threads have it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// For a moment: nothing that may wait is done meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is shown.
#[derive(Debug)]
pub(super) struct State {
    /// What is recorded.
    pub(super) what: String,
    pub(super) began: Instant,
    pub(super) rows: BTreeMap<String, Row>,
    /// The newest last.
    pub(super) news: VecDeque<News>,
    /// What tracer, or the command, has printed; the newest last.
    pub(super) messages: VecDeque<String>,
    pub(super) progress: Progress,
    /// Whether somebody has asked for the end.
    pub(super) is_ending: bool,
    pub(super) shows: Shows,
    /// When anything was new.
    pub(super) last_new: Option<Instant>,
    /// Whether this is what an agent recorded: tracer itself saves nothing.
    pub(super) is_of_agent: bool,
}

/// What of it a person wants to see.
#[derive(Debug, Default)]
pub(super) struct Shows {
    /// One workload's news only.
    pub(super) workload: Option<String>,
    pub(super) risky: bool,
    pub(super) order: Order,
    /// How many of the newest news are skipped.
    pub(super) skipped: usize,
    /// Whether everything is to be drawn again.
    pub(super) redraws: bool,
}

/// The order of the workloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Risk,
    Name,
    Newest,
}

impl Order {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Name => "name",
            Self::Newest => "latest news",
        }
    }
}

/// A workload.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) instances: usize,
    /// Different system calls of its own.
    pub(super) calls: usize,
    /// Different uses of files, capabilities, sockets, signals, ptrace and mounts.
    pub(super) accesses: usize,
    /// Things of high or critical severity, and of medium.
    pub(super) high: BTreeSet<String>,
    pub(super) medium: BTreeSet<String>,
    pub(super) last_new: Option<Instant>,
    /// What of it was lost.
    pub(super) losses: Losses,
}

/// Something that a workload did for the first time.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) at: Instant,
    pub(super) workload: String,
    pub(super) severity: Severity,
    /// One line, escaped.
    pub(super) text: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            what: String::new(),
            began: Instant::now(),
            rows: BTreeMap::new(),
            news: VecDeque::new(),
            messages: VecDeque::new(),
            progress: Progress::default(),
            is_ending: false,
            shows: Shows::default(),
            last_new: None,
            is_of_agent: false,
        }
    }
}

impl State {
    /// Takes in a workload's recording as it is now, and what is new in it.
    pub(super) fn take(
        &mut self,
        recording: &Recording,
        unattributed: &Losses,
        mut events: Vec<Event>,
        now: Instant,
    ) {
        let name = &recording.workload.name;
        let row = self.rows.entry(name.clone()).or_default();
        row.instances = recording.runs();
        row.calls = words::calls(recording).own;
        row.accesses = recording.files.len()
            + recording.capabilities.len()
            + recording.sockets.len()
            + recording.signals.len()
            + recording.traces.len()
            + recording.mounts.len();
        row.losses = recording.coverage.losses;
        for (kind, count) in unattributed.iter() {
            let counter = row.losses.counter_mut(kind);
            *counter = counter.saturating_sub(count);
        }
        // Of what came at once, the worst is the newest: it stands at the top.
        events.sort_by_key(|event| event.severity);
        for event in events {
            let is_news = matches!(event.event, EventKind::New | EventKind::Denied);
            if !is_news {
                continue;
            }
            let thing = format!(
                "{:?} {} {}",
                event.kind,
                event.what.as_deref().unwrap_or_default(),
                event.detail.as_deref().unwrap_or_default()
            );
            match event.severity {
                Severity::High | Severity::Critical => row.high.insert(thing),
                Severity::Medium => row.medium.insert(thing),
                Severity::Low | Severity::Info => false,
            };
            row.last_new = Some(now);
            self.last_new = Some(now);
            self.news.push_back(News {
                at: now,
                workload: name.clone(),
                severity: event.severity,
                text: tracer_report::top_news(&event),
            });
        }
        while self.news.len() > MAX_NEWS {
            self.news.pop_front();
        }
    }

    /// All of it in one line, where there is no screen.
    pub(super) fn line(&self, now: Instant) -> String {
        let high: usize = self.rows.values().map(|row| row.high.len()).sum();
        let last = match self.last_new {
            Some(last) => format!("last new {} ago", short(now.duration_since(last))),
            None => "nothing new yet".to_owned(),
        };
        format!(
            "{}, {}, {last}",
            counted(self.rows.len(), "workload", "workloads"),
            counted(high, "high risk", "high risks")
        )
    }

    /// Removes workloads that have another name by now.
    pub(super) fn keep_only(&mut self, names: &BTreeSet<String>) {
        self.rows.retain(|name, _| names.contains(name));
    }

    /// Takes in a line that was printed.
    pub(super) fn say(&mut self, line: String) {
        self.messages.push_back(line);
        while self.messages.len() > MAX_MESSAGES {
            self.messages.pop_front();
        }
    }

    /// The workloads in the order that was asked for.
    pub(super) fn ordered(&self) -> Vec<(&String, &Row)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        match self.shows.order {
            Order::Name => {}
            Order::Risk => {
                rows.sort_by_key(|(_, row)| std::cmp::Reverse((row.high.len(), row.medium.len())))
            }
            Order::Newest => rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.last_new)),
        }
        rows
    }

    /// The news that are wanted, the newest first.
    pub(super) fn wanted_news(&self) -> impl Iterator<Item = &News> {
        let shows = &self.shows;
        self.news
            .iter()
            .rev()
            .filter(|news| !shows.risky || news.severity >= Severity::Medium)
            .filter(|news| {
                shows
                    .workload
                    .as_ref()
                    .is_none_or(|name| *name == news.workload)
            })
            .skip(shows.skipped)
    }

    /// Does what a key means; whether it asks for the end.
    pub(super) fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Quit => {
                self.is_ending = true;
                return true;
            }
            Key::Up => self.select(false),
            Key::Down => self.select(true),
            Key::All => {
                self.shows.workload = None;
                self.shows.skipped = 0;
            }
            Key::Risky => {
                self.shows.risky = !self.shows.risky;
                self.shows.skipped = 0;
            }
            Key::Sort => {
                self.shows.order = match self.shows.order {
                    Order::Risk => Order::Name,
                    Order::Name => Order::Newest,
                    Order::Newest => Order::Risk,
                }
            }
            Key::PageUp => self.shows.skipped = self.shows.skipped.saturating_sub(PAGE),
            Key::PageDown => {
                if self.wanted_news().nth(PAGE).is_some() {
                    self.shows.skipped += PAGE;
                }
            }
            Key::Redraw => self.shows.redraws = true,
        }
        false
    }

    /// Selects the next workload, or the one before; beyond the ends, all.
    fn select(&mut self, down: bool) {
        let names: Vec<_> = self.ordered().into_iter().map(|(name, _)| name).collect();
        let selected = self.shows.workload.as_ref();
        let place = selected.and_then(|it| names.iter().position(|name| *name == it));
        let next = match (place, down) {
            (None, true) => Some(0),
            (None, false) => names.len().checked_sub(1),
            (Some(place), true) => place.checked_add(1),
            (Some(place), false) => place.checked_sub(1),
        };
        let next = next.and_then(|place| names.get(place));
        self.shows.workload = next.map(|name| (*name).clone());
        self.shows.skipped = 0;
    }
}
