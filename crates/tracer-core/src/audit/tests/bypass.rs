//! Ways around a denied call, and the fixes that close them.

use std::collections::BTreeSet;

use super::*;
use syscalls::{bypass, essential, runtime_init};

/// A deny-list of some names.
fn deny_list(names: &[&str]) -> String {
    let names = serde_json::to_string(names).unwrap();
    format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
  {{"names": {names}, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}},
  {{"names": ["io_uring_setup", "io_uring_enter", "io_uring_register"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}}
]}}"#
    )
}

/// A profile with its findings fixed.
fn fix(text: &str) -> Fixed {
    let capabilities = Context::usual_capabilities();
    let input = Input::new("profile.json", text.into()).unwrap();
    fixed(&input, &context_of(&capabilities), &|_| false)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Calls that a profile denies, with no condition.
fn denied_names(text: &str) -> BTreeSet<String> {
    let profile: OciSeccomp = serde_json::from_str(text).unwrap();
    let entries = profile
        .syscalls
        .into_iter()
        .filter(|entry| entry.args.is_empty());
    entries.flat_map(|entry| entry.names).collect()
}

fn gaps(text: &str) -> Vec<Finding> {
    let findings = audit(text).into_iter();
    findings
        .filter(|finding| ["equivalent-syscall-allowed", "condition-bypass"].contains(&finding.id))
        .collect()
}

#[test]
fn each_edge_is_found_from_its_denied_call() {
    let mut edges = 0;
    for end in bypass::ends().filter(|end| !end.only_conditional) {
        let here = |call: &&bypass::Step| Abi::X86_64.syscall_number(call.name).is_some();
        for denied in end.denied().filter(here) {
            let found = gaps(&deny_list(&[denied.name]));
            let ways = end.edges().filter(|(call, _)| call.name == denied.name);
            for (_, way) in ways.filter(|(_, way)| way.exists(Abi::X86_64)) {
                let finding = found.iter().find(|finding| finding.subject == end.name);
                let finding = finding.unwrap_or_else(|| panic!("{} {}", end.name, denied.name));
                assert!(finding.message.contains(&way.words()), "{finding:?}");
                edges += 1;
            }
        }
    }
    println!("{edges} edges");
    assert!(edges > 150, "{edges}");
}

#[test]
fn a_fix_closes_what_can_be_closed_and_denies_nothing_that_is_needed() {
    let needed: BTreeSet<_> = essential::names(Abi::X86_64)
        .chain(runtime_init::RuntimeSelection::All.names(Abi::X86_64))
        .chain(["clone", "fork", "open", "stat"])
        .collect();
    let here = |call: &&bypass::Step| Abi::X86_64.syscall_number(call.name).is_some();
    let names: BTreeSet<_> = bypass::ends()
        .flat_map(|end| end.denied().filter(here))
        .map(|call| call.name)
        .collect();
    for name in names {
        let text = deny_list(&[name]);
        let before = gaps(&text);
        let after = fix(&text).text;
        for finding in gaps(&after) {
            assert!(
                before.iter().any(|it| it.subject == finding.subject),
                "new after the fix of {name}: {finding:?}"
            );
            // What is left is what cannot be denied.
            assert_eq!(finding.edits, [], "{finding:?}");
            assert!(finding.severity < Severity::High, "{finding:?}");
        }
        let mut added = denied_names(&after);
        added.remove(name);
        for needed in &needed {
            assert!(
                !added.contains(*needed),
                "{name} denied: the fix denies {needed}"
            );
        }
    }
}

#[test]
fn an_error_that_makes_callers_fall_back_is_no_gap() {
    for name in [
        "clone3",
        "openat2",
        "statx",
        "execveat",
        "preadv2",
        "pwritev2",
        "renameat2",
        "fchmodat2",
        "copy_file_range",
        "move_mount",
    ] {
        let text = deny_list(&[name]).replace("\"errnoRet\": 1", "\"errnoRet\": 38");
        assert_eq!(gaps(&text), [], "{name}");
    }
}

#[test]
fn the_namespace_bits_of_clone_and_clone3_with_enosys() {
    let text = deny_list(&["unshare"]);
    let fixed = fix(&text).text;
    let denied = denied_names(&fixed);
    assert!(
        !denied.contains("clone") && denied.contains("clone3"),
        "{fixed}"
    );
    assert!(fixed.contains(r#"{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}"#));
    for bit in bypass::ends()
        .find(|end| end.name == "namespaces")
        .unwrap()
        .values
    {
        assert!(
            fixed.contains(&format!("\"value\": {bit}, \"valueTwo\": {bit}")),
            "{bit:#x}"
        );
    }
}

#[test]
fn a_sibling_of_a_conditional_denial() {
    for (name, index, value, siblings) in [
        ("unshare", 0, 0x1000_0000_u64, &["clone", "clone3"][..]),
        ("clone", 0, 0x1000_0000, &["unshare", "clone3"]),
        ("mount", 3, 4096, &["open_tree"]),
        ("mount", 3, 32, &["mount_setattr", "fspick"]),
        ("chmod", 1, 0o4000, &["fchmod", "fchmodat", "fchmodat2"]),
        ("mknod", 1, 0o2_0000, &["mknodat"]),
        ("kill", 1, 9, &["tkill", "pidfd_send_signal"]),
        ("prctl", 0, 22, &["seccomp"]),
        ("setuid", 0, 0, &["setreuid"]),
    ] {
        let text = deny_list(&["sync"]).replace(
            r#"{"names": ["sync"]"#,
            &format!(
                r#"{{"names": ["{name}"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{{"index": {index}, "value": {mask}, "valueTwo": {value}, "op": "SCMP_CMP_MASKED_EQ"}}]}},
  {{"names": ["sync"]"#,
                mask = if value == 0 || value == 22 || value == 9 { 0xffff_ffff } else { value }
            ),
        );
        let found = gaps(&text);
        for sibling in siblings {
            assert!(
                found.iter().any(|it| it.message.contains(sibling)),
                "{name}: {sibling} in {found:#?}"
            );
        }
        let after = gaps(&fix(&text).text);
        assert!(
            after.iter().all(|it| it.edits.is_empty()),
            "{name}: {after:#?}"
        );
    }
}

#[test]
fn claims_are_bounded_by_the_kernel() {
    let text = deny_list(&["chmod", "fchmod", "fchmodat"]);
    let capabilities = BTreeSet::new();
    let at = |from: &str, to: &str| {
        let context = Context {
            kernels: Some((from.parse().unwrap(), to.parse().unwrap())),
            ..context_of(&capabilities)
        };
        let input = Input::new("profile.json", text.as_str().into()).unwrap();
        let report = run(&[input], &context);
        let gap = report
            .findings
            .into_iter()
            .find(|it| it.id == "equivalent-syscall-allowed")
            .unwrap();
        (gap.message, gap.evidence.join("; "))
    };
    let (message, _) = at("5.10", "5.10");
    assert!(
        message.contains("setxattr") && !message.contains("fchmodat2"),
        "{message}"
    );
    let (message, evidence) = at("5.10", "6.6");
    assert!(
        message.contains("fchmodat2") && !message.contains("setxattrat"),
        "{message}"
    );
    assert!(evidence.contains("fchmodat2 since Linux 6.6"), "{evidence}");
    let (message, evidence) = at("6.8", "6.18");
    assert!(
        message.contains("fchmodat2") && !evidence.contains("fchmodat2"),
        "{evidence}"
    );
}
