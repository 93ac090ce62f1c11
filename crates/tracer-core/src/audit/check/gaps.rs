//! Deny-list gaps: a call is denied, and another that does the same is not.

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    list,
};
use syscalls::{
    Abi, defaults, equivalents,
    equivalents::EquivalentGroup,
    introduced::{self, LinuxVersion},
    risk,
};

const RING: &str = "io_uring_setup";

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    io_uring(profile, out);
    condition_bypass(profile, out);
    if !profile.allows_by_default() {
        return;
    }
    let by_default = profile.top("defaultAction");
    out.add(
        &rules::DEFAULT_ALLOW,
        by_default,
        format!(
            "what none of the {} rules names is allowed",
            profile.oci.syscalls.len()
        ),
    );
    for family in equivalents::EQUIVALENT_GROUPS {
        gap(profile, family, out);
    }
    unheard(profile, out);
}

/// What is open of a family of which something is denied, on the machine's own ABI.
fn gap(profile: &LoadedProfile<'_>, family: &EquivalentGroup, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let state = |name: &str| profile.state(native, name);
    let with = |wanted: fn(SyscallState) -> bool| {
        let members = family.members.iter().copied();
        members
            .filter(|name| wanted(state(name)))
            .collect::<Vec<_>>()
    };
    let denied = with(|state| state == SyscallState::Denied);
    // Of what is open for some arguments, the rules about conditions speak.
    let open = with(|state| state == SyscallState::Allowed);
    let Some(first) = denied.first().filter(|_| !open.is_empty()) else {
        return;
    };
    let severity = if family.serious {
        Severity::High
    } else {
        Severity::Medium
    };
    out.add(
        &rules::EQUIVALENT_SYSCALL_ALLOWED,
        profile.named(first),
        format!(
            "{} {} denied, but a program can still {} by {}",
            denied.join(", "),
            if denied.len() == 1 { "is" } else { "are" },
            family.end,
            open.join(", ")
        ),
    )
    .severity(severity)
    .evidence(
        [format!("family {}: {}", family.name, family.how)]
            .into_iter()
            .chain(newer(&open)),
    )
    .fix(fix(&open));
}

/// What to add to a deny-list: old calls with EPERM, new ones with ENOSYS.
fn fix(open: &[&str]) -> String {
    let (new, old): (Vec<_>, Vec<_>) = open
        .iter()
        .partition(|name| syscalls::errno::is_probed(name));
    let entry = |names: &[&&str], errno: u32| {
        let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "{{\"names\": [{}], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": {errno}}}",
            names.join(", ")
        )
    };
    let entries: Vec<_> = [(&old, 1), (&new, 38)]
        .into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, errno)| entry(&names.iter().collect::<Vec<_>>()[..], errno))
        .collect();
    format!("add to syscalls: {}", entries.join(", "))
}

fn newer(names: &[&str]) -> Option<String> {
    let newer: Vec<_> = names
        .iter()
        .filter_map(|name| {
            Some(format!(
                "{name} since Linux {}",
                introduced::introduced_in(name)?
            ))
        })
        .collect();
    (!newer.is_empty()).then(|| newer.join(", "))
}

fn io_uring(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    if !profile.state(profile.context.native, RING).allows_some() {
        return;
    }
    let denied = profile
        .oci
        .syscalls
        .iter()
        .flat_map(|entry| &entry.names)
        .filter(|name| BY_RING.contains(&name.as_str()))
        .filter(|name| profile.state(profile.context.native, name) == SyscallState::Denied);
    let mut denied: Vec<_> = denied.map(String::as_str).collect();
    denied.sort_unstable();
    denied.dedup();
    let severity = if denied.is_empty() {
        Severity::Medium
    } else {
        Severity::High
    };
    let evidence = (!denied.is_empty()).then(|| {
        format!(
            "denied as a call and possible through a ring: {}",
            list(denied.iter().copied(), 12)
        )
    });
    out.add(
        &rules::IO_URING,
        profile.named(RING),
        "io_uring_setup is open: files and sockets can be used without a system call that the profile sees",
    )
    .severity(severity)
    .evidence(evidence);
}

