//! Audits of whole files.

mod apparmor;
mod apparmor_fixes;
mod apparmor_questions;
mod baseline;
mod bypass;
mod fix;
mod flags;
mod forms;
mod headroom;
mod manifests;
mod ranking;
mod selinux;

use std::collections::BTreeSet;

use super::*;
use crate::profile::seccomp::read::KernelVersion;
use syscalls::Abi;

fn report(name: &str, text: &str) -> Report {
    let capabilities = Context::usual_capabilities();
    let input = Input::new(name, text.into()).unwrap();
    run(&[input], &context_of(&capabilities))
}

fn context_of(capabilities: &BTreeSet<String>) -> Context<'_> {
    Context {
        capabilities,
        ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
    }
}

fn audit(text: &str) -> Vec<Finding> {
    let report = report("profile.json", text);
    assert_eq!(report.malformed, []);
    assert_eq!(report.profiles, 1);
    report.findings
}

/// The findings of a rule: line and message.
fn of<'a>(findings: &'a [Finding], id: &str) -> Vec<(usize, &'a str)> {
    findings
        .iter()
        .filter(|finding| finding.id == id)
        .map(|finding| (finding.place.line, finding.message.as_str()))
        .collect()
}

/// In the order of the file, where a test does not ask for severities.
fn by_place(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, other| (&one.place, one.id).cmp(&(&other.place, other.id)));
    findings
}

fn ids(findings: &[Finding]) -> BTreeSet<&str> {
    findings.iter().map(|finding| finding.id).collect()
}

/// A profile that allows all but some calls, and one that allows some.
fn denies(entries: &str) -> Vec<Finding> {
    audit(&format!(
        "{{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\"], \"syscalls\": [\n{entries}\n]}}"
    ))
}

fn allows(entries: &str) -> Vec<Finding> {
    audit(&format!(
        "{{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"architectures\": [\"SCMP_ARCH_X86_64\"], \"syscalls\": [\n{entries}\n]}}"
    ))
}

const RUNS: &str =
    r#"{"names": ["execve", "exit", "exit_group", "rt_sigreturn"], "action": "SCMP_ACT_ALLOW"}"#;

/// The deny-list of Azure's page on AKS, in the form of older and of newer clusters.
const AKS_OLD: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    {"name": "chmod", "action": "SCMP_ACT_ERRNO"},
    {"name": "fchmodat", "action": "SCMP_ACT_ERRNO"},
    {"name": "chmodat", "action": "SCMP_ACT_ERRNO"}
  ]
}"#;
const AKS: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    {
      "names": ["chmod", "fchmodat", "chmodat"],
      "action": "SCMP_ACT_ERRNO"
    }
  ]
}"#;

#[test]
fn audits_the_aks_deny_list() {
    for (text, unknown_line) in [(AKS_OLD, 6), (AKS, 5)] {
        let findings = audit(text);
        assert_eq!(
            of(&findings, "unknown-name"),
            [(
                unknown_line,
                "there is no system call \"chmodat\"; the nearest is fchmodat"
            )]
        );
        let gaps = of(&findings, "equivalent-syscall-allowed");
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(
            gaps[0]
                .1
                .contains("change a file's mode by fchmod, fchmodat2, setxattr")
        );
        assert!(of(&findings, "abi-killed")[0].1.contains("i386 and x32"));
        for id in [
            "io-uring",
            "default-allow",
            "implicit-errno",
            "newer-syscalls-allowed",
        ] {
            assert_eq!(of(&findings, id).len(), 1, "{id}");
        }
        assert_eq!(of(&findings, "legacy-name-key").is_empty(), text == AKS);
    }
    // Mended as the finding says, the gap is gone.
    let mended = denies(
        r#"{"names": ["chmod", "fchmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        {"names": ["fchmodat2", "io_uring_setup"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}"#,
    );
    for id in ["unknown-name", "io-uring", "implicit-errno"] {
        assert_eq!(of(&mended, id), [], "{id}");
    }
    // What is left is the way by an ACL.
    let left = of(&mended, "equivalent-syscall-allowed");
    assert!(
        left.len() == 1
            && left[0]
                .1
                .contains("by setxattr, lsetxattr, fsetxattr, setxattrat"),
        "{left:?}"
    );
}

