//! What Docker's and containerd's defaults block, and this profile does not.

use super::{
    super::{Findings, loaded_profile::LoadedProfile, rules},
    list,
};
use syscalls::defaults;

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let has = |capability: &&str| profile.context.capabilities.contains(*capability);
    let open: Vec<_> = defaults::BLOCKED_SYSCALLS
        .iter()
        .filter(|blocked| !blocked.allowed_with.iter().any(has))
        .filter(|blocked| profile.state(native, blocked.name).allows_some())
        .collect();
    let Some(first) = open.first() else {
        return;
    };
    let span = if profile.allows_by_default() {
        profile.top("defaultAction")
    } else {
        profile.named(first.name)
    };
    out.add(
        &rules::WEAKER_THAN_DEFAULT,
        span,
        format!(
            "{} calls are open that Docker's and containerd's defaults block: {}",
            open.len(),
            list(open.iter().map(|blocked| blocked.name), 8)
        ),
    )
    .evidence(open.iter().map(|blocked| {
        let opened = match blocked.allowed_with {
            [] => "no capability opens it there".to_owned(),
            names => format!("open there with {}", names.join(" or ")),
        };
        format!("{}: {} ({opened})", blocked.name, blocked.why())
    }));
}
