//! What the marks say: the truth about what was seen, read back at each checkpoint, when an instance
//! ends, and at the end.

use std::time::Duration;

use super::{
    RecordError,
    kernel::Kernel,
    mutation::{self, Mutation},
    session::Session,
    system::System,
};
use tracer_core::recording::Phase;

/// How long after an instance is no longer wanted its rows are given to others: longer than any run
/// of a kernel program, one of which may hold such a row just now.
const GRACE: Duration = Duration::from_millis(100);

impl<K: Kernel, S: System> Session<K, S> {
    /// Reads the marks back: what the ring had no room for is taken in now, without its evidence.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn reconcile(&mut self) -> Result<(), RecordError> {
        self.drain()?;
        self.losses.skipped_runs = self.kernel.skipped_runs();
        self.find_late_cgroups()?;
        self.find_missed_notices()?;
        self.learn_rows()?;
        self.read_rows(None)?;
        self.unseen = self.estimate();
        self.leave_exits_when_idle()
    }

    /// Reads the marks of one instance, or of all.
    fn read_rows(&mut self, instance: Option<u32>) -> Result<(), RecordError> {
        let rows = self.rows.of(instance);
        for (number, row) in &rows {
            for (class, nr, mark) in self.kernel.marks(*number)? {
                self.observed.take_mark(row, class, nr, mark);
                self.note_seen(row.instance);
            }
            // Of what prepares a container, and of what was stopped, no values are kept.
            if !row.blocked && row.phase != Phase::Setup && !mutation::is(Mutation::SkipValues) {
                let values = self.kernel.values(*number)?;
                self.observed.take_values(row, values);
            }
        }
        for (number, class, nr, mark) in self.kernel.unindexed()? {
            if let Some(row) = rows.get(&number) {
                self.observed.take_mark(row, class, nr, mark);
                self.note_seen(row.instance);
            }
        }
        self.note_discovered();
        Ok(())
    }

    /// Ends the recording of an instance whose cgroup is gone: reads all there is, and gives its
    /// place in the kernel's tables to others.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn retire(&mut self, number: u32) -> Result<(), RecordError> {
        let Some(id) = self
            .instance(number)
            .filter(|instance| instance.live)
            .map(|instance| instance.cgroup.id)
        else {
            return Ok(());
        };
        let rows = self.learn_rows()?;
        if !mutation::is(Mutation::SkipReadAtRemoval) {
            self.read_rows(Some(number))?;
        }
        // Before its rows are another's: that it was removed may be known from the maps, while its last
        // events are still in the rings.
        if !mutation::is(Mutation::SkipEventsAtRemoval) {
            self.drain_events()?;
        }
        if !mutation::is(Mutation::SkipAccessesAtRemoval) {
            self.drain_accesses()?;
        }
        self.end(number)?;
        self.forget_reported(number)?;
        Ok(self.kernel.release(&[id], &rows)?)
    }

    /// Ends the recording of an instance whose cgroup is still there: reads all there is.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn leave(&mut self, number: u32) -> Result<(), RecordError> {
        let Some(id) = self.instance(number).map(|instance| instance.cgroup.id) else {
            return Ok(());
        };
        self.learn_rows()?;
        self.read_rows(Some(number))?;
        self.drain_events()?;
        self.drain_accesses()?;
        self.end(number)?;
        self.forget_reported(number)?;
        self.kernel.unwatch(id)?;
        self.to_release.push_back((self.system.now(), id));
        Ok(())
    }

    /// An instance is not recorded any more.
    pub(super) fn end(&mut self, number: u32) -> Result<(), RecordError> {
        if !mutation::is(Mutation::KeepStaleRows) {
            self.rows.forget(number);
        }
        self.read_account(number)?;
        let id = self.instance(number).map_or(0, |it| it.cgroup.id);
        let state = self
            .kernel
            .state(id)?
            .filter(|_| !mutation::is(Mutation::ForgetState));
        let now = self.system.wall_clock();
        if let Some(instance) = self.instance_mut(number) {
            instance.state.merge(state.unwrap_or_default());
            instance.live = false;
            instance.ended = Some(now);
        }
        Ok(())
    }

    /// Gives back the rows of what was left a while ago.
    pub(super) fn release_due(&mut self) -> Result<(), RecordError> {
        let now = self.system.now();
        let grace = mutation::grace(GRACE);
        let due: Vec<_> = self
            .to_release
            .iter()
            .take_while(|(since, _)| now.duration_since(*since) >= grace)
            .map(|(_, id)| *id)
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        self.to_release.drain(..due.len());
        let rows = self.kernel.rows()?;
        Ok(self.kernel.release(&due, &rows)?)
    }

    /// Ends the recording of every instance. What the ring and the marks hold is taken in.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn stop(&mut self) -> Result<(), RecordError> {
        self.find_late_cgroups()?;
        self.find_missed_notices()?;
        // Stop first, so that the counters and the marks speak of the same calls.
        let live: Vec<_> = self
            .instances
            .live()
            .map(|(number, instance)| (number, instance.cgroup.id))
            .collect();
        for (number, id) in &live {
            let state = self.kernel.state(*id)?;
            if let Some(instance) = self.instance_mut(*number) {
                instance.state.merge(state.unwrap_or_default());
            }
            self.kernel.unwatch(*id)?;
        }
        self.drain()?;
        self.learn_rows()?;
        if !mutation::is(Mutation::SkipFinalRead) {
            self.read_rows(None)?;
        }
        // Again: a call that was under way may have been marked and announced since.
        self.drain_events()?;
        self.drain_accesses()?;
        self.finish_file_lookups();
        for (number, _) in &live {
            self.read_account(*number)?;
        }
        self.losses.skipped_runs = self.kernel.skipped_runs();
        let now = self.system.wall_clock();
        for (number, _) in live {
            if let Some(instance) = self.instance_mut(number) {
                instance.live = false;
                instance.ended = Some(now);
            }
        }
        Ok(())
    }
}
