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
    let open: Vec<_> = native
        .syscalls()
        .map(|(_, name)| name)
        .filter(|name| profile.state(native, name).allows_some())
        .collect();
    let unused = Unused::of(profile, &open);
    if !unused.needless.is_empty() {
        report(profile, open.len(), &unused, out);
    }
}

/// What a profile allows, and no recording shows a use of.
struct Unused {
    /// Can be taken out, what opens most first.
    needless: Vec<&'static str>,
    /// How many calls of the layer `headroom` there are.
    harmless: usize,
}

impl Unused {
    fn of(profile: &LoadedProfile<'_>, open: &[&'static str]) -> Self {
        let native = profile.context.native;
        let used = used(profile);
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
        let unused = open.iter().copied().filter(|name| !is_made(name));
        let (harmless, mut needless): (Vec<_>, Vec<_>) =
            unused.partition(|name| is_headroom(profile, &headroom, name));
        needless.sort_by_key(|name| (rank(name), *name));
        Self {
            needless,
            harmless: harmless.len(),
        }
    }
}

/// What the recordings show a use of, by name: what a 32-bit program used is a use of the name, too.
fn used(profile: &LoadedProfile<'_>) -> BTreeSet<String> {
    let recordings = profile.context.recordings.iter();
    recordings
        .flat_map(|recording| &recording.syscalls)
        .filter(|syscall| syscall.phases.iter().any(|phase| *phase != Phase::Setup))
        .filter_map(|syscall| syscall.name.clone())
        .collect()
}

fn report(profile: &LoadedProfile<'_>, open: usize, unused: &Unused, out: &mut Findings<'_>) {
    let Unused { needless, harmless } = unused;
    let is_risky = |name: &&&str| rank(name) < Rank::Other;
    let risky: Vec<_> = needless.iter().filter(is_risky).copied().collect();
    let is_named = |name: &&&str| profile.entries_of(name).next().is_some();
    let span = match needless.iter().find(is_named) {
        Some(name) if !profile.allows_by_default() => profile.named(name),
        _ => profile.top("defaultAction"),
    };
    let of_headroom = match harmless {
        0 => String::new(),
        some => format!(", {some} unused and harmless (headroom)"),
    };
    let (severity, first) = match risky.as_slice() {
        [] => (Severity::Low, String::new()),
        some => (
            Severity::Medium,
            format!(", first {}", list(some.iter().copied(), 8)),
        ),
    };
    let message = format!(
        "{} of {open} allowed calls used or needed{of_headroom}; {} can be removed{first}",
        open - needless.len() - harmless,
        needless.len(),
    );
    out.add(&rules::UNUSED_SYSCALLS_ALLOWED, span, message)
        .severity(severity)
        .evidence(risky.iter().map(|name| {
            let blocked = || defaults::blocked_by_default(name);
            let why = risk::risk(name).map(|risk| risk.sentence);
            let why = why.or_else(|| blocked().map(defaults::BlockedSyscall::why));
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
