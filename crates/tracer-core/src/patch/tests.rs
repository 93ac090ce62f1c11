//! Manifests as people write them.

use proptest::prelude::*;

use super::*;
use crate::{
    profile::{
        apparmor::{AppArmorProfile, fixture},
        capabilities::Capabilities,
        hardening::{Hardening, RecordedContainer, Setting, tests::in_container},
        kubernetes::{Localhost, ObjectName},
        seccomp::ExecPolicy,
    },
    recording::{CapabilityUse, FileAccess, Phase, Security},
};
use syscalls::capability::Capability;

fn hardening() -> Hardening {
    let setting = || Setting {
        holds: false,
        reason: "nothing is known".to_owned(),
    };
    Hardening {
        no_new_privileges: setting(),
        non_root: setting(),
        read_only_root: setting(),
        complete: true,
        children: false,
        recorded: RecordedContainer::default(),
    }
}

fn put(text: &str, old_cluster: bool, chosen: Option<&str>) -> Result<Applied, Error> {
    put_hardened(text, old_cluster, chosen, &hardening())
}

fn put_hardened(
    text: &str,
    old_cluster: bool,
    chosen: Option<&str>,
    hardening: &Hardening,
) -> Result<Applied, Error> {
    let context = Context {
        workload: "web",
        seccomp: Localhost::Operator.seccomp(&ObjectName::new("web").unwrap()),
        apparmor: Some("web".to_owned()),
        seccomp_only: false,
        old_cluster,
        capabilities: None,
        hardening,
    };
    let input = Input::new("f.yaml", text.as_bytes().to_vec()).unwrap();
    let applied = apply(&input, &context, &Placement::default(), chosen)?;
    let again = Input::new("f.yaml", applied.text.clone().into_bytes()).unwrap();
    let again = apply(&again, &context, &Placement::default(), chosen)?;
    assert_eq!(again.text, applied.text, "a second time changes nothing");
    Ok(applied)
}

fn text(text: &str) -> String {
    put(text, false, None).unwrap().text
}

const DEPLOYMENT: &str = "# The shop.
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart}  # flow
spec:
  template:
    metadata:
      labels:
        app: cart
    spec:
      containers:
      - name: web   # the server
        image: \"cart:1\"  # pinned
        # how it is reached
        ports:
        - containerPort: 80

      # nothing after
";

#[test]
fn deployment_keeps_its_comments() {
    let expected = DEPLOYMENT.replace(
        "        image: \"cart:1\"  # pinned\n",
        "        image: \"cart:1\"  # pinned
        securityContext:
          seccompProfile:
            type: Localhost
            localhostProfile: operator/web.json
          appArmorProfile:
            type: Localhost
            localhostProfile: web
",
    );
    assert_eq!(text(DEPLOYMENT), expected);
}

#[test]
fn existing_security_context_is_completed() {
    for (before, after) in [
        (
            "securityContext:\n      runAsUser: 5 # five\n      seccompProfile: {type: Unconfined}",
            "securityContext:\n      runAsUser: 5 # five\n      appArmorProfile:\n        type: Localhost\n        localhostProfile: web\n      seccompProfile: {localhostProfile: operator/web.json, type: Localhost}",
        ),
        (
            "securityContext:\n      seccompProfile:\n        type: RuntimeDefault # why\n      capabilities:\n        drop: [ALL]",
            "securityContext:\n      appArmorProfile:\n        type: Localhost\n        localhostProfile: web\n      seccompProfile:\n        type: Localhost # why\n        localhostProfile: operator/web.json\n      capabilities:\n        drop: [ALL]",
        ),
        (
            "securityContext: # none yet",
            "securityContext: # none yet\n      seccompProfile:\n        type: Localhost\n        localhostProfile: operator/web.json\n      appArmorProfile:\n        type: Localhost\n        localhostProfile: web",
        ),
        (
            "securityContext: {}",
            "securityContext: {\"seccompProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"operator/web.json\"}, \"appArmorProfile\": {\"type\": \"Localhost\", \"localhostProfile\": \"web\"}}",
        ),
    ] {
        let head = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: web\n    ";
        let whole = format!("{head}{before}\n    image: x\n");
        let applied = text(&whole);
        assert_eq!(
            applied,
            format!("{head}{after}\n    image: x\n"),
            "{before}"
        );
    }
}

