//! The rows of marks of the simulated kernel side.

use tracer_abi::{EXE_OVERFLOW, FIRST_ROW, Phase, RowKey};

use super::programs::Kernel;

impl Kernel {
    /// The row for a key, and the key that it really has.
    pub(super) fn row_of(&mut self, mut key: RowKey) -> Option<(u32, RowKey)> {
        if let Some(row) = self.existing_or_new(key) {
            return Some((row, key));
        }
        self.counters.rows_full += 1;
        if key.phase != Phase::Run as u32 {
            self.counters.phases_full += 1;
        }
        key.exe = EXE_OVERFLOW;
        key.phase = Phase::Run as u32;
        let Some(row) = self.rows.get(&key) else {
            self.counters.calls_lost += 1;
            return None;
        };
        Some((*row, key))
    }

    pub(super) fn existing_or_new(&mut self, key: RowKey) -> Option<u32> {
        if let Some(row) = self.rows.get(&key) {
            return Some(*row);
        }
        // Those that were given back come first: the sooner a row is another's, the more can go wrong.
        let row = match self.free_rows.pop_front() {
            Some(row) => row,
            None if self.unused_row < FIRST_ROW + self.limits.rows => {
                self.unused_row += 1;
                self.unused_row - 1
            }
            None => return None,
        };
        self.rows.insert(key, row);
        Some(row)
    }

    /// When the first mark that a program holds is stored, not later than that.
    pub(super) fn next_held(&self, end: u64) -> Option<u64> {
        self.held
            .iter()
            .map(|held| held.due)
            .filter(|due| *due <= end)
            .min()
    }
}

/// The row that takes over when all are taken.
pub(super) const fn overflow_row(instance: u64) -> RowKey {
    RowKey {
        instance,
        exe: EXE_OVERFLOW,
        phase: Phase::Run as u32,
        blocked: 0,
    }
}
