//! What holds for every group, and what was judged one by one.

use std::collections::BTreeSet;

use super::{HEADROOM_GROUPS, HeadroomRule, LEFT_OUT, added, groups_of, left_out};
use crate::{Abi, defaults, risk};

fn rules() -> impl Iterator<Item = &'static HeadroomRule> {
    HEADROOM_GROUPS.iter().flat_map(|group| group.rules)
}

fn exists(name: &str) -> bool {
    let mut abis = Abi::ALL.iter();
    abis.any(|abi| abi.syscall_number(name).is_some())
}

fn names(abi: Abi, made: &[&str]) -> BTreeSet<&'static str> {
    added(abi, |name| made.contains(&name))
        .map(|it| it.call)
        .collect()
}

#[test]
fn groups_are_explained_and_calls_exist() {
    let mut titles = BTreeSet::new();
    for group in HEADROOM_GROUPS {
        assert!(titles.insert(group.title), "{}", group.title);
        for text in [group.title, group.need, group.grants, group.surface] {
            assert!(
                !text.is_empty() && !text.ends_with('.') && !text.contains('|'),
                "{group:?}"
            );
        }
        assert!(group.surface.contains(".c"), "{}", group.title);
    }
    for rule in rules() {
        for name in rule.beside.iter().chain(rule.adds) {
            assert!(exists(name), "{name}");
        }
    }
    for row in LEFT_OUT {
        assert!(row.calls.iter().all(|name| exists(name)), "{row:?}");
    }
}

#[test]
fn nothing_risky_is_added() {
    for rule in rules() {
        for name in rule.adds.iter().copied() {
            assert!(risk::risk(name).is_none(), "{name}");
            assert!(defaults::blocked_by_default(name).is_none(), "{name}");
            // A call that was weighed and left out is added beside one of the same kind only.
            let same = |row: &super::LeftOut| rule.beside.iter().all(|it| row.calls.contains(it));
            let is_sibling = !rule.beside.is_empty() && left_out(name).is_none_or(same);
            assert!(
                left_out(name).is_none() || is_sibling,
                "{name} was weighed and left out"
            );
        }
    }
}

#[test]
fn calls_that_select_by_argument_are_added_for_some_only() {
    let selecting = [
        "ioctl",
        "fcntl",
        "fcntl64",
        "prctl",
        "prlimit64",
        "getsockopt",
        "fallocate",
        "clone",
        "kill",
        "pipe2",
    ];
    for rule in rules() {
        for name in selecting {
            assert!(
                !rule.adds.contains(&name) || rule.only.is_some(),
                "{name} is added for any arguments"
            );
            assert!(
                !rule.adds.contains(&name) || !rule.harmless_with_any,
                "{name} would be added without conditions"
            );
        }
    }
}

#[test]
fn nothing_is_listed_twice() {
    let mut seen = BTreeSet::new();
    for rule in rules() {
        for name in rule.adds {
            assert!(seen.insert((name, rule.beside, rule.only)), "{name}");
        }
    }
}

#[test]
fn a_call_that_cannot_fail_is_always_there() {
    // getuid(2), getgid(2), getpid(2), gettid(2), umask(2), sched_yield(2), alarm(2), getpgrp(2).
    let always =
        "getuid geteuid getgid getegid getpid getppid gettid getpgrp umask sched_yield alarm";
    let there = names(Abi::X86_64, &[]);
    for name in always.split(' ') {
        assert!(there.contains(name), "{name}");
    }
    for name in ["getuid32", "geteuid32", "getgid32", "getegid32", "sgetmask"] {
        assert!(names(Abi::I386, &[]).contains(name), "{name}");
        assert!(!there.contains(name), "{name}");
    }
    assert!(
        !names(Abi::Aarch64, &[]).contains("alarm"),
        "arm64 has none"
    );
}

