//! Manifests, and the profiles that they name.

use std::collections::BTreeSet;

use super::by_place;
use super::{super::*, of};
use crate::profile::seccomp::read::KernelVersion;
use syscalls::Abi;

fn manifest(text: &str, profile: Option<&str>) -> Vec<Finding> {
    let lookup = |name: &str| match profile {
        Some(text) => Lookup::Found(Input::new(name, text.into()).unwrap()),
        None => Lookup::Missing(format!("/var/lib/kubelet/seccomp/{name}")),
    };
    let context = Context {
        lookup: &lookup,
        ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
    };
    let input = Input::new("pod.yaml", text.into()).unwrap();
    by_place(run(&[input], &context).findings)
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
fn audits_manifests_with_the_profiles_they_name() {
    let of_pod = |profile| {
        let findings = manifest(DEPLOYMENT, profile);
        let in_pod = findings.into_iter().filter(|it| it.file == "pod.yaml");
        in_pod
            .map(|finding| (finding.place.line, finding.id))
            .collect::<Vec<_>>()
    };
    let missing = [
        (8, "removed-seccomp-annotation"),
        (9, "deprecated-apparmor-annotation"),
        (14, "profile-missing"),
        (16, "privilege-escalation-allowed"),
        (21, "privileged"),
        (24, "unconfined"),
    ];
    assert_eq!(of_pod(None), missing);
    let denies_time = r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
        {"names": ["execve", "exit", "exit_group", "rt_sigreturn", "mount"], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert!(of_pod(Some(denies_time)).contains(&(19, "capability-without-syscalls")));
    let of_profile = manifest(DEPLOYMENT, Some(denies_time));
    let of_profile: Vec<_> = of_profile
        .into_iter()
        .filter(|it| it.file == "web.json")
        .collect();
    assert_eq!(of(&of_profile, "syscalls-without-capability").len(), 1);
    assert_eq!(of(&of_profile, "breaks-container-start").len(), 1);
}

/// Kubernetes#45460 and Security Profiles Operator#3041: a profile from before runc wanted openat2.
#[test]
fn names_runtimes_that_cannot_start() {
    use syscalls::runtime_init::RuntimeSelection;

    let names: Vec<_> = RuntimeSelection::All
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
    let found = of(&findings, "breaks-container-start");
    let [(1, message)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(message.starts_with("starts on runc 1.1.5"), "{message}");
    assert!(
        message.contains("not on runc 1.3.6") && message.ends_with(": openat2"),
        "{message}"
    );
}

/// The place and message of a rule in the manifest.
fn in_pod<'a>(findings: &'a [Finding], id: &str) -> Vec<(Severity, &'a str)> {
    let of_rule = findings
        .iter()
        .filter(|it| it.file == "pod.yaml" && it.id == id);
    of_rule
        .map(|it| (it.severity, it.message.as_str()))
        .collect()
}

#[test]
fn compares_the_profile_with_runtime_default() {
    let deny = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["ptrace"], "action": "SCMP_ACT_ERRNO"}]}"#;
    let findings = manifest(DEPLOYMENT, Some(deny));
    let told = in_pod(&findings, "runtime-default");
    // ptrace is open by default since Linux 4.8.
    assert!(
        told[0].0 == Severity::Info
            && told[0]
                .1
                .contains("would be weaker for 1 call, which it allows, and stronger for"),
        "{told:?}"
    );
    let all = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
    let findings = manifest(DEPLOYMENT, Some(all));
    let told = in_pod(&findings, "runtime-default");
    assert!(
        told[0].0 == Severity::High && told[0].1.contains("stronger and nowhere weaker"),
        "{told:?}"
    );
    let none = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["execve", "exit", "exit_group", "rt_sigreturn"], "action": "SCMP_ACT_ALLOW"}]}"#;
    let findings = manifest(DEPLOYMENT, Some(none));
    let told = in_pod(&findings, "runtime-default");
    assert!(
        told[0].0 == Severity::Info
            && told[0]
                .1
                .contains("RuntimeDefault would be weaker: it allows"),
        "{told:?}"
    );
}

const DENY: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chmod", "chmodat"], "action": "SCMP_ACT_ERRNO"}]}"#;

/// An object that the operator installs, or a file of a ConfigMap, beside the pod that names it.
#[test]
fn finds_the_named_profile_in_the_same_file() {
    for (profile, name) in [
        (
            format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  web.json: '{DENY}'\n"),
            "profiles/web.json",
        ),
        (
            format!(
                "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {{name: web}}\nspec: {DENY}\n"
            ),
            "operator/web.json",
        ),
    ] {
        let text = format!(
            "{}---\n{profile}",
            DEPLOYMENT.replace(
                "localhostProfile: web.json",
                &format!("localhostProfile: {name}")
            )
        );
        let findings = manifest(&text, None);
        assert_eq!(of(&findings, "profile-missing"), [], "{name}");
        assert_eq!(of(&findings, "runtime-default").len(), 1, "{name}");
        assert_eq!(of(&findings, "unknown-name").len(), 1, "{name}");
    }
}

