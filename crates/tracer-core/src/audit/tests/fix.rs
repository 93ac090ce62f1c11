//! What a fix may not do: claim success, or leave a profile that is refused.

use super::*;
use crate::profile::seccomp::oci::{Action, OciSeccomp};

/// A profile that allows some calls, with its findings fixed.
fn fix_allow_list(entries: &str) -> Result<Fixed, FixError> {
    let text = format!(
        "{{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"architectures\": [\"SCMP_ARCH_X86_64\"], \"syscalls\": [\n{RUNS},\n{entries}\n]}}"
    );
    let capabilities = Context::usual_capabilities();
    let input = Input::new("profile.json", text.into()).unwrap();
    fixed(&input, &context_of(&capabilities), &|_| false)
}

/// A conditional `clone`, as engines write it.
const CLONE: &str = r#"{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}"#;

#[test]
fn a_logged_call_is_restricted_as_an_allowed_one() {
    for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"] {
        let unshare = format!("{{\"names\": [\"unshare\"], \"action\": \"{action}\"}}");
        let entries = format!("{CLONE},\n{unshare}");
        let fixed = fix_allow_list(&entries).unwrap();
        assert!(fixed.changes > 0, "{action}");
        assert!(!fixed.text.contains(&unshare), "{}", fixed.text);
        let left = audit(&fixed.text);
        assert_eq!(of(&left, "condition-bypass"), [], "{}", fixed.text);
        let again = fixed.text.matches("\"unshare\"").count();
        assert_eq!(again, 1, "{}", fixed.text);
    }
}

/// The condition on `unshare` always holds, and the denial that would be added is overruled by it.
#[test]
fn a_finding_that_changes_do_not_close_is_an_error() {
    let unshare = r#"{"names": ["unshare"], "action": "SCMP_ACT_LOG", "args": [{"index": 3, "value": 0, "op": "SCMP_CMP_GE"}]}"#;
    let error = fix_allow_list(&format!("{CLONE},\n{unshare}")).unwrap_err();
    assert!(matches!(error, FixError::Remains(..)), "{error}");
    assert!(error.to_string().contains("condition-bypass"), "{error}");
}

#[test]
fn an_emptied_entry_goes() {
    let clone3 = r#"{"names": ["clone3"], "action": "SCMP_ACT_ALLOW"}"#;
    let fixed = fix_allow_list(&format!("{CLONE},\n{clone3},\n{clone3}")).unwrap();
    let profile: OciSeccomp = serde_json::from_str(&fixed.text).unwrap();
    let of_clone3: Vec<_> = profile
        .syscalls
        .iter()
        .filter(|entry| entry.names.contains(&"clone3".to_owned()))
        .collect();
    assert!(
        matches!(of_clone3[..], [entry] if entry.action == Action::Errno && entry.errno_ret == Some(38)),
        "{}",
        fixed.text
    );
    assert_eq!(profile.syscalls.len(), 3);
    let yaml = format!(
        "defaultAction: SCMP_ACT_ERRNO\ndefaultErrnoRet: 38\narchitectures: [SCMP_ARCH_X86_64]\nsyscalls:\n- {RUNS}\n- {CLONE}\n- names:\n  - clone3\n  action: SCMP_ACT_ALLOW\n- action: SCMP_ACT_ALLOW\n  names:\n  - clone3\n# the end\n"
    );
    let capabilities = Context::usual_capabilities();
    let input = Input::new("profile.yaml", yaml.into()).unwrap();
    let fixed = super::fixed(&input, &context_of(&capabilities), &|_| false).unwrap();
    assert_eq!(fixed.text.matches("clone3").count(), 1, "{}", fixed.text);
}
