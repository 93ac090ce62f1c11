//! Against another profile.

use super::{super::*, RUNS};
use crate::profile::seccomp::read::KernelVersion;
use syscalls::Abi;

#[test]
fn baseline_is_compared_call_by_call() {
    let baseline = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {"names": ["execve", "exit", "exit_group", "rt_sigreturn"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]}"#;
    let beyond = |more: &str| {
        let mut context = Context::new(Abi::X86_64, KernelVersion::new(6, 1));
        let input = Input::new("baseline.json", baseline.into()).unwrap();
        let plain = plain(&input, None, &context).unwrap();
        context.baseline = Some(("baseline.json", &plain));
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{RUNS}{more}]}}"#
        );
        let input = Input::new("profile.json", text.into()).unwrap();
        let findings = run(&[input], &context).findings.into_iter();
        findings
            .filter(|finding| finding.id == "exceeds-baseline")
            .collect::<Vec<_>>()
    };
    assert_eq!(beyond(""), []);
    let same = r#", {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}"#;
    assert_eq!(beyond(same), []);
    let wider = beyond(&same.replace("CMP_EQ", "CMP_LE"));
    assert!(
        wider[0].evidence[0].starts_with("socket (x86_64 with (0x"),
        "{wider:?}"
    );
    let other = beyond(r#", {"names": ["read", "bpf"], "action": "SCMP_ACT_ALLOW"}"#);
    assert_eq!(other[0].severity, Severity::High);
    assert!(
        other[0]
            .message
            .ends_with("2 system calls are allowed that it blocks, bpf, read"),
        "{other:?}"
    );
}
