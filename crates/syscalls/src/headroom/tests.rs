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
    for name in rules().flat_map(|rule| rule.adds).copied() {
        assert!(risk::risk(name).is_none(), "{name}");
        assert!(defaults::blocked_by_default(name).is_none(), "{name}");
        assert!(left_out(name).is_none(), "{name} was weighed and left out");
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
        (&["socket"], &["getsockname", "shutdown", "getsockopt"]),
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
