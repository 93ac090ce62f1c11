//! What Docker's and containerd's defaults block, and this profile does not.

use super::{
    super::{Findings, rules, subject::View},
    list,
};
use syscalls::defaults;

pub(super) fn check(view: &View<'_>, out: &mut Findings<'_>) {
    let native = view.context.native;
    let has = |capability: &&str| view.context.capabilities.contains(*capability);
    let open: Vec<_> = defaults::BLOCKED
        .iter()
        .filter(|blocked| !blocked.opened_by.iter().any(has))
        .filter(|blocked| view.state(native, blocked.name).lets_some())
        .collect();
    let Some(first) = open.first() else {
        return;
    };
    let span = if view.allows_by_default() {
        view.top("defaultAction")
    } else {
        view.named(first.name)
    };
    out.add(
        &rules::BLOCKED_BY_DEFAULT,
        span,
        format!(
            "{} calls are open that Docker's and containerd's defaults block: {}",
            open.len(),
            list(open.iter().map(|blocked| blocked.name), 8)
        ),
    )
    .evidence(open.iter().map(|blocked| {
        let opened = match blocked.opened_by {
            [] => "no capability opens it there".to_owned(),
            names => format!("open there with {}", names.join(" or ")),
        };
        format!("{}: {} ({opened})", blocked.name, blocked.why())
    }));
}
