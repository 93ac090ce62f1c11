//! What an instance has taken of what all share, and what was lost of it.

use core::mem::size_of;

/// Words of an account: a power of two, as programs cut the index to it.
pub const ACCOUNT_WORDS: usize = 16;

/// One word for each [`Quota`]. They are only ever added to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// By the number of the quota.
    pub words: [u64; ACCOUNT_WORDS],
}

/// What is counted for each instance. A number below [`ACCOUNT_WORDS`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Rows of marks that it has.
    Rows = 0,
    /// Numbers of values that were given out for it.
    Values = 1,
    /// Look-ups that found no row: as [`crate::Counters::rows_full`].
    RowsFull = 2,
    /// As [`crate::Counters::phases_full`].
    PhasesFull = 3,
    /// As [`crate::Counters::calls_lost`].
    CallsLost = 4,
    /// As [`crate::Counters::values_lost`].
    ValuesLost = 5,
    /// As [`crate::Counters::processes_full`].
    ProcessesFull = 6,
    /// As [`crate::Counters::cgroups_full`].
    CgroupsFull = 7,
    /// Accesses that user space was told of.
    Accesses = 8,
    /// The instance's part of [`crate::Counters::accesses_lost`].
    AccessesLost = 9,
    /// As [`crate::Counters::executables_full`].
    ExecutablesFull = 10,
}

impl Account {
    /// The word of a quota.
    pub fn get(&self, quota: Quota) -> u64 {
        self.words.get(quota as usize).copied().unwrap_or(0)
    }
}

const _: () = assert!(size_of::<Account>() == 8 * ACCOUNT_WORDS);
