//! What a deny-list leaves open by being one: io_uring, and all that it does not name.

use super::{
    super::{
        Findings, Severity, rules,
        subject::{State, View},
    },
    closing, list,
};
use std::collections::BTreeSet;
use syscalls::{
    Abi, defaults, risk,
    since::{self, Linux},
};

const RING: &str = "io_uring_setup";

pub(super) fn check(view: &View<'_>, out: &mut Findings<'_>) {
    io_uring(view, out);
    if !view.allows_by_default() {
        return;
    }
    let by_default = view.top("defaultAction");
    match view.oci.syscalls.len() {
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
    unheard(view, out);
}

fn io_uring(view: &View<'_>, out: &mut Findings<'_>) {
    let native = view.context.native;
    if !view.state(native, RING).lets_some() {
        return;
    }
    let names = view.oci.syscalls.iter().flat_map(|entry| &entry.names);
    let denied: BTreeSet<_> = names
        .map(String::as_str)
        .filter(|name| {
            let operation = BY_RING.iter().find(|(_, calls)| calls.contains(name));
            operation.is_some_and(|(version, _)| view.is_reached(*version))
        })
        .filter(|name| view.state(native, name) == State::Denied)
        .collect();
    let evidence = (!denied.is_empty()).then(|| {
        format!(
            "denied as a call and possible through a ring: {}",
            list(denied.iter().copied(), 12)
        )
    });
    let severity = if view.is_used(RING) {
        Severity::Medium
    } else {
        Severity::High
    };
    out.add(
        &rules::IO_URING,
        view.named(RING),
        "io_uring_setup is allowed: files and sockets can be used without a system call that the profile sees",
    )
    .severity(severity)
    .evidence(evidence)
    .edits(closing::deny(view, &["io_uring_setup", "io_uring_enter", "io_uring_register"]));
}

/// Calls that a ring does without the call, by the kernel since which it does
/// (include/uapi/linux/io_uring.h, `enum io_uring_op`; io_uring_enter(2)).
const BY_RING: &[(Linux, &[&str])] = &[
    (
        Linux(5, 1),
        &["fsync", "poll", "preadv", "pwritev", "readv", "writev"],
    ),
    (Linux(5, 2), &["sync_file_range"]),
    (Linux(5, 3), &["recvmsg", "sendmsg"]),
    (Linux(5, 5), &["accept", "accept4", "connect"]),
    (
        Linux(5, 6),
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
    (Linux(5, 7), &["splice"]),
    (Linux(5, 8), &["tee"]),
    (
        Linux(5, 11),
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
        Linux(5, 15),
        &["link", "linkat", "mkdir", "mkdirat", "symlink", "symlinkat"],
    ),
    (
        Linux(5, 19),
        &["fgetxattr", "fsetxattr", "getxattr", "setxattr", "socket"],
    ),
    (Linux(6, 7), &["futex", "waitid"]),
    (Linux(6, 9), &["ftruncate"]),
    (Linux(6, 11), &["bind", "listen"]),
    (Linux(6, 15), &["epoll_wait"]),
    (Linux(6, 16), &["pipe", "pipe2"]),
];

/// What came after the newest call that the profile names.
fn unheard(view: &View<'_>, out: &mut Findings<'_>) {
    let named = view.oci.syscalls.iter().flat_map(|entry| &entry.names);
    let newest = named
        .filter_map(|name| since::since(name))
        .max()
        .unwrap_or(Linux(3, 0));
    let native = view.context.native;
    let later = since::SINCE
        .iter()
        .filter(|(version, _)| *version > newest && view.is_reached(*version));
    let open = |name: &&&str| {
        native.syscall_number(name).is_some()
            && native != Abi::I386
            && view.state(native, name).lets_some()
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
        &rules::UNHEARD,
        view.top("defaultAction"),
        format!(
            "{} system calls newer than the newest one named in the profile are allowed{}",
            all().count(),
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
