//! Finds what is new in a recording as it grows: for the screen, or as lines of JSON.

use std::{collections::BTreeSet, time::Instant};

use super::{super::saving::Observer, state::Shared};
use crate::cli::{stderr::say, watch::EventOutput};
use tracer_core::{
    recording::{Losses, Phase, Recording},
    shadow::{Baseline, Event, Expectation, Expected, Shadow},
};

/// Everything that a workload does is new, once.
pub(super) fn nothing_expected() -> Shadow {
    let nothing = Expected {
        label: String::new(),
        workload: None,
        what: Expectation::Recording(Box::new(Baseline::nothing())),
    };
    Shadow::new(vec![nothing], Vec::new())
}

/// Leaves out what the container runtime did before it started the workload: it is not the workload's.
fn of_workload(mut events: Vec<Event>) -> Vec<Event> {
    events.retain(|event| event.phase != Some(Phase::RuntimeInit));
    events
}

/// Fills the state of a screen.
pub(super) struct Feed {
    shadow: Shadow,
    state: Shared,
    unattributed: Losses,
}

impl Feed {
    pub(super) fn new(state: Shared) -> Self {
        Self {
            shadow: nothing_expected(),
            state,
            unattributed: Losses::default(),
        }
    }

    fn take(&mut self, recording: &Recording, is_last: bool) {
        let events = match is_last {
            true => self.shadow.take_last(recording, &self.unattributed),
            false => self.shadow.take(recording, &self.unattributed),
        };
        self.state.lock().take(
            recording,
            &self.unattributed,
            of_workload(events),
            Instant::now(),
        );
    }
}

impl Observer for Feed {
    fn observe(&mut self, recordings: &[Recording], names: &[String], unattributed: &Losses) {
        self.unattributed = *unattributed;
        for recording in recordings {
            self.take(recording, false);
        }
        let names: BTreeSet<_> = names.iter().cloned().collect();
        self.state.lock().keep_only(&names);
    }

    fn observe_last(&mut self, recordings: &[Recording]) {
        for recording in recordings {
            self.take(recording, true);
        }
    }
}

/// Prints a line of JSON for everything that is new.
pub(super) struct EventLines {
    shadow: Shadow,
    output: EventOutput,
    unattributed: Losses,
    /// Whether nobody reads any more.
    is_closed: bool,
}

impl EventLines {
    pub(super) fn new() -> Self {
        Self {
            shadow: nothing_expected(),
            output: EventOutput::json_on_stdout(),
            unattributed: Losses::default(),
            is_closed: false,
        }
    }

    /// Prints events. Without a reader the recording goes on: it is saved at its end.
    fn print(&mut self, events: Vec<Event>) {
        let events: Vec<_> = of_workload(events)
            .into_iter()
            // That nothing was expected needs not be said.
            .map(|event| Event {
                profile: None,
                ..event
            })
            .collect();
        if self.is_closed {
            return;
        }
        if let Err(error) = self.output.events(&events) {
            self.is_closed = true;
            say!("cannot write events to standard output: {error}; the recording goes on");
        }
    }
}

impl Observer for EventLines {
    fn observe(&mut self, recordings: &[Recording], _: &[String], unattributed: &Losses) {
        self.unattributed = *unattributed;
        let mut events = self.shadow.take_losses(unattributed);
        for recording in recordings {
            events.extend(self.shadow.take(recording, unattributed));
        }
        self.print(events);
    }

    fn observe_last(&mut self, recordings: &[Recording]) {
        let mut events = Vec::new();
        for recording in recordings {
            events.extend(self.shadow.take_last(recording, &self.unattributed));
        }
        self.print(events);
    }
}
