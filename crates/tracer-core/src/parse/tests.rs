//! Files of every form.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::profile::seccomp::{
    oci::{Action, Condition, Entry, OciSeccomp, Operator},
    read::{KernelVersion, Target},
};
use syscalls::Abi;

fn input(text: &str) -> Input {
    Input::new("f", text.into()).unwrap()
}

fn chosen(text: &str, name: Option<&str>) -> Result<Seccomp, String> {
    choose_seccomp(&input(text), name).map_err(|error| error.to_string())
}

fn target() -> Target {
    Target {
        native: Abi::X86_64,
        capabilities: [].into(),
        kernel_version: KernelVersion::new(6, 1),
    }
}

/// The plain profile of the only one in a file.
fn oci(text: &str) -> Result<OciSeccomp, String> {
    let read = chosen(text, None)?;
    read.document()
        .resolve(&target())
        .map_err(|it| it.to_string())
}

fn of_operator(version: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["state"] = json!("Enabled");
    json!({
        "apiVersion": format!("security-profiles-operator.x-k8s.io/{version}"),
        "kind": "SeccompProfile",
        "metadata": {"name": "web"},
        "spec": spec,
        "status": {"localhostProfile": "operator/web.json"},
    })
}

fn of_kubescape(version: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": version,
        "kind": "SeccompProfile",
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "nginx", "path": "web/nginx.json", "spec": spec}]},
    })
}