#[test]
fn more_is_added_only_beside_what_is_made() {
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["write"],
            &["fsync", "fdatasync", "msync", "pwrite64", "writev"],
        ),
        (&["sendto"], &["sendmmsg"]),
        (&["epoll_create1"], &["epoll_ctl", "epoll_wait"]),
        (&["clone3"], &["wait4"]),
        (&["vfork"], &["clone", "fork", "pipe", "pipe2"]),
        (&["tgkill"], &["kill"]),
        (&["openat"], &["access", "statx", "readlink", "chdir"]),
        (&["unlinkat"], &["unlink", "rmdir"]),
        (&["unlink"], &["unlinkat"]),
        (&["accept"], &["accept4"]),
        (&["poll"], &["eventfd2"]),
        (
            &["socket"],
            &["getsockname", "shutdown", "getsockopt", "recvfrom"],
        ),
        (&["timerfd_create"], &["timerfd_settime"]),
    ];
    let nothing = names(Abi::X86_64, &[]);
    for (made, expected) in cases {
        let there = names(Abi::X86_64, made);
        for name in *expected {
            assert!(there.contains(name), "{name} beside {made:?}");
            assert!(!nothing.contains(name), "{name} beside nothing");
        }
    }
    // select and poll always sleep, and wait for descriptors beside each other only.
    let waits = |made: &[&str]| {
        added(Abi::X86_64, |name| made.contains(&name))
            .any(|it| it.call == "poll" && it.only.is_none())
    };
    assert!(waits(&["epoll_wait"]) && waits(&["select"]) && !waits(&["write"]));
}

#[test]
fn conditions_say_what_they_mean() {
    let passes = |call: &str, arguments: [u64; 6]| {
        added(Abi::X86_64, |_| false).any(|it| {
            it.call == call
                && it
                    .only
                    .is_none_or(|only| only.conditions.are_met_by(&arguments))
        })
    };
    const CLOCK_REALTIME_ALARM: u64 = 8;
    const F_SETOWN: u64 = 8;
    const F_SETLK: u64 = 6;
    const TIOCSTI: u64 = 0x5412;
    const ITIMER_PROF: u64 = 2;
    for (call, arguments, expected) in [
        ("clock_nanosleep", [1, 1, 0, 0, 0, 0], true),
        (
            "clock_nanosleep",
            [CLOCK_REALTIME_ALARM, 0, 0, 0, 0, 0],
            false,
        ),
        // A clock of a descriptor, or of another process: negative (posix-timers.h).
        (
            "clock_nanosleep",
            [(-6_i32).cast_unsigned().into(), 0, 0, 0, 0, 0],
            false,
        ),
        ("fcntl", [3, 4, 0, 0, 0, 0], true),
        ("fcntl", [3, 1030, 0, 0, 0, 0], true),
        ("fcntl", [3, F_SETOWN, 0, 0, 0, 0], false),
        ("fcntl", [3, F_SETLK, 0, 0, 0, 0], false),
        ("ioctl", [0, 0x5421, 0, 0, 0, 0], true),
        ("ioctl", [0, TIOCSTI, 0, 0, 0, 0], false),
        ("setitimer", [0, 0, 0, 0, 0, 0], true),
        ("setitimer", [ITIMER_PROF, 0, 0, 0, 0, 0], false),
        ("prlimit64", [0, 7, 0, 1, 0, 0], true),
        ("prlimit64", [0, 7, 1, 0, 0, 0], false),
        ("prlimit64", [1, 7, 0, 1, 0, 0], false),
        ("select", [0, 0, 0, 0, 1, 0], true),
        ("select", [8, 1, 0, 0, 1, 0], false),
        ("sched_getaffinity", [0, 8, 1, 0, 0, 0], true),
        ("sched_getaffinity", [1, 8, 1, 0, 0, 0], false),
        ("fsync", [3, 0, 0, 0, 0, 0], false),
    ] {
        assert_eq!(passes(call, arguments), expected, "{call} {arguments:?}");
    }
}

