//! What is allowed and was never used.

use std::collections::BTreeSet;

use super::{
    super::{Findings, Severity, loaded_profile::LoadedProfile, rules},
    list,
};
use crate::recording::Phase;
use syscalls::{defaults, essential, fallbacks, risk, runtime_init::RuntimeSelection};

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    if profile.context.recordings.is_empty() {
        return;
    }
    let native = profile.context.native;
    let used: BTreeSet<String> = profile
        .context
        .recordings
        .iter()
        .flat_map(|recording| &recording.syscalls)
        .filter(|syscall| syscall.phases.iter().any(|phase| *phase != Phase::Setup))
        // By name: what a 32-bit program used is a use of the name, too.
        .filter_map(|syscall| syscall.name.clone())
        .collect();
    // What a profile needs that no recording shows is no needless grant.
    let mut needed: BTreeSet<&'static str> = essential::names(native).collect();
    needed.extend(RuntimeSelection::All.names(native));
    let is_needed = |name: &str| used.contains(name) || needed.contains(name);
    let variants: Vec<_> = fallbacks::added(native, is_needed)
        .map(|added| added.call)
        .collect();
    needed.extend(variants);
    let open: Vec<_> = native
        .syscalls()
        .map(|(_, name)| name)
        .filter(|name| profile.state(native, name).allows_some())
        .collect();
    let mut needless: Vec<_> = open
        .iter()
        .copied()
        .filter(|name| !needed.contains(*name) && !used.contains(*name))
        .collect();
    if needless.is_empty() {
        return;
    }
    needless.sort_by_key(|name| (rank(name), *name));
    let risky: Vec<_> = needless
        .iter()
        .copied()
        .filter(|name| rank(name) < Rank::Other)
        .collect();
    let span = match needless
        .iter()
        .find(|name| profile.entries_of(name).next().is_some())
    {
        Some(name) if !profile.allows_by_default() => profile.named(name),
        _ => profile.top("defaultAction"),
    };
    out.add(
        &rules::UNUSED_SYSCALLS_ALLOWED,
        span,
        format!(
            "{} of {} allowed calls used or needed; {} can be removed{}",
            open.len() - needless.len(),
            open.len(),
            needless.len(),
            if risky.is_empty() {
                String::new()
            } else {
                format!(", first {}", list(risky.iter().copied(), 8))
            }
        ),
    )
    .severity(if risky.is_empty() {
        Severity::Low
    } else {
        Severity::Medium
    })
    .evidence(risky.iter().map(|name| {
        let why = risk::risk(name).map(|risk| risk.sentence);
        let why =
            why.or_else(|| defaults::blocked_by_default(name).map(defaults::BlockedSyscall::why));
        format!("{name}: {}", why.unwrap_or_default())
    }))
    .evidence([format!("all of them: {}", needless.join(", "))]);
}

/// How much a call opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It is known to have been used for escapes or attacks on the kernel, and the defaults block it.
    Blocked,
    /// It deserves a second look.
    Risky,
    Other,
}

fn rank(name: &str) -> Rank {
    match (defaults::blocked_by_default(name), risk::risk(name)) {
        (Some(_), _) => Rank::Blocked,
        (None, Some(_)) => Rank::Risky,
        (None, None) => Rank::Other,
    }
}
