//! What holds for all families, and what was judged one by one.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample::subsequence};

use super::{FALLBACK_GROUPS, Fallback, added, all, on_enosys};
use crate::{Abi, condition::ArgumentConstraint, errno, risk};

/// Never a variant, whatever is allowed: what sets up the machine or other processes, and what hides
/// what it does from a filter.
const DENIED: &[&str] = &[
    "bpf",
    "chroot",
    "clone3",
    "fsopen",
    "init_module",
    "ioctl",
    "io_uring_setup",
    "ipc",
    "kcmp",
    "kexec_load",
    "keyctl",
    "kill",
    "mount",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "prctl",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "rt_sigqueueinfo",
    "seccomp",
    "setns",
    "setuid",
    "socketcall",
    "umount2",
    "unshare",
    "userfaultfd",
];

fn exists(name: &str) -> bool {
    Abi::ALL
        .iter()
        .any(|abi| abi.syscall_number(name).is_some())
}

/// What is added for exactly these.
fn added_for(
    abi: Abi,
    allowed: &[&str],
) -> Vec<(&'static str, Option<&'static ArgumentConstraint>)> {
    let found = added(abi, |name| allowed.contains(&name));
    found.map(|it| (it.call, it.only)).collect()
}

fn names(abi: Abi, allowed: &[&str]) -> Vec<&'static str> {
    let found = added_for(abi, allowed);
    found.into_iter().map(|(call, _)| call).collect()
}

#[test]
fn calls_exist_and_groups_are_explained() {
    for family in FALLBACK_GROUPS {
        for text in [family.title, family.need, family.grants, family.source] {
            assert!(
                !text.is_empty() && !text.ends_with('.') && !text.contains('|'),
                "{family:?}"
            );
        }
        for name in family.equal.iter().copied().flatten() {
            assert!(exists(name), "{name}");
        }
    }
    for Fallback {
        call, stands_for, ..
    } in all()
    {
        assert!(exists(call), "{call}");
        assert!(
            !stands_for.is_empty() && !stands_for.contains(&call),
            "{call}"
        );
        // There is an ABI in which it can happen.
        let together = |abi: &Abi| {
            let mut names = stands_for.iter().chain([&call]);
            names.all(|name| abi.syscall_number(name).is_some())
        };
        assert!(Abi::ALL.iter().any(together), "{stands_for:?} {call}");
    }
}

#[test]
fn nothing_is_listed_twice() {
    let said: Vec<_> = all().map(|it| (it.call, it.stands_for, it.only)).collect();
    assert_eq!(said.len(), said.iter().collect::<BTreeSet<_>>().len());
    // An unconditional one leaves no conditional one to say.
    for (call, stands_for, only) in &said {
        assert!(
            only.is_none() || !said.contains(&(*call, *stands_for, None)),
            "{call}"
        );
    }
}

#[test]
fn equal_calls_stand_in_for_each_other() {
    for group in FALLBACK_GROUPS.iter().flat_map(|family| family.equal) {
        for abi in Abi::ALL {
            let here: Vec<_> = group
                .iter()
                .filter(|name| abi.syscall_number(name).is_some())
                .copied()
                .collect();
            for one in &here {
                let found = added_for(abi, &[one]);
                for other in here.iter().filter(|other| *other != one) {
                    assert!(found.contains(&(other, None)), "{abi} {one} {other}");
                }
            }
        }
    }
}

#[test]
fn one_way_fallbacks_have_no_reverse() {
    // Where the other direction is there, it is for some arguments only, or takes more calls.
    for family in FALLBACK_GROUPS {
        for variant in family.rules.iter().filter(|it| it.only.is_none()) {
            let [allowed] = variant.allowed else { continue };
            for call in variant.adds {
                let back = all()
                    .any(|it| it.call == *allowed && it.stands_for == [*call] && it.only.is_none());
                assert!(!back, "{allowed} and {call} are equal: say so");
            }
        }
    }
}

