//! What is allowed and was never used.

use std::collections::BTreeSet;

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    list,
};
use crate::recording::Phase;
use syscalls::{
    defaults, essential, fallbacks,
    headroom::{self, Headroom},
    risk,
    runtime_init::RuntimeSelection,
};

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
    let is_made = |name: &str| used.contains(name) || needed.contains(name);
    // Harmless, and the next run may make them: no reason to take them out, and no need either.
    let headroom: Vec<_> = headroom::added(native, is_made).collect();
    let is_harmless = |name: &str| is_headroom(profile, &headroom, name);
    let open: Vec<_> = native
        .syscalls()
        .map(|(_, name)| name)
        .filter(|name| profile.state(native, name).allows_some())
        .collect();
    let mut needless: Vec<_> = open.iter().copied().filter(|name| !is_made(name)).collect();
    let harmless: BTreeSet<_> = needless
        .iter()
        .copied()
        .filter(|it| is_harmless(it))
        .collect();
    needless.retain(|name| !harmless.contains(name));
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
            "{} of {} allowed calls used or needed{}; {} can be removed{}",
            open.len() - needless.len() - harmless.len(),
            open.len(),
            match harmless.len() {
                0 => String::new(),
                some => format!(", {some} unused and harmless (headroom)"),
            },
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

/// Whether the profile lets a call through for no more than the layer `headroom` would.
fn is_headroom(profile: &LoadedProfile<'_>, added: &[Headroom], name: &str) -> bool {
    let of_call = || added.iter().filter(|it| it.call == name);
    if of_call().any(|it| it.only.is_none()) {
        return true;
    }
    let is_covered = |arguments: &[u64; 6]| {
        of_call().any(|it| {
            it.only
                .is_some_and(|only| only.conditions.are_met_by(arguments))
        })
    };
    let native = profile.context.native;
    let is_allowed = |arguments: &[u64; 6]| {
        profile
            .outcome(native, name, *arguments)
            .is_some_and(|outcome| outcome.verdict.allows())
    };
    // Without conditions there is one probe, and any arguments pass.
    profile.state(native, name) == SyscallState::Conditional
        && profile
            .probes(name)
            .iter()
            .all(|arguments| !is_allowed(arguments) || is_covered(arguments))
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
