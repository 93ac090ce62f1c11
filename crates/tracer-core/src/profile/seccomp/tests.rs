//! The model by examples, and the OCI form.

use super::{
    ErrnoPolicy, Error, ExecPolicy, FallbackPolicy, HeadroomPolicy, Options, Rule, SeccompProfile,
    evaluate::{Filter, Host, Libseccomp, OciRuntime, Verdict},
    fixture::{mixed, path, recording},
    oci::{Action, Condition, Entry, OciSeccomp, Operator},
};
use crate::{
    profile::Layer,
    recording::{Blocked, Executable, Phase, SyscallId},
};
use syscalls::{
    Abi,
    arguments::Mode,
    condition::{self, Conditions},
    runtime_init,
};

const BARE: Options = Options {
    complain: false,
    runtime_init: runtime_init::RuntimeSelection::None,
    essential: false,
    fallbacks: FallbackPolicy::None,
    headroom: HeadroomPolicy::None,
    exec: ExecPolicy::Probes,
    allow_blocked: false,
    arguments: Mode::Safe,
    errno: ErrnoPolicy::Probed,
    arch: None,
};

fn profile(seen: &[super::fixture::Seen], options: &Options) -> SeccompProfile {
    SeccompProfile::from_recordings(&[recording(seen)], options).unwrap()
}

fn run(abi: Abi, name: &str) -> super::fixture::Seen {
    (
        abi,
        abi.syscall_number(name).unwrap(),
        Phase::Run,
        path("/bin/x"),
    )
}

#[test]
fn lists_observed_abis_and_the_native_one() {
    for (seen, architectures) in [
        (vec![], vec![Abi::X86_64]),
        (vec![run(Abi::X86_64, "read")], vec![Abi::X86_64]),
        (vec![run(Abi::I386, "read")], vec![Abi::X86_64, Abi::I386]),
        (vec![run(Abi::X32, "read")], vec![Abi::X86_64, Abi::X32]),
        // A number that means nothing fails, and must not kill.
        (
            vec![(Abi::X86_64, u32::MAX - 4, Phase::Run, path("/bin/x"))],
            vec![Abi::X86_64, Abi::X32],
        ),
        (
            vec![(Abi::X86_64, u32::MAX, Phase::Run, path("/bin/x"))],
            vec![Abi::X86_64],
        ),
        (
            vec![(Abi::I386, 999, Phase::Run, path("/bin/x"))],
            vec![Abi::X86_64, Abi::I386],
        ),
    ] {
        let profile = profile(&seen, &Options::default());
        assert_eq!(profile.architectures().collect::<Vec<_>>(), architectures);
    }
}

#[test]
fn essential_calls_follow_the_abis() {
    let without = profile(&[run(Abi::X86_64, "read")], &Options::default());
    let with = profile(&[run(Abi::I386, "read")], &Options::default());
    assert!(without.rule("mmap2").is_none());
    assert_eq!(with.rule("mmap2").unwrap().layer(), Some(Layer::Essential));
}

#[test]
fn name_is_shown_in_its_first_layer() {
    let profile = profile(&[run(Abi::X86_64, "futex")], &Options::default());
    let rule = profile.rule("futex").unwrap();
    assert_eq!(
        rule.layers().collect::<Vec<_>>(),
        [Layer::Observed, Layer::RuntimeInit, Layer::Essential]
    );
    assert_eq!(
        profile.names_in(Layer::Observed).collect::<Vec<_>>(),
        ["futex"]
    );
    assert!(
        profile
            .names_in(Layer::RuntimeInit)
            .any(|name| name == "execve")
    );
    assert!(
        profile
            .names_in(Layer::Essential)
            .any(|name| name == "exit_group")
    );
}

#[test]
fn layers_can_be_left_out() {
    let profile = profile(&[run(Abi::X86_64, "read")], &BARE);
    assert_eq!(
        profile.rules().map(|(name, _)| name).collect::<Vec<_>>(),
        ["read"]
    );
}

