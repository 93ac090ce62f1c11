//! The layer `headroom` of a profile: which of [`syscalls::headroom`] it takes.

use std::collections::{BTreeMap, BTreeSet};

use super::Rule;
use crate::profile::Layer;
use syscalls::{
    Abi,
    headroom::{self, Headroom},
};

/// Whether a profile allows harmless calls that were not observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadroomPolicy {
    /// Where they can do no harm and grant nothing new.
    #[default]
    Safe,
    /// Never.
    None,
}

/// What is added to `rules`.
///
/// A call is added beside what the workload was observed to do, what it needs sooner or later, and what
/// another libc does instead; not beside what only its container runtime does before it starts, nor beside
/// what another libc does with some arguments only. What is allowed already is not added again.
pub(super) fn added(
    rules: &BTreeMap<&'static str, Rule>,
    architectures: &BTreeSet<Abi>,
) -> Vec<Headroom> {
    let is_made = |name: &str| {
        rules.get(name).is_some_and(|rule| {
            let any = rule.only().is_none();
            let mut layers = rule.layers();
            layers.any(|layer| match layer {
                Layer::Observed => true,
                Layer::RuntimeInit => false,
                Layer::Essential | Layer::Fallback | Layer::Headroom => any,
            })
        })
    };
    let is_allowed = |it: &Headroom| {
        rules.get(it.call).is_some_and(|rule| match it.only {
            None => rule.only().is_none(),
            Some(only) => rule.allows(&only.conditions),
        })
    };
    let of_abi = |abi: &Abi| headroom::added(*abi, is_made);
    let all: Vec<_> = architectures.iter().flat_map(of_abi).collect();
    // A call that is added for any arguments needs no conditions beside it.
    let open = all.iter().filter(|it| it.only.is_none());
    let open: BTreeSet<_> = open.map(|it| it.call).collect();
    all.into_iter()
        .filter(|it| !is_allowed(it) && (it.only.is_none() || !open.contains(it.call)))
        .collect()
}
