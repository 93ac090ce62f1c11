//! A number for how little a profile leaves to an attacker: 0 when everything is allowed, 100 when nothing
//! is.
//!
//! Each call counts by what it gives away, and calls that do different things by their arguments count by
//! the dangerous ones. A profile that allows less nowhere scores lower for it, so of two profiles of which
//! one is stronger that one never has the lower score.

use serde::Serialize;

use super::loaded_profile::{LoadedProfile, SyscallState};
use crate::profile::seccomp::evaluate::Decider;
use syscalls::{Abi, defaults, flags, risk};

/// The score of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Score {
    /// The file.
    pub file: String,
    /// What the profile is called, where it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// From 0, everything is allowed, to 100.
    pub score: u32,
}

/// What a call counts that the runtime's default denies: more than a point of a hundred, so that each of them moves
/// the score.
const BLOCKED: u32 = 40;
/// What a flag counts by which a call gives more away.
const FLAG: u32 = 24;
/// What a call counts that deserves a second look, and any other.
const RISKY: u32 = 6;
const OTHER: u32 = 1;
/// What the machine's own ABI counts; another one counts 1.
const NATIVE: u64 = 30;
/// What all calls that nobody has a name for yet count together, in parts of the named ones.
const FUTURE: u32 = 20;
/// A number that no kernel has (include/uapi/asm-generic/unistd.h).
const UNNAMED: u32 = 1000;

/// The score of a profile, from 0 to 100.
pub(super) fn of(view: &LoadedProfile<'_>) -> u32 {
    let (mut open, mut all) = (0, 0);
    for abi in view.abis() {
        // The machine's own ABI counts most; others are another way to the same calls.
        let share = if abi == view.context.native {
            NATIVE
        } else {
            1
        };
        let (open_here, all_here) = of_abi(view, abi);
        open += u64::from(open_here) * share;
        all += u64::from(all_here) * share;
    }
    let closed = all.saturating_sub(open) * 100 / all.max(1);
    u32::try_from(closed).unwrap_or(100)
}

/// What is open in an ABI, of all that counts. Of each call there are four quarters.
fn of_abi(view: &LoadedProfile<'_>, abi: Abi) -> (u32, u32) {
    let (mut open, mut all) = (0, 0);
    for (nr, name) in abi.syscalls() {
        let weight = match (defaults::blocked_by_default(name), risk::risk(name)) {
            (Some(_), _) => BLOCKED,
            (None, Some(_)) => RISKY,
            (None, None) => OTHER,
        };
        all += 4 * weight;
        open += weight * quarters(view, abi, nr, name);
        // What is reached by flags counts for itself.
        for value in dangerous(name) {
            all += FLAG;
            let outcome = view.evaluate(abi, nr, value);
            open += FLAG * u32::from(outcome.verdict.allows());
        }
    }
    let unnamed = view.evaluate(abi, UNNAMED, [0; 6]);
    let future = all / FUTURE;
    (
        open + future * u32::from(unnamed.verdict.allows()),
        all + future,
    )
}

/// How much of a call is open.
fn quarters(view: &LoadedProfile<'_>, abi: Abi, nr: u32, name: &str) -> u32 {
    if view.evaluate(abi, nr, [0; 6]).decider == Decider::Architecture {
        return 0;
    }
    match view.state(abi, name) {
        SyscallState::Allowed => 4,
        SyscallState::Conditional => 2,
        SyscallState::Denied | SyscallState::Killed | SyscallState::Absent => 0,
    }
}

/// Arguments by which a call gives more away than otherwise.
fn dangerous(name: &str) -> Vec<[u64; 6]> {
    let fields = flags::FIELDS.iter();
    let of_call = fields.filter(|field| field.is_flags && field.calls.contains(&name));
    of_call
        .flat_map(|field| {
            let bits = (0..64).map(|bit| 1_u64 << bit);
            bits.filter(|bit| field.mask & bit != 0).map(|bit| {
                let mut args = [0; 6];
                if let Some(argument) = usize::try_from(field.index)
                    .ok()
                    .and_then(|index| args.get_mut(index))
                {
                    *argument = bit | field.always | field.beside;
                }
                args
            })
        })
        .collect()
}
