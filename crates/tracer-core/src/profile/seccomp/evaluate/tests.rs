//! One fact a test. Each was seen with libseccomp, see `tests/seccomp`.

mod abis;

use super::{
    super::oci::{Action, Condition, Entry, OciSeccomp, Operator},
    *,
};

const CRUN: Host = Host {
    native: Abi::X86_64,
    runtime: OciRuntime::Crun,
    libseccomp: Libseccomp::Debian12,
};
const RUNC: Host = Host {
    runtime: OciRuntime::Runc,
    ..CRUN
};

/// A profile that denies with EPERM what its entries do not say.
fn profile(architectures: &[&str], syscalls: Vec<Entry>) -> OciSeccomp {
    OciSeccomp {
        default_action: Action::Errno,
        default_errno_ret: None,
        architectures: architectures.iter().map(|&name| name.to_owned()).collect(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls,
    }
}

fn entry(name: &str, action: Action, args: &[(u32, Operator, u64, u64)]) -> Entry {
    Entry {
        names: vec![name.to_owned()],
        action,
        errno_ret: None,
        args: args
            .iter()
            .map(|&(index, op, value, value_two)| Condition {
                index,
                value,
                value_two,
                op,
            })
            .collect(),
    }
}

fn errno(name: &str, number: u32, args: &[(u32, Operator, u64, u64)]) -> Entry {
    Entry {
        errno_ret: Some(number),
        ..entry(name, Action::Errno, args)
    }
}

fn call(abi: Abi, name: &str) -> SyscallId {
    let nr = abi.syscall_number(name).unwrap();
    SyscallId { abi, nr }
}

fn on(host: Host, profile: &OciSeccomp, call: SyscallId, args: &[u64]) -> Outcome {
    let mut six = [0; 6];
    six[..args.len()].copy_from_slice(args);
    Filter::new(profile, host).unwrap().evaluate(call, six)
}

/// What a profile of one architecture does to a call of x86-64 by crun.
fn verdict(syscalls: Vec<Entry>, name: &str, args: &[u64]) -> Verdict {
    let profile = profile(&["SCMP_ARCH_X86_64"], syscalls);
    on(CRUN, &profile, call(Abi::X86_64, name), args).verdict
}

fn refused(syscalls: Vec<Entry>, host: Host) -> Refusal {
    Filter::new(&profile(&[], syscalls), host).unwrap_err()
}

const EPERM: Verdict = Verdict::Errno(1);

#[test]
fn operators_compare_64_bits_unsigned() {
    use Operator::{Eq, Ge, Gt, Le, Lt, MaskedEq, Ne};
    const BIG: u64 = 0x1_0000_0005;
    for (op, value, two, holds, fails) in [
        (Eq, BIG, 0, vec![BIG], vec![5, BIG + 1, 0]),
        (Ne, BIG, 0, vec![5, BIG - 1], vec![BIG]),
        (Lt, BIG, 0, vec![BIG - 1, 9], vec![BIG, 0x2_0000_0000]),
        (Le, BIG, 0, vec![BIG, 9], vec![BIG + 1, u64::MAX]),
        (Gt, BIG, 0, vec![BIG + 1, u64::MAX], vec![BIG, 9]),
        (Ge, BIG, 0, vec![BIG, 0x2_0000_0000], vec![BIG - 1, 9]),
        (MaskedEq, 0xf0, 0x10, vec![0x1f, 0x10], vec![0x2f, 0]),
    ] {
        let entries = || vec![entry("read", Action::Allow, &[(0, op, value, two)])];
        for argument in holds {
            assert_eq!(
                verdict(entries(), "read", &[argument]),
                Verdict::Allow,
                "{op:?} {argument}"
            );
        }
        for argument in fails {
            assert_eq!(
                verdict(entries(), "read", &[argument]),
                EPERM,
                "{op:?} {argument}"
            );
        }
    }
}

#[test]
fn abis_of_32_bits_compare_the_lower_half() {
    let entries = vec![entry(
        "read",
        Action::Allow,
        &[(0, Operator::Eq, 0x7_0000_0005, 0)],
    )];
    let profile = profile(&["SCMP_ARCH_X86", "SCMP_ARCH_X32"], entries);
    for (abi, argument, verdict) in [
        (Abi::I386, 5, Verdict::Allow),
        (Abi::X32, 0x9_0000_0005, Verdict::Allow),
        (Abi::X86_64, 5, EPERM),
        (Abi::X86_64, 0x7_0000_0005, Verdict::Allow),
    ] {
        let outcome = on(CRUN, &profile, call(abi, "read"), &[argument]);
        assert_eq!(outcome.verdict, verdict, "{abi} {argument:#x}");
    }
}

#[test]
fn masked_value_is_cut_to_its_mask() {
    // The runtime-spec's `value & arg == valueTwo` would never hold.
    let entries = || {
        vec![entry(
            "read",
            Action::Allow,
            &[(0, Operator::MaskedEq, 0x0f, 0x15)],
        )]
    };
    assert_eq!(verdict(entries(), "read", &[0x05]), Verdict::Allow);
    // Without a bit in the mask there is no condition left.
    let entries = || {
        vec![entry(
            "read",
            Action::Allow,
            &[(0, Operator::MaskedEq, 0, 7)],
        )]
    };
    assert_eq!(verdict(entries(), "read", &[3]), Verdict::Allow);
}

#[test]
fn conditions_on_different_arguments_must_all_hold() {
    let both = [(0, Operator::Eq, 1, 0), (1, Operator::Eq, 2, 0)];
    for (args, expected) in [([1, 2], Verdict::Allow), ([1, 3], EPERM), ([0, 2], EPERM)] {
        let entries = vec![entry("read", Action::Allow, &both)];
        assert_eq!(verdict(entries, "read", &args), expected, "{args:?}");
    }
}

#[test]
fn repeated_argument_makes_conditions_alternatives() {
    let three = [
        (0, Operator::Eq, 1, 0),
        (0, Operator::Eq, 2, 0),
        (1, Operator::Eq, 7, 0),
    ];
    for args in [[1, 0], [2, 0], [9, 7]] {
        let entries = vec![entry("read", Action::Allow, &three)];
        assert_eq!(verdict(entries, "read", &args), Verdict::Allow, "{args:?}");
    }
}

#[test]
fn crun_reads_at_most_six_conditions() {
    let mut seven: Vec<_> = (0..6).map(|index| (index, Operator::Eq, 1, 0)).collect();
    seven.push((0, Operator::Eq, 9, 0));
    let profile = profile(&[], vec![entry("read", Action::Allow, &seven)]);
    let of = |host, args: &[u64]| on(host, &profile, call(Abi::X86_64, "read"), args).verdict;
    assert_eq!(of(RUNC, &[9]), Verdict::Allow);
    assert_eq!(of(CRUN, &[9]), EPERM);
    assert_eq!(of(CRUN, &[1; 6]), Verdict::Allow);
}

#[test]
fn first_unconditional_rule_decides() {
    let condition = [(0, Operator::Eq, 1, 0)];
    for entries in [
        vec![
            errno("read", 5, &condition),
            entry("read", Action::Allow, &[]),
        ],
        vec![
            entry("read", Action::Allow, &[]),
            errno("read", 5, &condition),
        ],
        vec![entry("read", Action::Allow, &[]), errno("read", 5, &[])],
    ] {
        let profile = profile(&[], entries);
        let outcome = on(CRUN, &profile, call(Abi::X86_64, "read"), &[1]);
        assert_eq!(outcome.verdict, Verdict::Allow);
        assert!(outcome.contested.is_empty());
    }
}

#[test]
fn rule_equal_to_the_default_is_ignored() {
    // Number and all: EPERM is the default here, EINVAL is not.
    let entries = |number| {
        vec![
            errno("read", number, &[]),
            entry("read", Action::Allow, &[]),
        ]
    };
    assert_eq!(verdict(entries(1), "read", &[]), Verdict::Allow);
    assert_eq!(verdict(entries(22), "read", &[]), Verdict::Errno(22));
}

#[test]
fn conditional_rules_follow_libseccomps_order() {
    // Podman's default: AF_VSOCK is refused, all but AF_NETLINK is allowed.
    let vsock = || errno("socket", 97, &[(0, Operator::Eq, 40, 0)]);
    let others = || entry("socket", Action::Allow, &[(0, Operator::Ne, 16, 0)]);
    for (entries, vsock) in [(vec![vsock(), others()], 0), (vec![others(), vsock()], 1)] {
        let profile = profile(&["SCMP_ARCH_X86_64"], entries);
        let of = |family| on(CRUN, &profile, call(Abi::X86_64, "socket"), &[family]);
        assert_eq!(of(40).verdict, Verdict::Errno(97));
        assert_eq!(of(40).decider, Decider::Entry(vsock));
        assert_eq!(of(40).contested, [1 - vsock]);
        assert_eq!((of(2).verdict, of(16).verdict), (Verdict::Allow, EPERM));
    }
    // Of two equalities, the one of the larger value is asked first.
    let entries = vec![
        errno("socket", 97, &[(0, Operator::Eq, 40, 0)]),
        entry("socket", Action::Allow, &[(0, Operator::Ne, 41, 0)]),
    ];
    assert_eq!(verdict(entries, "socket", &[40]), Verdict::Allow);
    // A later argument goes before an earlier one.
    let entries = vec![
        errno("socket", 97, &[(0, Operator::Eq, 2, 0)]),
        entry("socket", Action::Allow, &[(1, Operator::Eq, 1, 0)]),
    ];
    assert_eq!(verdict(entries, "socket", &[2, 1]), Verdict::Allow);
}

#[test]
fn libseccomp_rejects_contradictions() {
    let one = [(0, Operator::Eq, 1, 0)];
    let more = [(0, Operator::Eq, 1, 0), (1, Operator::Eq, 2, 0)];
    for (first, second) in [(&one[..], &one[..]), (&more, &one)] {
        let entries = vec![
            entry("read", Action::Allow, first),
            errno("read", 5, second),
        ];
        let refusal = refused(entries, CRUN);
        assert!(
            matches!(
                refusal,
                Refusal::Conflict {
                    entry: 1,
                    earlier: 0,
                    ..
                }
            ),
            "{refusal}"
        );
    }
    // The other way round the longer one is dropped.
    let entries = vec![errno("read", 5, &one), entry("read", Action::Allow, &more)];
    assert_eq!(verdict(entries, "read", &[1, 2]), Verdict::Errno(5));
}

#[test]
fn runc_returns_enosys_above_the_named_calls() {
    let listed = profile(
        &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        vec![
            entry("read", Action::Allow, &[]),
            // Left out of the filter, and counted all the same.
            errno("statx", 1, &[]),
        ],
    );
    let of = |host, abi, nr| on(host, &listed, SyscallId { abi, nr }, &[]);
    let enosys = Verdict::Errno(38);
    // statx is 332, and 383 on i386.
    for (abi, last) in [(Abi::X86_64, 332), (Abi::I386, 383)] {
        assert_eq!(of(RUNC, abi, last).verdict, EPERM);
        assert_eq!(of(RUNC, abi, last + 1).verdict, enosys);
        assert_eq!(of(RUNC, abi, last + 1).decider, Decider::Stub);
        assert_eq!(of(CRUN, abi, last + 1).verdict, EPERM);
    }
    let unlisted = profile(
        &[],
        vec![entry("read", Action::Allow, &[]), errno("statx", 5, &[])],
    );
    let beyond = SyscallId {
        abi: Abi::X86_64,
        nr: 999,
    };
    assert_eq!(on(RUNC, &unlisted, beyond, &[]).verdict, EPERM);
    let permissive = OciSeccomp {
        default_action: Action::Log,
        ..listed
    };
    assert_eq!(on(RUNC, &permissive, beyond, &[]).verdict, Verdict::Log);
}

#[test]
fn unknown_names_have_no_effect() {
    let profile = profile(
        &[],
        ["read", "mmap2", "mseal", "cachestat", "no_such_call"]
            .map(|name| entry(name, Action::Allow, &[]))
            .to_vec(),
    );
    for (libseccomp, idle) in [
        (Libseccomp::V2_5_4, vec![1, 2, 3, 4]),
        (Libseccomp::Debian12, vec![1, 2, 4]),
        (Libseccomp::Newest, vec![1, 4]),
    ] {
        let filter = Filter::new(&profile, Host { libseccomp, ..CRUN }).unwrap();
        let entries: Vec<_> = filter.without_effect().map(|(entry, _)| entry).collect();
        assert_eq!(entries, idle, "{libseccomp:?}");
    }
    let mseal = call(Abi::X86_64, "mseal");
    assert_eq!(on(CRUN, &profile, mseal, &[]).verdict, EPERM);
}

#[test]
fn actions_follow_libseccomp() {
    for (action, number, expected) in [
        (Action::Kill, None, Verdict::KillThread),
        (Action::KillThread, None, Verdict::KillThread),
        (Action::KillProcess, None, Verdict::KillProcess),
        (Action::Trap, None, Verdict::Trap),
        (Action::Log, None, Verdict::Log),
        (Action::Notify, None, Verdict::Notify),
        (Action::Trace, None, Verdict::Trace(1)),
        (Action::Trace, Some(7), Verdict::Trace(7)),
        (Action::Errno, Some(0), Verdict::Errno(0)),
        // Of the number a filter has 16 bits.
        (Action::Errno, Some(0x1_0016), Verdict::Errno(22)),
    ] {
        let entries = vec![Entry {
            errno_ret: number,
            ..entry("read", action, &[])
        }];
        assert_eq!(
            verdict(entries, "read", &[]),
            expected,
            "{action:?} {number:?}"
        );
    }
}

#[test]
fn profiles_that_runtimes_refuse_are_refused() {
    let allow_1 = || {
        vec![Entry {
            errno_ret: Some(1),
            ..entry("read", Action::Allow, &[])
        }]
    };
    assert_eq!(
        refused(allow_1(), CRUN),
        Refusal::Number {
            entry: 0,
            action: Action::Allow
        }
    );
    assert!(Filter::new(&profile(&[], allow_1()), RUNC).is_ok());

    let notify = || vec![entry("write", Action::Notify, &[])];
    assert_eq!(refused(notify(), RUNC), Refusal::NotifyWrite { entry: 0 });
    assert!(Filter::new(&profile(&[], notify()), CRUN).is_ok());

    let seventh = vec![entry("read", Action::Allow, &[(6, Operator::Eq, 0, 0)])];
    assert_eq!(
        refused(seventh, RUNC),
        Refusal::Index { entry: 0, index: 6 }
    );
    assert!(matches!(
        refused(vec![errno("read", 4095, &[])], RUNC),
        Refusal::Errno { .. }
    ));
    assert_eq!(
        refused(vec![entry("", Action::Allow, &[])], RUNC),
        Refusal::EmptyName { entry: 0 }
    );

    for (name, runc, crun) in [
        ("SCMP_ARCH_X86_64", true, true),
        ("SCMP_ARCH_MIPSEL64", true, true),
        ("x86_64", false, true),
        ("SCMP_ARCH_x86", false, true),
        ("SCMP_ARCH_S390X", false, false),
        ("SCMP_ARCH_VAX", false, false),
    ] {
        let profile = profile(&[name], Vec::new());
        assert_eq!(Filter::new(&profile, RUNC).is_ok(), runc, "{name}");
        assert_eq!(Filter::new(&profile, CRUN).is_ok(), crun, "{name}");
    }
    for (flag, runc, crun) in [
        ("SECCOMP_FILTER_FLAG_LOG", true, true),
        ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", false, true),
        ("SECCOMP_FILTER_FLAG_NONE", false, false),
    ] {
        let profile = OciSeccomp {
            flags: vec![flag.to_owned()],
            ..profile(&[], Vec::new())
        };
        assert_eq!(Filter::new(&profile, RUNC).is_ok(), runc, "{flag}");
        assert_eq!(Filter::new(&profile, CRUN).is_ok(), crun, "{flag}");
    }
}
