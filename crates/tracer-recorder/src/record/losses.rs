//! What was lost: the recorder's own counts, and the sum with those of the kernel side.

use tracer_abi::Quota;

use super::{
    ProgressListener, RecordError,
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
    /// What is known to be of single instances, wanted or not: nobody else lost it.
    pub(super) attributed: Losses,
    /// The accesses among them that the kernel side lost; the others were lost here.
    pub(super) attributed_accesses: u64,
    /// What the kernel side had counted when the accounts of instances were read last.
    pub(super) counted: u64,
}

impl LossCounter {
    /// What was lost so far, and not by an instance that is known.
    pub(super) fn total(&self, counts: &KernelCounts) -> Losses {
        let kernel = counts.programs;
        let of_others = |counted: u64, field: fn(&Losses) -> u64| {
            counted.saturating_sub(field(&self.attributed))
        };
        mutation::losses(Losses {
            events: kernel.events_dropped + counts.malformed_events + self.events_without_row,
            executables: of_others(
                kernel.rows_full + kernel.processes_full + kernel.executables_full,
                |it| it.executables,
            ) + self.processes_not_registered,
            calls: of_others(kernel.calls_lost, |it| it.calls) + kernel.exotic_full,
            cgroups: of_others(kernel.cgroups_full, |it| it.cgroups) + self.late_cgroups,
            program_runs: self.skipped_runs,
            threads: kernel.threads_full,
            phases: of_others(kernel.phases_full, |it| it.phases),
            values: of_others(kernel.values_lost, |it| it.values),
            accesses: kernel
                .accesses_lost
                .saturating_sub(self.attributed_accesses)
                + counts.malformed_accesses
                + self.accesses_without_row
                + self.unreadable_mounts,
            // Of which workload it was is always known.
            paths: 0,
            messages: 0,
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
        let attributed = self.losses.attributed.counter_mut(lost);
        *attributed = attributed.saturating_add(count);
        if is_first {
            self.new_losses.push((number, lost));
        }
    }

    /// Reads what an instance lost by the kernel side's account.
    pub(super) fn read_account(&mut self, number: u32) -> Result<(), RecordError> {
        let Some(instance) = self.instances.get_mut(number) else {
            return Ok(());
        };
        let account = self.kernel.account(instance.cgroup.id)?;
        let before = std::mem::replace(&mut instance.account, account);
        for (quota, lost) in ACCOUNTED {
            let count = account.get(quota).saturating_sub(before.get(quota));
            if count == 0 {
                continue;
            }
            self.note_loss(number, lost, count);
            if lost == LossKind::Accesses {
                self.losses.attributed_accesses += count;
            }
        }
        Ok(())
    }

    /// The same of all that are recorded, when the kernel side has counted something since.
    pub(super) fn read_accounts(&mut self) -> Result<(), RecordError> {
        let counts = self.kernel.counters()?.programs;
        let counted = counts.rows_full
            + counts.phases_full
            + counts.calls_lost
            + counts.values_lost
            + counts.processes_full
            + counts.cgroups_full
            + counts.accesses_lost
            + counts.executables_full;
        if counted == self.losses.counted {
            return Ok(());
        }
        self.losses.counted = counted;
        let live: Vec<u32> = self.instances.live().map(|(number, _)| number).collect();
        live.into_iter()
            .try_for_each(|number| self.read_account(number))
    }

    /// Tells the listener at once of each instance that began to lose something.
    pub(super) fn report_losses(&mut self, listener: &mut dyn ProgressListener) {
        for (number, lost) in std::mem::take(&mut self.new_losses) {
            if let Some(instance) = self.instances.get(number) {
                let mut losses = instance.losses;
                let count = *losses.counter_mut(lost);
                listener.note(&format!(
                    "the recording of {} is incomplete: {}",
                    name(instance),
                    words::loss(lost, count)
                ));
            }
        }
    }
}

/// What the words of an account are in a recording.
const ACCOUNTED: [(Quota, LossKind); 8] = [
    (Quota::RowsFull, LossKind::Executables),
    (Quota::ProcessesFull, LossKind::Executables),
    (Quota::PhasesFull, LossKind::Phases),
    (Quota::CallsLost, LossKind::Calls),
    (Quota::ValuesLost, LossKind::Values),
    (Quota::CgroupsFull, LossKind::Cgroups),
    (Quota::AccessesLost, LossKind::Accesses),
    (Quota::ExecutablesFull, LossKind::Executables),
];

/// What a user knows an instance by.
fn name(instance: &TrackedInstance) -> String {
    let container = instance.subject.container.as_ref();
    match (instance.subject.source, container) {
        (Source::Command, _) => "the command".to_owned(),
        (_, Some(container)) => brief(container.name.as_deref().unwrap_or(&container.id)),
        (_, None) => brief(&instance.cgroup.path.display().to_string()),
    }
}
