//! What is worse than what: severities, scores, order, and findings that are taken back.

use super::*;

fn score(text: &str) -> u32 {
    report("profile.json", text).scores[0].score
}

fn worst(text: &str) -> Severity {
    let severities = audit(text).into_iter().map(|finding| finding.severity);
    severities.max().unwrap_or(Severity::Info)
}

fn allow_list(more: &str) -> String {
    format!(
        r#"{{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
{RUNS}{more}]}}"#
    )
}

#[test]
fn more_than_the_default_lets_through_is_high() {
    assert!(worst(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#) >= Severity::High);
    for name in [
        "bpf",
        "kexec_load",
        "mount",
        "unshare",
        "keyctl",
        "userfaultfd",
        "clone3",
        "io_uring_setup",
    ] {
        let text = allow_list(&format!(
            r#",{{"names": ["{name}"], "action": "SCMP_ACT_ALLOW"}}"#
        ));
        assert!(worst(&text) >= Severity::High, "{name}");
        assert_eq!(of(&audit(&text), "weaker-than-default").len(), 1, "{name}");
    }
    for name in ["chmod", "ptrace", "prctl", "connect", "chroot"] {
        let text = allow_list(&format!(
            r#",{{"names": ["{name}"], "action": "SCMP_ACT_ALLOW"}}"#
        ));
        assert!(worst(&text) < Severity::High, "{name}");
    }
    let clone = r#",{"names": ["clone"], "action": "SCMP_ACT_ALLOW"}"#;
    assert!(worst(&allow_list(clone)) >= Severity::High);
}

/// Pairs of which the first is stronger.
#[test]
fn a_stronger_profile_has_no_lower_score() {
    let deny = |names: &str, more: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"{more}], "syscalls": [
{{"names": [{names}], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}]}}"#
        )
    };
    let conditional = |condition: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
{{"names": ["unshare"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{condition}]}}]}}"#
        )
    };
    let nothing = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#.to_owned();
    for (stronger, weaker) in [
        (deny("\"mount\"", ""), nothing.clone()),
        (deny("\"mount\", \"bpf\"", ""), deny("\"mount\"", "")),
        (
            deny("\"mount\"", ""),
            deny("\"mount\"", ", \"SCMP_ARCH_X86\""),
        ),
        (allow_list(""), deny("\"mount\", \"bpf\", \"chmod\"", "")),
        (
            allow_list(""),
            allow_list(r#",{"names": ["bpf"], "action": "SCMP_ACT_ALLOW"}"#),
        ),
        (
            conditional(
                r#"{"index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}"#,
            ),
            nothing,
        ),
        (
            conditional(
                r#"{"index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}"#,
            ),
            conditional(r#"{"index": 0, "value": 268435456, "op": "SCMP_CMP_EQ"}"#),
        ),
        (
            deny("\"unshare\"", ""),
            conditional(
                r#"{"index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}"#,
            ),
        ),
    ] {
        assert!(score(&stronger) >= score(&weaker), "{stronger} {weaker}");
        assert!(worst(&stronger) <= worst(&weaker), "{stronger} {weaker}");
    }
    assert_eq!(score(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#), 100);
    assert!(score(&allow_list("")) > 90 && score(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#) < 20);
}

/// What the default denies moves the score when it is allowed, call by call.
#[test]
fn each_call_beyond_the_default_lowers_the_score() {
    let base = score(&allow_list(""));
    for name in [
        "bpf",
        "kexec_load",
        "mount",
        "unshare",
        "setns",
        "keyctl",
        "io_uring_setup",
    ] {
        let text = allow_list(&format!(
            r#",{{"names": ["{name}"], "action": "SCMP_ACT_ALLOW"}}"#
        ));
        assert!(score(&text) < base, "{name}");
    }
}

#[test]
fn the_worst_comes_first() {
    let findings = audit(AKS);
    assert!(
        findings.is_sorted_by(|one, next| one.severity >= next.severity),
        "{findings:#?}"
    );
}

#[test]
fn a_comment_takes_a_finding_back_and_says_why() {
    let yaml = |comment: &str| {
        format!(
            "defaultAction: SCMP_ACT_ALLOW\nsyscalls:\n- action: SCMP_ACT_ERRNO\n  errnoRet: 1\n  names:\n  {comment}\n  - chmod\n"
        )
    };
    let of_rule = |comment: &str, id: &str| {
        let report = report("profile.yaml", &yaml(comment));
        assert_eq!(report.malformed, []);
        (of(&report.findings, id).len(), report.ignored)
    };
    assert_eq!(of_rule("# nothing", "equivalent-syscall-allowed"), (1, 0));
    assert_eq!(
        of_rule(
            "# tracer:ignore equivalent-syscall-allowed modes do not matter",
            "equivalent-syscall-allowed"
        ),
        (0, 1)
    );
    assert_eq!(
        of_rule(
            "# tracer:ignore io-uring not this one",
            "equivalent-syscall-allowed"
        ),
        (1, 0)
    );
    assert_eq!(
        of_rule(
            "# tracer:ignore equivalent-syscall-allowed",
            "unclear-ignore"
        ),
        (1, 0)
    );
    assert_eq!(
        of_rule("# tracer:ignore no-such-rule because", "unclear-ignore"),
        (1, 0)
    );
    let (left, ignored) = of_rule(
        "# tracer:ignore-file default-allow a deny-list is asked for",
        "default-allow",
    );
    assert_eq!((left, ignored), (0, 1));
}

#[test]
fn what_is_known_is_left_out() {
    let mut report = report("profile.json", AKS);
    let all = report.findings.len();
    let known = Known::from_json(&output::json(&report)).unwrap();
    assert_eq!(
        (known.take_from(&mut report), report.findings.len()),
        (all, 0)
    );
    assert!(Known::from_json("{}").is_err());
}
