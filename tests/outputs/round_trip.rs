//! A SeccompProfile, read back as `tracer audit` reads it, does the same to every call, but for what it
//! says that it cannot say.

use anyhow::ensure;
use proptest::prelude::*;
use syscalls::Abi;
use tracer_core::{
    audit::{self, Context, Input},
    profile::{
        kubernetes::Operator,
        seccomp::{
            evaluate::{Filter, Host, Libseccomp, OciRuntime, Verdict},
            oci::OciSeccomp,
            read::KernelVersion,
        },
    },
    recording::SyscallId,
};
use tracer_tests::Outcome;

use super::{
    fixture::{any_recording, empty, examples},
    renderers::Models,
};

/// Arguments on both sides of what profiles ask of them.
const ARGUMENTS: [u64; 8] = [0, 1, 2, 16, 0x1000_0000, 0x7e02_0000, 0xffff_ffff, u64::MAX];

fn read_back(text: &str) -> anyhow::Result<OciSeccomp> {
    let input = Input::new("profile.yaml", text.as_bytes().to_vec())?;
    let capabilities = Context::usual_capabilities();
    let context = Context {
        capabilities: &capabilities,
        ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
    };
    Ok(audit::plain(&input, None, &context)?)
}

fn same(models: &Models) -> Outcome {
    let ours = OciSeccomp::from(&models.seccomp);
    let host = Host {
        native: Abi::X86_64,
        runtime: OciRuntime::Crun,
        libseccomp: Libseccomp::Newest,
    };
    for operator in [Operator::V1, Operator::V0_10] {
        let theirs = read_back(&models.seccomp_profile(operator)?.text)?;
        ensure!(theirs.architectures == ours.architectures);
        let (ours, theirs) = (Filter::new(&ours, host)?, Filter::new(&theirs, host)?);
        for abi in models.seccomp.architectures() {
            for (nr, name) in abi.syscalls() {
                for argument in ARGUMENTS {
                    let call = SyscallId { abi, nr };
                    let one = ours.evaluate(call, [argument; 6]).verdict;
                    let other = theirs.evaluate(call, [argument; 6]).verdict;
                    ensure!(
                        one.allows() == other.allows(),
                        "{abi} {name} with {argument:#x}: {one:?} and {other:?}"
                    );
                    // What is said: EPERM for other arguments, where the profile has ENOSYS, and ENOSYS for
                    // what stands for many calls.
                    if matches!(name, "ipc" | "socketcall") {
                        continue;
                    }
                    let is_conditional = models
                        .seccomp
                        .rule(name)
                        .is_some_and(|it| it.only().is_some());
                    ensure!(
                        one == other || (is_conditional && other == Verdict::Errno(1)),
                        "{abi} {name} with {argument:#x}: {one:?} and {other:?}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[test]
fn example_profiles_round_trip() -> Outcome {
    for recording in examples() {
        same(&Models::new(recording)?)?;
    }
    same(&Models::new(empty())?)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn profiles_of_any_recording_round_trip(recording in any_recording()) {
        let models = Models::new(recording).unwrap();
        if let Err(error) = same(&models) {
            return Err(TestCaseError::fail(format!("{error:#}")));
        }
    }
}
