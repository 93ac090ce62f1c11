//! What would happen to one call, as soon as it is seen.

use std::collections::BTreeSet;

use super::{
    Answer, IntendedRefusal, Outcome, answer,
    intended::Kernels,
    outcomes,
    registers::{KnownRegisters, is_one_of},
};
use crate::{
    profile::seccomp::evaluate::Filter,
    recording::{Phase, SyscallId},
};
use syscalls::arguments::recorded;

/// A call, and what is known of its registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenCall<'a> {
    /// The call.
    pub(crate) call: SyscallId,
    /// The values of its recorded arguments, in the order of their indices.
    pub(crate) values: Option<&'a [u64]>,
    /// All registers of the first such call.
    pub(crate) first: Option<[u64; 6]>,
}

/// What a filter would do to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Whether it would be made.
    pub(crate) answer: Answer,
    /// What the filter may return, and what decides.
    pub(crate) outcomes: Vec<Outcome>,
    /// The arguments on which it depends and that are not known, from 0.
    pub(crate) depends_on: BTreeSet<usize>,
    /// Why it is not a denial, although it would return ENOSYS.
    pub(crate) intended: Option<IntendedRefusal>,
    /// With which arguments, where the filter looks at them.
    pub(crate) given: Option<String>,
}

/// Judges one call. One that is undecided by its recorded arguments is denied when the registers of the first
/// such call are.
pub(crate) fn judge(seen: SeenCall<'_>, kernels: Kernels, filter: &Filter) -> Judgement {
    let call = seen.call;
    let name = call.abi.syscall_name(call.nr);
    let recorded = name.and_then(|name| recorded(call.abi, name));
    let known = match (recorded, seen.values) {
        (Some(recorded), Some(values)) => KnownRegisters::values(Phase::Run, recorded, values),
        _ => KnownRegisters::unknown(Phase::Run),
    };
    let possible = known.possible_verdicts(filter, call);
    let mut judgement = Judgement {
        answer: answer(&possible),
        outcomes: outcomes(&possible),
        intended: kernels.intended(call, known.values.as_deref(), &possible, filter),
        depends_on: possible.depends_on,
        given: known.words,
    };
    let fits = |args: &[u64; 6]| match (recorded, seen.values) {
        (Some(recorded), Some(values)) => is_one_of(recorded, values, *args),
        _ => true,
    };
    if judgement.answer == Answer::Undecided
        && let Some(first) = seen.first.filter(fits)
    {
        let whole = KnownRegisters::whole(Phase::Run, first);
        let possible = whole.possible_verdicts(filter, call);
        if answer(&possible) == Answer::Denied {
            judgement = Judgement {
                answer: Answer::Denied,
                outcomes: outcomes(&possible),
                intended: kernels.intended(call, seen.values, &possible, filter),
                depends_on: possible.depends_on,
                // Not its registers: pointers differ each time, and say nothing to a reader.
                given: judgement.given,
            };
        }
    }
    let looks_at_arguments = {
        let decisions = filter.decisions(call);
        decisions.iter().any(|it| !it.conditions.is_empty())
    };
    judgement.given = judgement.given.filter(|_| looks_at_arguments);
    judgement
}