#[test]
fn patches_every_workload_kind() {
    let pod = |indent: usize| {
        let pad = " ".repeat(indent);
        format!("{pad}spec:\n{pad}  containers:\n{pad}  - image: a\n{pad}    name: web\n")
    };
    for (head, indent) in [
        ("apiVersion: v1\nkind: Pod\n", 0),
        (
            "apiVersion: apps/v1\nkind: StatefulSet\nspec:\n  template:\n",
            4,
        ),
        (
            "apiVersion: apps/v1\nkind: DaemonSet\nspec:\n  template:\n",
            4,
        ),
        ("apiVersion: batch/v1\nkind: Job\nspec:\n  template:\n", 4),
        (
            "apiVersion: batch/v1\nkind: CronJob\nspec:\n  jobTemplate:\n    spec:\n      template:\n",
            8,
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n",
            2,
        ),
    ] {
        let applied = text(&format!("{head}{}", pod(indent)));
        assert!(
            applied.contains("localhostProfile: operator/web.json"),
            "{head}"
        );
        assert!(applied.starts_with(head));
    }
}

#[test]
fn json_and_crlf_are_preserved() {
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n \"spec\": {\"containers\": [{\"name\": \"web\"}]}}\n";
    let applied = text(json);
    assert!(serde_json::from_str::<Value>(&applied).is_ok(), "{applied}");
    let applied = text(&DEPLOYMENT.replace('\n', "\r\n"));
    assert!(!applied.replace("\r\n", "").contains('\n'));
}

#[test]
fn old_clusters_get_an_annotation() {
    let applied = put(DEPLOYMENT, true, None).unwrap().text;
    assert!(!applied.contains("appArmorProfile"));
    assert!(
        applied.contains(
            "      annotations:\n        container.apparmor.security.beta.kubernetes.io/web: localhost/web\n"
        ),
        "{applied}"
    );
}

const TWO: &str = "apiVersion: v1
kind: Pod
metadata:
  name: a
spec:
  initContainers:
  - name: prepare
    image: i
  containers:
  - name: web
    image: w
  - name: side
    image: s
---
apiVersion: v1
kind: Service
metadata:
  name: b
---
";