/// Whatever can be said in all forms: values up to `i64::MAX`, and no `defaultErrnoRet`.
fn profiles() -> impl Strategy<Value = OciSeccomp> {
    let action = || {
        select(vec![
            Action::Allow,
            Action::Errno,
            Action::KillProcess,
            Action::Log,
            Action::Trap,
        ])
    };
    let condition = (
        0..6_u32,
        0..=u64::try_from(i64::MAX).unwrap(),
        0..1000_u64,
        select(vec![Operator::Eq, Operator::MaskedEq, Operator::Ge]),
    )
        .prop_map(|(index, value, value_two, op)| Condition {
            index,
            value,
            value_two,
            op,
        });
    let entry = (
        vec(
            select(vec![
                "read", "openat", "chmodat", "yes", "on", "0x1", "~", "é\n:",
            ]),
            1..4,
        ),
        action(),
        option::of(0..4096_u32),
        vec(condition, 0..3),
    )
        .prop_map(|(names, action, errno_ret, args)| Entry {
            names: names.into_iter().map(str::to_owned).collect(),
            action,
            errno_ret,
            args,
        });
    let architectures = vec(select(vec!["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]), 0..3);
    let flags = vec(select(vec!["SECCOMP_FILTER_FLAG_LOG"]), 0..2);
    (action(), architectures, flags, vec(entry, 0..5)).prop_map(
        |(default_action, architectures, flags, syscalls)| OciSeccomp {
            default_action,
            default_errno_ret: None,
            architectures: architectures.into_iter().map(str::to_owned).collect(),
            flags: flags.into_iter().map(str::to_owned).collect(),
            listener_path: None,
            listener_metadata: None,
            syscalls,
        },
    )
}

proptest! {
    /// An object says what its spec says as a profile of its own, as JSON and as YAML, in every version.
    #[test]
    fn objects_equal_the_plain_format(profile in profiles()) {
        let spec = serde_json::to_value(&profile).unwrap();
        prop_assert_eq!(oci(&spec.to_string()), Ok(profile.clone()));
        let objects = ["v1", "v1beta1", "v1alpha1"]
            .map(|version| of_operator(version, &spec))
            .into_iter()
            .chain([of_kubescape("kubescape.io/v1", &spec), of_kubescape("spdx.softwarecomposition.kubescape.io/v1beta1", &spec), json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "data": {"web.json": spec.to_string()},
            })]);
        for object in objects {
            prop_assert_eq!(oci(&object.to_string()), Ok(profile.clone()));
            // A list of them, and JSON where YAML is expected: its flow style.
            let list = json!({"apiVersion": "v1", "kind": "List", "items": [object]});
            prop_assert_eq!(oci(&format!("---\n{list}\n")), Ok(profile.clone()));
        }
    }
}

#[test]
fn errors_name_the_format() {
    for (text, expected) in [
        ("{\"a\": }", "f:1:7: expected value (read as JSON)"),
        ("a: [1\n", "(read as YAML)"),
        (
            "{\n\"defaultAction\": \"SCMP_ACT_ALOW\"}",
            "f:2:18: unknown variant `SCMP_ACT_ALOW`",
        ),
        (
            "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"archMap\": 7}",
            "(read as a seccomp profile in Docker's form)",
        ),
        (
            "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nspec:\n  defaultAction: SCMP_ACT_ALLOW\n  syscall: []\n",
            "(read as a SeccompProfile of the Security Profiles Operator)",
        ),
        (
            "apiVersion: kubescape.io/v1\nkind: SeccompProfile\nspec:\n  containers:\n  - name: a\n    spec: {defaultAction: 1}\n",
            "(read as a SeccompProfile of Kubescape)",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\ndata:\n  a.json: |\n    {\"defaultAction\": \"SCMP_ACT_ALLOW\",}\n",
            "f:5:40: a.json: ",
        ),
        (
            "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\n",
            "f:1:1: the SeccompProfile has no spec",
        ),
        (
            "what: 1\n",
            "f:1:1: this is not a seccomp profile: seccomp has defaultAction",
        ),
        (
            "profile a {\n}\n",
            "this is an AppArmor profile and not a seccomp profile",
        ),
    ] {
        let error = chosen(text, None).unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

const SEVERAL: &str = "\
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: SeccompProfile
metadata: {name: web}
spec: {defaultAction: SCMP_ACT_ERRNO}
---
apiVersion: security-profiles-operator.x-k8s.io/v1beta1
kind: SeccompProfile
metadata: {name: job}
spec:
  defaultAction: SCMP_ACT_LOG
---
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: AppArmorProfile
metadata: {name: web}
spec: {abstract: {}}
";

#[test]
fn profile_is_chosen_by_name_or_number() {
    let error = chosen(SEVERAL, None).unwrap_err();
    assert_eq!(
        error,
        "f:1:1: there are 2 profiles; choose one by FILE#NAME: \"web\" (line 1, a SeccompProfile of the Security Profiles Operator), \"job\" (line 6, a SeccompProfile of the Security Profiles Operator)"
    );
    for name in ["job", "2"] {
        let read = chosen(SEVERAL, Some(name)).unwrap();
        let profile = read.document().resolve(&target()).unwrap();
        assert_eq!(profile.default_action, Action::Log);
    }
    for name in ["0", "3", "cron"] {
        let error = chosen(SEVERAL, Some(name)).unwrap_err();
        assert!(
            error.contains(&format!("no profile is called {name:?}; there are \"web\"")),
            "{error}"
        );
    }
    // For any kind, a name may be there twice.
    let any = |name| choose(&input(SEVERAL), Some(name)).map_err(|error| error.to_string());
    assert!(
        any("web")
            .unwrap_err()
            .contains("2 profiles are called \"web\"")
    );
    assert!(any("3").unwrap().apparmor().is_some());
}

#[test]
fn manifest_without_a_profile_names_the_one_needed() {
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  securityContext:\n    seccompProfile: {type: Localhost, localhostProfile: web.json}\n  containers: [{name: web}]\n";
    let error = chosen(pod, None).unwrap_err();
    assert!(
        error.contains("names profiles and holds none; give \"web.json\""),
        "{error}"
    );
    // With the profile in it, that one is meant.
    let with = format!(
        "{pod}---\napiVersion: v1\nkind: ConfigMap\ndata:\n  web.json: '{{\"defaultAction\": \"SCMP_ACT_LOG\"}}'\n"
    );
    assert_eq!(oci(&with).unwrap().default_action, Action::Log);
    let annotated = "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    profile: '{\"defaultAction\": \"SCMP_ACT_TRAP\"}'\nspec:\n  containers: [{name: web}]\n";
    assert_eq!(oci(annotated).unwrap().default_action, Action::Trap);
}

#[test]
fn local_base_is_added_and_a_missing_one_refused() {
    let of = |name: &str, base: &str, call: &str| {
        format!(
            "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {{name: {name}}}\nspec:\n  defaultAction: SCMP_ACT_ERRNO\n  baseProfileName: {base}\n  syscalls:\n  - {{names: [{call}], action: SCMP_ACT_ALLOW}}\n"
        )
    };
    let base = "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {name: runc}\nspec: {defaultAction: SCMP_ACT_ALLOW, syscalls: [{names: [futex], action: SCMP_ACT_ALLOW}]}\n";
    let both = format!("{}---\n{base}", of("web", "runc", "read"));
    let read = chosen(&both, Some("web")).unwrap();
    let profile = read.document().resolve(&target()).unwrap();
    let names: Vec<_> = profile
        .syscalls
        .iter()
        .map(|it| it.names.join(" "))
        .collect();
    assert_eq!(names, ["futex", "read"]);
    assert_eq!(profile.default_action, Action::Errno);
    let error = chosen(&of("web", "runc", "read"), None).unwrap_err();
    assert!(
        error.starts_with("f:6:20: the operator adds this profile to \"runc\""),
        "{error}"
    );
    let circle = format!("{}---\n{}", of("a", "b", "read"), of("b", "a", "write"));
    let error = chosen(&circle, Some("a")).unwrap_err();
    assert!(error.contains("is circular"), "{error}");
}

fn rules(text: &str) -> Result<Vec<String>, String> {
    let read = choose(&input(text), None).map_err(|error| error.to_string())?;
    let read = read.apparmor().ok_or("no AppArmor profile")?;
    Ok(read
        .statements
        .iter()
        .map(|it| it.words.join(" "))
        .collect())
}

#[test]
fn operator_apparmor_profiles_become_rules() {
    let text = "\
apiVersion: security-profiles-operator.x-k8s.io/v1
kind: AppArmorProfile
metadata: {name: web}
spec:
  mode: Complain
  abstract:
    executable:
      allowedExecutables: [/usr/bin/web]
      allowedLibraries: [/usr/lib/*.so]
    filesystem:
      readOnlyPaths: [/etc/**]
      writeOnlyPaths: [/var/log/web]
      readWritePaths: ['/srv/a b']
    network: {allowRaw: false, allowedProtocols: {allowTcp: true, allowUdp: false}}
    capability: {allowedCapabilities: [net_bind_service]}
";
    assert_eq!(
        rules(text).unwrap(),
        [
            "profile web flags=(complain)",
            "/usr/bin/web ixr",
            "/usr/lib/*.so mr",
            "/etc/** r",
            "/var/log/web wlk",
            "/srv/a b rwlk",
            "deny network raw",
            "network tcp",
            "capability net_bind_service",
        ]
    );
    let wrong = text.replace("readOnlyPaths", "readPaths");
    let error = rules(&wrong).unwrap_err();
    assert!(
        error.starts_with("f:11:7: unknown field \"readPaths\""),
        "{error}"
    );
    // The text of a loader's ConfigMap.
    let map = "apiVersion: v1\nkind: ConfigMap\ndata:\n  web: |\n    #include <tunables/global>\n    profile web {\n      file,\n    }\n";
    assert_eq!(rules(map).unwrap().last().unwrap(), "file");
}
