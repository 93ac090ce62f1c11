//! Other ABIs of the machine: what is open there, killed, or listed for nothing.

use std::collections::BTreeSet;

use super::{
    super::{
        Findings, Severity, rules,
        subject::{State, View},
    },
    list,
};
use syscalls::{Abi, families};

pub(super) fn check(view: &View<'_>, out: &mut Findings<'_>) {
    let (listed, killed): (Vec<_>, Vec<_>) = view.abis().skip(1).partition(|abi| view.is_for(*abi));
    if view.allows_by_default() {
        if !killed.is_empty() {
            let names: Vec<_> = killed.iter().map(|abi| abi.as_str()).collect();
            out.add(
                &rules::ABI_KILLED,
                view.top("architectures"),
                format!(
                    "programs of {} are killed at their first call, though the default allows: the filter is for {} alone",
                    names.join(" and "),
                    view.context.native
                ),
            );
        }
        if !listed.is_empty() {
            open(view, &listed, out);
        }
        for abi in listed {
            gap(view, abi, out);
        }
    } else if !listed.is_empty() {
        let names: Vec<_> = listed.iter().map(|abi| abi.scmp_arch()).collect();
        let key = if view.is_plain() {
            "architectures"
        } else {
            "archMap"
        };
        out.add(
            &rules::ABI_LISTED,
            view.top(key),
            format!(
                "{} are let in beside {}",
                names.join(" and "),
                view.context.native.scmp_arch()
            ),
        );
    }
}

/// All that the default allows is open in these ABIs, too.
fn open(view: &View<'_>, listed: &[Abi], out: &mut Findings<'_>) {
    let names: Vec<_> = listed.iter().map(|abi| abi.as_str()).collect();
    out.add(
        &rules::ABI_LISTED,
        view.top("architectures"),
        format!(
            "{} are open: what no rule names is allowed there, in code of the kernel that 64-bit programs do not reach",
            names.join(" and ")
        ),
    )
    .severity(Severity::Medium);
}

/// Families that are shut on the machine's own ABI, and not on another.
fn gap(view: &View<'_>, abi: Abi, out: &mut Findings<'_>) {
    let native = view.context.native;
    let mut open = BTreeSet::new();
    let mut denied = BTreeSet::new();
    for family in families::FAMILIES {
        let states = |abi| {
            family
                .members
                .iter()
                .map(move |name| (*name, view.state(abi, name)))
        };
        let shut: Vec<_> = states(native)
            .filter(|(_, state)| *state == State::Denied)
            .collect();
        if shut.is_empty() || states(native).any(|(_, state)| state.lets_some()) {
            // Nothing is denied, or the gap is there in the machine's own ABI already.
            continue;
        }
        let here: Vec<_> = states(abi)
            .filter(|(_, state)| *state == State::Open)
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
        &rules::ABI_GAP,
        view.named(first),
        format!(
            "{} denied to {native}, but {abi} has {}",
            list(denied.iter().copied(), 8),
            list(open.iter().copied(), 12)
        ),
    );
}
