//! Names and rules that do nothing, or contradict one another.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    list,
};
use crate::profile::seccomp::oci::Entry;
use syscalls::{Abi, errno};

/// Most unknown names for which a nearest one is looked for.
const MAX_SUGGESTIONS: usize = 64;
/// Most places of one name that are compared.
const MAX_LOCATIONS: usize = 64;

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let abis: Vec<_> = profile.abis().filter(|abi| profile.is_for(*abi)).collect();
    let mut unrecognized = Vec::new();
    let mut unknowns = 0;
    let mut seen: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, entry) in profile.oci.syscalls.iter().enumerate() {
        for (index, name) in entry.names.iter().enumerate() {
            seen.entry(name).or_default().push((at, index));
            if is_here(&abis, name) {
                continue;
            }
            if Abi::ALL
                .iter()
                .any(|abi| abi.syscall_number(name).is_some())
                || is_elsewhere(name)
            {
                unrecognized.push((name.as_str(), profile.name(at, index)));
            } else {
                unknown(profile, name, profile.name(at, index), unknowns, out);
                unknowns += 1;
            }
        }
    }
    if let Some((_, span)) = unrecognized.first() {
        let names: BTreeSet<_> = unrecognized.iter().map(|(name, _)| *name).collect();
        out.add(
            &rules::OTHER_ARCHITECTURE_NAME,
            span.clone(),
            format!(
                "system calls that do not exist on this profile's architectures: {}",
                list(names, 10)
            ),
        );
    }
    for (name, places) in seen {
        twice(profile, name, &places, out);
    }
    too_new(profile, out);
    cannot_run(profile, out);
}

/// What a deny-list denies only where libseccomp is new, by itself or once its gaps are closed.
fn too_new(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let native = profile.context.native;
    if !profile.allows_by_default() {
        return;
    }
    let planned: BTreeSet<String> = out.to_be_denied().map(str::to_owned).collect();
    let new: Vec<_> = errno::probed_syscalls(native)
        .filter(|name| errno::is_newer_than_libseccomp_2_5_4(name))
        .filter(|name| {
            profile.state(native, name) == SyscallState::Denied || planned.contains(*name)
        })
        .collect();
    if let Some(first) = new.first() {
        out.add(
            &rules::NEWER_THAN_LIBSECCOMP,
            profile.named(first),
            format!(
                "libseccomp 2.5.4 and older cannot deny {}",
                list(new.iter().copied(), 8)
            ),
        );
    }
}

/// Whether one of the ABIs has a call.
fn is_here(abis: &[Abi], name: &str) -> bool {
    abis.iter().any(|abi| abi.syscall_number(name).is_some())
}

/// Calls of architectures that tracer has no table for, as profiles name them (libseccomp 2.5.4,
/// src/syscalls.csv), and calls that i386 and arm make only by a multiplexer.
fn is_elsewhere(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["s390_", "spu_", "sys_debug_", "osf_"];
    const NAMES: [&str; 32] = [
        "afs_syscall",
        "arm_fadvise64_64",
        "arm_sync_file_range",
        "break",
        "breakpoint",
        "cachectl",
        "cacheflush",
        "ftime",
        "get_tls",
        "getpmsg",
        "gtty",
        "idle",
        "lock",
        "mpx",
        "multiplexer",
        "pciconfig_iobase",
        "pciconfig_read",
        "pciconfig_write",
        "prof",
        "profil",
        "putpmsg",
        "riscv_flush_icache",
        "rtas",
        "security",
        "set_tls",
        "stty",
        "subpage_prot",
        "swapcontext",
        "switch_endian",
        "sysmips",
        "timerfd",
        "tuxcall",
    ];
    const MORE: [&str; 11] = [
        "syscall",
        "accept",
        "bdflush",
        "recv",
        "send",
        "sync_file_range2",
        "ulimit",
        "usr26",
        "usr32",
        "vserver",
        "runtime_instr",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || NAMES.contains(&name)
        || MORE.contains(&name)
}

fn unknown(
    profile: &LoadedProfile<'_>,
    name: &str,
    span: std::ops::Range<usize>,
    so_far: usize,
    out: &mut Findings<'_>,
) {
    // Whoever wrote so many wrong names did not mistype them.
    let near = if so_far < MAX_SUGGESTIONS {
        suggest(name)
    } else {
        Vec::new()
    };
    let added = out.add(
        &rules::UNKNOWN_NAME,
        span,
        match near.first() {
            Some(near) => format!("there is no system call {name:?}; the nearest is {near}"),
            None => format!("there is no system call {name:?}"),
        },
    );
    if let Some(first) = near.first() {
        let added = added.fix(format!("write {first}, or take {name} out"));
        // In an allow-list the workload notices; in a deny-list nobody does.
        if !profile.allows_by_default() {
            added.severity(Severity::Medium);
        }
    }
}

/// Names that may have been meant, the nearest first.
fn suggest(name: &str) -> Vec<&'static str> {
    let lower = name.trim().to_ascii_lowercase();
    let all: BTreeSet<_> = Abi::ALL
        .into_iter()
        .flat_map(|abi| abi.syscalls().map(|(_, name)| name))
        .collect();
    let mut near: Vec<_> = all
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len().min(lower.len()) / 6)
        .collect();
    near.sort();
    near.into_iter().map(|(_, known)| known).take(3).collect()
}

