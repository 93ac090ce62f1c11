//! Headroom is neither used nor needless.

use super::*;
use crate::{
    profile::seccomp::{
        Options, SeccompProfile,
        fixture::{path, recording},
    },
    recording::{Phase, Recording},
};

fn recorded() -> Recording {
    let seen = ["read", "write", "openat"].map(|name| {
        let nr = Abi::X86_64.syscall_number(name).unwrap();
        (Abi::X86_64, nr, Phase::Run, path("/bin/x"))
    });
    recording(&seen)
}

fn unused(text: &str, recordings: &[Recording]) -> Vec<Finding> {
    let capabilities = Context::usual_capabilities();
    let context = Context {
        recordings,
        ..context_of(&capabilities)
    };
    let input = Input::new("profile.json", text.into()).unwrap();
    let findings = run(&[input], &context).findings;
    let unused = findings
        .into_iter()
        .filter(|it| it.id == "unused-syscalls-allowed");
    unused.collect()
}

#[test]
fn own_profile_allows_nothing_unused() {
    let recordings = [recorded()];
    let profile = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
    assert!(profile.headroom().count() > 20);
    let findings = unused(&profile.to_oci_json().unwrap(), &recordings);
    assert_eq!(findings, []);
}

#[test]
fn harmless_calls_are_counted_apart() {
    let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "write", "openat", "getuid", "fsync", "fallocate", "ptrace"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let findings = unused(text, &[recorded()]);
    let message = &findings.first().unwrap().message;
    // fallocate is harmless for some arguments only.
    assert_eq!(
        message,
        "3 of 7 allowed calls used or needed, 2 unused and harmless (headroom); 2 can be removed, first ptrace"
    );
}
