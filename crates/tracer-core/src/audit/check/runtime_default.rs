//! A profile that a container names, beside the one that it would have without it.

use super::{
    super::{
        Findings, Severity, rules,
        subject::{State, View},
    },
    list,
    manifest::Named,
};
use syscalls::{
    defaults::{ByDefault, by_default},
    risk,
};

/// What would change with `RuntimeDefault`, in the manifest.
pub(in super::super) fn check(view: &View<'_>, named: &Named, out: &mut Findings<'_>) {
    let native = view.context.native;
    let has = |capability: &str| view.context.capabilities.contains(capability);
    let (mut weaker, mut stronger) = (Vec::new(), Vec::new());
    for (_, name) in native.syscalls() {
        match (view.state(native, name), by_default(name, has)) {
            (State::Open | State::Partly, ByDefault::Denied) | (State::Open, ByDefault::Some) => {
                weaker.push(name);
            }
            (State::Denied, ByDefault::Open | ByDefault::Some)
            | (State::Partly, ByDefault::Open) => stronger.push(name),
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
    let verdict = match (weaker.len(), stronger.len()) {
        (0, more) => format!("weaker: it opens {more} calls that this profile denies or restricts"),
        (less, 0) => format!(
            "stronger, and no weaker anywhere: it denies or restricts {less} calls that this profile opens"
        ),
        (less, more) => format!(
            "weaker in {more} calls, which it opens, and stronger in {less}, which it denies or restricts"
        ),
    };
    let evidence = [("it denies or restricts", &weaker), ("it opens", &stronger)];
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