#[test]
fn fallbacks_stand_in_for_observed_calls() {
    let with = |seen: &[super::fixture::Seen], options: &Options| {
        let options = Options {
            fallbacks: FallbackPolicy::Fallbacks,
            ..options.clone()
        };
        profile(seen, &options)
    };
    let layer = |profile: &SeccompProfile, name| profile.rule(name).and_then(Rule::layer);
    let x86_64 = with(&[run(Abi::X86_64, "openat")], &BARE);
    assert_eq!(layer(&x86_64, "open"), Some(Layer::Fallback));
    assert_eq!(x86_64.rule("open").unwrap().only(), None);

    let piped = with(&[run(Abi::X86_64, "pipe")], &BARE);
    let only = piped.rule("pipe2").unwrap().only().unwrap();
    let when: Vec<_> = only.values().flat_map(|it| it.when()).collect();
    assert_eq!(when, ["it has no flags"]);

    // The runtime's own calls are no work of the workload; what may ever be needed is.
    let runtime_init = Options {
        runtime_init: runtime_init::RuntimeSelection::All,
        ..BARE
    };
    let started = with(&[], &runtime_init);
    assert!(started.rule("openat").is_some() && started.rule("open").is_none());
    let essential = Options {
        essential: true,
        ..BARE
    };
    assert_eq!(
        layer(&with(&[], &essential), "tkill"),
        Some(Layer::Fallback)
    );
    // But they do say what is granted already.
    assert!(
        with(&[run(Abi::X86_64, "fstat")], &BARE)
            .rule("newfstatat")
            .is_none()
    );
    let looked = with(&[run(Abi::X86_64, "fstat")], &runtime_init);
    assert_eq!(layer(&looked, "stat"), Some(Layer::Fallback));
}

#[test]
fn fallbacks_are_per_abi() {
    let options = Options {
        fallbacks: FallbackPolicy::Fallbacks,
        ..BARE
    };
    let other = profile(
        &[run(Abi::X86_64, "wait4"), run(Abi::I386, "getpid")],
        &options,
    );
    assert!(other.rule("waitpid").is_none());
    let same = profile(&[run(Abi::I386, "wait4")], &options);
    assert!(same.rule("waitpid").is_some());
}

#[test]
fn phase_determines_the_layer() {
    let at = |phase| [(Abi::X86_64, 165, phase, path("/bin/x"))];
    assert!(profile(&at(Phase::Setup), &BARE).rule("mount").is_none());
    assert!(
        profile(&at(Phase::RuntimeInit), &BARE)
            .rule("mount")
            .is_none()
    );
    let runtime_init = profile(&at(Phase::RuntimeInit), &Options::default());
    assert_eq!(
        runtime_init.rule("mount").unwrap().layer(),
        Some(Layer::RuntimeInit)
    );
    for phase in [Phase::Run, Phase::Exec] {
        assert!(profile(&at(phase), &BARE).rule("mount").is_some());
    }
}

#[test]
fn exec_policy_decides_about_later_processes() {
    let seen = [
        (Abi::X86_64, 165, Phase::Terminal, path("/bin/bash")),
        (Abi::X86_64, 1, Phase::Exec, path("/bin/probe")),
        (Abi::X86_64, 0, Phase::Terminal, path("/bin/bash")),
        (Abi::X86_64, 0, Phase::Run, path("/bin/x")),
    ];
    for (exec, mount, write, excluded) in [
        (ExecPolicy::Probes, false, true, vec!["mount"]),
        (ExecPolicy::All, true, true, vec![]),
        (ExecPolicy::None, false, false, vec!["mount", "write"]),
    ] {
        let profile = profile(&seen, &Options { exec, ..BARE });
        assert_eq!(profile.rule("mount").is_some(), mount, "{exec:?}");
        assert_eq!(profile.rule("write").is_some(), write, "{exec:?}");
        let names: Vec<_> = profile.excluded().map(|(name, _)| name).collect();
        assert_eq!(names, excluded, "{exec:?}");
        // Evidence that does not count is not shown for a rule.
        let read: Vec<_> = profile.rule("read").unwrap().executables().iter().collect();
        assert_eq!(read.contains(&&path("/bin/bash")), exec == ExecPolicy::All);
    }
}

#[test]
fn blocked_calls_are_not_granted() {
    let mut blocked = recording(&[run(Abi::X86_64, "mount")]);
    blocked.syscalls[0].blocked = true;
    blocked.syscalls[0].evidence[0].blocked = Some(Blocked::Errno(1));
    let profile = SeccompProfile::from_recordings(&[blocked.clone()], &BARE).unwrap();
    assert!(profile.rule("mount").is_none());
    let names: Vec<_> = profile.blocked().map(|(name, _)| name).collect();
    assert_eq!(names, ["mount"]);
    let allow_blocked = Options {
        allow_blocked: true,
        ..BARE
    };
    let profile = SeccompProfile::from_recordings(&[blocked.clone()], &allow_blocked).unwrap();
    assert!(profile.rule("mount").is_some());

    let allowed = recording(&[run(Abi::X86_64, "mount")]);
    let profile = SeccompProfile::from_recordings(&[blocked, allowed], &BARE).unwrap();
    assert!(profile.rule("mount").is_some());
    // What happened is told all the same.
    assert_eq!(profile.blocked().count(), 1);
}

