//! What changes when a call is taken out of a profile, or put into it.

use std::collections::BTreeSet;

use super::error_of;
use crate::profile::{
    Layer,
    seccomp::{ErrnoPolicy, Options, Rule, SeccompProfile},
};
use syscalls::{capability_requirements, errno, runtime_init};

/// A sentence for each thing that changes.
pub(super) fn consequences(
    profile: &SeccompProfile,
    call: &'static str,
    rule: Option<&Rule>,
    options: &Options,
) -> Vec<String> {
    let error = error_of(profile, call);
    let Some(rule) = rule else {
        return vec![format!("it returns {error}")];
    };
    let mut all = vec![format!("it would return {error}")];
    let probed = errno::PROBED.iter().find(|it| it.calls.contains(&call));
    if let Some(probed) = probed.filter(|_| options.errno == ErrnoPolicy::Probed) {
        all.push(format!("its callers handle that: {}", probed.reason));
    }
    if rule.layers().any(|layer| layer == Layer::RuntimeInit)
        && let Some(rows) = profile.runtime_init_syscalls().get(call)
    {
        all.push(format!(
            "a container may not start without it under {}",
            runtime_init::describe(rows).join(", ")
        ));
    }
    let with_it = gone_with(profile, call);
    if !with_it.is_empty() {
        all.push(format!(
            "these would be removed too, since they are fallbacks for it: {}",
            with_it.join(", ")
        ));
    }
    all.extend(freed(profile, call));
    all
}

/// The calls that are allowed only because it is: its variants.
fn gone_with(profile: &SeccompProfile, call: &str) -> Vec<&'static str> {
    let only_a_variant = |name: &str| {
        profile
            .rule(name)
            .is_some_and(|rule| rule.layers().all(|layer| layer == Layer::Fallback))
    };
    profile
        .fallbacks()
        .filter(|(name, _)| only_a_variant(name))
        .filter_map(|(name, mut reasons)| {
            reasons
                .all(|added| added.stands_for.contains(&call))
                .then_some(name)
        })
        .collect()
}

/// The capabilities that nothing else in the profile takes.
fn freed(profile: &SeccompProfile, call: &str) -> Vec<String> {
    let others: BTreeSet<_> = profile
        .rules()
        .filter(|(name, _)| *name != call)
        .flat_map(|(name, _)| capability_requirements::capability_requirements(name))
        .map(|gate| gate.capability)
        .collect();
    capability_requirements::capability_requirements(call)
        .map(|gate| gate.capability)
        .filter(|capability| !others.contains(capability))
        .map(|capability| format!("no other call in the profile is known to require {capability}"))
        .collect()
}
