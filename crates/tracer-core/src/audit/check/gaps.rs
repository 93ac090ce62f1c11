//! What a deny-list leaves open by being one: io_uring, and all that it does not name.

use super::{
    super::{
        Findings, Severity,
        loaded_profile::{LoadedProfile, SyscallState},
        rules,
    },
    closing, list,
};
use crate::recording::plain_text::counted;
use std::collections::BTreeSet;
use syscalls::{
    Abi, defaults,
    introduced::{self, LinuxVersion},
    risk,
};

const RING: &str = "io_uring_setup";

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    io_uring(profile, out);
    if !profile.allows_by_default() {
        return;
    }
    let by_default = profile.top("defaultAction");
    match profile.oci.syscalls.len() {
        0 => out
            .add(
                &rules::DEFAULT_ALLOW,
                by_default,
                "the profile has no rule: every system call is allowed",
            )
            .severity(Severity::High),
        rules => out.add(
            &rules::DEFAULT_ALLOW,
            by_default,
            format!(
                "default action is ALLOW: every call that the {rules} {} not name is allowed",
                if rules == 1 { "rule does" } else { "rules do" }
            ),
        ),
    };
    unheard(profile, out);
}

fn io_uring(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let native = profile.context.native;
    if !profile.state(native, RING).allows_some() {
        return;
    }
    let names = profile.oci.syscalls.iter().flat_map(|entry| &entry.names);
    let denied: BTreeSet<_> = names
        .map(String::as_str)
        .filter(|name| {
            let operation = BY_RING.iter().find(|(_, calls)| calls.contains(name));
            operation.is_some_and(|(version, _)| profile.is_reached(*version))
        })
        .filter(|name| profile.state(native, name) == SyscallState::Denied)
        .collect();
    let evidence = (!denied.is_empty()).then(|| {
        format!(
            "denied as a call and possible through a ring: {}",
            list(denied.iter().copied(), 12)
        )
    });
    let severity = if profile.is_used(RING) {
        Severity::Medium
    } else {
        Severity::High
    };
    out.add(
        &rules::IO_URING,
        profile.named(RING),
        "io_uring_setup is allowed: files and sockets can be used without a system call that the profile sees",
    )
    .severity(severity)
    .evidence(evidence)
    .edits(closing::deny(profile, &["io_uring_setup", "io_uring_enter", "io_uring_register"]));
}

/// Calls that a ring does without the call, by the kernel since which it does
/// (include/uapi/linux/io_uring.h, `enum io_uring_op`; io_uring_enter(2)).
const BY_RING: &[(LinuxVersion, &[&str])] = &[
    (
        LinuxVersion(5, 1),
        &["fsync", "poll", "preadv", "pwritev", "readv", "writev"],
    ),
    (LinuxVersion(5, 2), &["sync_file_range"]),
    (LinuxVersion(5, 3), &["recvmsg", "sendmsg"]),
    (LinuxVersion(5, 5), &["accept", "accept4", "connect"]),
    (
        LinuxVersion(5, 6),
        &[
            "close",
            "creat",
            "epoll_ctl",
            "fadvise64",
            "fallocate",
            "madvise",
            "open",
            "openat",
            "openat2",
            "pread64",
            "pwrite64",
            "read",
            "recvfrom",
            "sendto",
            "statx",
            "write",
        ],
    ),
    (LinuxVersion(5, 7), &["splice"]),
    (LinuxVersion(5, 8), &["tee"]),
    (
        LinuxVersion(5, 11),
        &[
            "rename",
            "renameat",
            "renameat2",
            "rmdir",
            "shutdown",
            "unlink",
            "unlinkat",
        ],
    ),
    (
        LinuxVersion(5, 15),
        &["link", "linkat", "mkdir", "mkdirat", "symlink", "symlinkat"],
    ),
    (
        LinuxVersion(5, 19),
        &["fgetxattr", "fsetxattr", "getxattr", "setxattr", "socket"],
    ),
    (LinuxVersion(6, 7), &["futex", "waitid"]),
    (LinuxVersion(6, 9), &["ftruncate"]),
    (LinuxVersion(6, 11), &["bind", "listen"]),
    (LinuxVersion(6, 15), &["epoll_wait"]),
    (LinuxVersion(6, 16), &["pipe", "pipe2"]),
];

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
        .filter(|(version, _)| *version > newest && profile.is_reached(*version));
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
            "{} allowed that {} newer than the newest one named in the profile{}",
            counted(all().count(), "system call is", "system calls are"),
            if all().count() == 1 { "is" } else { "are" },
            if risky.is_empty() {
                String::new()
            } else {
                format!("; high-risk: {}", list(risky.iter().copied(), 12))
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