/// The same call in several places.
fn twice(
    profile: &LoadedProfile<'_>,
    name: &str,
    places: &[(usize, usize)],
    out: &mut Findings<'_>,
) {
    let mut entries = places.iter().take(MAX_LOCATIONS).filter_map(|(at, index)| {
        let entry = profile.oci.syscalls.get(*at)?;
        Some((*at, *index, entry))
    });
    let Some((first_at, _, first)) = entries.next() else {
        return;
    };
    let mut before = vec![(first_at, first)];
    for (at, index, entry) in entries {
        let span = profile.name(at, index);
        if let Some((earlier, _)) = before.iter().find(|(_, it)| is_same(it, entry)) {
            // Each of them may be the only one for another container.
            if profile.is_chosen(*earlier) || profile.is_chosen(at) {
                continue;
            }
            out.add(
                &rules::DUPLICATE_NAME,
                span,
                format!(
                    "{name} is named before, with the same action{}",
                    line_of(*earlier, at)
                ),
            );
        } else if let Some((earlier, other)) = before.iter().find(|(_, it)| contradicts(it, entry))
        {
            contradiction(profile, name, (*earlier, other), (at, entry), span, out);
        }
        before.push((at, entry));
    }
}

fn line_of(earlier: usize, at: usize) -> String {
    if earlier == at {
        ", in the same entry".to_owned()
    } else {
        format!(", in syscalls[{earlier}]")
    }
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.action == other.action && one.errno_ret == other.errno_ret && one.args == other.args
}

/// Whether two entries cannot both be meant: they say different things, and one of them has no
/// conditions or both have the same.
fn contradicts(one: &Entry, other: &Entry) -> bool {
    (one.action, one.errno_ret) != (other.action, other.errno_ret)
        && (one.args.is_empty() || other.args.is_empty() || one.args == other.args)
        || one.args.is_empty() != other.args.is_empty()
}

fn contradiction(
    profile: &LoadedProfile<'_>,
    name: &str,
    (earlier, first): (usize, &Entry),
    (at, second): (usize, &Entry),
    span: std::ops::Range<usize>,
    out: &mut Findings<'_>,
) {
    let native = profile.context.native;
    let decided = match profile.state(native, name) {
        SyscallState::Allowed => "it is allowed",
        SyscallState::Denied => "it is denied",
        SyscallState::Conditional => "it is allowed for some arguments",
        SyscallState::Killed | SyscallState::Absent => return,
    };
    if first.args.is_empty() == second.args.is_empty() {
        out.add(
            &rules::CONFLICTING_RULES,
            span,
            format!(
                "{name}: {} in syscalls[{earlier}], {} in syscalls[{at}]; {decided}",
                action(first),
                action(second)
            ),
        )
        .severity(if profile.is_within_default() {
            Severity::Medium
        } else {
            rules::CONFLICTING_RULES.severity
        });
        return;
    }
    let (with, without) = if first.args.is_empty() {
        (at, earlier)
    } else {
        (earlier, at)
    };
    // Where the one without conditions says the same as the default, the runtime leaves it out, and
    // the conditions count.
    if profile.state(native, name) == SyscallState::Conditional {
        return;
    }
    out.add(
        &rules::SHADOWED_RULE,
        profile.entry(with).start..profile.entry(with).start + 1,
        format!(
            "the conditions on {name} in syscalls[{with}] are never asked, since syscalls[{without}] has none; {decided}"
        ),
    );
}

fn action(entry: &Entry) -> String {
    let action = serde_json::to_value(entry.action).unwrap_or_default();
    let action = action.as_str().unwrap_or_default().to_owned();
    match entry.errno_ret {
        Some(errno) => format!("{action}({errno})"),
        None => action,
    }
}

/// What no program can do without.
fn cannot_run(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let missing: Vec<_> = ["execve", "exit", "exit_group", "rt_sigreturn"]
        .into_iter()
        .filter(|name| profile.state(native, name) == SyscallState::Denied)
        .collect();
    let Some(first) = missing.first() else {
        return;
    };
    let span = profile.named(first);
    let added = out.add(
        &rules::EXIT_DENIED,
        span,
        format!("{} denied", list(missing.iter().copied(), 4)),
    );
    // A process without threads needs no exit, and one that handles no signal no rt_sigreturn.
    if missing == ["exit"] {
        added.severity(Severity::Medium);
    } else if !missing.contains(&"execve") && !missing.contains(&"exit_group") {
        added.severity(Severity::High);
    }
}
