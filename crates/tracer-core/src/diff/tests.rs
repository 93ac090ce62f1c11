use proptest::prelude::*;

use super::*;
use crate::{
    profile::seccomp::{
        evaluate::{Filter, Host, Libseccomp, OciRuntime, partial_tests::profile},
        fixture::{self, path},
        oci::OciSeccomp,
    },
    recording::{Arguments, Blocked, Combination, Phase, Recording, SyscallId},
};

fn filter(json: &str) -> Filter {
    let host = Host {
        native: Abi::X86_64,
        runtime: OciRuntime::Crun,
        libseccomp: Libseccomp::Newest,
    };
    Filter::new(&OciSeccomp::from_json(json).unwrap(), host).unwrap()
}

fn entry(names: &str, action: &str, args: &str) -> String {
    format!(r#"{{"names":[{names}],"action":"SCMP_ACT_{action}","args":[{args}]}}"#)
}

/// Denies by default, but for these entries.
fn denying(entries: &[String]) -> Filter {
    let entries = entries.join(",");
    filter(&format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{entries}]}}"#
    ))
}

fn calls(diff: &Diff) -> Vec<(&str, ChangeKind, bool)> {
    diff.changes
        .iter()
        .map(|it| (it.call.as_str(), it.kind, it.grants))
        .collect()
}

