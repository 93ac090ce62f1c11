//! What a denied call returns.

use std::collections::BTreeSet;

use super::{
    super::{Findings, Severity, loaded_profile::LoadedProfile, rules},
    list,
};
use crate::profile::seccomp::{
    evaluate::{Decider, Verdict},
    oci::Action,
};
use syscalls::errno::{self, EPERM};

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    probed(profile, out);
    implicit(profile, out);
    actions(profile, out);
}

/// New calls that are denied otherwise than with ENOSYS.
fn probed(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let mut refused: Vec<(&str, Decider)> = Vec::new();
    let mut killed = Vec::new();
    for name in errno::probed_syscalls(native) {
        let Some(outcome) = profile.outcome(native, name, [0; 6]) else {
            continue;
        };
        match outcome.verdict {
            Verdict::Errno(errno) if u32::from(errno) == EPERM => {
                refused.push((name, outcome.decider));
            }
            Verdict::KillThread | Verdict::KillProcess | Verdict::Trap => {
                killed.push((name, outcome.decider));
            }
            _ => {}
        }
    }
    for (calls, rule, how) in [
        (
            refused,
            &rules::EPERM_PREVENTS_FALLBACK,
            "refused with EPERM",
        ),
        (killed, &rules::KILL_PREVENTS_FALLBACK, "killed for"),
    ] {
        // One finding for the default, and one for each entry.
        let deciders: BTreeSet<_> = calls.iter().map(|(_, decider)| place(*decider)).collect();
        for decider in deciders {
            let names = calls
                .iter()
                .filter(|(_, it)| place(*it) == decider)
                .map(|(name, _)| *name);
            let names: Vec<_> = names.collect();
            let span = match (decider, names.first()) {
                (Some(_), Some(first)) => profile.named(first),
                _ => profile.top("defaultAction"),
            };
            let worst: Vec<_> = names
                .iter()
                .copied()
                .filter(|name| STARTING.contains(name))
                .collect();
            let severity = if worst.is_empty() && rule.severity == Severity::Medium {
                Severity::Low
            } else {
                rule.severity
            };
            let first = if worst.is_empty() { &names } else { &worst };
            out.add(
                rule,
                span,
                format!(
                    "{} {} {how}",
                    list(first.iter().copied(), 6),
                    verb(first.len())
                ),
            )
            .severity(severity)
            .evidence([format!("all of them: {}", names.join(", "))]);
        }
    }
}

fn verb(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Calls that libc makes at the start of a program or a thread, or that most programs make.
const STARTING: [&str; 6] = [
    "clone3",
    "close_range",
    "faccessat2",
    "openat2",
    "rseq",
    "statx",
];

fn place(decider: Decider) -> Option<usize> {
    match decider {
        Decider::Entry(entry) => Some(entry),
        Decider::Default | Decider::Architecture | Decider::Stub => None,
    }
}

fn implicit(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    if profile.oci.default_action == Action::Errno && profile.oci.default_errno_ret.is_none() {
        let span = profile.top("defaultAction");
        out.add(
            &rules::IMPLICIT_ERRNO,
            span,
            "defaultErrnoRet is not set; calls that no rule names return EPERM",
        )
        .fix("write \"defaultErrnoRet\": 38 (ENOSYS), and name the old calls with \"errnoRet\": 1");
    }
    let silent: Vec<_> = profile
        .oci
        .syscalls
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.action == Action::Errno && entry.errno_ret.is_none())
        .collect();
    if let Some((at, _)) = silent.first() {
        let names: Vec<&str> = silent
            .iter()
            .flat_map(|(_, entry)| entry.names.iter().map(String::as_str))
            .collect();
        let verb = if names.len() == 1 {
            "returns"
        } else {
            "return"
        };
        out.add(
            &rules::IMPLICIT_ERRNO,
            profile.part(*at, "action"),
            format!(
                "no errnoRet is set; {} {verb} EPERM by default",
                list(names.iter().copied(), 8)
            ),
        );
    }
}

fn actions(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    if profile.oci.default_action == Action::Log {
        let span = profile.top("defaultAction");
        out.add(
            &rules::LOG_ONLY,
            span,
            "calls that no rule names are logged and allowed",
        );
    }
    if profile.oci.default_errno_ret == Some(0) {
        let span = profile.top("defaultErrnoRet");
        out.add(
            &rules::ERRNO_ZERO,
            span,
            "calls that no rule names seem to succeed",
        );
    }
    for (at, entry) in profile.oci.syscalls.iter().enumerate() {
        let names = || list(entry.names.iter().map(String::as_str), 6);
        match entry.action {
            Action::Log => {
                let span = profile.part(at, "action");
                out.add(
                    &rules::LOG_ONLY,
                    span,
                    format!("{} allowed and logged", names()),
                )
                .severity(Severity::Low);
            }
            Action::Errno if entry.errno_ret == Some(0) => {
                let span = profile.part(at, "errnoRet");
                out.add(
                    &rules::ERRNO_ZERO,
                    span,
                    format!("{} not made, and seems to succeed", names()),
                );
            }
            Action::Notify if profile.oci.listener_path.is_none() => {
                let span = profile.part(at, "action");
                out.add(
                    &rules::NOTIFY_WITHOUT_LISTENER,
                    span,
                    format!(
                        "{} left to a supervisor, and listenerPath names none",
                        names()
                    ),
                );
            }
            _ => {}
        }
    }
}