#[test]
fn ambiguous_container_is_an_error() {
    let error = put(TWO, false, None).unwrap_err().to_string();
    for part in [
        "choose one",
        "Pod/a, container web",
        "Pod/a, container side",
        "Pod/a, container prepare",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let applied = put(TWO, false, Some("side")).unwrap();
    assert_eq!(applied.containers, ["Pod/a, container side"]);
    let (before, after) = applied.text.split_once("image: s\n").unwrap();
    assert!(!before.contains("securityContext") && after.contains("securityContext"));
    let error = put(TWO, false, Some("x")).unwrap_err().to_string();
    assert!(error.contains("no container x"), "{error}");
    let twice = format!("{TWO}{}", TWO.replace("name: a", "name: c"));
    let error = put(&twice, false, Some("web")).unwrap_err().to_string();
    assert!(error.contains("several objects"), "{error}");
    let error = put("apiVersion: v1\nkind: Service\n", false, None).unwrap_err();
    assert!(error.to_string().contains("no pod"), "{error}");
}

#[test]
fn warns_of_contradicting_settings() {
    let manifest = "apiVersion: v1
kind: Pod
metadata:
  name: a
  annotations:
    seccomp.security.alpha.kubernetes.io/pod: runtime/default
    container.apparmor.security.beta.kubernetes.io/web: unconfined
spec:
  hostPID: true
  securityContext:
    seccompProfile:
      type: Unconfined
  containers:
  - name: web
    securityContext:
      privileged: true
      allowPrivilegeEscalation: true
";
    let warnings = put(manifest, false, None).unwrap().warnings.join("\n");
    for part in [
        "web is privileged",
        "hostPID",
        "the pod is Unconfined (seccomp)",
        "not read any more",
        "API servers refuse that",
        "may gain privileges",
    ] {
        assert!(warnings.contains(part), "{part}:\n{warnings}");
    }
}

#[test]
fn warns_of_no_new_privs_with_child_profiles() {
    let manifest = "apiVersion: v1
kind: Pod
spec:
  containers:
  - name: web
    securityContext:
      allowPrivilegeEscalation: false
";
    let children = hardening().with_children();
    assert!(!children.no_new_privileges.holds);
    for (hardening, count) in [(hardening(), 0), (children, 1)] {
        let warnings = put_hardened(manifest, false, None, &hardening)
            .unwrap()
            .warnings;
        let of_it = warnings.iter().filter(|it| it.contains("--children"));
        assert_eq!(of_it.count(), count, "{warnings:?}");
    }
}

/// What is said of a pod, under a recording that used CAP_CHOWN and CAP_SYS_TIME, changed files in
/// /var/lib/x/ and ran registry.example/cart:1.2.
fn contradictions(spec: &str, container: &str, user_namespace: bool) -> Vec<String> {
    recorded(&["CHOWN", "SYS_TIME"], spec, container, user_namespace).warnings
}

/// What comes of a manifest under a recording that used these capabilities.
fn recorded(used: &[&str], spec: &str, container: &str, user_namespace: bool) -> Applied {
    let mut recording = fixture::empty();
    let number = |name: &str| name.parse::<Capability>().unwrap();
    recording.capabilities = used
        .iter()
        .map(|name| CapabilityUse {
            capability: number(name),
            audited: Some(true),
            own_namespace: false,
            by_exec: false,
        })
        .map(|it| fixture::seen(it, Phase::Run, "/bin/x"))
        .collect();
    let file = fixture::file(b"/var/lib/x/db", FileAccess::Write);
    recording.files = vec![fixture::seen(file, Phase::Run, "/bin/x")];
    let security = Security {
        user_namespace,
        ..Security::default()
    };
    let recording = in_container(recording, security);
    let all = std::slice::from_ref(&recording);
    let profile = AppArmorProfile::from_recordings(all, &Default::default()).unwrap();
    let capabilities = Capabilities::needed_by(&profile).unwrap();
    let hardening =
        Hardening::from_recording(&recording, ExecPolicy::default(), Some(&capabilities));
    let context = Context {
        workload: "web",
        seccomp: Localhost::Operator.seccomp(&ObjectName::new("web").unwrap()),
        apparmor: None,
        seccomp_only: false,
        old_cluster: false,
        capabilities: Some(&capabilities),
        hardening: &hardening,
    };
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n{spec}  containers:\n  - name: web\n{container}"
    );
    let input = Input::new("f.yaml", manifest.into_bytes()).unwrap();
    let applied = apply(&input, &context, &Placement::default(), None);
    applied.unwrap()
}

#[test]
fn users_of_its_own_are_recommended_where_they_work() {
    for (used, spec, user_namespace, expected) in [
        (&["CHOWN", "SETUID"][..], "", false, true),
        (&["CHOWN", "SYS_TIME"], "", false, false),
        (&["SYS_ADMIN"], "", false, false),
        (&["CHOWN"], "  hostNetwork: true\n", false, false),
        (&["CHOWN"], "  hostUsers: true\n", false, false),
        (&["CHOWN"], "", true, false),
    ] {
        let advice = recorded(used, spec, "    image: x\n", user_namespace).advice;
        let is_recommended = advice.iter().any(|it| it.contains("hostUsers: false"));
        assert_eq!(is_recommended, expected, "{used:?} {spec} {advice:?}");
    }
}