#[test]
fn argument_restricted_call_is_not_a_gap() {
    let findings = denies(
        r#"{"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
{"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}]}"#,
    );
    let about = of(&findings, "equivalent-syscall-allowed");
    assert!(
        !about
            .iter()
            .any(|(_, message)| message.contains("namespace")),
        "{about:?}"
    );
    assert_eq!(of(&findings, "condition-bypass"), []);
}

#[test]
fn audits_for_other_architectures() {
    let context = Context::new(Abi::Aarch64, KernelVersion::new(6, 1));
    let input = Input::new("profile.json", AKS.into()).unwrap();
    let findings = run(&[input], &context).findings;
    // arm64 has no chmod.
    assert!(
        of(&findings, "equivalent-syscall-allowed")[0]
            .1
            .starts_with("fchmodat is denied")
    );
    assert!(
        of(&findings, "abi-killed")[0]
            .1
            .contains("programs of arm are")
    );
}

#[test]
fn reports_gaps_in_other_abis() {
    let text = |architectures: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": [{architectures}], "syscalls": [
{{"names": ["chown", "fchown", "lchown", "fchownat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}]}}"#
        )
    };
    let both = audit(&text(r#""SCMP_ARCH_X86_64", "SCMP_ARCH_X86""#));
    let gaps = of(&both, "abi-bypass");
    assert!(
        gaps.len() == 1 && gaps[0].1.contains("by chown32, fchown32, lchown32"),
        "{gaps:?}"
    );
    assert!(of(&both, "abi-killed")[0].1.contains("programs of x32 are"));
    let one = audit(&text(r#""SCMP_ARCH_X86_64""#));
    assert_eq!(of(&one, "abi-bypass"), []);
}

#[test]
fn reports_bypassable_conditions() {
    let findings = allows(
        r#"{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["clone3"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["openat"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 4096, "op": "SCMP_CMP_EQ"}]}"#,
    );
    let narrow = of(&findings, "unchecked-argument-bits");
    assert!(
        narrow.len() == 1 && narrow[0].1.contains("0x100000028"),
        "{narrow:?}"
    );
    assert!(
        of(&findings, "condition-bypass")[0]
            .1
            .contains("make a new namespace by clone3")
    );
    assert_eq!(
        of(&findings, "pointer-argument"),
        [(6, "argument 1 of openat is a pointer")]
    );
    let masked = allows(
        r#"{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 4294967295, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}"#,
    );
    assert_eq!(of(&masked, "unchecked-argument-bits"), []);
}

#[test]
fn reports_ineffective_names() {
    let findings = allows(&format!(
        r#"{RUNS},
{{"names": ["read", "read", "opeanat", "set_tls", "write"], "action": "SCMP_ACT_ALLOW"}},
{{"names": ["write"], "action": "SCMP_ACT_ALLOW"}},
{{"names": ["kill"], "action": "SCMP_ACT_ALLOW"}},
{{"names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [{{"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}}]}}"#
    ));
    let twice = of(&findings, "duplicate-name");
    assert_eq!(
        twice.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [3, 4]
    );
    assert!(
        of(&findings, "unknown-name")[0]
            .1
            .contains("the nearest is openat")
    );
    assert_eq!(
        of(&findings, "other-architecture-name"),
        [(
            3,
            "system calls that do not exist on this profile's architectures: set_tls"
        )]
    );
    assert!(
        of(&findings, "shadowed-rule")[0]
            .1
            .contains("kill in syscalls[4] are never asked")
    );
    assert_eq!(of(&findings, "exit-denied"), []);
}

#[test]
fn reports_contradictions_and_refused_profiles() {
    let findings = denies(
        r#"{"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
{"names": ["kill"], "action": "SCMP_ACT_ALLOW"}"#,
    );
    let found = of(&findings, "conflicting-rules");
    assert!(
        found.len() == 1 && found[0].1.ends_with("it is denied"),
        "{found:?}"
    );
    let refused = allows(
        r#"{"names": ["kill"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 7, "value": 9, "op": "SCMP_CMP_EQ"}]}"#,
    );
    assert_eq!(ids(&refused), ["refused-profile"].into());
    assert_eq!(refused[0].place.line, 2);
}

#[test]
fn reports_harmful_errnos() {
    let findings = audit(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
{"names": ["clone3"], "action": "SCMP_ACT_KILL_PROCESS"},
{"names": ["setuid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0},
{"names": ["read"], "action": "SCMP_ACT_LOG"},
{"names": ["write"], "action": "SCMP_ACT_ALLOW"}]}"#,
    );
    assert_eq!(
        of(&findings, "kill-prevents-fallback"),
        [(2, "clone3 is killed for")]
    );
    assert_eq!(of(&findings, "errno-zero")[0].0, 3);
    assert_eq!(of(&findings, "log-only")[0].0, 4);
    assert!(
        of(&findings, "eperm-prevents-fallback")[0]
            .1
            .contains("close_range")
    );
    assert!(
        of(&findings, "implicit-errno")[0]
            .1
            .contains("defaultErrnoRet")
    );
    assert!(
        of(&findings, "exit-denied")[0]
            .1
            .contains("execve, exit, exit_group")
    );
}

#[test]
fn audits_operator_objects_in_yaml() {
    let text = "\
apiVersion: v1
kind: ConfigMap
---
apiVersion: security-profiles-operator.x-k8s.io/v1beta1
kind: SeccompProfile
metadata: {name: web}
spec:
  disabled: true
  defaultAction: SCMP_ACT_ALLOW
  architectures: [SCMP_ARCH_X86_64]
  syscalls:
  - action: SCMP_ACT_ERRNO
    names:
    - chmod
    - chmodat
";
    let findings = audit(text);
    assert_eq!(of(&findings, "deprecated-crd").len(), 2);
    assert_eq!(of(&findings, "unknown-name")[0].0, 15);
    assert_eq!(of(&findings, "equivalent-syscall-allowed")[0].0, 14);
}

#[test]
fn reports_invalid_fields_with_their_position() {
    for (text, expected) in [
        (
            "{\n \"defaultAction\": \"SCMP_ACT_ALOW\"}",
            "p:2:19: unknown variant",
        ),
        // A misspelt key is a finding (forms.rs); one in other letter case is read by Go alone.
        (
            "defaultAction: SCMP_ACT_ALLOW\nSyscalls: []\n",
            "p:2:11: unknown field `Syscalls`",
        ),
        (
            "syscalls:\n- action: SCMP_ACT_ALLOW\n  names: [read]\n",
            "p:1:1: missing field",
        ),
    ] {
        let report = report("p", text);
        let errors: Vec<_> = report.malformed.iter().map(ToString::to_string).collect();
        assert!(
            errors.len() == 1 && errors[0].starts_with(expected),
            "{errors:?}"
        );
    }
    let other = report("p", "{\"a\": 1}").malformed;
    assert!(
        other[0]
            .to_string()
            .starts_with("p:1:1: this is neither a profile"),
        "{other:?}"
    );
    let found = Input::new("p", "{\"a\": 1}".into()).unwrap().found();
    let report = run(&[found], &context_of(&Context::usual_capabilities()));
    assert_eq!((report.unrecognized, report.malformed), (other, vec![]));
}

#[test]
fn flawless_allow_list_has_no_findings() {
    let findings = allows(RUNS);
    assert_eq!(ids(&findings), BTreeSet::new(), "{findings:?}");
}

#[test]
fn audits_profiles_in_a_config_map() {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: profiles}}\ndata:\n  note: none\n  deny.json: |\n{}\n",
        AKS.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    );
    let findings = audit(&text);
    // In the file's own lines: the profile's first is the seventh.
    let line = |text: &str| text.lines().position(|it| it.contains("chmodat")).unwrap() + 1;
    assert_eq!(of(&findings, "unknown-name")[0].0, line(&text));
    let in_json =
        serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"deny.json": AKS}});
    let in_json = serde_json::to_string_pretty(&in_json).unwrap();
    let findings = audit(&in_json);
    let finding = findings.iter().find(|it| it.id == "unknown-name").unwrap();
    let (begin, end) = finding.place.bytes;
    assert_eq!(&in_json[begin..end], "\\\"chmodat\\\"");
    assert_eq!(of(&findings, "equivalent-syscall-allowed").len(), 1);
}

