//! How a recording goes, and whether anything new still comes.

use std::{collections::BTreeSet, time::Duration};

use super::{
    RecordError, instance::TrackedInstance, kernel::Kernel, observed::Denial, session::Session,
    system::System,
};
use tracer_core::recording::{Losses, estimate};

/// How often the listener is told; more would only flicker.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How a recording goes, for the live line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Different calls so far.
    pub distinct: usize,
    /// Calls so far.
    pub calls: u64,
    /// Different calls of the workloads, and of what was put into them, that came up in the last minute.
    pub new_in_last_minute: usize,
    /// Since the last of these came up; `None` before the first.
    pub since_last_new: Option<Duration>,
    /// Everything lost so far.
    pub losses: Losses,
    /// How many calls are unseen, in a few words, as of the last checkpoint; empty when nothing can be
    /// said.
    pub unseen: String,
}

/// Who is told how a recording goes.
pub trait ProgressListener {
    /// The recording has begun: `what` is recorded from now on.
    fn began(&mut self, what: &str);
    /// Nothing that was asked for runs yet; it is recorded when it starts.
    fn waits(&mut self) {}
    /// Something that a user should know at once: one line, escaped.
    fn note(&mut self, text: &str);
    /// The recording ends by itself, and why: one line, escaped.
    fn ends(&mut self, why: &str);
    /// Called ten times a second at most; once a second when nothing comes.
    fn progress(&mut self, progress: &Progress);
    /// A filter stopped a call; only where `Settings::report_every_blocked` asks for it.
    fn denied(&mut self, _: Denial) {}
}

impl<K: Kernel, S: System> Session<K, S> {
    /// Whether nothing new came for `span`, while something that was asked for ran.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn is_stable(&mut self, span: Duration) -> Result<bool, RecordError> {
        if !self.seems_stable(span) {
            return Ok(false);
        }
        // What the ring has not told yet, or had no room for, is news as well.
        self.reconcile()?;
        Ok(self.seems_stable(span))
    }

    fn seems_stable(&mut self, span: Duration) -> bool {
        let runs = self.discovery.wanted().any(|number| self.runs(number));
        let quiet = self.discovery.quiet(runs, self.system.now());
        estimate::until_stable(span, quiet) == Some(Duration::ZERO)
    }

    /// How many calls are unseen, when one workload is recorded: several have nothing in common.
    pub(super) fn estimate(&self) -> String {
        if !self.discovery.is_one_workload() {
            return String::new();
        }
        // Of what the kernel side found, a directory for others has no calls and is no instance.
        let is_one = |instance: &TrackedInstance| instance.seen || !instance.found;
        let instances: BTreeSet<_> = self
            .discovery
            .wanted()
            .filter(|number| self.instance(*number).is_some_and(is_one))
            .collect();
        tracer_report::words::incidence(&self.observed.calls.incidence(&instances))
    }

    /// Tells the listener of each call that a filter stopped since it was last told.
    pub(super) fn report_denials(&mut self, listener: &mut dyn ProgressListener) {
        for denial in std::mem::take(&mut self.denials) {
            listener.denied(denial);
        }
    }

    /// Tells the listener how it goes, when it is time again.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn tell(&mut self, listener: &mut dyn ProgressListener) -> Result<(), RecordError> {
        let now = self.system.now();
        if now.duration_since(self.last_progress) >= PROGRESS_INTERVAL {
            self.read_accounts()?;
            listener.progress(&self.progress()?);
            self.last_progress = now;
        }
        Ok(())
    }

    fn progress(&mut self) -> Result<Progress, RecordError> {
        let now = self.system.now();
        let counts = self.kernel.counters()?;
        Ok(Progress {
            distinct: self.observed.calls.len(),
            calls: counts.programs.calls,
            new_in_last_minute: self.discovery.in_last_minute(now),
            since_last_new: self.discovery.last().map(|at| now.duration_since(at)),
            losses: self.losses.total(&counts) + self.losses.attributed,
            unseen: self.unseen.clone(),
        })
    }
}