#[test]
fn siblings_do_no_more_than_what_is_made() {
    let passes = |made: &str, call: &str, arguments: [u64; 6]| {
        added(Abi::X86_64, |name| name == made).any(|it| {
            it.call == call
                && it
                    .only
                    .is_none_or(|only| only.conditions.are_met_by(&arguments))
        })
    };
    const AT_REMOVEDIR: u64 = 0x200;
    const RENAME_EXCHANGE: u64 = 2;
    const SIGCHLD: u64 = 17;
    const CLONE_NEWUSER: u64 = 0x1000_0000;
    const O_DIRECT: u64 = 0x4000;
    const O_NOTIFICATION_PIPE: u64 = 0x80;
    const O_CLOEXEC: u64 = 0x8_0000;
    const MSG_OOB: u64 = 1;
    const MSG_PEEK: u64 = 2;
    let everyone = u64::from((-1_i32).cast_unsigned());
    let group = u64::from((-7_i32).cast_unsigned());
    for (made, call, arguments, expected) in [
        ("unlink", "unlinkat", [4, 1, 0, 0, 0, 0], true),
        ("unlink", "unlinkat", [4, 1, AT_REMOVEDIR, 0, 0, 0], false),
        ("rmdir", "unlinkat", [4, 1, AT_REMOVEDIR, 0, 0, 0], true),
        ("rmdir", "unlink", [1, 0, 0, 0, 0, 0], false),
        ("unlinkat", "rmdir", [1, 0, 0, 0, 0, 0], true),
        ("rename", "renameat2", [4, 1, 4, 1, 0, 0], true),
        (
            "rename",
            "renameat2",
            [4, 1, 4, 1, RENAME_EXCHANGE, 0],
            false,
        ),
        ("fork", "clone", [SIGCHLD, 0, 0, 0, 0, 0], true),
        (
            "fork",
            "clone",
            [SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0, 0],
            false,
        ),
        ("vfork", "clone", [0x3d_0f00, 1, 1, 1, 1, 0], true),
        ("vfork", "pipe2", [1, O_CLOEXEC, 0, 0, 0, 0], true),
        ("vfork", "pipe2", [1, O_DIRECT, 0, 0, 0, 0], false),
        (
            "vfork",
            "pipe2",
            [1, O_NOTIFICATION_PIPE, 0, 0, 0, 0],
            false,
        ),
        ("write", "pipe2", [1, O_CLOEXEC, 0, 0, 0, 0], false),
        ("tgkill", "kill", [7, 15, 0, 0, 0, 0], true),
        ("tgkill", "kill", [everyone, 15, 0, 0, 0, 0], false),
        ("tgkill", "kill", [group, 15, 0, 0, 0, 0], false),
        ("socket", "recvfrom", [3, 1, 1, MSG_PEEK, 0, 0], true),
        ("socket", "recvfrom", [3, 1, 1, MSG_OOB, 0, 0], false),
        ("socket", "sendto", [3, 1, 1, 0, 0, 0], true),
        ("socket", "sendto", [3, 1, 1, 0, 1, 16], false),
        ("chmod", "fchmod", [3, 0o600, 0, 0, 0, 0], true),
        ("fchmod", "chmod", [1, 0o600, 0, 0, 0, 0], false),
        ("openat", "unlink", [1, 0, 0, 0, 0, 0], false),
        ("openat", "mkdir", [1, 0, 0, 0, 0, 0], false),
    ] {
        assert_eq!(
            passes(made, call, arguments),
            expected,
            "{call} {arguments:?} beside {made}"
        );
    }
}

#[test]
fn groups_are_found_by_call() {
    let titles: Vec<_> = groups_of("select").map(|it| it.title).collect();
    assert_eq!(titles, ["sleep", "polling"]);
    assert_eq!(groups_of("mremap").count(), 0);
    assert!(
        left_out("mremap")
            .unwrap()
            .reason
            .contains("CVE-2018-18281")
    );
}
