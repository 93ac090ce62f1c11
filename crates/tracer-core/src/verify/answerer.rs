//! Whose filter answered a call: the profile, or one that the program loaded by itself.
//!
//! The kernel runs all filters of a thread and takes the most restrictive action; of several filters with the
//! same action it takes the answer of the one that was loaded last (`seccomp_run_filters`, kernel/seccomp.c). A
//! program's own filter is loaded after the profile, so its answer hides the same action of the profile.

use serde::Serialize;
use syscalls::errno;

use crate::{profile::seccomp::evaluate::Verdict, recording::Blocked};

/// Who answered a call that a filter stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answerer {
    /// The profile: no other filter was there.
    Profile,
    /// Another filter: the profile lets the call through, or would have answered otherwise.
    OtherFilter,
    /// The profile, and another filter may give the same answer: the call is denied without it, too.
    Either,
    /// The profile or another filter: what the profile answers depends on registers that are not known.
    Undecided,
}

impl Answerer {
    /// By what the profile may do to the call, what the program saw, and whether the thread was under filters
    /// besides the profile; `None` where that is not known.
    pub(super) fn of(
        possible: impl Iterator<Item = Verdict>,
        saw: Blocked,
        others: Option<bool>,
    ) -> Self {
        let (same, different): (Vec<_>, Vec<_>) =
            possible.partition(|verdict| answer(*verdict) == Some(saw));
        match others {
            _ if same.is_empty() => Self::OtherFilter,
            Some(false) => Self::Profile,
            Some(true) | None if different.is_empty() => Self::Either,
            Some(true) | None => Self::Undecided,
        }
    }

    /// Whose answer it was: where it is not known what filters there were, it is known whether any was loaded.
    pub(super) fn settled(self, others: Option<bool>, loads_filters: bool) -> Self {
        match (self, others) {
            (Self::Either | Self::Undecided, None) if !loads_filters => Self::Profile,
            _ => self,
        }
    }
}

/// What a program sees of a verdict, without a listener and without a tracer; `None`: the call is made.
fn answer(verdict: Verdict) -> Option<Blocked> {
    let enosys = u16::try_from(errno::ENOSYS).unwrap_or(u16::MAX);
    match verdict {
        Verdict::Allow | Verdict::Log => None,
        Verdict::Errno(0) => Some(Blocked::Value),
        // Recordings have no larger numbers (`tracer_abi::outcome::MAX_ERRNO`).
        Verdict::Errno(number) if number > 200 => Some(Blocked::OtherErrno),
        Verdict::Errno(number) => Some(Blocked::Errno(number)),
        Verdict::Trace(_) | Verdict::Notify => Some(Blocked::Errno(enosys)),
        Verdict::Trap | Verdict::KillThread | Verdict::KillProcess => Some(Blocked::Signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_shows_whose_it_is() {
        use Answerer::{Either, OtherFilter, Profile};
        let (eperm, eacces) = (Blocked::Errno(1), Blocked::Errno(13));
        for (verdict, saw, others, expected) in [
            // The profile lets it through.
            (Verdict::Allow, eperm, Some(true), OtherFilter),
            (Verdict::Log, Blocked::Signal, None, OtherFilter),
            // It would have answered otherwise: the same action, and the own filter is asked last.
            (Verdict::Errno(1), eacces, Some(true), OtherFilter),
            // A stronger action of the own filter.
            (Verdict::Errno(1), Blocked::Signal, Some(true), OtherFilter),
            (Verdict::Errno(1), eperm, Some(false), Profile),
            (Verdict::Errno(1), eperm, Some(true), Either),
            (Verdict::Errno(1), eperm, None, Either),
            (Verdict::Trap, Blocked::Signal, Some(true), Either),
            (Verdict::KillProcess, Blocked::Signal, Some(false), Profile),
            (Verdict::Errno(0), Blocked::Value, Some(false), Profile),
            (
                Verdict::Errno(500),
                Blocked::OtherErrno,
                Some(false),
                Profile,
            ),
            (Verdict::Notify, Blocked::Errno(38), Some(false), Profile),
        ] {
            let answerer = Answerer::of([verdict].into_iter(), saw, others);
            assert_eq!(answerer, expected, "{verdict} {saw:?} {others:?}");
        }
    }

    #[test]
    fn unknown_registers_are_undecided_only_where_they_matter() {
        let of = |possible: &[Verdict], others| {
            Answerer::of(possible.iter().copied(), Blocked::Signal, others)
        };
        let both = [Verdict::Allow, Verdict::Trap];
        assert_eq!(of(&both, Some(true)), Answerer::Undecided);
        assert_eq!(of(&both, None), Answerer::Undecided);
        assert_eq!(of(&both, Some(false)), Answerer::Profile);
        assert_eq!(of(&[Verdict::Trap], Some(true)), Answerer::Either);
        assert_eq!(of(&[Verdict::Allow], Some(true)), Answerer::OtherFilter);
        let undecided = Answerer::Undecided;
        assert_eq!(undecided.settled(None, false), Answerer::Profile);
        assert_eq!(undecided.settled(None, true), undecided);
        assert_eq!(undecided.settled(Some(true), false), undecided);
    }
}
