//! The layer `fallback` of a profile: which of [`syscalls::fallbacks`] it takes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rule, arguments};
use crate::profile::Layer;
use syscalls::{
    Abi,
    fallbacks::{self, Fallback},
};

/// Whether a profile allows what another libc or kernel uses instead of what is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FallbackPolicy {
    /// Where it grants nothing new.
    #[default]
    Fallbacks,
    /// Never.
    None,
}

/// What is added to `rules` for the same work by other calls.
///
/// Work counts that was observed in the ABI, or that staging hardly ever shows: the latter is written
/// down for one libc, and another one does that differently too. What a container runtime does in its
/// window does not count: it is measured, for each version, and stays the same whatever the workload is
/// linked against. That nothing new is granted holds with all layers, so what else a variant takes may
/// come from any. All of it must be allowed for any arguments; but for clone, for which it is enough that
/// no namespace is made, since its variants make none.
pub(super) fn added(
    rules: &BTreeMap<&'static str, Rule>,
    architectures: &BTreeSet<Abi>,
    clone3_gave_way: bool,
) -> Vec<Fallback> {
    let no_namespace = arguments::no_namespace();
    let is_allowed = |name: &str| {
        rules.get(name).is_some_and(|rule| {
            let makes_none = name == "clone" && no_namespace.is_some_and(|it| rule.allows(&it));
            makes_none || rule.only().is_none()
        })
    };
    let is_work = |name: &str, abi| {
        // The work that it does was clone3's.
        (name == "clone" && clone3_gave_way)
            || rules.get(name).is_some_and(|rule| {
                rule.layers().any(|layer| match layer {
                    Layer::Observed => rule.abis().any(|seen| seen == abi),
                    Layer::Essential => true,
                    Layer::RuntimeInit | Layer::Fallback | Layer::Headroom => false,
                })
            })
    };
    let of_abi = |abi: &Abi| {
        let abi = *abi;
        fallbacks::added(abi, is_allowed).filter(move |it| is_work(it.work(), abi))
    };
    architectures.iter().flat_map(of_abi).collect()
}
