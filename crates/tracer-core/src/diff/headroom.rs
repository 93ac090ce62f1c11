//! Which of the calls that a profile lets through beyond another are only headroom.

use std::collections::BTreeSet;

use crate::{
    profile::seccomp::{evaluate::Filter, oci::Condition},
    recording::SyscallId,
};
use syscalls::{
    Abi,
    headroom::{self, Headroom},
};

/// What the layer `headroom` would add to a profile in one ABI.
pub(super) struct InAbi {
    abi: Abi,
    added: Vec<Headroom>,
}

impl InAbi {
    /// What would be added beside the calls that `filter` lets through.
    pub(super) fn of(filter: &Filter, abi: Abi) -> Self {
        let is_allowed = |nr| {
            let decisions = filter.decisions(SyscallId { abi, nr });
            decisions.iter().any(|it| it.verdict.allows())
        };
        let allowed = abi.syscalls().filter(|(nr, _)| is_allowed(*nr));
        let allowed: BTreeSet<_> = allowed.map(|(_, name)| name).collect();
        let added = headroom::added(abi, |name| allowed.contains(name)).collect();
        Self { abi, added }
    }

    /// The group of a call that `filter` lets through for no more than the layer does.
    pub(super) fn group(&self, filter: &Filter, nr: u32, name: &str) -> Option<&'static str> {
        let of_call = || self.added.iter().filter(|it| it.call == name);
        let group = of_call().next()?.group.title;
        if of_call().any(|it| it.only.is_none()) {
            return Some(group);
        }
        let decisions = filter.decisions(SyscallId { abi: self.abi, nr });
        let mut allowed = decisions.iter().filter(|it| it.verdict.allows());
        let is_narrow = allowed.all(|it| {
            of_call().any(|added| {
                let only = added.only.into_iter();
                let only = only.flat_map(|only| only.conditions.iter());
                let only: Vec<_> = only.map(Condition::from).collect();
                only == it.conditions
            })
        });
        is_narrow.then_some(group)
    }
}
