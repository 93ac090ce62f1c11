//! What the marks say: the truth about what was seen, read back at each checkpoint and at the end.

use std::{collections::HashMap, time::Instant};

use tracer_abi::AbiClass;

use super::{RowMeaning, Session};
use crate::bpf::abi_of_class;
use crate::{
    bpf::{RowValues, SeenRow},
    record::{RecordError, convert, discovery::Discovered},
};
use tracer_core::recording::{
    FirstSeen, Observation, ObservedArguments, Phase, SyscallId, estimate,
};

impl Session {
    /// Reads the marks back: what the ring had no room for is taken in now, without its evidence.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn reconcile(&mut self) -> Result<(), RecordError> {
        self.drain()?;
        self.skipped_runs = self.probe.skipped_runs();
        self.find_late_cgroups()?;
        self.find_missed_notices()?;
        self.learn_rows()?;
        self.read_rows(None)?;
        self.unseen = self.estimate();
        self.leave_exits_when_idle()
    }

    /// Reads what the calls of a row were given.
    pub(super) fn read_values(&mut self, row: u32, who: &RowMeaning) -> Result<(), RecordError> {
        let RowValues { seen, cut } = self.probe.values(row)?;
        let seen = seen
            .into_iter()
            .map(|(class, nr, values)| (class, nr, Some(values)));
        let cut = cut.into_iter().map(|(class, nr)| (class, nr, None));
        for (class, nr, values) in seen.chain(cut) {
            let call = SyscallId {
                abi: abi_of_class(self.machine, class),
                nr,
            };
            if let Some(values) = values
                && estimate::counts(who.phase, who.blocked)
            {
                self.discovery.saw(
                    who.instance,
                    Discovered::Values(call, values),
                    Instant::now(),
                );
            }
            self.observations.add_arguments(ObservedArguments {
                call,
                instance: who.instance,
                phase: who.phase,
                executable: who.executable.clone(),
                values,
            });
        }
        Ok(())
    }

    /// Reads the marks of one instance, or of all.
    pub(super) fn read_rows(&mut self, instance: Option<u32>) -> Result<(), RecordError> {
        let rows: HashMap<_, _> = self
            .rows
            .iter()
            .filter(|(_, meaning)| instance.is_none_or(|wanted| meaning.instance == wanted))
            .map(|(number, meaning)| (*number, meaning.clone()))
            .collect();
        for (number, meaning) in &rows {
            for (class, nr, mark) in self.probe.marks(*number)? {
                self.observe(meaning.clone(), class, nr, mark, None);
            }
            // Of what prepares a container, and of what was stopped, no values are kept.
            if !meaning.blocked && meaning.phase != Phase::Setup {
                self.read_values(*number, meaning)?;
            }
        }
        for (row, class, nr, mark) in self.probe.unindexed()? {
            if let Some(meaning) = rows.get(&row) {
                self.observe(meaning.clone(), class, nr, mark, None);
            }
        }
        Ok(())
    }

    pub(super) fn observe(
        &mut self,
        who: RowMeaning,
        class: AbiClass,
        nr: u32,
        mark: u8,
        first: Option<FirstSeen>,
    ) {
        if let Some(watched) = self.instance_mut(who.instance) {
            watched.seen = true;
        }
        let call = SyscallId {
            abi: abi_of_class(self.machine, class),
            nr,
        };
        if estimate::counts(who.phase, who.blocked) {
            self.discovery
                .saw(who.instance, Discovered::SyscallId(call), Instant::now());
        }
        self.observations.add(Observation {
            call,
            instance: who.instance,
            phase: who.phase,
            executable: who.executable,
            blocked: who.blocked.then(|| convert::blocked(mark)),
            first,
        });
    }

    pub(super) fn learn_rows(&mut self) -> Result<(), RecordError> {
        let rows = self.probe.rows()?;
        self.learn(&rows)
    }

    pub(super) fn learn(&mut self, rows: &[SeenRow]) -> Result<(), RecordError> {
        for row in rows {
            if self.rows.contains_key(&row.number) {
                continue;
            }
            let instance = self.by_id.get(&row.key.instance).copied();
            let instance = instance.filter(|number| {
                let watched = self.instance(*number);
                watched.is_some_and(|watched| watched.ended.is_none())
            });
            // It may belong to one whose notice is still to come, or that is not wanted any more.
            let Some(instance) = instance else {
                continue;
            };
            let executable = convert::executable(self.probe.executable(row.key.exe)?);
            self.rows.insert(
                row.number,
                RowMeaning {
                    instance,
                    phase: convert::phase(row.key.phase),
                    executable,
                    blocked: row.key.blocked != 0,
                },
            );
        }
        Ok(())
    }
}
