//! SELinux: CIL, the operator's objects, and the types of pods.

use super::*;

fn of_text(name: &str, text: &str) -> Vec<Finding> {
    let report = report(name, text);
    assert_eq!(report.malformed, []);
    report.findings
}

const WEB: &str = "; a profile
(block web
  (blockinherit container)
  (typepermissive process)
  (allow process process (capability (net_bind_service dac_override)))
  (allow process shadow_t (file (read open)))
  (allow process sshd_exec_t (file (write)))
  (allow process file_type (file (read)))
  (allow process http_port_t (tcp_socket (name_bind)))
  (booleanif some_boolean (true (allow process etc_t (file (read)))))
  (allow process bin_t (file (all)))
)
";

#[test]
fn cil_is_audited_with_the_place_of_each_rule() {
    let findings = of_text("web.cil", WEB);
    let found: Vec<_> = by_place(findings)
        .into_iter()
        .map(|it| (it.place.line, it.id, it.severity))
        .collect();
    assert_eq!(
        found,
        [
            (4, "selinux-permissive", Severity::High),
            (5, "selinux-sensitive-access", Severity::High),
            (6, "selinux-sensitive-access", Severity::High),
            (7, "selinux-sensitive-access", Severity::High),
            (8, "selinux-broad-rule", Severity::High),
            (10, "selinux-not-read", Severity::Info),
            (11, "selinux-broad-rule", Severity::Medium),
        ]
    );
}

#[test]
fn objects_of_the_operator_are_audited() {
    let profile = "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SelinuxProfile
metadata: {name: web}
spec:
  mode: Permissive
  inherit:
  - name: unconfined
  allow:
    '@self':
      capability: [sys_admin]
    var_log_t:
      dir: [read]
";
    let findings = of_text("web.yaml", profile);
    let found: Vec<_> = by_place(findings)
        .into_iter()
        .map(|it| (it.place.line, it.id, it.severity))
        .collect();
    assert_eq!(
        found,
        [
            (5, "selinux-permissive", Severity::High),
            (7, "selinux-unconfined", Severity::High),
            (10, "selinux-sensitive-access", Severity::Critical),
        ]
    );
    let raw = "apiVersion: security-profiles-operator.x-k8s.io/v1
kind: RawSelinuxProfile
metadata: {name: web}
spec:
  policy: |
    (blockinherit container)
    (allow process container_var_run_t (sock_file (write)))
";
    let findings = of_text("web.yaml", raw);
    assert_eq!(ids(&findings), ["selinux-sensitive-access"].into());
    assert!(findings[0].message.contains("container runtime"));
}

#[test]
fn types_of_pods_are_audited() {
    let pod = |kind: &str| {
        let text = format!(
            "apiVersion: v1
kind: Pod
spec:
  securityContext:
    seLinuxOptions: {{type: {kind}}}
  containers:
  - name: web
    securityContext: {{seccompProfile: {{type: RuntimeDefault}}}}
"
        );
        let findings = of_text("pod.yaml", &text);
        let found = findings.iter().filter(|it| it.id.starts_with("selinux"));
        found.map(|it| (it.place.line, it.id)).collect::<Vec<_>>()
    };
    assert_eq!(pod("spc_t"), [(5, "selinux-unconfined")]);
    assert_eq!(pod("my_t"), [(5, "selinux-type-overridden")]);
    assert_eq!(pod("container_t"), []);
    assert_eq!(pod("web.process"), []);
}

#[test]
fn malformed_cil_is_refused_with_its_place() {
    let report = report("web.cil", "(block web\n  (allow process");
    assert_eq!(report.malformed.len(), 1);
    assert_eq!(report.malformed[0].position, Some((2, 17)));
}