#[test]
fn unnamed_number_is_kept() {
    let profile = SeccompProfile::from_recordings(&[mixed()], &Options::default()).unwrap();
    let unnamed: Vec<_> = profile.unnamed().collect();
    assert_eq!((unnamed[0].0.abi, unnamed[0].0.nr), (Abi::X86_64, 999));
    assert!(unnamed[0].1.executables.contains(&Executable::Unknown));
}

#[test]
fn name_in_a_recording_grants_nothing() {
    let mut forged = recording(&[run(Abi::X86_64, "read")]);
    forged.syscalls[0].name = Some("mount".to_owned());
    let profile = SeccompProfile::from_recordings(&[forged], &BARE).unwrap();
    assert!(profile.rule("mount").is_none() && profile.rule("read").is_some());
}

#[test]
fn new_calls_return_enosys_and_old_ones_eperm() {
    let profile = profile(&[run(Abi::X86_64, "read")], &BARE);
    let refused: Vec<_> = profile.refused().collect();
    for name in ["mount", "ptrace", "open", "bpf", "exit_group"] {
        assert!(refused.contains(&name), "{name}");
    }
    for name in [
        "read",
        "clone3",
        "statx",
        "io_uring_setup",
        "listns",
        "socketcall",
    ] {
        assert!(!refused.contains(&name), "{name}");
    }
    assert_eq!(profile.default_errno(), 38);
    let eperm = Options {
        errno: ErrnoPolicy::Eperm,
        ..BARE
    };
    let profile = self::profile(&[run(Abi::X86_64, "read")], &eperm);
    assert_eq!((profile.refused().count(), profile.default_errno()), (0, 1));
}

#[test]
fn missing_or_unknown_recordings_are_errors() {
    let none = SeccompProfile::from_recordings(&[], &BARE);
    assert_eq!(none, Err(Error::NoRecording));
    let mut unknown = recording(&[]);
    unknown.host.machine = "s390x".to_owned();
    let none = SeccompProfile::from_recordings(&[unknown], &BARE);
    assert_eq!(none, Err(Error::UnknownMachine("s390x".to_owned())));
}

#[test]
fn oci_json() {
    let profile = SeccompProfile::from_recordings(&[mixed()], &Options::default()).unwrap();
    insta::assert_snapshot!(profile.to_oci_json().unwrap());
}

#[test]
fn without_headroom_output_is_as_before() {
    let options = Options {
        headroom: HeadroomPolicy::None,
        ..Options::default()
    };
    let profile = SeccompProfile::from_recordings(&[mixed()], &options).unwrap();
    insta::assert_snapshot!("oci_json_without_headroom", profile.to_oci_json().unwrap());
}

#[test]
fn what_a_filter_stopped_is_not_headroom() {
    let mut recording = recording(&[run(Abi::X86_64, "read"), run(Abi::X86_64, "sysinfo")]);
    recording.syscalls[1].evidence[0].blocked = Some(Blocked::Signal);
    let profile = SeccompProfile::from_recordings(&[recording], &Options::default()).unwrap();
    assert!(profile.rule("sysinfo").is_none());
    assert_eq!(
        profile.rule("times").unwrap().layer(),
        Some(Layer::Headroom)
    );
}

#[test]
fn runtime_calls_alone_bring_no_headroom_beside_them() {
    let seen = [(
        Abi::X86_64,
        Abi::X86_64.syscall_number("epoll_create1").unwrap(),
        Phase::RuntimeInit,
        path("/bin/x"),
    )];
    let profile = SeccompProfile::from_recordings(&[recording(&seen)], &Options::default());
    let profile = profile.unwrap();
    assert!(profile.rule("epoll_create1").is_some());
    let polls = profile.rule("poll").unwrap();
    assert!(polls.only().is_some(), "for sleeping only");
}