#[test]
fn riskiest_change_comes_first() {
    let before = denying(&[entry(r#""read","uname""#, "ALLOW", "")]);
    let after = denying(&[entry(r#""read","getpid","ptrace","mknod""#, "ALLOW", "")]);
    let diff = profiles(&before, &after);
    assert_eq!(
        calls(&diff),
        [
            ("ptrace", ChangeKind::Added, true),
            ("mknod", ChangeKind::Added, true),
            ("getpid", ChangeKind::Added, true),
            ("uname", ChangeKind::Removed, false),
        ]
    );
    assert!(profiles(&after, &after).changes.is_empty());
    let back = profiles(&after, &before);
    assert!(
        calls(&back)
            .iter()
            .all(|(name, _, grants)| *grants == (*name == "uname"))
    );
}

#[test]
fn conditions_use_symbolic_names() {
    let tcp = r#"{"index":0,"value":2,"op":"SCMP_CMP_EQ"}"#;
    let packet = r#"{"index":0,"value":17,"op":"SCMP_CMP_EQ"}"#;
    let before = denying(&[entry(r#""socket""#, "ALLOW", tcp)]);
    let both = denying(&[
        entry(r#""socket""#, "ALLOW", tcp),
        entry(r#""socket""#, "ALLOW", packet),
    ]);
    let diff = profiles(&before, &both);
    assert_eq!(calls(&diff), [("socket", ChangeKind::Arguments, true)]);
    assert_eq!(
        diff.changes[0].after,
        ["SCMP_ACT_ALLOW when argument 0 = 0x11 (AF_PACKET)"]
    );
    assert!(diff.changes[0].before.is_empty());
    assert_eq!(
        calls(&profiles(&both, &before)),
        [("socket", ChangeKind::Arguments, false)]
    );
    // Open to all is more than open to some.
    let open = denying(&[entry(r#""socket""#, "ALLOW", "")]);
    assert!(profiles(&before, &open).changes[0].grants);
    assert!(!profiles(&open, &before).changes[0].grants);
}

#[test]
fn equivalent_or_narrower_rule_grants_nothing() {
    let below = r#"{"index":0,"value":38,"op":"SCMP_CMP_LT"}"#;
    let masked = |value: u32| {
        let args = format!(
            r#"{{"index":0,"value":4294967295,"valueTwo":{value},"op":"SCMP_CMP_MASKED_EQ"}}"#
        );
        denying(&[entry(r#""socket""#, "ALLOW", &args)])
    };
    let wide = denying(&[entry(r#""socket""#, "ALLOW", below)]);
    assert!(!profiles(&wide, &masked(2)).changes[0].grants);
    assert!(profiles(&wide, &masked(38)).changes[0].grants);
    assert!(profiles(&masked(2), &wide).changes[0].grants);
    assert!(profiles(&masked(2), &masked(10)).changes[0].grants);
}

#[test]
fn removing_a_denial_is_a_grant() {
    let denies = |names: &str, args: &str| {
        filter(&format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{}]}}"#,
            entry(names, "ERRNO", args)
        ))
    };
    let diff = profiles(&denies(r#""chmod","mount""#, ""), &denies(r#""chmod""#, ""));
    assert_eq!(calls(&diff), [("mount", ChangeKind::Added, true)]);
    let some = r#"{"index":0,"value":2,"op":"SCMP_CMP_EQ"}"#;
    let diff = profiles(&denies(r#""socket""#, ""), &denies(r#""socket""#, some));
    assert_eq!(calls(&diff), [("socket", ChangeKind::Added, true)]);
}

#[test]
fn default_and_abi_changes_are_reported_once() {
    let allow = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"syscalls":[]}"#;
    let diff = profiles(&denying(&[]), &filter(allow));
    let names: Vec<_> = diff.changes.iter().map(|it| it.call.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[0], "every call of i386");
    assert!(
        names[1].starts_with("every call without a rule (3"),
        "{names:?}"
    );
    assert!(diff.changes.iter().all(|it| it.grants));
}

#[test]
fn changed_errno_is_an_action_change() {
    let eperm = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#;
    let diff = profiles(&denying(&[]), &filter(eperm));
    assert_eq!(calls(&diff), [("clone3", ChangeKind::Action, false)]);
    assert_eq!(diff.changes[0].before, ["SCMP_ACT_ERRNO(1)"]);
    assert_eq!(diff.changes[0].after, ["SCMP_ACT_ERRNO(38)"]);
}

fn web(seen: &[(u32, Phase)]) -> Recording {
    let seen: Vec<_> = seen
        .iter()
        .map(|(nr, phase)| (Abi::X86_64, *nr, *phase, path("/bin/web")))
        .collect();
    fixture::recording(&seen)
}

#[test]
fn recordings_differ_by_calls_phases_and_arguments() {
    let mut before = web(&[
        (0, Phase::Run),
        (41, Phase::Run),
        (63, Phase::Run),
        (2, Phase::Run),
    ]);
    let mut after = web(&[
        (0, Phase::Exec),
        (41, Phase::Run),
        (101, Phase::Run),
        (2, Phase::Run),
    ]);
    let socket = |values: &[u64]| {
        Some(Arguments {
            indices: vec![0, 1, 2],
            seen: vec![Combination {
                phase: Phase::Run,
                values: values.to_vec(),
                executables: [path("/bin/web")].into(),
            }],
            cut: [].into(),
        })
    };
    before.syscalls[2].arguments = socket(&[2, 1, 0]);
    after.syscalls[2].arguments = socket(&[17, 3, 0]);
    after.syscalls[1].evidence[0].blocked = Some(Blocked::Errno(1));
    let diff = recordings(&before, &after);
    assert_eq!(
        calls(&diff),
        [
            ("ptrace", ChangeKind::Added, true),
            ("socket", ChangeKind::Arguments, true),
            ("read", ChangeKind::Phases, true),
            ("open", ChangeKind::Phases, false),
            ("uname", ChangeKind::Removed, false),
        ]
    );
    let socket = &diff.changes[1];
    assert_eq!(socket.before, ["with AF_INET, SOCK_STREAM (run)"]);
    assert_eq!(socket.after, ["with AF_PACKET, SOCK_RAW (run)"]);
    assert_eq!(diff.changes[0].after, ["run, by /bin/web"]);
    assert_eq!(
        diff.changes[3].after,
        ["in phase run, stopped by a filter with EPERM"]
    );
    assert!(recordings(&before, &before).changes.is_empty());
}

#[test]
fn runtime_setup_is_not_a_difference() {
    let diff = recordings(
        &web(&[(0, Phase::Run)]),
        &web(&[(0, Phase::Run), (165, Phase::Setup)]),
    );
    assert!(diff.changes.is_empty());
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..5, Just(u64::MAX), Just(1 << 32), Just((1 << 32) | 1)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What passes after and did not before is never missed, and what is the same is no difference.
    #[test]
    fn no_new_grant_is_missed(before in profile(), after in profile(), args in [value(), value(), value()]) {
        let host = Host {
            native: Abi::X86_64,
            runtime: OciRuntime::Crun,
            libseccomp: Libseccomp::Newest,
        };
        let (Ok(before), Ok(after)) = (Filter::new(&before, host), Filter::new(&after, host)) else {
            return Ok(());
        };
        let prctl = SyscallId { abi: Abi::X86_64, nr: 157 };
        // Of the first argument the kernel reads the lower half.
        let args = [args[0] & 0xffff_ffff, args[1], args[2], 0, 0, 0];
        let verdict = |filter: &Filter| filter.evaluate(prctl, args).verdict;
        let diff = profiles(&before, &after);
        let change = diff.changes.iter().find(|it| it.call == "prctl");
        if verdict(&before) != verdict(&after) {
            prop_assert!(change.is_some());
        }
        if verdict(&after).allows() && !verdict(&before).allows() {
            prop_assert!(change.is_some_and(|it| it.grants), "{:?}", diff);
        }
        prop_assert!(profiles(&after, &after).changes.is_empty());
    }
}

fn of_apparmor(before: &str, after: &str) -> Diff {
    let read = |text: &str| {
        let input = crate::parse::Input::new("f", text.into()).unwrap();
        let subject = crate::parse::choose(&input, None).unwrap();
        subject.apparmor().unwrap().clone()
    };
    apparmor(&read(before), &read(after))
}

fn told(diff: &Diff) -> Vec<String> {
    diff.changes
        .iter()
        .map(|it| {
            let more = if it.grants { " (more)" } else { "" };
            format!(
                "{} {}: {} -> {}{more}",
                it.kind.as_str(),
                it.call,
                it.before.join(", "),
                it.after.join(", ")
            )
        })
        .collect()
}

#[test]
fn apparmor_comparison_ignores_order_and_spelling() {
    let same = of_apparmor(
        "profile a {\n  capability chown kill,\n  /etc/a rw,\n  rk /etc/b,\n  network inet,\n}\n",
        "profile a {\n  network inet,\n  allow /etc/b kr,\n  /etc/a w,\n  /etc/a r,\n  capability kill,\n  capability chown,\n}\n",
    );
    assert_eq!(told(&same), Vec::<String>::new());
}

#[test]
fn apparmor_changes_are_sorted_by_risk() {
    let diff = of_apparmor(
        "profile a {\n  /etc/** r,\n  /usr/bin/a ix,\n  /data/x r,\n  deny /root/** w,\n  network inet,\n}\n",
        "profile a flags=(complain) {\n  /etc/** r,\n  /etc/passwd r,\n  /usr/bin/a Ux,\n  /data/x rw,\n  capability sys_admin,\n  ^hat {\n    /x r,\n  }\n}\n",
    );
    assert_eq!(
        told(&diff),
        [
            "arguments /usr/bin/a: ix -> Ux (more)",
            "added capability sys_admin:  ->  (more)",
            "action the profile:  -> flags=(complain) (more)",
            "arguments /data/x: r -> rw (more)",
            "removed deny /root/**: w ->  (more)",
            "added ^hat: /x:  -> r (more)",
            "added /etc/passwd:  -> r",
            "removed network inet:  -> ",
            "added ^hat: the profile:  -> ",
        ]
    );
}

#[test]
fn apparmor_object_equals_its_text() {
    let object = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: AppArmorProfile\nmetadata: {name: a}\nspec: {abstract: {filesystem: {readOnlyPaths: [/etc/a]}, capability: {allowedCapabilities: [chown]}}}\n";
    let diff = of_apparmor(object, "profile b {\n  /etc/a r,\n  capability chown,\n}\n");
    assert_eq!(told(&diff), Vec::<String>::new());
    assert!(diff.notes[0].contains("denials of its own"));
    assert_eq!(diff.notes[1], "the profile a is called b now");
}

#[test]
fn headroom_is_told_apart_and_comes_last() {
    let before = denying(&[entry(r#""read","write""#, "ALLOW", "")]);
    let nonblocking =
        r#"{"index":1,"value":4294967295,"valueTwo":21537,"op":"SCMP_CMP_MASKED_EQ"}"#;
    let after = denying(&[
        entry(
            r#""read","write","fsync","getuid","chdir","fcntl""#,
            "ALLOW",
            "",
        ),
        entry(r#""ioctl""#, "ALLOW", nonblocking),
    ]);
    let diff = profiles(&before, &after);
    let groups: Vec<_> = diff
        .changes
        .iter()
        .map(|it| (it.call.as_str(), it.headroom))
        .collect();
    assert_eq!(
        groups,
        [
            ("chdir", None),
            // Allowed for any arguments, so for more than headroom.
            ("fcntl", None),
            ("fsync", Some("write out")),
            ("getuid", Some("cannot fail")),
            ("ioctl", Some("own descriptors")),
        ]
    );
}
