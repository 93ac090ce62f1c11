//! Manifests, and the profiles that they name.

use std::collections::BTreeSet;

use super::{super::*, of};
use crate::{profile::seccomp::read::Kernel, syscall::Abi};

fn manifest(text: &str, profile: Option<&str>) -> Vec<Finding> {
    let capabilities = BTreeSet::new();
    let lookup = |name: &str| match profile {
        Some(text) => Lookup::Found(Input::new(name, text.into()).unwrap()),
        None => Lookup::Missing(format!("/var/lib/kubelet/seccomp/{name}")),
    };
    let context = Context {
        native: Abi::X86_64,
        capabilities: &capabilities,
        kernel: Kernel {
            version: 6,
            major: 1,
        },
        recordings: &[],
        in_container: false,
        no_new_privileges: None,
        baseline: None,
        lookup: &lookup,
    };
    let input = Input::new("pod.yaml", text.into()).unwrap();
    run(&[input], &context).findings
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata:
      annotations:
        seccomp.security.alpha.kubernetes.io/pod: localhost/a.json
        container.apparmor.security.beta.kubernetes.io/web: runtime/default
    spec:
      securityContext:
        seccompProfile:
          type: Localhost
          localhostProfile: web.json
      containers:
      - name: web
        securityContext:
          capabilities:
            add: [SYS_TIME]
      - name: root
        securityContext: {privileged: true}
      - name: open
        securityContext:
          seccompProfile: {type: Unconfined}
      - name: default
        securityContext:
          seccompProfile: {type: RuntimeDefault}
";

#[test]
fn manifests_and_the_profiles_that_they_name() {
    let of_pod = |profile| {
        let findings = manifest(DEPLOYMENT, profile);
        let in_pod = findings.into_iter().filter(|it| it.file == "pod.yaml");
        in_pod
            .map(|finding| (finding.place.line, finding.id))
            .collect::<Vec<_>>()
    };
    let missing = [
        (8, "old-seccomp-annotation"),
        (9, "old-apparmor-annotation"),
        (14, "profile-missing"),
        (16, "escalation"),
        (21, "privileged"),
        (24, "unconfined"),
    ];
    assert_eq!(of_pod(None), missing);
    let denies_time = r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
        {"names": ["execve", "exit", "exit_group", "rt_sigreturn", "mount"], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert!(of_pod(Some(denies_time)).contains(&(19, "capability-without-calls")));
    let of_profile = manifest(DEPLOYMENT, Some(denies_time));
    let of_profile: Vec<_> = of_profile
        .into_iter()
        .filter(|it| it.file == "web.json")
        .collect();
    assert_eq!(of(&of_profile, "calls-without-capability").len(), 1);
    assert_eq!(of(&of_profile, "breaks-start").len(), 1);
}

/// Kubernetes#45460 and Security Profiles Operator#3041: a profile from before runc wanted openat2.
#[test]
fn runtimes_that_cannot_start_are_told_from_those_that_can() {
    use crate::syscall::window::Choice;

    let names: Vec<_> = Choice::All
        .names(Abi::X86_64)
        .filter(|name| *name != "openat2")
        .chain(["execve", "exit", "exit_group", "rt_sigreturn"])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let profile = format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{{"names": {}, "action": "SCMP_ACT_ALLOW"}}]}}"#,
        serde_json::to_string(&names).unwrap()
    );
    let findings = manifest(DEPLOYMENT, Some(&profile));
    let found = of(&findings, "breaks-start");
    let [(1, message)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(message.starts_with("starts on runc 1.1.5"), "{message}");
    assert!(
        message.contains("not on runc 1.3.6") && message.ends_with(": openat2"),
        "{message}"
    );
}
