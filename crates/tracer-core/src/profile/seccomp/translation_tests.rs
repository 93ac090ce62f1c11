//! Profiles for machines that were not recorded on.

use proptest::{prelude::*, sample::select};

use super::{
    ExecPolicy, FallbackPolicy, Options, Rule, SeccompProfile,
    fixture::{Seen, path, recording},
    properties::{options, seen},
};
use crate::{
    profile::Layer,
    recording::{Arguments, Combination, Phase},
};
use syscalls::{Abi, arguments::recorded};

const TO: [Abi; 5] = [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm, Abi::Riscv64];

fn run(abi: Abi, name: &str) -> Seen {
    let nr = abi.syscall_number(name).unwrap();
    (abi, nr, Phase::Run, path("/bin/x"))
}

fn translated(seen: &[Seen], arch: Abi) -> SeccompProfile {
    let options = Options {
        arch: Some(arch),
        ..Options::default()
    };
    SeccompProfile::from_recordings(&[recording(seen)], &options).unwrap()
}

#[test]
fn target_machine_has_its_own_calls_and_layers() {
    let profile = translated(&[run(Abi::X86_64, "open")], Abi::Aarch64);
    let architectures: Vec<_> = profile.architectures().collect();
    assert_eq!(architectures, [Abi::Aarch64]);
    assert!(profile.rule("open").is_none());
    let rule = profile.rule("openat").unwrap();
    assert_eq!(rule.layer(), Some(Layer::Observed));
    assert_eq!(rule.executables().len(), 1);
    assert!(profile.rule("time").is_none(), "essential on x86 only");
    assert!(profile.refused().all(|name| name != "open"));
    let replaced: Vec<_> = profile.translation().unwrap().replaced().collect();
    assert_eq!(replaced[0].0, "open");
}

#[test]
fn conditions_of_translated_calls_are_kept() {
    let profile = translated(
        &[run(Abi::X86_64, "unlink"), run(Abi::X86_64, "fork")],
        Abi::Riscv64,
    );
    for (name, when) in [
        ("unlinkat", "it has no flags"),
        ("clone", "its flags are those of fork"),
    ] {
        let only = profile.rule(name).unwrap().only().unwrap();
        let observed = only
            .values()
            .filter(|it| it.layer() == Some(Layer::Observed));
        let whens: Vec<_> = observed.flat_map(|it| it.when()).collect();
        assert_eq!(whens, [when]);
    }
}

#[test]
fn runtime_init_is_translated_for_32_bit_machines() {
    let profile = translated(&[run(Abi::X86_64, "read")], Abi::Arm);
    for name in ["mmap2", "fstatat64", "setgroups32", "fcntl64"] {
        let layers: Vec<_> = profile.rule(name).unwrap().layers().collect();
        assert!(layers.contains(&Layer::RuntimeInit), "{name}");
        assert!(!profile.runtime_init_syscalls()[name].is_empty());
    }
    assert!(profile.rule("set_tls").is_some());
}

#[test]
fn calls_without_an_equivalent_are_reported() {
    let profile = translated(
        &[run(Abi::X86_64, "arch_prctl"), run(Abi::I386, "socketcall")],
        Abi::Aarch64,
    );
    let lost: Vec<_> = profile.translation().unwrap().lost().collect();
    let names: Vec<_> = lost.iter().map(|(abi, name, _)| (*abi, *name)).collect();
    assert_eq!(
        names,
        [(Abi::X86_64, "arch_prctl"), (Abi::I386, "socketcall")]
    );
    assert!(lost.iter().all(|(.., lost)| lost.executables.len() == 1));
    assert_eq!(profile.architectures().count(), 1);
}

#[test]
fn compat_abi_needs_no_translation() {
    let seen = [run(Abi::X86_64, "read"), run(Abi::I386, "socketcall")];
    let profile = translated(&seen, Abi::X86_64);
    assert!(profile.translation().is_none());
    assert!(profile.rule("socketcall").is_some());
    // A 32-bit machine has no 64-bit calls, and its own need no translation.
    let profile = translated(&seen, Abi::I386);
    assert_eq!(profile.architectures().collect::<Vec<_>>(), [Abi::I386]);
    assert_eq!(profile.translation().unwrap().lost().count(), 0);
    assert!(profile.rule("socketcall").is_some());
}

