use super::*;
use crate::{
    profile::seccomp::fixture::{mixed, path, recording},
    recording::{Arguments, Combination},
};

fn of(recording: &Recording, name: &str) -> Explanation {
    explain(recording, &Options::default(), name).unwrap()
}

#[test]
fn observed_call_shows_callers_and_reasons() {
    let ptrace = of(&mixed(), "ptrace");
    assert_eq!(ptrace.allowed, Allowed::Any);
    assert_eq!(ptrace.why[0].layer, "observed");
    assert!(ptrace.risk.unwrap().contains("controls other processes"));
    assert_eq!(ptrace.capabilities[0].name, "CAP_SYS_PTRACE");
    assert_eq!(ptrace.seen[0].by[0].executable, path("/usr/sbin/nginx"));
    assert!(ptrace.without[0].contains("EPERM"));
    assert!(
        ptrace
            .without
            .iter()
            .any(|it| it == "no other call in the profile is known to require CAP_SYS_PTRACE")
    );
}

#[test]
fn arguments_have_symbolic_names() {
    let mut recording = recording(&[(Abi::X86_64, 101, Phase::Run, path("/usr/bin/gdb"))]);
    recording.syscalls[0].arguments = Some(Arguments {
        indices: vec![0],
        seen: vec![Combination {
            phase: Phase::Run,
            values: vec![16],
            executables: [path("/usr/bin/gdb")].into(),
        }],
        cut: [].into(),
    });
    let ptrace = of(&recording, "ptrace");
    assert_eq!(ptrace.allowed, Allowed::Some);
    assert_eq!(ptrace.seen[0].given[0].text, "PTRACE_ATTACH");
    assert!(ptrace.why[0].only[0].contains("= 0x10)"));
}

#[test]
fn layers_give_their_reasons() {
    let recording = recording(&[(Abi::X86_64, 0, Phase::Run, path("/bin/cat"))]);
    let futex = of(&recording, "futex");
    let layers: Vec<_> = futex.why.iter().map(|it| it.layer).collect();
    assert_eq!(layers, ["runtime-init", "essential"]);
    assert!(futex.why[0].text.contains("runc"), "{futex:?}");
    assert!(futex.without.iter().any(|it| it.contains("may not start")));
    let readv = of(&recording, "readv");
    assert!(readv.why[0].text.ends_with("instead of read"), "{readv:?}");
    assert!(readv.seen.is_empty());
}

#[test]
fn denied_call_is_explained() {
    let mount = of(&mixed(), "mount");
    assert_eq!(mount.allowed, Allowed::No);
    assert!(mount.why_not.unwrap().contains("did not make it"));
    // The runtime made it before there was a filter.
    assert_eq!(mount.seen[0].by[0].phase, Phase::Setup);
    assert_eq!(mount.without, ["it returns EPERM"]);
    let uring = of(&mixed(), "io_uring_setup");
    assert_eq!(uring.without, ["it returns ENOSYS"]);
}

#[test]
fn unknown_name_suggests_the_nearest() {
    let refused = |name| {
        let error = explain(&mixed(), &Options::default(), name).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused("ptrcae"),
        "unknown name \"ptrcae\"; did you mean \"ptrace\"?"
    );
    assert!(refused("CAP_SYS_ADMN").ends_with("did you mean \"CAP_SYS_ADMIN\"?"));
    // As a log has it.
    assert!(refused("101").ends_with("did you mean \"ptrace\"?"));
    assert!(refused("frobnicate").contains("give a system call, a path"));
}
