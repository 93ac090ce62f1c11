//! Architectures: which ABIs a profile covers, and what happens to the others.

use super::*;

#[test]
fn unlisted_abis_are_killed_except_the_native_one() {
    let only_i386 = profile(&["SCMP_ARCH_X86"], vec![entry("read", Action::Allow, &[])]);
    for (call, expected, decider) in [
        (call(Abi::X86_64, "read"), Verdict::Allow, Decider::Entry(0)),
        (call(Abi::I386, "read"), Verdict::Allow, Decider::Entry(0)),
        (
            call(Abi::X32, "read"),
            Verdict::KillThread,
            Decider::Architecture,
        ),
        (
            call(Abi::Aarch64, "read"),
            Verdict::KillThread,
            Decider::Architecture,
        ),
        // Number -5 is taken for x32, -1 is what a tracer sets to skip a call.
        (
            SyscallId {
                abi: Abi::X86_64,
                nr: u32::MAX - 4,
            },
            Verdict::KillThread,
            Decider::Architecture,
        ),
        (
            SyscallId {
                abi: Abi::X86_64,
                nr: u32::MAX,
            },
            EPERM,
            Decider::Default,
        ),
    ] {
        let outcome = on(CRUN, &only_i386, call, &[]);
        assert_eq!(
            (outcome.verdict, outcome.decider),
            (expected, decider),
            "{call:?}"
        );
    }
}

#[test]
fn name_applies_to_every_listed_abi() {
    let profile = profile(
        &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        vec![
            entry("execve", Action::Allow, &[]),
            entry("mmap2", Action::Allow, &[]),
        ],
    );
    for call in [
        call(Abi::X86_64, "execve"),
        call(Abi::I386, "execve"),
        call(Abi::X32, "execve"),
        call(Abi::I386, "mmap2"),
    ] {
        assert_eq!(
            on(CRUN, &profile, call, &[]).verdict,
            Verdict::Allow,
            "{call:?}"
        );
    }
}

#[test]
fn i386_multiplexers_follow_the_calls_they_stand_for() {
    let socket = [(0, Operator::Eq, 2, 0), (2, Operator::Eq, 6, 0)];
    let profile = profile(
        &["SCMP_ARCH_X86"],
        vec![
            entry("socket", Action::Allow, &socket),
            entry("shmget", Action::Allow, &[]),
            entry("semop", Action::Allow, &[]),
        ],
    );
    let of = |name, args: &[u64]| on(CRUN, &profile, call(Abi::I386, name), args).verdict;
    assert_eq!(of("socket", &[2, 0, 6]), Verdict::Allow);
    // 1 is SYS_SOCKET: the condition on argument 0 is lost, that on 2 is about another thing.
    assert_eq!(of("socketcall", &[1, 0, 6]), Verdict::Allow);
    assert_eq!(of("socketcall", &[1, 0, 0]), EPERM);
    assert_eq!(of("socketcall", &[2, 0, 6]), EPERM);
    // semop has no number of its own.
    assert_eq!(
        (of("ipc", &[23]), of("ipc", &[1])),
        (Verdict::Allow, Verdict::Allow)
    );
    assert_eq!(of("ipc", &[24]), EPERM);
}