#[test]
fn audits_kubescape_objects_and_missing_bases() {
    let kubescape = format!(
        "apiVersion: kubescape.io/v1\nkind: SeccompProfile\nspec:\n  containers:\n  - name: web\n    path: web.json\n    spec: {DENY}\n"
    );
    assert_eq!(of(&manifest(&kubescape, None), "unknown-name").len(), 1);
    let part = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {name: web}\nspec:\n  defaultAction: SCMP_ACT_ERRNO\n  baseProfileName: runc-v1.3\n";
    assert_eq!(
        of(&manifest(part, None), "base-profile"),
        [(
            6,
            "\"runc-v1.3\", which this profile is added to, is not in this file"
        )]
    );
}

#[test]
fn audits_operator_apparmor_profiles() {
    let text = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: AppArmorProfile\nmetadata: {name: web}\nspec:\n  mode: Complain\n  abstract:\n    executable: {allowedExecutables: [/srv/run]}\n    filesystem:\n      readWritePaths:\n      - /srv/**\n      - /proc/sys/kernel/core_pattern\n";
    let found: Vec<_> = manifest(text, None)
        .iter()
        .map(|it| (it.place.line, it.id))
        .collect();
    assert_eq!(
        found,
        [
            (5, "apparmor-complain"),
            (10, "apparmor-write-exec"),
            (11, "apparmor-proc-sys")
        ]
    );
}

#[test]
fn reports_deprecated_apparmor_fields() {
    let text = "apiVersion: security-profiles-operator.x-k8s.io/v1alpha1\nkind: AppArmorProfile\nmetadata: {name: a}\nspec:\n  complainMode: true\n  policy: |\n    profile a {\n      file,\n    }\n";
    let findings = manifest(text, None);
    let lines: Vec<_> = of(&findings, "deprecated-crd")
        .iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(lines, [1, 5, 6]);
    assert_eq!(of(&findings, "apparmor-allows-everything").len(), 1);
}

#[test]
fn values_that_the_api_refuses_are_found() {
    let pod = |annotation: &str, container: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations:\n    x: y\n{annotation}spec:\n  containers:\n    - name: web\n      securityContext:\n        {container}\n"
        )
    };
    let refused = |annotation: &str, container: &str| {
        let report = super::report("pod.yaml", &pod(annotation, container));
        assert_eq!(report.malformed, []);
        let all = report.findings.into_iter();
        let all = all.filter(|finding| finding.id == "refused-object");
        all.map(|finding| finding.message).collect::<Vec<_>>()
    };
    for (container, expected) in [
        (
            "seccompProfile: {type: runtime/default}",
            "has the type \"runtime/default\"",
        ),
        ("seccompProfile: {type: unconfined}", "Unconfined is meant"),
        ("seccompProfile: {localhostProfile: a.json}", "has no type"),
        (
            "seccompProfile: {type: Localhost, localhostProfile: /a.json}",
            "is absolute",
        ),
        (
            "seccompProfile: {type: Localhost, localhostProfile: a/../b.json}",
            "has .. in it",
        ),
        (
            "seccompProfile: {type: RuntimeDefault, localhostProfile: a.json}",
            "only for the type Localhost",
        ),
        ("appArmorProfile: {type: localhost}", "Localhost is meant"),
        (
            "appArmorProfile: {type: Localhost, localhostProfile: \" a\"}",
            "space around",
        ),
        (
            "appArmorProfile: {type: Localhost, localhostProfile: \"\"}",
            "is empty",
        ),
    ] {
        let found = refused("", container);
        assert_eq!(found.len(), 1, "{container}: {found:?}");
        assert!(found[0].contains(expected), "{container}: {found:?}");
    }
    let annotation = |container: &str, value: &str| {
        format!("    container.apparmor.security.beta.kubernetes.io/{container}: {value}\n")
    };
    let field = "appArmorProfile: {type: Localhost, localhostProfile: a}";
    for (container, value, expected) in [
        ("web", "localhost/a", None),
        ("web", "localhost/b", Some("says otherwise")),
        ("web", "unconfined", Some("says otherwise")),
        ("web", "a", Some("known are runtime/default")),
        ("other", "localhost/a", Some("no such container")),
    ] {
        let found = refused(&annotation(container, value), field);
        assert_eq!(
            found.len(),
            usize::from(expected.is_some()),
            "{value}: {found:?}"
        );
        if let Some(expected) = expected {
            assert!(found[0].contains(expected), "{found:?}");
        }
    }
    for container in [
        "seccompProfile: {type: Localhost, localhostProfile: profiles/a..b.json}",
        "seccompProfile: {type: RuntimeDefault}",
        "appArmorProfile: {type: Unconfined}",
    ] {
        assert_eq!(refused("", container), [""; 0], "{container}");
    }
}
