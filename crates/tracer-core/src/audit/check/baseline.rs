//! What a baseline blocks, and this profile lets through: call by call, by their arguments.

use std::collections::BTreeMap;

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, probes},
        rules,
    },
    list,
};
use crate::recording::plain_text::counted;
use crate::{
    profile::seccomp::evaluate::{Filter, OciRuntime},
    recording::SyscallId,
};
use syscalls::{Abi, defaults, risk};

/// The ABI that a call is open in, and with which arguments when not with all.
type Open = (Abi, Option<[u64; 6]>);

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let Some((name, baseline)) = profile.context.baseline else {
        return;
    };
    let host = profile.context.host(OciRuntime::Runc);
    let filter = match Filter::new(baseline, host) {
        Ok(filter) => filter,
        Err(refusal) => {
            out.add(
                &rules::EXCEEDS_BASELINE,
                profile.top("defaultAction"),
                format!("{name} cannot be compared with: {refusal}"),
            );
            return;
        }
    };
    let mut beyond: BTreeMap<&str, Vec<Open>> = BTreeMap::new();
    let mut calls = 0;
    for abi in profile.abis() {
        for (nr, call) in abi.syscalls() {
            let entries = profile.oci.syscalls.iter().chain(&baseline.syscalls);
            let conditions = entries
                .filter(|entry| entry.names.iter().any(|it| it == call))
                .flat_map(|entry| &entry.args);
            let all = probes(conditions);
            let is_beyond = |args: &&[u64; 6]| {
                profile.evaluate(abi, nr, **args).verdict.allows()
                    && !filter
                        .evaluate(SyscallId { abi, nr }, **args)
                        .verdict
                        .allows()
            };
            let of: Vec<_> = all.iter().filter(is_beyond).collect();
            if let Some(first) = of.first() {
                calls += 1;
                let some = (of.len() < all.len()).then_some(**first);
                beyond.entry(call).or_default().push((abi, some));
            }
        }
    }
    if beyond.is_empty() {
        return;
    }
    let is_risky =
        |name: &str| risk::risk(name).is_some() || defaults::blocked_by_default(name).is_some();
    let mut names: Vec<_> = beyond.keys().copied().collect();
    names.sort_by_key(|name| (!is_risky(name), *name));
    let named = names
        .iter()
        .find(|name| profile.entries_of(name).next().is_some());
    let span = named.map_or_else(|| profile.top("defaultAction"), |name| profile.named(name));
    out.add(
        &rules::EXCEEDS_BASELINE,
        span,
        format!(
            "weaker than {name}: {} allowed that it blocks, {}",
            counted(calls, "system call is", "system calls are"),
            list(names.iter().copied(), 8)
        ),
    )
    .severity(if names.iter().any(|name| is_risky(name)) {
        Severity::High
    } else {
        Severity::Medium
    })
    .evidence(names.iter().map(|name| {
        let abis = beyond.get(name).into_iter().flatten();
        let abis: Vec<_> = abis
            .map(|(abi, args)| match args {
                Some(args) => format!("{abi} with {}", words(*args)),
                None => abi.to_string(),
            })
            .collect();
        let why = risk::risk(name).map(|risk| risk.sentence);
        let why =
            why.or_else(|| defaults::blocked_by_default(name).map(defaults::BlockedSyscall::why));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        format!("{name} ({}){why}", abis.join(", "))
    }));
}

/// The arguments up to the last one that is not 0.
fn words(args: [u64; 6]) -> String {
    let count = args
        .iter()
        .rposition(|arg| *arg != 0)
        .map_or(1, |at| at + 1);
    let shown: Vec<_> = args
        .iter()
        .take(count)
        .map(|arg| format!("{arg:#x}"))
        .collect();
    format!("({})", shown.join(", "))
}
