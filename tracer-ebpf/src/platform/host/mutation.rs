//! Mistakes that the simulation makes on purpose, to see that it would notice them.

use std::cell::Cell;

/// A mistake in the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Fork does not clear the slot of the child's stack.
    ForkKeepsSlot,
    /// A move of a process does not end the epoch.
    AttachKeepsEpoch,
    /// Exec does not clear the task's slot.
    ExecKeepsSlot,
    /// Exit does not clear the task's slot.
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
