//! Other ABIs of the machine: what is open there, killed, or listed for nothing.

use std::collections::BTreeSet;

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    list,
};
use syscalls::{Abi, equivalents};

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
                "{} are let in beside {}",
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
            "{} are open: what no rule names is allowed there, in code of the kernel that 64-bit programs do not reach",
            names.join(" and ")
        ),
    )
    .severity(Severity::Medium);
}

/// Families that are shut on the machine's own ABI, and not on another.
fn gap(profile: &LoadedProfile<'_>, abi: Abi, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let mut open = BTreeSet::new();
    let mut denied = BTreeSet::new();
    for family in equivalents::EQUIVALENT_GROUPS {
        let states = |abi| {
            family
                .members
                .iter()
                .map(move |name| (*name, profile.state(abi, name)))
        };
        let shut: Vec<_> = states(native)
            .filter(|(_, state)| *state == SyscallState::Denied)
            .collect();
        if shut.is_empty() || states(native).any(|(_, state)| state.allows_some()) {
            // Nothing is denied, or the gap is there in the machine's own ABI already.
            continue;
        }
        let here: Vec<_> = states(abi)
            .filter(|(_, state)| *state == SyscallState::Allowed)
            .collect();
        if !here.is_empty() {
            denied.extend(shut.iter().map(|(name, _)| *name));
            open.extend(here.iter().map(|(name, _)| *name));
        }
    }
    let Some(first) = denied.first() else {
        return;
    };
    out.add(
        &rules::ABI_BYPASS,
        profile.named(first),
        format!(
            "{} denied to {native}, but {abi} has {}",
            list(denied.iter().copied(), 8),
            list(open.iter().copied(), 12)
        ),
    );
}
