//! What is recorded so far, copied out of the running session: another thread makes recordings of it and keeps them,
//! so that nothing that is recorded waits for a disk.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    RecordError,
    assemble::{self, FinishedWorkload, SessionTotals, WorkloadPart},
    instance::TrackedInstance,
    kernel::Kernel,
    session::Session,
    system::System,
};
use crate::confine::profile::Access;
use tracer_core::recording::{Accesses, Losses, Observations, Reason, Recording};

/// How often the marks are read back, where the sink does not say otherwise.
pub const CHECKPOINT: Duration = Duration::from_secs(5);

/// Takes what is recorded so far to where a kill of tracer does not reach it.
pub trait SnapshotSink {
    /// How often the marks are read back and a snapshot is made.
    fn interval(&self) -> Duration {
        CHECKPOINT
    }

    /// Whether a loss alone is worth a snapshot.
    fn wants_losses(&self) -> bool {
        false
    }

    /// Recording begins: what is needed for it is open, and the command was started. Called once, on the thread that
    /// records and opens files by `files`.
    fn begin(&mut self, files: Access);

    /// Whether the last one is kept, so that there is room for another.
    fn is_ready(&self) -> bool;

    /// Keeps a snapshot. Must not wait for anything.
    fn keep(&mut self, snapshot: Snapshot);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSnapshots;

impl SnapshotSink for NoSnapshots {
    fn begin(&mut self, _: Access) {}

    fn is_ready(&self) -> bool {
        false
    }

    fn keep(&mut self, _: Snapshot) {}
}

/// The workloads that changed since the last snapshot, and the names of all there are.
pub struct Snapshot {
    /// The names of all workloads that are recorded now: what was kept under another name is out of date.
    pub names: Vec<String>,
    /// What was lost so far of workloads that nobody knows. Each recording counts it as its own.
    pub unattributed: Losses,
    workloads: Vec<FinishedWorkload>,
    instances: Vec<TrackedInstance>,
    observations: Observations,
    accesses: Accesses,
    totals: SessionTotals,
}

impl Snapshot {
    /// The same of a recording under a [`Supervisor`](super::Supervisor), with the part that each is. None says that
    /// tracer was killed.
    pub fn into_parts(self) -> Vec<(Recording, WorkloadPart)> {
        let parts: Vec<_> = self.workloads.iter().map(|it| it.part.clone()).collect();
        self.into_recordings().into_iter().zip(parts).collect()
    }

    /// A recording of each workload that changed. Each says that tracer was killed: nobody reads it otherwise.
    pub fn into_recordings(self) -> Vec<Recording> {
        assemble::recordings(
            self.workloads,
            &self.instances,
            self.observations,
            self.accesses,
            &self.totals,
        )
    }
}

/// What of an instance changes without an observation.
type Flags = (crate::bpf::InstanceState, bool, bool, bool, Losses);

/// What changed since the last snapshot.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Instances of which something new was seen.
    pub(super) instances: HashSet<u32>,
    /// What was kept of the state of each instance.
    kept: HashMap<u32, Flags>,
    /// What was lost by then, and is nobody's.
    unattributed: Losses,
}

impl Changes {
    /// Whether a workload is to be kept again.
    fn is_changed(&self, workload: &FinishedWorkload, instances: &[TrackedInstance]) -> bool {
        workload.instances.iter().any(|number| {
            let flags = instances.get(*number as usize).map(flags);
            self.instances.contains(number) || self.kept.get(number).copied() != flags
        })
    }

    /// All that is recorded counts as changed.
    pub(super) fn refresh(&mut self) {
        self.kept.clear();
    }

    /// An instance is left out, and its number is another's from now on.
    pub(super) fn forget(&mut self, instance: u32) {
        self.instances.remove(&instance);
        self.kept.remove(&instance);
    }
}

fn flags(instance: &TrackedInstance) -> Flags {
    (
        instance.state,
        instance.subject.start_observed,
        instance.subject.container.is_some(),
        instance.live,
        instance.losses,
    )
}

impl<K: Kernel, S: System> Session<K, S> {
    /// Copies what is recorded of the workloads that changed since the last snapshot; `None` when none did.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn snapshot(
        &mut self,
        workloads: Vec<FinishedWorkload>,
        wants_losses: bool,
    ) -> Result<Option<Snapshot>, RecordError> {
        let counts = self.kernel.counters()?;
        let mut losses = self.losses.total(&counts);
        // How many of them were reported later is known at the end only.
        losses.accesses += counts.programs.accesses_dropped;
        let has_lost = wants_losses && losses != self.changes.unattributed;
        let all = self.instances.all();
        let names = workloads
            .iter()
            .map(|it| it.workload.name.clone())
            .collect();
        let name = |of: &FinishedWorkload| (of.workload.name.clone(), of.part.image.clone());
        let news: HashSet<_> = workloads
            .iter()
            // A supervisor forgets what has ended when it was handed over, whether it is new or not.
            .filter(|workload| {
                (self.is_supervised && workload.part.is_final)
                    || self.changes.is_changed(workload, all)
            })
            .map(name)
            .collect();
        // All parts of a workload, so that whoever keeps them knows which there are.
        let mut changed: Vec<_> = workloads
            .into_iter()
            .filter(|workload| news.contains(&name(workload)))
            .collect();
        if changed.is_empty() && !has_lost {
            return Ok(None);
        }
        self.changes.unattributed = losses;
        let now = self.system.wall_clock();
        let mut numbers = HashMap::new();
        let mut instances = Vec::new();
        for workload in &mut changed {
            if !self.is_supervised {
                workload.reasons.push(Reason::RecorderKilled {
                    checkpoint: now.to_string(),
                });
            }
            for number in &mut workload.instances {
                let Some(instance) = all.get(*number as usize) else {
                    continue;
                };
                self.changes.instances.remove(number);
                self.changes.kept.insert(*number, flags(instance));
                let copy = u32::try_from(instances.len()).unwrap_or(u32::MAX);
                numbers.insert(*number, copy);
                *number = copy;
                instances.push(TrackedInstance {
                    ended: Some(instance.ended.unwrap_or(now)),
                    ..instance.clone()
                });
            }
        }
        let number = |instance| numbers.get(&instance).copied();
        Ok(Some(Snapshot {
            names,
            unattributed: losses,
            workloads: changed,
            instances,
            observations: self.observed.calls.copy(number),
            accesses: self.observed.accesses.copy(number),
            totals: SessionTotals {
                calls: self.instances.is_single().then_some(counts.programs.calls),
                losses,
                ..self.totals()
            },
        }))
    }
}
