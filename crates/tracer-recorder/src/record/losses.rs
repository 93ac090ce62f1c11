//! What was lost: the recorder's own counts, and the sum with those of the kernel side.

use super::{kernel::KernelCounts, mutation};
use tracer_core::recording::Losses;

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
        })
    }
}
