//! What each row of marks means: whose it is, in which phase, of which executable.

use std::collections::BTreeMap;

use super::{convert, instances::Instances, mutation};
use crate::bpf::{ProbeError, SeenRow};
use tracer_core::recording::{Executable, Phase};

/// What a row of marks means to a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowMeaning {
    pub(super) instance: u32,
    pub(super) phase: Phase,
    pub(super) executable: Executable,
    pub(super) blocked: bool,
}

/// The rows of the instances that are recorded now.
#[derive(Debug, Default)]
pub(super) struct RowTable(BTreeMap<u32, RowMeaning>);

impl RowTable {
    pub(super) fn get(&self, row: u32) -> Option<&RowMeaning> {
        self.0.get(&row)
    }

    pub(super) fn knows(&self, row: u32) -> bool {
        self.0.contains_key(&row)
    }

    /// Takes in the rows that are in use now. A row that belongs to no instance is left: the notice of
    /// its instance may still be on the way, or nobody wants it any more.
    ///
    /// # Errors
    /// What `executable` returns: it tells what an id stands for in an instance.
    pub(super) fn learn(
        &mut self,
        rows: &[SeenRow],
        instances: &Instances,
        mut executable: impl FnMut(u64, u32) -> Result<Executable, ProbeError>,
    ) -> Result<(), ProbeError> {
        for row in rows {
            if self.knows(row.number) {
                continue;
            }
            let Some(instance) = instances.recorded(row.key.instance) else {
                continue;
            };
            let meaning = RowMeaning {
                instance,
                phase: convert::phase(row.key.phase),
                executable: executable(row.key.exe, instance)?,
                blocked: row.key.blocked != 0,
            };
            self.0.insert(row.number, mutation::row(meaning));
        }
        Ok(())
    }

    /// The rows of one instance, or of all.
    pub(super) fn of(&self, instance: Option<u32>) -> BTreeMap<u32, RowMeaning> {
        self.0
            .iter()
            .filter(|(_, row)| instance.is_none_or(|wanted| row.instance == wanted))
            .map(|(number, row)| (*number, row.clone()))
            .collect()
    }

    /// An instance is not recorded any more: its rows will be another's.
    pub(super) fn forget(&mut self, instance: u32) {
        self.0.retain(|_, row| row.instance != instance);
    }
}
