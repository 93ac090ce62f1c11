//! Capabilities and the calls that they are for.

use super::{
    super::{
        Findings,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    list,
    manifest::Named,
};
use syscalls::defaults;

/// What a container is given and its profile denies, in the manifest.
pub(in super::super) fn added(profile: &LoadedProfile<'_>, named: &Named, out: &mut Findings<'_>) {
    let native = profile.context.native;
    for (capability, span) in &named.added {
        let calls = defaults::SYSCALLS_BY_CAPABILITY
            .iter()
            .find(|(name, _)| name == capability)
            .map(|(_, calls)| *calls);
        let Some(calls) = calls else {
            continue;
        };
        if calls
            .iter()
            .all(|call| profile.state(native, call) == SyscallState::Denied)
        {
            out.add(
                &rules::CAPABILITY_WITHOUT_SYSCALLS,
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
pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    if !profile.context.in_container || profile.allows_by_default() {
        return;
    }
    let native = profile.context.native;
    let has = |name: &&str| profile.context.capabilities.contains(*name);
    let useless: Vec<_> = defaults::BLOCKED_SYSCALLS
        .iter()
        .filter(|blocked| !blocked.allowed_with.is_empty() && !blocked.allowed_with.iter().any(has))
        .filter(|blocked| profile.state(native, blocked.name) == SyscallState::Allowed)
        .collect();
    let Some(first) = useless.first() else {
        return;
    };
    out.add(
        &rules::SYSCALLS_WITHOUT_CAPABILITY,
        profile.named(first.name),
        format!(
            "allowed without the capability that they require: {}",
            list(useless.iter().map(|blocked| blocked.name), 8)
        ),
    )
    .evidence(useless.iter().map(|blocked| {
        format!(
            "{} wants {}",
            blocked.name,
            blocked.allowed_with.join(" or ")
        )
    }));
}
