//! Whether the exits of calls are watched, by which calls that a filter stops are seen.

use std::time::{Duration, Instant};

/// How long nobody must have needed the exits of calls before they are no longer watched.
const EXITS_IDLE: Duration = Duration::from_secs(5);

/// The state of the watch.
#[derive(Debug)]
pub(super) struct ExitWatch {
    /// Whether they are watched now.
    pub(super) is_on: bool,
    needed: Instant,
}

impl ExitWatch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            is_on: false,
            needed: now,
        }
    }

    /// Somebody needs them.
    pub(super) fn need(&mut self, now: Instant) {
        self.needed = now;
    }

    /// Whether nobody has needed them for a while: every call of the machine pays for the watch.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.is_on && now.duration_since(self.needed) > EXITS_IDLE
    }
}