#[test]
fn no_risky_call_is_added() {
    let risks = risk::RISKS.iter().map(|risk| risk.name);
    let denied: BTreeSet<_> = risks.chain(DENIED.iter().copied()).collect();
    for name in &denied {
        assert!(exists(name), "{name}");
    }
    for Fallback {
        call, stands_for, ..
    } in all()
    {
        assert!(!denied.contains(call), "{stands_for:?} adds {call}");
    }
}

/// A newer call returns ENOSYS, and whoever tried it goes back to the older one by himself.
#[test]
fn probed_calls_are_never_added() {
    for Fallback {
        call, stands_for, ..
    } in all()
    {
        assert!(!errno::is_probed(call), "{stands_for:?} adds {call}");
    }
    for (older, newer) in [
        ("openat", "openat2"),
        ("newfstatat", "statx"),
        ("faccessat", "faccessat2"),
        ("fchmodat", "fchmodat2"),
        ("chmod", "fchmodat2"),
        ("clone", "clone3"),
        ("epoll_pwait", "epoll_pwait2"),
        ("close", "close_range"),
        ("renameat", "renameat2"),
        ("clock_gettime", "clock_gettime64"),
        ("futex", "futex_time64"),
    ] {
        for abi in Abi::ALL {
            assert!(!names(abi, &[older]).contains(&newer), "{abi} {older}");
        }
        assert!(errno::is_probed(newer), "{newer}");
        assert!(
            all().any(|it| it.stands_for == [newer] && it.call == older),
            "{newer}"
        );
    }
}

#[test]
fn fallbacks_match_the_expected_calls() {
    for (abi, allowed, expected) in [
        (Abi::X86_64, &["open"][..], &["openat", "creat"][..]),
        (Abi::X86_64, &["creat"], &[]),
        (Abi::Aarch64, &["openat"], &[]),
        (Abi::X86_64, &["newfstatat"], &["stat", "lstat", "fstat"]),
        (Abi::X86_64, &["fstat"], &[]),
        (
            Abi::X86_64,
            &["fstat", "openat"],
            &["open", "creat", "newfstatat", "stat", "lstat"],
        ),
        (Abi::I386, &["fstatat64"], &["stat64", "lstat64", "fstat64"]),
        (Abi::X86_64, &["epoll_wait"], &[]),
        (
            Abi::X86_64,
            &["epoll_wait", "rt_sigprocmask"],
            &["epoll_pwait"],
        ),
        (Abi::X86_64, &["epoll_pwait"], &["epoll_wait"]),
        (Abi::X86_64, &["chmod"], &[]),
        (Abi::X86_64, &["fchmodat"], &[]),
        (Abi::X86_64, &["mknod"], &["mknodat"]),
        (Abi::X86_64, &["mknodat"], &["mknod"]),
        (Abi::Aarch64, &["mknodat"], &[]),
        (Abi::X86_64, &["chown"], &[]),
        (Abi::X86_64, &["ioctl", "prctl", "kill", "recvfrom"], &[]),
        (Abi::I386, &["clock_gettime64"], &["clock_gettime"]),
        (Abi::I386, &["clock_settime64", "clock_adjtime64"], &[]),
        (Abi::I386, &["mmap2"], &[]),
        (Abi::I386, &["mmap"], &["mmap2"]),
        (Abi::I386, &["socket"], &[]),
        (Abi::Arm, &["recvmsg"], &["recvfrom", "recv"]),
    ] {
        assert_eq!(names(abi, allowed), expected, "{abi} {allowed:?}");
    }
}

#[test]
fn some_fallbacks_depend_on_arguments() {
    for (allowed, call) in [
        ("fork", "clone"),
        ("vfork", "clone"),
        ("pipe", "pipe2"),
        ("alarm", "setitimer"),
        ("nanosleep", "clock_nanosleep"),
        ("getpgrp", "getpgid"),
        ("getrlimit", "prlimit64"),
        ("stat", "newfstatat"),
        ("utimes", "utimensat"),
    ] {
        let found = added_for(Abi::X86_64, &[allowed]);
        let [(added, Some(_))] = found[..] else {
            panic!("{allowed}: {found:?}");
        };
        assert_eq!(added, call);
    }
}

