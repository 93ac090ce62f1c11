//! What tracer writes runs what it recorded, on every host.

use proptest::prelude::*;

use super::{
    super::{
        ErrnoPolicy, ExecPolicy, SeccompProfile,
        fixture::{mixed, recording},
        oci::OciSeccomp,
        properties::{given as given_arguments, options, seen},
    },
    *,
};
use crate::recording::{Phase, Recording, Syscall, strategy};
use syscalls::arguments::recorded;

fn hosts() -> impl Iterator<Item = Host> {
    OciRuntime::ALL.into_iter().flat_map(|runtime| {
        [Libseccomp::V2_5_4, Libseccomp::Debian12, Libseccomp::Newest].map(|libseccomp| Host {
            native: Abi::X86_64,
            runtime,
            libseccomp,
        })
    })
}

/// Every observed call that counts is allowed, with the arguments it was seen with.
fn runs_again(recording: &Recording, profile: &SeccompProfile, exec: ExecPolicy) {
    for host in hosts() {
        let filter = Filter::new(&OciSeccomp::from(profile), host).unwrap();
        for syscall in &recording.syscalls {
            let known = syscall.abi.syscall_name(syscall.nr);
            if !known.is_some_and(|name| host.libseccomp.knows(name)) {
                continue;
            }
            // It gives way to a restricted clone: see `super::super::arguments`.
            if known == Some("clone3") && profile.rule("clone3").is_none() {
                continue;
            }
            for (phase, args) in given(syscall) {
                let counts = match phase {
                    Phase::Run => true,
                    Phase::Exec => exec != ExecPolicy::None,
                    _ => false,
                };
                if counts {
                    let outcome = filter.evaluate(syscall.call(), args);
                    if is_above_the_stub(host, syscall, outcome.verdict) {
                        continue;
                    }
                    assert_eq!(
                        outcome.verdict,
                        Verdict::Allow,
                        "{host:?} {syscall:?} {outcome:?}"
                    );
                    assert!(outcome.contested.is_empty(), "{outcome:?}");
                }
            }
        }
    }
}

/// Whether it is runc's ENOSYS for numbers above the largest one in a profile, which counts none of the
/// calls that socketcall and ipc stand for on i386: libseccomp gives these numbers of its own below 0, and
/// runc leaves those out (libcontainer/seccomp/patchbpf, `findLastSyscalls`). It is there only where the
/// default is not ENOSYS already, and matters only when such a call is made directly and no call with a
/// larger number is allowed: docs/portability.md says so.
fn is_above_the_stub(host: Host, syscall: &Syscall, verdict: Verdict) -> bool {
    let name = syscall.abi.syscall_name(syscall.nr);
    let is_multiplexed =
        name.is_some_and(|name| multiplex::multiplexed(syscall.abi, name).is_some());
    host.runtime == OciRuntime::Runc && is_multiplexed && verdict == Verdict::Errno(38)
}

/// With which arguments a call was made, where it was not stopped. Bits that nobody reads are set.
fn given(syscall: &Syscall) -> Vec<(Phase, [u64; 6])> {
    let name = syscall.abi.syscall_name(syscall.nr);
    let recorded = name.and_then(|name| recorded(syscall.abi, name));
    if let (Some(recorded), Some(arguments)) = (recorded, &syscall.arguments) {
        let with_garbage = |values: &[u64]| {
            let mut args = [u64::MAX; 6];
            for (argument, value) in recorded.arguments.iter().zip(values) {
                args[argument.index as usize] = value | !argument.mask;
            }
            args
        };
        let seen = arguments.seen.iter();
        return seen
            .map(|it| (it.phase, with_garbage(&it.values)))
            .collect();
    }
    let ran = syscall.evidence.iter().filter(|who| who.blocked.is_none());
    ran.map(|who| {
        (
            who.phase,
            who.first.as_ref().map_or([0; 6], |first| first.args),
        )
    })
    .collect()
}

/// What is not allowed returns the error that its callers expect.
fn refuses_well(profile: &SeccompProfile) {
    for host in hosts() {
        let filter = Filter::new(&OciSeccomp::from(profile), host).unwrap();
        for abi in profile.architectures() {
            let of = |name: &str| {
                let nr = abi.syscall_number(name)?;
                Some(filter.evaluate(SyscallId { abi, nr }, [0; 6]).verdict)
            };
            for name in profile.refused() {
                assert!(
                    of(name).is_none_or(|verdict| verdict == Verdict::Errno(1)),
                    "{host:?} {abi} {name}: {:?}",
                    of(name)
                );
            }
            if profile.rule("clone3").is_none() {
                assert_eq!(of("clone3"), Some(Verdict::Errno(38)), "{host:?} {abi}");
            }
            let unknown = if abi == Abi::X32 {
                (1 << 30) + 999
            } else {
                999
            };
            let outcome = filter.evaluate(SyscallId { abi, nr: unknown }, [0; 6]);
            assert_eq!(
                outcome.verdict,
                Verdict::Errno(38),
                "{host:?} {abi} {outcome:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn recorded_calls_are_allowed(seen in seen(), options in options()) {
        let recording = recording(&seen);
        let recordings = [recording];
        let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        runs_again(&recordings[0], &profile, options.exec);
        if options.errno == ErrnoPolicy::Probed {
            refuses_well(&profile);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn recorded_arguments_are_allowed(
        recording in prop_oneof![strategy::recording(), given_arguments()],
        options in options(),
    ) {
        let recordings = [recording];
        let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        runs_again(&recordings[0], &profile, options.exec);
    }
}

#[test]
fn fixture_calls_are_allowed() {
    let recordings = [mixed()];
    let profile = SeccompProfile::from_recordings(&recordings, &Default::default()).unwrap();
    runs_again(&recordings[0], &profile, ExecPolicy::default());
    refuses_well(&profile);
}
