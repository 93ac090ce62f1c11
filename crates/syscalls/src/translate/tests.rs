//! That every call has an answer, and that the answers are right.

use std::collections::BTreeSet;

use super::{FORMS, MISSING, START_UP_CALLS, WIDE, start, translate};
use crate::{Abi, errno};

/// What can be recorded on.
const FROM: [Abi; 3] = [Abi::X86_64, Abi::Aarch64, Abi::Riscv64];

/// What a profile can be made for.
const TO: [Abi; 5] = [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm, Abi::Riscv64];

fn has(abi: Abi, name: &str) -> bool {
    abi.syscall_number(name).is_some()
}

fn names(name: &'static str, from: Abi, to: Abi) -> Vec<&'static str> {
    let found = translate(name, from, to).unwrap_or_default();
    found.iter().map(|it| it.call).collect()
}

#[test]
fn every_call_translates_or_says_why() {
    for from in FROM {
        for to in TO {
            for (_, name) in from.syscalls() {
                match translate(name, from, to) {
                    Ok(found) => assert!(found.iter().all(|it| has(to, it.call)), "{name} {to}"),
                    Err(why) => assert!(
                        MISSING.iter().any(|it| it.why == why) && !has(to, name),
                        "{name} of {from} for {to}: {why}"
                    ),
                }
            }
        }
    }
}

#[test]
fn same_name_is_kept() {
    for from in FROM {
        for to in TO {
            for (_, name) in from.syscalls().filter(|(_, name)| has(to, name)) {
                assert!(names(name, from, to).contains(&name), "{name} {from} {to}");
            }
        }
    }
}

#[test]
fn same_machine_is_the_identity() {
    for abi in [Abi::X86_64, Abi::Aarch64, Abi::Riscv64] {
        for (_, name) in abi.syscalls() {
            assert_eq!(names(name, abi, abi), [name]);
        }
        assert_eq!(start(abi, abi).count(), 0);
    }
}

#[test]
fn translations_match_the_expected_calls() {
    use Abi::{Aarch64, Arm, I386, Riscv64, X86_64};
    for (name, from, to, expected) in [
        ("open", X86_64, Aarch64, &["openat"][..]),
        ("rename", X86_64, Aarch64, &["renameat", "renameat2"]),
        ("rename", X86_64, Riscv64, &["renameat2"]),
        ("renameat", Aarch64, Riscv64, &["renameat2"]),
        ("vfork", X86_64, Aarch64, &["clone", "clone"]),
        ("stat", X86_64, Riscv64, &["newfstatat"]),
        ("stat", X86_64, Arm, &["stat", "stat64"]),
        ("newfstatat", X86_64, Arm, &["fstatat64"]),
        (
            "newfstatat",
            Aarch64,
            X86_64,
            &["lstat", "newfstatat", "stat"],
        ),
        (
            "unlinkat",
            Aarch64,
            X86_64,
            &["rmdir", "unlink", "unlinkat"],
        ),
        ("unlinkat", X86_64, X86_64, &["unlinkat"]),
        ("unlinkat", Aarch64, Riscv64, &["unlinkat"]),
        ("mmap", X86_64, Arm, &["mmap2"]),
        ("select", X86_64, Arm, &["_newselect", "pselect6"]),
        ("getrlimit", X86_64, Arm, &["ugetrlimit"]),
        ("time", X86_64, Arm, &["clock_gettime"]),
        ("socket", Aarch64, I386, &["socket", "socketcall"]),
        ("socket", Aarch64, Arm, &["socket"]),
        ("accept", Aarch64, I386, &["accept4", "socketcall"]),
        ("semop", X86_64, I386, &["ipc", "semtimedop_time64"]),
        ("fcntl", X86_64, I386, &["fcntl", "fcntl64"]),
        ("arch_prctl", X86_64, Aarch64, &[]),
        ("riscv_hwprobe", Riscv64, X86_64, &[]),
    ] {
        assert_eq!(names(name, from, to), expected, "{name} {from} {to}");
    }
    assert_eq!(
        start(Aarch64, X86_64).map(|it| it.0).collect::<Vec<_>>(),
        ["arch_prctl"]
    );
    assert_eq!(start(X86_64, Aarch64).count(), 0);
}

#[test]
fn arguments_carry_over_only_where_they_match() {
    let carried = |name, to| {
        let found = translate(name, Abi::X86_64, to).unwrap();
        let same = found.iter().filter(|it| it.same_arguments);
        same.map(|it| it.call).collect::<Vec<_>>()
    };
    assert_eq!(carried("clone", Abi::Aarch64), ["clone"]);
    assert_eq!(carried("socket", Abi::I386), ["socket"]);
    assert_eq!(carried("mmap", Abi::I386), ["mmap2"]);
    assert!(carried("fcntl", Abi::Arm).is_empty());
    assert_eq!(carried("fcntl", Abi::Aarch64), ["fcntl"]);
    assert!(carried("ptrace", Abi::Aarch64).is_empty());
    assert!(carried("open", Abi::Aarch64).is_empty());
}

#[test]
fn rows_are_sorted_existing_and_needed() {
    assert!(FORMS.is_sorted_by_key(|form| form.older));
    assert!(WIDE.is_sorted_by(|a, b| a.call < b.call));
    let known = |name: &str| Abi::ALL.iter().any(|abi| has(*abi, name));
    for form in FORMS {
        assert!(has(Abi::X86_64, form.older) && form.general.iter().all(|it| known(it)));
        assert!(
            TO.iter().any(|abi| !has(*abi, form.older)),
            "{}",
            form.older
        );
    }
    for wide in WIDE {
        assert!(has(Abi::X86_64, wide.call), "{}", wide.call);
        for also in wide.also {
            assert!(!has(Abi::X86_64, also) || *also == "accept4", "{also}");
            assert!(has(Abi::I386, also) || has(Abi::Arm, also), "{also}");
        }
    }
    for (abi, name, _) in START_UP_CALLS {
        assert!(has(*abi, name), "{name}");
    }
    let lacking: Vec<_> = MISSING.iter().flat_map(|it| it.calls).collect();
    assert_eq!(lacking.len(), lacking.iter().collect::<BTreeSet<_>>().len());
    for name in lacking {
        assert!(FROM.iter().any(|from| has(*from, name)), "{name}");
    }
}

/// The 64-bit forms of time have the names that callers probe for.
#[test]
fn every_time64_call_has_a_row() {
    for (_, name) in Abi::I386
        .syscalls()
        .filter(|(nr, _)| (403..=423).contains(nr))
    {
        assert!(errno::is_probed(name));
        assert!(WIDE.iter().any(|wide| wide.also.contains(&name)), "{name}");
    }
}
