//! What the runtime's own default denies, and this profile does not.

use super::{
    super::{Findings, Severity, loaded_profile::LoadedProfile, reference, rules},
    list,
};

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let beyond = profile.beyond_default();
    let Some(first) = beyond.first() else {
        return;
    };
    let span = if profile.allows_by_default() {
        profile.top("defaultAction")
    } else {
        profile.named(first.name)
    };
    let whose = if reference::is_podmans(&profile.read.node) {
        "Podman's and CRI-O's default denies"
    } else {
        "Docker's and containerd's defaults deny"
    };
    let is_explained = beyond
        .iter()
        .all(|it| it.earlier || profile.is_used(it.name));
    let names = beyond.iter().map(|it| it.name);
    out.add(
        &rules::WEAKER_THAN_DEFAULT,
        span,
        match beyond.len() {
            1 => format!("1 system call is allowed that {whose}: {}", list(names, 8)),
            count => format!(
                "{count} system calls are allowed that {whose}: {}",
                list(names, 8)
            ),
        },
    )
    .severity(if is_explained {
        Severity::Medium
    } else {
        Severity::High
    })
    .evidence(beyond.iter().map(|it| {
        let with = it
            .with
            .map(|with| format!(" with {with}"))
            .unwrap_or_default();
        let opened = match it.allowed_with {
            [] => "blocked there regardless of capabilities".to_owned(),
            names => format!("allowed there with {}", names.join(" or ")),
        };
        let used = if profile.is_used(it.name) {
            "; a recording shows that the workload uses it"
        } else {
            ""
        };
        format!("{}{with}: {} ({opened}{used})", it.name, it.why)
    }));
}
