//! Capabilities and the calls that they are for.

use super::{
    super::{
        Findings, rules,
        subject::{State, View},
    },
    list,
    manifest::Named,
};
use syscalls::defaults;

/// What a container is given and its profile denies, in the manifest.
pub(in super::super) fn added(view: &View<'_>, named: &Named, out: &mut Findings<'_>) {
    let native = view.context.native;
    for (capability, span) in &named.added {
        let calls = defaults::GATED
            .iter()
            .find(|(name, _)| name == capability)
            .map(|(_, calls)| *calls);
        let Some(calls) = calls else {
            continue;
        };
        if calls
            .iter()
            .all(|call| view.state(native, call) == State::Denied)
        {
            out.add(
                &rules::CAPABILITY_DENIED,
                span.clone(),
                format!(
                    "container {} has {capability}, and {} denies {}",
                    named.container,
                    named.profile,
                    list(calls.iter().copied(), 5)
                ),
            );
        }
    }
}

/// What a profile opens and the container may not do, in the profile.
pub(super) fn check(view: &View<'_>, out: &mut Findings<'_>) {
    if !view.context.in_container || view.allows_by_default() {
        return;
    }
    let native = view.context.native;
    let has = |name: &&str| view.context.capabilities.contains(*name);
    let useless: Vec<_> = defaults::BLOCKED
        .iter()
        .filter(|blocked| !blocked.opened_by.is_empty() && !blocked.opened_by.iter().any(has))
        .filter(|blocked| view.state(native, blocked.name) == State::Open)
        .collect();
    let Some(first) = useless.first() else {
        return;
    };
    out.add(
        &rules::CALLS_WITHOUT_CAPABILITY,
        view.named(first.name),
        format!(
            "open without the capability that they want: {}",
            list(useless.iter().map(|blocked| blocked.name), 8)
        ),
    )
    .evidence(
        useless
            .iter()
            .map(|blocked| format!("{} wants {}", blocked.name, blocked.opened_by.join(" or "))),
    );
}