/// Calls of one ABI, some of them, more of those that families speak of.
fn allowed() -> impl Strategy<Value = (Abi, Vec<&'static str>)> {
    proptest::sample::select(&Abi::ALL[..]).prop_flat_map(|abi| {
        let spoken_of: BTreeSet<_> = all()
            .flat_map(|it| it.stands_for.iter().copied().chain([it.call]))
            .filter(|name| abi.syscall_number(name).is_some())
            .collect();
        let spoken_of: Vec<_> = spoken_of.into_iter().collect();
        let most = spoken_of.len();
        (Just(abi), subsequence(spoken_of, 0..most))
    })
}

proptest! {
    /// What is added adds nothing in turn: each stands in for calls that were there before.
    #[test]
    fn adding_again_adds_no_call((abi, allowed) in allowed()) {
        let once = added_for(abi, &allowed);
        let unconditional = once.iter().filter(|(_, only)| only.is_none());
        let after: Vec<_> = allowed.iter().copied().chain(unconditional.map(|it| it.0)).collect();
        let known: BTreeSet<_> = once.iter().map(|(call, _)| *call).collect();
        for (call, only) in added_for(abi, &after) {
            // A condition may become one of several; a new call may not come.
            prop_assert!(known.contains(call) && only.is_some(), "{} {:?}: {}", abi, allowed, call);
        }
    }

    #[test]
    fn allowed_calls_are_not_added((abi, allowed) in allowed()) {
        for name in names(abi, &allowed) {
            prop_assert!(!allowed.contains(&name));
        }
    }

    /// More that is allowed never takes away what stands in.
    #[test]
    fn adding_is_monotonic((abi, allowed) in allowed(), keep in any::<prop::sample::Index>()) {
        let fewer = &allowed[..keep.index(allowed.len() + 1)];
        let more: Vec<_> = names(abi, &allowed);
        for name in names(abi, fewer) {
            prop_assert!(more.contains(&name) || allowed.contains(&name));
        }
    }
}

/// What is called instead and is no fallback of the table, each with the reason.
const NO_FALLBACKS: &[(&str, &str, &str)] = &[
    (
        "close_range",
        "getdents64",
        "glibc's closefrom lists /proc/self/fd, and gives up where it cannot",
    ),
    (
        "close_range",
        "openat",
        "glibc's closefrom opens /proc/self/fd, and gives up where it cannot",
    ),
    (
        "faccessat2",
        "newfstatat",
        "glibc reads the mode of a link, which tells more than faccessat2: every libc calls it for stat",
    ),
    (
        "statfs",
        "read",
        "glibc before 2.34 looks for /dev/shm in /proc/mounts, and every program reads",
    ),
];

/// Each pair that was measured on glibc 2.31 to 2.41 and musl 1.2 is known: as a fallback, among the calls that
/// profiles have anyway, or as none with a reason.
#[test]
fn measured_fallbacks_are_in_the_table() {
    let abi = Abi::X86_64;
    let table = include_str!("measured.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let mut libcs = BTreeSet::new();
    let mut excused = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for row in rows {
        let columns: Vec<_> = row.split('\t').collect();
        let [_, call, _, instead, by] = columns[..] else {
            panic!("{row}");
        };
        libcs.extend(by.split(", "));
        let is_added = added(abi, |name| name == call).any(|it| it.call == instead);
        let parts = on_enosys(abi, call).unwrap_or_default();
        let is_probed = parts.iter().any(|part| part.contains(&instead));
        let mut headroom = crate::headroom::added(abi, |name| name == call);
        let is_there = crate::essential::names(abi).any(|name| name == instead)
            || headroom.any(|it| it.call == instead);
        let is_none = NO_FALLBACKS
            .iter()
            .any(|(from, to, _)| (*from, *to) == (call, instead));
        if is_none {
            excused.insert((call, instead));
        } else if !(is_added || is_probed || is_there) {
            unknown.insert((call, instead));
        }
    }
    assert_eq!(unknown, BTreeSet::new());
    assert_eq!(excused.len(), NO_FALLBACKS.len(), "{excused:?}");
    for libc in ["glibc 2.31", "glibc 2.36", "glibc 2.41", "musl 1.2"] {
        assert!(libcs.contains(libc), "{libc}");
    }
}