#[test]
fn reports_runtime_and_libseccomp_differences() {
    let findings = denies(
        r#"{"names": ["fchmodat2", "chmod", "fchmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
{"names": ["kill"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}"#,
    );
    assert!(
        of(&findings, "newer-than-libseccomp")[0]
            .1
            .contains("cannot deny fchmodat2")
    );
    let refused = of(&findings, "refused-profile");
    assert!(
        refused[0].0 == 3 && refused[0].1.contains("crun refuses"),
        "{refused:?}"
    );
}

#[test]
fn rejects_oversized_filters_at_once() {
    let entry = r#"{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_LE"}]}"#;
    let text = format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{}]}}"#,
        vec![entry; 30_000].join(",")
    );
    let report = report("p", &text);
    assert!(
        report.malformed[0]
            .to_string()
            .starts_with("p:1:1: more than 1000 entries")
    );
}

#[test]
fn reports_notify_without_a_listener() {
    let notify = r#"{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}"#;
    let findings = allows(&format!("{RUNS},\n{notify}"));
    let found = of(&findings, "notify-without-listener");
    assert!(found.len() == 1 && found[0].0 == 3, "{findings:?}");
    let named = audit(&format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/run/s.sock", "syscalls": [{RUNS}, {notify}]}}"#
    ));
    assert_eq!(of(&named, "notify-without-listener"), []);
}

