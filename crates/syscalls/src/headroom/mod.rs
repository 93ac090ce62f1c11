//! The `headroom` layer: calls that were not observed, that can do no harm, and without which the next
//! run fails.
//!
//! A recording shows one run. The next one sleeps, logs the time, reads its limits or flushes a file, and
//! fails for nothing if that is denied. A call is in this layer only if all of this holds:
//!
//! - **It touches nothing outside of the process**: no path, no other process, no device, no setting of
//!   the machine ([`HeadroomGroup::grants`]).
//! - **It grants nothing beyond what is allowed**: what needs more is allowed beside a call that grants as
//!   much ([`HeadroomRule::beside`]), or for some arguments only ([`HeadroomRule::only`]).
//! - **The kernel code behind it is small, and has no history of exploited flaws**
//!   ([`HeadroomGroup::surface`]). Calls that were weighed and left out are in [`LEFT_OUT`], with the
//!   reason.

mod left_out;
mod rows;
#[cfg(test)]
mod tests;

use super::{Abi, condition::ArgumentConstraint};

pub use left_out::{LEFT_OUT, LeftOut};
pub use rows::HEADROOM_GROUPS;

/// Calls that are harmless for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadroomGroup {
    /// Short, for tables.
    pub title: &'static str,
    /// When a program makes these calls, and what happens to it when they are denied.
    pub need: &'static str,
    /// Why they can do no harm.
    pub grants: &'static str,
    /// The kernel code that they reach, with its files (Linux 6.18).
    pub surface: &'static str,
    /// The calls.
    pub rules: &'static [HeadroomRule],
}

/// What is added, and beside what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadroomRule {
    /// Calls one of which the workload has to make already; none: the rule always holds.
    pub beside: &'static [&'static str],
    /// Names in any ABI; one that an ABI does not have is skipped there.
    pub adds: &'static [&'static str],
    /// The arguments for which they are added; `None`: any.
    pub only: Option<&'static ArgumentConstraint>,
    /// Whether a format that has no conditions may allow them for any arguments: what else they do then is
    /// harmless too, if less to the point.
    pub harmless_with_any: bool,
}

/// A call that is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// The call.
    pub call: &'static str,
    /// The call beside which it is added, the first of those that are made; `None`: it always is.
    pub beside: Option<&'static str>,
    /// The arguments for which it is added; `None`: any.
    pub only: Option<&'static ArgumentConstraint>,
    /// Whether it may be allowed for any arguments where conditions cannot be expressed.
    pub harmless_with_any: bool,
    /// Why.
    pub group: &'static HeadroomGroup,
}

/// What is added in `abi` beside the calls that the workload makes. A call may come several times: for
/// several reasons, or once for each of several arguments.
///
/// ```
/// use syscalls::{Abi, headroom};
///
/// let added: Vec<_> = headroom::added(Abi::X86_64, |name| name == "write").collect();
/// // It cannot fail, so no caller checks.
/// assert!(added.iter().any(|it| it.call == "getuid" && it.beside.is_none()));
/// assert!(added.iter().any(|it| it.call == "fsync" && it.beside == Some("write")));
/// ```
pub fn added(abi: Abi, is_made: impl Fn(&str) -> bool) -> impl Iterator<Item = Headroom> {
    let mut all = Vec::new();
    for group in HEADROOM_GROUPS {
        for rule in group.rules {
            let beside = rule.beside.iter().copied().find(|name| is_made(name));
            if beside.is_none() && !rule.beside.is_empty() {
                continue;
            }
            let here = rule.adds.iter().copied();
            let here = here.filter(|name| abi.syscall_number(name).is_some());
            all.extend(here.map(|call| Headroom {
                call,
                beside,
                only: rule.only,
                harmless_with_any: rule.harmless_with_any,
                group,
            }));
        }
    }
    all.into_iter()
}

/// The groups that have a call, whatever it is added beside.
///
/// ```
/// use syscalls::headroom;
///
/// assert_eq!(headroom::groups_of("nanosleep").next().map(|it| it.title), Some("sleep"));
/// assert_eq!(headroom::groups_of("bpf").next(), None);
/// ```
pub fn groups_of(call: &str) -> impl Iterator<Item = &'static HeadroomGroup> {
    HEADROOM_GROUPS.iter().filter(move |group| {
        let mut rules = group.rules.iter();
        rules.any(|rule| rule.adds.contains(&call))
    })
}

/// Why a call that may look harmless is not in the layer, if it was weighed.
///
/// ```
/// use syscalls::headroom;
///
/// assert!(headroom::left_out("mremap").is_some());
/// assert!(headroom::left_out("getuid").is_none());
/// ```
pub fn left_out(call: &str) -> Option<&'static LeftOut> {
    LEFT_OUT.iter().find(|it| it.calls.contains(&call))
}
