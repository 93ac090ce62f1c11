//! Other ABIs of the machine: what is open there, killed, or listed for nothing.

use std::collections::BTreeSet;

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    bypass, closing, list,
};
use syscalls::{
    Abi,
    bypass::{self as ways, Way},
};

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let (listed, killed): (Vec<_>, Vec<_>) =
        profile.abis().skip(1).partition(|abi| profile.is_for(*abi));
    if profile.allows_by_default() {
        if !killed.is_empty() {
            let names: Vec<_> = killed.iter().map(|abi| abi.as_str()).collect();
            out.add(
                &rules::ABI_KILLED,
                profile.top("architectures"),
                format!(
                    "programs of {} are killed at their first call, though the default allows: the filter is for {} alone",
                    names.join(" and "),
                    profile.context.native
                ),
            );
        }
        if !listed.is_empty() {
            open(profile, &listed, out);
        }
        for abi in listed {
            gap(profile, abi, out);
        }
    } else if !listed.is_empty() {
        let names: Vec<_> = listed.iter().map(|abi| abi.scmp_arch()).collect();
        let key = if profile.is_plain() {
            "architectures"
        } else {
            "archMap"
        };
        out.add(
            &rules::LEGACY_ABI_ALLOWED,
            profile.top(key),
            format!(
                "programs of {} are let in beside {}",
                names.join(" and "),
                profile.context.native.scmp_arch()
            ),
        );
    }
}

/// All that the default allows is open in these ABIs, too.
fn open(profile: &LoadedProfile<'_>, listed: &[Abi], out: &mut Findings<'_>) {
    let names: Vec<_> = listed.iter().map(|abi| abi.as_str()).collect();
    out.add(
        &rules::LEGACY_ABI_ALLOWED,
        profile.top("architectures"),
        format!(
            "programs of {} are allowed: default action is ALLOW, and 64-bit programs cannot reach this kernel code",
            names.join(" and ")
        ),
    )
    .severity(Severity::Medium);
}

/// Ends that are denied in the machine's own ABI, and reached in another.
fn gap(profile: &LoadedProfile<'_>, abi: Abi, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let (mut open, mut denied) = (BTreeSet::new(), BTreeSet::new());
    let mut words = BTreeSet::new();
    for end in ways::ends().filter(|end| !end.only_conditional) {
        let shut: Vec<_> = end
            .denied()
            .filter(|call| profile.state(native, call.name) == SyscallState::Denied)
            .collect();
        if shut.is_empty() || bypass::find(profile, native, end).is_some() {
            // Nothing is denied, or the gap is there in the machine's own ABI already.
            continue;
        }
        let Some(gap) = bypass::find(profile, abi, end) else {
            continue;
        };
        denied.extend(shut.iter().map(|call| call.name));
        open.extend(gap.open.iter().map(Way::words));
        words.insert(end.words);
    }
    let Some(first) = denied.first() else {
        return;
    };
    let words: Vec<_> = words.into_iter().collect();
    let edits = if open.iter().any(|name| profile.is_needed(name)) {
        Vec::new()
    } else {
        let names: Vec<_> = open.iter().map(String::as_str).collect();
        closing::refuse(profile, &names)
    };
    out.add(
        &rules::ABI_BYPASS,
        profile.named(first),
        format!(
            "{} denied to {native}, but {abi} programs can {} by {}",
            list(denied.iter().copied(), 8),
            list(words, 4),
            list(open.iter().map(String::as_str), 12)
        ),
    )
    .about(abi.as_str())
    .severity(if profile.is_within_default() {
        Severity::Medium
    } else {
        rules::ABI_BYPASS.severity
    })
    .edits(edits);
}