#[test]
fn reports_listed_secondary_abis() {
    let text = |architectures: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": [{architectures}], "syscalls": []}}"#
        )
    };
    let both = audit(&text(r#""SCMP_ARCH_X86_64", "SCMP_ARCH_X86""#));
    assert_eq!(of(&both, "legacy-abi-allowed").len(), 1, "{both:?}");
    assert_eq!(
        of(&audit(&text(r#""SCMP_ARCH_X86_64""#)), "legacy-abi-allowed"),
        []
    );
}

#[test]
fn reports_engine_only_fields() {
    let map = r#""archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []}]"#;
    let engine = audit(&format!(
        "{{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n {map}, \"syscalls\": [{RUNS}]}}"
    ));
    assert_eq!(of(&engine, "engine-specific-fields")[0].0, 2, "{engine:?}");
    assert_eq!(of(&allows(RUNS), "engine-specific-fields"), []);
}

/// A rule that no test expects would not be missed.
#[test]
fn every_rule_is_covered_by_a_test() {
    let tests = [
        include_str!("mod.rs"),
        include_str!("manifests.rs"),
        include_str!("apparmor.rs"),
        include_str!("apparmor_questions.rs"),
        include_str!("baseline.rs"),
        include_str!("bypass.rs"),
        include_str!("flags.rs"),
        include_str!("forms.rs"),
        include_str!("ranking.rs"),
        include_str!("selinux.rs"),
        include_str!("../../../../../tracer/tests/audit.rs"),
        include_str!("../../../../../tests/seccomp/audit_findings.rs"),
        include_str!("../../../../../tests/seccomp/bypass.rs"),
        include_str!("../../../../../tests/seccomp/bypass/cases.rs"),
        include_str!("../../../../../tests/e2e/audit.rs"),
    ];
    for rule in rules::ALL {
        let id = format!("\"{}\"", rule.id);
        assert!(tests.iter().any(|text| text.contains(&id)), "{id}");
    }
}