#[test]
fn conditions_become_separate_entries() {
    let condition = |index, mask, value| condition::Condition { index, mask, value };
    let of = |list: &[condition::Condition]| Conditions::new(list).unwrap();
    let unflagged = of(&[condition(1, 0xffff_ffff, 0)]);
    let inet = of(&[condition(0, 0xffff_ffff, 2)]);
    let own = of(&[condition(2, u64::MAX, 0), condition(0, 0xffff_ffff, 0)]);
    let mut profile = profile(&[run(Abi::X86_64, "read")], &BARE);
    for (name, layer, conditions) in [
        ("read", Layer::Observed, unflagged),
        ("socket", Layer::Observed, inet),
        ("socket", Layer::Observed, unflagged),
        ("pipe2", Layer::Observed, unflagged),
        ("prlimit64", Layer::RuntimeInit, own),
    ] {
        profile.allow_only(name, layer, conditions, "it is asked for");
    }
    let oci = OciSeccomp::from(&profile);
    let allowed = oci.syscalls.iter().filter(|it| it.action == Action::Allow);
    let allowed: Vec<_> = allowed
        .map(|entry| (entry.names.join(" "), entry.args.as_slice()))
        .collect();
    let masked = |index, value_two| Condition {
        index,
        value: 0xffff_ffff,
        value_two,
        op: Operator::MaskedEq,
    };
    let null = Condition {
        index: 2,
        value: 0,
        value_two: 0,
        op: Operator::Eq,
    };
    assert_eq!(
        allowed,
        [
            ("read".to_owned(), &[][..]),
            ("pipe2 socket".to_owned(), &[masked(1, 0)]),
            ("socket".to_owned(), &[masked(0, 2)]),
            ("prlimit64".to_owned(), &[masked(0, 0), null]),
        ]
    );
}

#[test]
fn socket_rule_does_not_open_socketcall() {
    let called = |name| SyscallId {
        abi: Abi::I386,
        nr: Abi::I386.syscall_number(name).unwrap(),
    };
    for errno in [ErrnoPolicy::Probed, ErrnoPolicy::Eperm] {
        let options = Options {
            errno,
            ..Options::default()
        };
        let seen = [run(Abi::X86_64, "socket"), run(Abi::I386, "read")];
        let profile = OciSeccomp::from(&profile(&seen, &options));
        for runtime in [OciRuntime::Runc, OciRuntime::Crun] {
            let host = Host {
                native: Abi::X86_64,
                runtime,
                libseccomp: Libseccomp::Debian12,
            };
            let filter = Filter::new(&profile, host).unwrap();
            // socket(2) is 1 of socketcall, semget is 2 of ipc.
            let by = |name, first| {
                filter
                    .evaluate(called(name), [first, 0, 0, 0, 0, 0])
                    .verdict
            };
            assert_eq!(by("read", 0), Verdict::Allow);
            for (name, first) in [("socketcall", 1), ("ipc", 2)] {
                let verdict = by(name, first);
                assert!(matches!(verdict, Verdict::Errno(_)), "{errno:?} {name}");
            }
        }
    }
}

#[test]
fn largest_profile_is_within_kep_6061_limits() {
    let everything: Vec<_> = [Abi::X86_64, Abi::I386, Abi::X32]
        .into_iter()
        .flat_map(|abi| {
            abi.syscalls()
                .map(move |(nr, _)| (abi, nr, Phase::Run, path("/bin/x")))
        })
        .collect();
    for seen in [&everything[..], &[]] {
        let profile = profile(seen, &Options::default());
        assert!(OciSeccomp::from(&profile).syscalls.len() <= 128);
        assert!(profile.to_oci_json().unwrap().len() <= 1 << 20);
    }
}

#[test]
fn every_oci_field_round_trips() {
    let oci = OciSeccomp {
        default_action: Action::KillProcess,
        default_errno_ret: None,
        architectures: vec!["SCMP_ARCH_S390X".to_owned()],
        flags: vec!["SECCOMP_FILTER_FLAG_LOG".to_owned()],
        listener_path: Some("/run/listener".to_owned()),
        listener_metadata: Some("x".to_owned()),
        syscalls: vec![Entry {
            names: vec!["socket".to_owned()],
            action: Action::Trace,
            errno_ret: Some(2),
            args: vec![Condition {
                index: 0,
                value: u64::MAX,
                value_two: 1,
                op: Operator::MaskedEq,
            }],
        }],
    };
    assert_eq!(OciSeccomp::from_json(&oci.to_json().unwrap()).unwrap(), oci);
}

#[test]
fn unknown_and_duplicate_fields_are_rejected() {
    for json in [
        r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultAction":"SCMP_ACT_ALLOW"}"#,
        r#"{"defaultAction":"ALLOW"}"#,
    ] {
        let error = OciSeccomp::from_json(json).unwrap_err();
        assert!(error.line() == 1 && error.column() > 1, "{error}");
    }
}
