//! What was lost: the recorder's own counts, and the sum with those of the kernel side.

use super::{
    ProgressListener,
    announce::brief,
    instance::TrackedInstance,
    kernel::{Kernel, KernelCounts},
    mutation,
    session::Session,
    system::System,
};
use tracer_core::recording::{LossKind, Losses, Source};
use tracer_report::words;

/// What the recorder itself lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LossCounter {
    /// Events that came before the notice of their instance, and were not kept.
    pub(super) events_without_row: u64,
    /// Accesses of unknown instances that there was no room to keep.
    pub(super) accesses_without_row: u64,
    /// Mounts whose texts were not as they should be.
    pub(super) unreadable_mounts: u64,
    /// Child cgroups that inherited nothing, found at a checkpoint.
    pub(super) late_cgroups: u64,
    /// Running processes that there was no room to register.
    pub(super) processes_not_registered: u64,
    /// Program runs that the kernel skipped, as of the last checkpoint.
    pub(super) skipped_runs: u64,
}

impl LossCounter {
    /// Everything lost so far.
    pub(super) fn total(&self, counts: &KernelCounts) -> Losses {
        let kernel = counts.programs;
        mutation::losses(Losses {
            events: kernel.events_dropped + counts.malformed_events + self.events_without_row,
            executables: kernel.rows_full
                + kernel.processes_full
                + kernel.executables_full
                + self.processes_not_registered,
            calls: kernel.calls_lost + kernel.exotic_full,
            cgroups: kernel.cgroups_full + self.late_cgroups,
            program_runs: self.skipped_runs,
            threads: kernel.threads_full,
            phases: kernel.phases_full,
            values: kernel.values_lost,
            accesses: kernel.accesses_lost
                + counts.malformed_accesses
                + self.accesses_without_row
                + self.unreadable_mounts,
            // Of which workload it was is always known.
            paths: 0,
        })
    }
}

impl<K: Kernel, S: System> Session<K, S> {
    /// Notes that something of one instance was lost.
    pub(super) fn note_loss(&mut self, number: u32, lost: LossKind, count: u64) {
        let Some(instance) = self.instances.get_mut(number) else {
            return;
        };
        let counter = instance.losses.counter_mut(lost);
        let is_first = *counter == 0 && count > 0;
        *counter = counter.saturating_add(count);
        if is_first {
            self.new_losses.push((number, lost));
        }
    }

    /// Tells the listener at once of each instance that began to lose something.
    pub(super) fn report_losses(&mut self, listener: &mut dyn ProgressListener) {
        for (number, lost) in std::mem::take(&mut self.new_losses) {
            if let Some(instance) = self.instances.get(number) {
                listener.note(&format!(
                    "the recording of {} is incomplete: {}",
                    name(instance),
                    words::loss(lost)
                ));
            }
        }
    }
}

/// What a user knows an instance by.
fn name(instance: &TrackedInstance) -> String {
    let container = instance.subject.container.as_ref();
    match (instance.subject.source, container) {
        (Source::Command, _) => "the command".to_owned(),
        (_, Some(container)) => brief(container.name.as_deref().unwrap_or(&container.id)),
        (_, None) => brief(&instance.cgroup.path.display().to_string()),
    }
}
