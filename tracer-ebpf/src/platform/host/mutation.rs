//! Mistakes that the simulation makes on purpose, to see that it would notice them.

use std::cell::Cell;

/// A mistake in the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Neither exit nor fork clears the slot of a stack.
    StackKeepsSlot,
    /// A move of a process does not end the epoch.
    AttachKeepsEpoch,
    /// A move ends the epoch before the process is filed anew.
    EpochBeforeEntry,
    /// Exec does not clear the task's slot.
    ExecKeepsSlot,
    /// Exit does not clear the task's slot: only fork does.
    ExitKeepsSlot,
    /// A call without a row is not counted.
    ForgetCallsLost,
    /// A full process table is not counted.
    ForgetProcessesFull,
    /// A call is marked in the row before its own.
    NextRow,
    /// A child cgroup becomes an instance of its own.
    ChildIsItsOwn,
    /// A slot never says that its task is under a filter.
    IgnoreFiltered,
    /// A slot is kept while a runtime is at work.
    KeepRuntimeSlot,
    /// The epoch is read after the look-up, when the slot is written.
    EpochAfterLookUp,
    /// A free row that another CPU did not need is not given back.
    LeakRow,
    /// Hashes of accesses do not know whether a row has had another owner.
    NoSalt,
    /// An event is sent although the mark was there.
    EventWithoutMark,
    /// A blocked call is marked in the row of those that were made.
    BlockedInOrdinaryRow,
    /// Values of a call are found by the value alone, whichever row it is.
    RecentIgnoresRow,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::StackKeepsSlot,
        Self::AttachKeepsEpoch,
        Self::EpochBeforeEntry,
        Self::ExecKeepsSlot,
        Self::ExitKeepsSlot,
        Self::ForgetCallsLost,
        Self::ForgetProcessesFull,
        Self::NextRow,
        Self::ChildIsItsOwn,
        Self::IgnoreFiltered,
        Self::KeepRuntimeSlot,
        Self::EpochAfterLookUp,
        Self::LeakRow,
        Self::NoSalt,
        Self::EventWithoutMark,
        Self::BlockedInOrdinaryRow,
        Self::RecentIgnoresRow,
    ];
}

thread_local! {
    static ACTIVE: Cell<Option<Mutation>> = const { Cell::new(None) };
}

/// Makes this thread's programs make a mistake, or none.
pub fn set(mutation: Option<Mutation>) {
    ACTIVE.set(mutation);
}

/// Whether this one is made.
pub(crate) fn is(mutation: Mutation) -> bool {
    ACTIVE.get() == Some(mutation)
}
