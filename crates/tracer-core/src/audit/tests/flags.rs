//! Conditions on flags that mean something else.

use super::*;

/// The rules that a condition on a call breaks, and those that are left after the fix.
fn both(call: &str, condition: &str) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let text = format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
  {{"names": ["{call}"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{condition}]}}
]}}"#
    );
    let capabilities = Context::usual_capabilities();
    let input = Input::new("profile.json", text.clone().into()).unwrap();
    let fixed = fixed(&input, &context_of(&capabilities), &|_| false)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let ids = |text: &str| {
        let rules = [
            "inverted-mask",
            "combined-flags",
            "exact-flags",
            "value-outside-mask",
            "unchecked-argument-bits",
        ];
        let findings = audit(text).into_iter();
        findings
            .map(|it| it.id)
            .filter(|id| rules.contains(id))
            .collect()
    };
    (ids(&text), ids(&fixed.text))
}

#[test]
fn mistakes_are_found_and_fixed() {
    for (call, condition, rule) in [
        (
            "unshare",
            r#"{"index": 0, "value": 268435456, "op": "SCMP_CMP_MASKED_EQ"}"#,
            "inverted-mask",
        ),
        (
            "clone",
            r#"{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}"#,
            "inverted-mask",
        ),
        (
            "clone",
            r#"{"index": 0, "value": 268435456, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}"#,
            "inverted-mask",
        ),
        (
            "chmod",
            r#"{"index": 1, "value": 2048, "op": "SCMP_CMP_MASKED_EQ"}"#,
            "inverted-mask",
        ),
        (
            "clone",
            r#"{"index": 0, "value": 2114060288, "valueTwo": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}"#,
            "combined-flags",
        ),
        (
            "fchmodat",
            r#"{"index": 2, "value": 3072, "valueTwo": 3072, "op": "SCMP_CMP_MASKED_EQ"}"#,
            "combined-flags",
        ),
        (
            "unshare",
            r#"{"index": 0, "value": 268435456, "op": "SCMP_CMP_EQ"}"#,
            "exact-flags",
        ),
        (
            "mount",
            r#"{"index": 3, "value": 4096, "op": "SCMP_CMP_EQ"}"#,
            "exact-flags",
        ),
        (
            "socket",
            r#"{"index": 1, "value": 3, "op": "SCMP_CMP_EQ"}"#,
            "exact-flags",
        ),
        (
            "mknod",
            r#"{"index": 1, "value": 8192, "op": "SCMP_CMP_EQ"}"#,
            "exact-flags",
        ),
        (
            "unshare",
            r#"{"index": 0, "value": 268435456, "valueTwo": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}"#,
            "value-outside-mask",
        ),
        (
            "socket",
            r#"{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}"#,
            "unchecked-argument-bits",
        ),
    ] {
        let (before, after) = both(call, condition);
        assert!(before.contains(rule), "{call} {condition}: {before:?}");
        assert!(after.is_empty(), "{call} {condition}: {after:?}");
    }
}

#[test]
fn conditions_that_mean_what_they_say_are_not_reported() {
    for (call, condition) in [
        // Only processes, and no threads.
        (
            "clone",
            r#"{"index": 0, "value": 65536, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}"#,
        ),
        (
            "unshare",
            r#"{"index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}"#,
        ),
        // Writable and executable at once.
        (
            "mprotect",
            r#"{"index": 2, "value": 6, "valueTwo": 6, "op": "SCMP_CMP_MASKED_EQ"}"#,
        ),
        (
            "socket",
            r#"{"index": 0, "value": 4294967295, "valueTwo": 16, "op": "SCMP_CMP_MASKED_EQ"}"#,
        ),
    ] {
        let (before, _) = both(call, condition);
        assert!(before.is_empty(), "{call} {condition}: {before:?}");
    }
}

#[test]
fn an_allow_list_with_the_mask_the_wrong_way_round() {
    let allowed = |value_two: u64| {
        allows(&format!(
            r#"{RUNS},
{{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{{"index": 0, "value": 2114060288, "valueTwo": {value_two}, "op": "SCMP_CMP_MASKED_EQ"}}]}}"#
        ))
    };
    assert_eq!(of(&allowed(2_114_060_288), "inverted-mask").len(), 1);
    assert_eq!(of(&allowed(0), "inverted-mask"), []);
}

#[test]
fn a_second_value_that_nothing_reads() {
    let findings = denies(
        r#"{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 0, "value": 16, "valueTwo": 3, "op": "SCMP_CMP_EQ"}]}"#,
    );
    assert_eq!(of(&findings, "unread-value").len(), 1);
}

/// A deny-list of one call with a condition.
fn denial(call: &str, condition: &str) -> String {
    format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
  {{"names": ["{call}"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{condition}]}}
]}}"#
    )
}

#[test]
fn an_order_is_denied_above_what_the_kernel_reads() {
    let below = r#"{"index": 0, "value": 1000, "op": "SCMP_CMP_LT"}"#;
    let findings = audit(&denial("setuid", below));
    let [finding] = findings
        .iter()
        .filter(|it| it.id == "unchecked-argument-bits")
        .collect::<Vec<_>>()[..]
    else {
        panic!("{findings:?}");
    };
    assert!(
        finding.fix.contains("\"op\": \"SCMP_CMP_GT\""),
        "{}",
        finding.fix
    );
    let (before, after) = both("setuid", below);
    assert_eq!(before, BTreeSet::from(["unchecked-argument-bits"]));
    assert_eq!(after, BTreeSet::new());
}

#[test]
fn advice_on_masks_does_not_let_more_through() {
    // Both flags at once would pass if mask and value were exchanged.
    let findings = audit(&denial(
        "clone",
        r#"{"index": 0, "value": 268435456, "valueTwo": 805306368, "op": "SCMP_CMP_MASKED_EQ"}"#,
    ));
    let outside = findings.iter().find(|it| it.id == "value-outside-mask");
    assert!(
        outside
            .unwrap()
            .fix
            .starts_with("Write an entry for each flag")
    );
    let bypass = findings.iter().find(|it| it.id == "condition-bypass");
    assert!(!bypass.unwrap().fix.contains("805306368"));
    let allows = allows(&format!(
        r#"{RUNS},{{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{{"index": 0, "value": 2114060288, "valueTwo": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}}]}}"#
    ));
    let inverted = allows.iter().find(|it| it.id == "inverted-mask");
    assert!(inverted.unwrap().fix.contains("\"valueTwo\": 0"));
}

#[test]
fn an_argument_that_is_no_parameter_is_said() {
    let findings = audit(&denial(
        "ptrace",
        r#"{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}"#,
    ));
    let bypass = findings
        .iter()
        .find(|it| it.id == "condition-bypass")
        .unwrap();
    let said = "ptrace is denied for some arguments (argument 0 = 0x10), but a program can still ";
    assert!(bypass.message.starts_with(said), "{bypass:?}");
    assert!(bypass.message.contains("ptrace (PTRACE_SEIZE)"));
    assert!(bypass.fix.contains("\"valueTwo\": 16902"), "{}", bypass.fix);
}