#[test]
fn warns_of_what_contradicts_the_recording() {
    let same = "    image: registry.example/cart:1.2\n";
    let none: &[&str] = &[];
    let read_only = "    securityContext: {readOnlyRootFilesystem: true}\n";
    let with_volume = format!("{read_only}    volumeMounts: [{{name: v, mountPath: /var/lib}}]\n");
    let capabilities =
        |lists: &str| format!("    securityContext: {{capabilities: {{{lists}}}}}\n");
    for (spec, container, user_namespace, expected) in [
        ("", same, false, none),
        (
            "",
            "    image: cart:1.2\n",
            false,
            &["has the image \"cart:1.2\""],
        ),
        (
            "",
            "    image: registry.example/cart:2\n",
            false,
            &["was recorded"],
        ),
        ("  os: {name: windows}\n", same, false, &["for Windows"]),
        ("  os: {name: linux}\n", same, false, none),
        ("", read_only, false, &["changed files in /var/lib/x/"]),
        ("", &with_volume, false, none),
        (
            "",
            &capabilities("drop: [ALL], add: [CHOWN]"),
            false,
            &["drops CAP_SYS_TIME,"],
        ),
        (
            "",
            &capabilities("drop: [CAP_CHOWN], add: [CHOWN]"),
            false,
            &["drops CAP_CHOWN,"],
        ),
        (
            "",
            &capabilities("drop: [ALL], add: [CHOWN, SYS_TIME]"),
            false,
            none,
        ),
        ("  hostUsers: false\n", same, false, &["used CAP_SYS_TIME "]),
        ("  hostUsers: false\n", same, true, none),
        ("", same, true, &["recorded in a user namespace"]),
    ] {
        let warnings = contradictions(spec, container, user_namespace);
        assert_eq!(
            warnings.len(),
            expected.len(),
            "{spec}{container}{warnings:?}"
        );
        for (warning, part) in warnings.iter().zip(expected) {
            assert!(warning.contains(part), "{part}: {warning}");
        }
    }
}

#[test]
fn rejects_unsupported_manifests() {
    for manifest in [
        // A change of one would be a change of both.
        "apiVersion: v1\nkind: Pod\nspec:\n  initContainers:\n  - &c {name: web, image: i}\n  containers:\n  - *c\n",
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: web\n    securityContext: [1]\n",
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: {{ .Values.name }}\n",
    ] {
        assert!(put(manifest, false, None).is_err(), "{manifest}");
    }
}

#[test]
fn merge_keys_are_kept_or_refused() {
    let of = |first: &str, second: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - &one\n    name: one\n{first}  - <<: *one\n    name: two\n{second}"
        )
    };
    let settings = "    securityContext:\n      runAsNonRoot: true\n";
    // The settings of two are those of one: a change of either would lose them, or change both.
    for chosen in ["one", "two"] {
        let error = put(&of(settings, ""), false, Some(chosen)).unwrap_err();
        assert!(error.to_string().contains("a merge key"), "{error}");
    }
    // Without any, or with its own, two is changed alone.
    for manifest in [
        of("", ""),
        of(settings, "    securityContext: {runAsUser: 7}\n"),
    ] {
        let text = text_of_two(&manifest);
        let first = text.split("<<").next().unwrap();
        assert!(manifest.starts_with(first), "{text}");
        assert!(text.contains("<<: *one\n"), "{text}");
    }
}

fn text_of_two(manifest: &str) -> String {
    put(manifest, false, Some("two")).unwrap().text
}

proptest! {
    #[test]
    fn hostile_names_cannot_inject(name in "[ -~\u{202e}\n\u{1b}]{1,20}") {
        let quoted = scalar(&name);
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {quoted}\nspec:\n  containers:\n  - name: {quoted}\n    image: {quoted}\n"
        );
        for old in [false, true] {
            let applied = put(&manifest, old, None).unwrap();
            prop_assert!(applied.containers[0].chars().all(|c| c.is_ascii_graphic() || c == ' '));
        }
    }
}