/// Calls that a ring does without the call (include/uapi/linux/io_uring.h, `enum io_uring_op`).
const BY_RING: &[&str] = &[
    "accept",
    "accept4",
    "bind",
    "close",
    "connect",
    "epoll_ctl",
    "epoll_wait",
    "fadvise64",
    "fallocate",
    "fgetxattr",
    "fsetxattr",
    "fsync",
    "ftruncate",
    "futex",
    "getxattr",
    "link",
    "linkat",
    "listen",
    "madvise",
    "mkdir",
    "mkdirat",
    "open",
    "openat",
    "openat2",
    "pipe",
    "pipe2",
    "poll",
    "pread64",
    "preadv",
    "pwrite64",
    "pwritev",
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendmsg",
    "sendto",
    "setxattr",
    "shutdown",
    "socket",
    "splice",
    "statx",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "tee",
    "unlink",
    "unlinkat",
    "waitid",
    "write",
    "writev",
];

/// A new user namespace (include/uapi/linux/sched.h), which is what conditions on clone are for.
const NEW_USER: u64 = 0x1000_0000;

/// clone without namespaces, and clone3 or unshare with them.
fn condition_bypass(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let plain = profile.outcome(native, "clone", [0x11, 0, 0, 0, 0, 0]);
    let user = profile.outcome(native, "clone", [0x11 | NEW_USER, 0, 0, 0, 0, 0]);
    let (Some(plain), Some(user)) = (plain, user) else {
        return;
    };
    if !plain.verdict.allows() || user.verdict.allows() {
        return;
    }
    let lets = |name: &str| {
        profile
            .outcome(native, name, [NEW_USER, 0, 0, 0, 0, 0])
            .is_some_and(|outcome| outcome.verdict.allows())
    };
    let open: Vec<_> = ["clone3", "unshare"]
        .into_iter()
        .filter(|name| lets(name))
        .collect();
    if open.is_empty() {
        return;
    }
    out.add(
        &rules::CONDITION_BYPASS,
        profile.named("clone"),
        format!(
            "clone may not make a user namespace, but {} may",
            open.join(" and ")
        ),
    )
    .fix(fix(&open));
}

/// What came after the newest call that the profile names.
fn unheard(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let named = profile.oci.syscalls.iter().flat_map(|entry| &entry.names);
    let newest = named
        .filter_map(|name| introduced::introduced_in(name))
        .max()
        .unwrap_or(LinuxVersion(3, 0));
    let native = profile.context.native;
    let later = introduced::INTRODUCED
        .iter()
        .filter(|(version, _)| *version > newest);
    let open = |name: &&&str| {
        native.syscall_number(name).is_some()
            && native != Abi::I386
            && profile.state(native, name).allows_some()
    };
    let by_version: Vec<_> = later
        .map(|(version, names)| {
            let names: Vec<_> = names.iter().filter(open).copied().collect();
            (*version, names)
        })
        .filter(|(_, names)| !names.is_empty())
        .collect();
    let all = || {
        by_version
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
    };
    if all().next().is_none() {
        return;
    }
    let risky: Vec<_> = all()
        .filter(|name| risk::risk(name).is_some() || defaults::blocked_by_default(name).is_some())
        .collect();
    let severity = if risky.is_empty() {
        Severity::Low
    } else {
        Severity::Medium
    };
    out.add(
        &rules::NEWER_SYSCALLS_ALLOWED,
        profile.top("defaultAction"),
        format!(
            "{} calls are open that are newer than all that the profile denies{}",
            all().count(),
            if risky.is_empty() {
                String::new()
            } else {
                format!(
                    "; those that open much: {}",
                    list(risky.iter().copied(), 12)
                )
            }
        ),
    )
    .severity(severity)
    .evidence(
        by_version
            .iter()
            .map(|(version, names)| format!("Linux {version}: {}", names.join(", "))),
    );
}
