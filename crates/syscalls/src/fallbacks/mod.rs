//! The `variant` layer: calls that libc or the kernel may use instead of those that were seen.
//!
//! The same program, built with another libc or run on another kernel, does the same work by other
//! calls: musl's `open` is open(2), glibc's is openat(2). A variant is added only where both of these
//! hold:
//!
//! - **Somebody calls it**: a libc, a language runtime or the kernel's own history is named that uses
//!   the one where another uses the other ([`FallbackGroup::need`]).
//! - **It grants nothing new**: what it can reach and do, the calls that are allowed already can
//!   ([`FallbackGroup::grants`]). Where that holds for some arguments only, the variant is allowed for
//!   these only ([`FallbackRule::only`]).
//!
//! So most variants have one direction. What is newer and does more is never added for what is older:
//! it returns ENOSYS ([`super::errno`]), upon which whoever tried it goes back to the older call, which
//! is allowed. The older is added for the newer: that is what an older kernel, or another libc, makes.
//! Never added are calls that hide what they do in memory or in one of many functions: clone3, ioctl,
//! socketcall, ipc.

mod on_enosys;
mod rows;

use std::collections::BTreeSet;

use super::{Abi, condition::ArgumentConstraint};

pub use on_enosys::on_enosys;
pub use rows::FALLBACK_GROUPS;

/// Calls that do the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackGroup {
    /// Short, for tables.
    pub title: &'static str,
    /// Who calls one where another calls the other.
    pub need: &'static str,
    /// Why what is added grants nothing new.
    pub grants: &'static str,
    /// Where both are known from.
    pub source: &'static str,
    /// Groups in which each call stands in for each other.
    pub equal: &'static [&'static [&'static str]],
    /// What holds in one direction.
    pub rules: &'static [FallbackRule],
}

/// What some allowed calls add, and not the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FallbackRule {
    /// The calls that have to be allowed, all of them and with any arguments. The first does the same
    /// work, the others can do what else the variant can.
    pub allowed: &'static [&'static str],
    /// What is added for them.
    pub adds: &'static [&'static str],
    /// The arguments for which it is added; `None`: any.
    pub only: Option<&'static ArgumentConstraint>,
}

/// A call that is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The call.
    pub call: &'static str,
    /// The calls that it stands in for; together they can do what it does.
    pub stands_for: &'static [&'static str],
    /// The arguments for which it is added; `None`: any.
    pub only: Option<&'static ArgumentConstraint>,
    /// Why.
    pub family: &'static FallbackGroup,
}

impl Fallback {
    /// The call that does the same work; more may have to be allowed, so that nothing new is granted.
    pub fn work(&self) -> &'static str {
        self.stands_for.first().copied().unwrap_or(self.call)
    }
}

/// What is added in `abi` for the calls that `is_allowed` with any arguments; nothing that is
/// itself allowed. A call may come several times, once for each reason.
///
/// ```
/// use syscalls::{Abi, fallbacks};
///
/// // An older libc makes the same call by another name.
/// let added: Vec<_> = fallbacks::added(Abi::X86_64, |name| name == "clone3").collect();
/// assert!(added.iter().any(|fallback| fallback.call == "clone"));
/// assert!(added.iter().all(|fallback| fallback.call != "clone3"));
/// ```
pub fn added(abi: Abi, is_allowed: impl Fn(&str) -> bool) -> impl Iterator<Item = Fallback> {
    let names: BTreeSet<_> = abi.syscalls().map(|(_, name)| name).collect();
    let exists = move |name: &str| names.contains(name);
    all().filter(move |added| {
        let stands_for = added.stands_for;
        !is_allowed(added.call)
            && exists(added.call)
            && stands_for
                .iter()
                .all(|name| is_allowed(name) && exists(name))
    })
}

/// Every pair of what is added and what it is added for.
fn all() -> impl Iterator<Item = Fallback> {
    FALLBACK_GROUPS.iter().flat_map(|family| {
        let equal = family.equal.iter().flat_map(move |group| {
            group.iter().enumerate().flat_map(move |(at, call)| {
                let others = group.iter().enumerate().filter(move |(it, _)| *it != at);
                others.map(move |(_, other)| Fallback {
                    call,
                    stands_for: std::slice::from_ref(other),
                    only: None,
                    family,
                })
            })
        });
        let one_way = family.rules.iter().flat_map(move |variant| {
            variant.adds.iter().map(move |call| Fallback {
                call,
                stands_for: variant.allowed,
                only: variant.only,
                family,
            })
        });
        equal.chain(one_way)
    })
}

#[cfg(test)]
mod tests;