#[test]
fn conditions_translate_where_arguments_match() {
    let recorded = |name| {
        let mut recording = recording(&[run(Abi::X86_64, name)]);
        let indices = recorded(Abi::X86_64, name).unwrap().indices();
        recording.syscalls[0].arguments = Some(Arguments {
            seen: vec![Combination {
                phase: Phase::Run,
                values: vec![2; indices.len()],
                executables: [path("/bin/x")].into(),
            }],
            indices,
            cut: [].into(),
        });
        recording
    };
    for (observed, arch, call, is_restricted) in [
        ("socket", Abi::Aarch64, "socket", true),
        ("socket", Abi::I386, "socket", true),
        ("socket", Abi::I386, "socketcall", false),
        ("ptrace", Abi::Riscv64, "ptrace", false),
        ("ptrace", Abi::X86_64, "ptrace", true),
    ] {
        // By socketcall a program may do what socket does, whatever socket's own rule says.
        let options = Options {
            arch: Some(arch),
            fallbacks: FallbackPolicy::None,
            ..Options::default()
        };
        let recordings = [recorded(observed)];
        let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        let rule = profile.rule(call).unwrap();
        assert_eq!(rule.only().is_some(), is_restricted, "{call} of {arch}");
        // That it is not is said.
        assert_eq!(
            rule.unrestricted_reasons().count(),
            usize::from(!is_restricted)
        );
    }
}

proptest! {
    #[test]
    fn same_name_is_allowed_and_no_call_is_lost(
        seen in seen(),
        options in options(),
        arch in select(&TO[..]),
    ) {
        let options = Options { arch: Some(arch), ..options };
        let profile = SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap();
        let translation = profile.translation();
        for (abi, nr, phase, _) in &seen {
            let counts = *phase == Phase::Run
                || (*phase == Phase::Exec && options.exec != ExecPolicy::None);
            let Some(name) = abi.syscall_name(*nr).filter(|_| counts) else {
                continue;
            };
            let is_there = arch.syscall_number(name).is_some();
            let is_lost = translation.is_some_and(|it| {
                it.lost().any(|(of, lost, _)| (of, lost) == (*abi, name))
            });
            if *abi == Abi::X86_64 && is_there {
                prop_assert!(profile.rule(name).is_some_and(|it| it.only().is_none()), "{}", name);
                prop_assert!(!is_lost);
            } else if let Some(translation) = translation && *abi != arch {
                let mut replaced = translation.replaced();
                let by = replaced.find(|(replaced, _)| *replaced == name);
                prop_assert!(is_lost || by.is_some_and(|(_, by)| {
                    by.iter().all(|it| profile.rule(it.call).is_some())
                }), "{} {}", abi, name);
            }
        }
    }

    #[test]
    fn every_name_exists_on_the_target(seen in seen(), options in options(), arch in select(&TO[..])) {
        let options = Options { arch: Some(arch), ..options };
        let profile = SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap();
        let names = profile.rules().map(|(name, _)| name);
        for name in names.chain(profile.refused()).chain(profile.absent()) {
            let mut abis = profile.architectures();
            prop_assert!(abis.any(|abi| abi.syscall_number(name).is_some()), "{}", name);
        }
        prop_assert!(profile.rules().all(|(_, rule)| Rule::layer(rule).is_some()));
    }

    #[test]
    fn native_target_changes_nothing(seen in seen(), options in options()) {
        let of = |arch| {
            let options = Options { arch, ..options.clone() };
            let recordings = [recording(&seen)];
            let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
            profile.to_oci_json().unwrap()
        };
        prop_assert_eq!(of(None), of(Some(Abi::X86_64)));
    }
}
