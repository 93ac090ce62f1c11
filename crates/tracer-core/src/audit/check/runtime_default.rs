//! A profile that a container names, beside the one that it would have without it.

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    list,
    manifest::Named,
};
use crate::recording::plain_text::counted;
use syscalls::{
    defaults::{DefaultDecision, by_default},
    risk,
};

/// What would change with `RuntimeDefault`, in the manifest.
pub(in super::super) fn check(profile: &LoadedProfile<'_>, named: &Named, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let has = |capability: &str| profile.context.capabilities.contains(capability);
    let (mut weaker, mut stronger) = (Vec::new(), Vec::new());
    for (_, name) in native.syscalls() {
        match (profile.state(native, name), by_default(name, has)) {
            (SyscallState::Allowed | SyscallState::Conditional, DefaultDecision::Denied)
            | (SyscallState::Allowed, DefaultDecision::Conditional) => {
                weaker.push(name);
            }
            (SyscallState::Denied, DefaultDecision::Allowed | DefaultDecision::Conditional)
            | (SyscallState::Conditional, DefaultDecision::Allowed) => stronger.push(name),
            _ => {}
        }
    }
    // What is known to be dangerous first.
    weaker.sort_by_key(|name| (risk::risk(name).is_none(), *name));
    let severity = match (weaker.is_empty(), stronger.is_empty()) {
        (true, true) => return,
        (false, true) => Severity::High,
        _ => Severity::Info,
    };
    let calls = |count| counted(count, "call", "calls");
    let verdict = match (weaker.len(), stronger.len()) {
        (0, more) => format!(
            "weaker: it allows {} that this profile denies or restricts",
            calls(more)
        ),
        (less, 0) => format!(
            "stronger and nowhere weaker: it denies or restricts {} that this profile allows",
            calls(less)
        ),
        (less, more) => format!(
            "weaker for {}, which it allows, and stronger for {less}, which it denies or restricts",
            calls(more)
        ),
    };
    let evidence = [
        ("it denies or restricts", &weaker),
        ("it allows", &stronger),
    ];
    out.add(
        &rules::RUNTIME_DEFAULT,
        named.span.clone(),
        format!(
            "for container {}, RuntimeDefault would be {verdict}",
            named.container
        ),
    )
    .severity(severity)
    .evidence(
        evidence
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}: {}", list(names.iter().copied(), 40))),
    );
}
