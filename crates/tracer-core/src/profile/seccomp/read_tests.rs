//! The forms by examples.

use super::*;

fn target(native: Abi, capabilities: &[&str], kernel_version: &str) -> Target {
    Target {
        native,
        capabilities: capabilities.iter().map(|&name| name.to_owned()).collect(),
        kernel_version: kernel_version.parse().unwrap(),
    }
}

fn usual() -> Target {
    target(Abi::X86_64, &[], "6.1")
}

fn resolve(json: &str, target: &Target) -> Result<OciSeccomp, ResolveError> {
    Document::from_json(json).unwrap().resolve(target)
}

/// The names of the entries that count.
fn names(json: &str, target: &Target) -> Vec<String> {
    let oci = resolve(json, target).unwrap();
    oci.syscalls
        .into_iter()
        .flat_map(|entry| entry.names)
        .collect()
}

#[test]
fn plain_oci_profile_is_unchanged() {
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#;
    let plain = OciSeccomp::from_json(json).unwrap();
    assert_eq!(resolve(json, &usual()).unwrap(), plain);
}

#[test]
fn arch_map_depends_on_the_machine() {
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}]}"#;
    for (native, expected) in [
        (Abi::X86_64, vec!["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
        (Abi::Riscv64, vec!["SCMP_ARCH_RISCV64"]),
        // Then the filter is for the machine's own ABI alone.
        (Abi::Aarch64, vec![]),
    ] {
        let oci = resolve(json, &target(native, &[], "6.1")).unwrap();
        assert_eq!(oci.architectures, expected, "{native}");
    }
}

#[test]
fn includes_and_excludes_select_entries() {
    let json = |filters: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
                {{"names": ["bpf"], "action": "SCMP_ACT_ALLOW", {filters}}}]}}"#
        )
    };
    let admin = target(Abi::X86_64, &["CAP_SYS_ADMIN"], "6.1");
    let arm = target(Abi::Aarch64, &[], "4.19");
    for (filters, usual_, admin_, arm_) in [
        (
            r#""includes": {"caps": ["CAP_SYS_ADMIN"]}"#,
            false,
            true,
            false,
        ),
        (
            r#""excludes": {"caps": ["CAP_SYS_ADMIN"]}"#,
            true,
            false,
            true,
        ),
        (
            r#""includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}"#,
            false,
            false,
            false,
        ),
        (
            r#""includes": {"arches": ["amd64", "x32"]}"#,
            true,
            true,
            false,
        ),
        (r#""excludes": {"arches": ["arm64"]}"#, true, true, false),
        (r#""includes": {"minKernel": "4.20"}"#, true, true, false),
        (r#""excludes": {"minKernel": "4.19"}"#, false, false, false),
        (
            r#""includes": {"minKernel": "4.8"}, "excludes": {"arches": ["amd64"]}"#,
            false,
            false,
            true,
        ),
        (
            r#""includes": {}, "excludes": null, "comment": """#,
            true,
            true,
            true,
        ),
    ] {
        let counts = |target| !names(&json(filters), target).is_empty();
        assert_eq!(
            (counts(&usual()), counts(&admin), counts(&arm)),
            (usual_, admin_, arm_),
            "{filters}"
        );
    }
}

#[test]
fn entry_may_have_a_single_name() {
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"name": "read", "action": "SCMP_ACT_ALLOW", "args": null},
        {"name": "", "names": ["write"], "action": "SCMP_ACT_ALLOW"},
        {"name": "close", "names": [], "action": "SCMP_ACT_ALLOW"}]}"#;
    assert_eq!(names(json, &usual()), ["read", "write", "close"]);
}

#[test]
fn errno_may_be_given_by_name() {
    let json = |more: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS", "defaultErrnoRet": 38,
                "syscalls": [{{"names": ["bpf"], "action": "SCMP_ACT_ERRNO", {more}}}]}}"#
        )
    };
    for (more, expected) in [
        (r#""errno": "EPERM""#, Some(1)),
        (r#""errno": "EINVAL", "errnoRet": 22"#, Some(22)),
        (r#""errno": "97""#, Some(97)),
        (r#""errno": """#, None),
    ] {
        let oci = resolve(&json(more), &usual()).unwrap();
        assert_eq!(oci.default_errno_ret, Some(38));
        assert_eq!(oci.syscalls[0].errno_ret, expected, "{more}");
    }
    for more in [r#""errno": "EWHAT""#, r#""errno": "EINVAL", "errnoRet": 1"#] {
        let error = resolve(&json(more), &usual()).unwrap_err();
        assert!(
            error.to_string().starts_with("syscalls[0].errno: "),
            "{error}"
        );
    }
}

#[test]
fn contradictory_fields_are_rejected() {
    let json = |more: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", {more}}}"#);
    for (more, expected) in [
        (
            r#""architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]"#,
            ResolveError::Architectures,
        ),
        (
            r#""syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]"#,
            ResolveError::NameAndNames { entry: 0 },
        ),
        (
            r#""syscalls": [{"action": "SCMP_ACT_ALLOW"}]"#,
            ResolveError::NoName { entry: 0 },
        ),
    ] {
        assert_eq!(resolve(&json(more), &usual()).unwrap_err(), expected);
    }
}

#[test]
fn invalid_fields_are_rejected_with_their_position() {
    for json in [
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n \"sysCalls\": []}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n \"flags\": [], \"flags\": []}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n \"syscalls\": [{\"names\": [], \"action\": \"ALLOW\"}]}",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n \"syscalls\": [{\"names\": [], \"action\": \
         \"SCMP_ACT_ALLOW\", \"includes\": {\"minKernel\": \"four\"}}]}",
    ] {
        let error = Document::from_json(json).unwrap_err();
        assert!(error.line() == 2 && error.column() > 1, "{error}");
    }
}

#[test]
fn kernel_versions_compare_by_two_numbers() {
    let kernel_version = |text: &str| text.parse::<KernelVersion>();
    assert!(kernel_version("6.1.0-18-amd64").unwrap() > kernel_version("5.15").unwrap());
    assert!(kernel_version("4.8").unwrap() < kernel_version("4.18-rc1").unwrap());
    assert_eq!(
        kernel_version("6.1").unwrap(),
        kernel_version("6.1.99").unwrap()
    );
    for text in ["", "6", "6.", ".1", "six.one", "99999999999.1"] {
        assert!(kernel_version(text).is_err(), "{text}");
    }
}
