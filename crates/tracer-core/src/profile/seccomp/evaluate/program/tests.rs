//! The program does what the evaluator says. That the evaluator says what libseccomp means is
//! `tests/seccomp`'s to show; that the kernel does it, `tests/e2e`'s.

use proptest::prelude::*;

use super::{
    super::{Host, Libseccomp, OciRuntime, partial_tests::profile},
    *,
};
use crate::{
    profile::seccomp::{
        Options, SeccompProfile,
        fixture::recording,
        oci::OciSeccomp,
        properties::{options, seen},
    },
    recording::SyscallId,
};

/// What the kernel would make of it.
fn run(program: &[Instruction], call: SyscallId, args: [u64; 6]) -> u32 {
    let (mut at, mut value) = (0, 0);
    loop {
        let Instruction {
            code,
            jump_true,
            jump_false,
            constant,
        } = program[at];
        at += 1;
        let holds = match code {
            LOAD if constant == NR => {
                value = call.nr;
                continue;
            }
            LOAD if constant == ARCH => {
                value = audit_arch(call.abi);
                continue;
            }
            LOAD => {
                let offset = constant - ARGS;
                let arg = args[offset as usize / 8] >> (8 * (offset % 8));
                value = u32::try_from(arg & 0xffff_ffff).unwrap();
                continue;
            }
            AND => {
                value &= constant;
                continue;
            }
            JUMP => {
                at += constant as usize;
                continue;
            }
            RETURN => return constant,
            EQUAL => value == constant,
            ABOVE => value > constant,
            FROM => value >= constant,
            _ => panic!("instruction {code:#x}"),
        };
        at += usize::from(if holds { jump_true } else { jump_false });
    }
}

fn hosts() -> impl Iterator<Item = Host> {
    OciRuntime::ALL.into_iter().map(|runtime| Host {
        native: Abi::X86_64,
        runtime,
        libseccomp: Libseccomp::Newest,
    })
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..4, any::<u64>(), Just(1 << 32), Just((1 << 32) | 1)]
}

fn does_the_same(profile: &OciSeccomp, args: [u64; 6]) {
    for host in hosts() {
        let Ok(filter) = Filter::new(profile, host) else {
            continue;
        };
        let program = filter.program().unwrap();
        let abis = [Abi::X86_64, Abi::I386, Abi::X32, Abi::Aarch64];
        for abi in abis {
            let known = abi.syscalls().map(|(nr, _)| nr);
            for nr in known.chain([999, (1 << 30) + 999, u32::MAX, u32::MAX - 4]) {
                let call = SyscallId { abi, nr };
                let says = filter.evaluate(call, args);
                assert_eq!(
                    run(&program, call, args),
                    returned(says.verdict),
                    "{host:?} {call:?} {args:x?} {says:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn program_agrees_on_conditional_rules(profile in profile(), args in [value(), value(), value()]) {
        for host in hosts() {
            let Ok(filter) = Filter::new(&profile, host) else {
                return Ok(());
            };
            let program = filter.program().unwrap();
            let args = [args[0], args[1], args[2], 0, 0, 0];
            let prctl = SyscallId { abi: Abi::X86_64, nr: 157 };
            let says = filter.evaluate(prctl, args);
            prop_assert_eq!(run(&program, prctl, args), returned(says.verdict), "{:?}", says);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn program_agrees_on_generated_profiles(seen in seen(), options in options(), args in [value(), value(), value()]) {
        let made = SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap();
        does_the_same(&OciSeccomp::from(&made), [args[0], args[1], args[2], 0, 0, 0]);
    }
}

#[test]
fn program_agrees_on_every_action() {
    let actions = [
        "ALLOW",
        "LOG",
        "ERRNO",
        "TRACE",
        "TRAP",
        "KILL",
        "KILL_THREAD",
        "KILL_PROCESS",
    ];
    for default in actions {
        let entries: Vec<_> = actions
            .iter()
            .zip([
                "read", "write", "open", "close", "socket", "accept", "uname", "clone3",
            ])
            .map(|(action, name)| format!(r#"{{"names":["{name}"],"action":"SCMP_ACT_{action}"}}"#))
            .collect();
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_{default}","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"],"syscalls":[{}]}}"#,
            entries.join(",")
        );
        does_the_same(&OciSeccomp::from_json(&json).unwrap(), [0; 6]);
    }
}

#[test]
fn program_for_many_calls_is_short() {
    let seen: Vec<_> = Abi::X86_64
        .syscalls()
        .step_by(2)
        .map(|(nr, _)| {
            (
                Abi::X86_64,
                nr,
                crate::recording::Phase::Run,
                crate::recording::Executable::Unknown,
            )
        })
        .collect();
    let made = SeccompProfile::from_recordings(&[recording(&seen)], &Options::default()).unwrap();
    for host in hosts() {
        let filter = Filter::new(&OciSeccomp::from(&made), host).unwrap();
        let length = filter.program().unwrap().len();
        assert!(length < 1_500, "{length}");
    }
}
