//! How a recording goes, and whether anything new still comes.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{PROGRESS_INTERVAL, Progress, ProgressListener, Session};
use crate::record::{RecordError, instance::TrackedInstance};
use tracer_core::recording::{Losses, estimate};

impl Session {
    /// Whether nothing new came for `span`, while something that was asked for ran.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(in crate::record) fn is_stable(&mut self, span: Duration) -> Result<bool, RecordError> {
        if !self.seems_stable(span) {
            return Ok(false);
        }
        // What the ring has not told yet, or had no room for, is news as well.
        self.reconcile()?;
        Ok(self.seems_stable(span))
    }

    pub(super) fn seems_stable(&mut self, span: Duration) -> bool {
        let runs = self
            .discovery
            .wanted()
            .any(|number| self.instance(number).is_some_and(TrackedInstance::runs));
        let quiet = self.discovery.quiet(runs, Instant::now());
        estimate::until_stable(span, quiet) == Some(Duration::ZERO)
    }

    /// How many calls are unseen, when one workload is recorded: several have nothing in common.
    pub(super) fn estimate(&self) -> String {
        if !self.discovery.is_one_workload() {
            return String::new();
        }
        // Of what the kernel side found, a folder for others has no calls and is no instance.
        let is_one = |watched: &TrackedInstance| watched.seen || !watched.found;
        let instances: BTreeSet<_> = self
            .discovery
            .wanted()
            .filter(|number| self.instance(*number).is_some_and(is_one))
            .collect();
        self.observations.incidence(&instances).brief()
    }

    /// Tells the watcher of each call that a filter stopped since it was last told.
    pub(in crate::record) fn report_denials(&mut self, watcher: &mut dyn ProgressListener) {
        for denial in std::mem::take(&mut self.denials) {
            watcher.denied(denial);
        }
    }

    /// Tells the watcher how it goes, when it is time again.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn tell(&mut self, watcher: &mut dyn ProgressListener) -> Result<(), RecordError> {
        if self.last_progress.elapsed() >= PROGRESS_INTERVAL {
            watcher.progress(&self.progress()?);
            self.last_progress = Instant::now();
        }
        Ok(())
    }

    pub(super) fn progress(&mut self) -> Result<Progress, RecordError> {
        let now = Instant::now();
        let counters = self.probe.counters()?;
        Ok(Progress {
            distinct: self.observations.len(),
            calls: counters.calls,
            new_in_last_minute: self.discovery.in_last_minute(now),
            since_last_new: self.discovery.last().map(|at| now.duration_since(at)),
            losses: self.losses(&counters),
            unseen: self.unseen.clone(),
        })
    }

    pub(super) fn losses(&self, counters: &tracer_abi::Counters) -> Losses {
        Losses {
            events: counters.events_dropped + self.events.malformed() + self.events_without_row,
            executables: counters.rows_full
                + counters.processes_full
                + counters.executables_full
                + self.processes_not_registered,
            calls: counters.calls_lost + counters.exotic_full,
            cgroups: counters.cgroups_full + self.late_cgroups,
            program_runs: self.skipped_runs,
            threads: counters.threads_full,
            phases: counters.phases_full,
            values: counters.values_lost,
            accesses: counters.accesses_lost
                + self.events.malformed_accesses()
                + self.accesses_without_row
                + self.unreadable_mounts,
        }
    }
}
