//! Faults that the simulation's own tests put into the recorder, to show that it would find them. Outside
//! of tests there are none: every function here is then its argument.

use std::time::Duration;

use super::rows::RowMeaning;
use tracer_core::recording::Losses;

/// A fault in the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// An event is thrown away and not counted.
    DropEvent,
    /// At the end the marks are not read.
    SkipFinalRead,
    /// The marks of a removed cgroup are not read.
    SkipReadAtRemoval,
    /// Accesses that wait when a cgroup is removed are not read before its rows are given away.
    SkipAccessesAtRemoval,
    /// The same of events.
    SkipEventsAtRemoval,
    /// A checkpoint does not look for notices that found the ring full.
    SkipMissedNotices,
    /// Values of arguments are not read.
    SkipValues,
    /// What a row meant is kept when the row is another's.
    KeepStaleRows,
    /// Rows are given to others at once, although a program may hold one.
    ReleaseAtOnce,
    /// A cgroup that was left, and is recorded again, is given up when the time of its first recording
    /// comes.
    ReleaseWatched,
    /// The rows of the first two instances are swapped.
    SwapInstances,
    /// What runtimes did is filed under the workload.
    WrongPhase,
    /// Lost calls are not reported.
    ForgetLostCalls,
    /// Lost evidence is not reported.
    ForgetLostEvents,
    /// A container is looked up by the path of another one.
    WrongName,
    /// What a forgotten instance did is kept, under a number that is another's.
    KeepForgotten,
    /// What the kernel knows of an instance is not asked when it ends.
    ForgetState,
}

#[cfg(not(test))]
mod switch {
    use super::Mutation;

    pub(in crate::record) const fn is(_: Mutation) -> bool {
        false
    }

    pub(in crate::record) const fn once(_: Mutation) -> bool {
        false
    }
}

#[cfg(test)]
pub(super) use switch::set;
pub(super) use switch::{is, once};

/// What a row means.
pub(super) fn row(mut row: RowMeaning) -> RowMeaning {
    use tracer_core::recording::Phase;
    if is(Mutation::SwapInstances) {
        row.instance = match row.instance {
            0 => 1,
            1 => 0,
            other => other,
        };
    }
    if is(Mutation::WrongPhase) && row.phase == Phase::Setup {
        row.phase = Phase::Run;
    }
    row
}

/// What was lost.
pub(super) fn losses(mut losses: Losses) -> Losses {
    if is(Mutation::ForgetLostCalls) {
        losses.calls = 0;
    }
    if is(Mutation::ForgetLostEvents) {
        losses.events = 0;
    }
    losses
}

/// How long rows are kept from others.
pub(super) fn grace(grace: Duration) -> Duration {
    if is(Mutation::ReleaseAtOnce) {
        Duration::ZERO
    } else {
        grace
    }
}

/// Which instance's path is looked up.
pub(super) fn looked_up(instance: u32) -> u32 {
    if is(Mutation::WrongName) {
        instance ^ 1
    } else {
        instance
    }
}

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Mutation;

    thread_local! {
        static ACTIVE: Cell<Option<Mutation>> = const { Cell::new(None) };
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }

    /// Puts a fault into the recorders of this thread.
    pub(in crate::record) fn set(mutation: Option<Mutation>) {
        ACTIVE.set(mutation);
        COUNT.set(0);
    }

    pub(in crate::record) fn is(mutation: Mutation) -> bool {
        ACTIVE.get() == Some(mutation)
    }

    /// Each fifth time.
    pub(in crate::record) fn once(mutation: Mutation) -> bool {
        is(mutation) && {
            COUNT.set(COUNT.get() + 1);
            COUNT.get().is_multiple_of(5)
        }
    }
}
