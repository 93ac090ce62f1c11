//! Files as people have them: extra keys, comments, other programs' forms.

use super::{super::*, audit, of, report};

#[test]
fn extra_keys_are_reported_and_the_profile_is_read() {
    let findings = audit(
        "{\n\"note\": 1,\n\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [\n{\"why\": {\"a\": []}, \"names\": [\"nosuch\"], \"action\": \"SCMP_ACT_ERRNO\",\n\"argss\": null}]}",
    );
    assert_eq!(
        of(&findings, "unread-key"),
        [
            (
                5,
                "no runtime reads the key \"argss\"; \"args\" was probably meant"
            ),
            (2, "no runtime reads the key \"note\""),
            (4, "no runtime reads the key \"why\""),
        ]
    );
    let severities: Vec<_> = findings
        .iter()
        .filter(|it| it.id == "unread-key")
        .map(|it| it.severity)
        .collect();
    assert_eq!(severities, [Severity::High, Severity::Low, Severity::Low]);
    // The rest is in force.
    assert_eq!(of(&findings, "unknown-name").len(), 1);
    // Go reads a key in any letter case; others do not.
    let refused = report(
        "p.json",
        "{\"DefaultAction\": \"SCMP_ACT_ALLOW\", \"defaultAction\": \"SCMP_ACT_LOG\"}",
    );
    assert_eq!(refused.malformed.len(), 1);
}

#[test]
fn bom_and_comments_are_read_and_reported() {
    let plain = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"nosuch\"], \"action\": \"SCMP_ACT_ERRNO\"}]}";
    for (text, line, message) in [
        (
            format!("\u{feff}{plain}"),
            1,
            "the file begins with a byte order mark (BOM): runtimes refuse the file",
        ),
        (
            format!("// why\n{plain}"),
            1,
            "JSON has no comments: runtimes refuse the file",
        ),
        (
            format!("{plain}\n/* end */"),
            2,
            "JSON has no comments: runtimes refuse the file",
        ),
    ] {
        let findings = audit(&text);
        assert_eq!(of(&findings, "not-standard-json"), [(line, message)]);
        assert_eq!(of(&findings, "unknown-name").len(), 1);
    }
    assert_eq!(of(&audit(plain), "not-standard-json"), []);
}

fn pod(container: &str) -> Vec<Finding> {
    audit(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n{container}"
    ))
}

#[test]
fn null_is_unset() {
    let unset = "  - name: web\n    securityContext:\n      allowPrivilegeEscalation: false\n";
    let expected = [(
        6,
        "container web has no seccompProfile: Unconfined, unless kubelet runs with seccompDefault",
    )];
    for null in [
        "",
        "      seccompProfile:\n",
        "      seccompProfile: null\n",
    ] {
        assert_eq!(of(&pod(&format!("{unset}{null}")), "unconfined"), expected);
    }
    // What the pod has then counts.
    let inherited = audit(
        "apiVersion: v1\nkind: Pod\nspec:\n  securityContext: {seccompProfile: {type: RuntimeDefault}}\n  containers: [{name: a, securityContext: {seccompProfile: ~}}]\n",
    );
    assert_eq!(of(&inherited, "unconfined"), []);
    let profile = audit(
        "{\"defaultAction\": \"SCMP_ACT_LOG\", \"syscalls\": [{\"names\": [\"nosuch\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 0, \"value\": 1, \"valueTwo\": null, \"op\": \"SCMP_CMP_EQ\"}]}]}",
    );
    assert_eq!(of(&profile, "unknown-name").len(), 1);
}

#[test]
fn merge_keys_count() {
    let findings = pod(
        "  - &one\n    name: one\n    securityContext: {seccompProfile: {type: Unconfined}}\n  - <<: *one\n    name: two\n  - <<: *one\n    name: three\n    securityContext: {seccompProfile: {type: RuntimeDefault}}\n",
    );
    assert_eq!(
        of(&findings, "unconfined"),
        [
            (8, "container one runs without a seccomp profile"),
            (8, "container two runs without a seccomp profile"),
        ]
    );
}

/// What is said of a file that cannot be audited.
fn refused(text: &str) -> String {
    let report = report("f", text);
    assert_eq!(report.profiles, 0);
    let [malformed] = report.malformed.as_slice() else {
        panic!("{:?}", report.malformed);
    };
    malformed.to_string()
}

#[test]
fn files_without_profiles_are_named() {
    for (text, expected) in [
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: []}\n",
            "f:1:1: Service (v1) has no pod template that tracer reads, and no profile",
        ),
        (
            "kind: Pod\n{{ if .Values.x }}\n  a: b\n{{ end }}\n",
            "f:3:3: not valid YAML here (unrendered Helm template?); run helm template first",
        ),
        (
            "{{ if .Values.x }}\nkind: Pod\n{{ end }}\n",
            "not valid YAML here (unrendered Helm template?); run helm template first",
        ),
        (
            "# a unit\n[Service]\nSystemCallFilter=@system-service\n",
            "f:1:1: a systemd unit is recognized, but not read",
        ),
    ] {
        let error = refused(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn directories_say_what_they_pass_over() {
    let found = Input::new("s.yaml", "apiVersion: v1\nkind: Service\n".into()).unwrap();
    let context = Context::new(
        syscalls::Abi::X86_64,
        crate::profile::seccomp::read::KernelVersion::new(6, 1),
    );
    let report = run(&[found.found()], &context);
    assert_eq!(report.malformed, []);
    assert_eq!(
        report.unrecognized[0].to_string(),
        "s.yaml:1:1: Service (v1) has no pod template that tracer reads, and no profile"
    );
}

#[test]
fn config_json_of_a_runtime_is_read() {
    let findings = audit(
        "{\"ociVersion\": \"1.0.2\",\n\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\",\n\"syscalls\": [{\"names\": [\"nosuch\"], \"action\": \"SCMP_ACT_ERRNO\"}]}}}",
    );
    assert_eq!(of(&findings, "unknown-name")[0].0, 3);
}

fn privileged(text: &str) -> Vec<(usize, String)> {
    let findings = report("w.yaml", text).findings;
    let found = of(&findings, "privileged");
    found
        .into_iter()
        .map(|(line, message)| (line, message.to_owned()))
        .collect()
}

#[test]
fn containers_of_workflows_and_tasks_are_read() {
    let root = "{securityContext: {privileged: true}}";
    let expected = |line, name: &str| vec![(line, format!("container {name} is privileged"))];
    for kind in ["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate"] {
        let text = format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: {kind}\nspec:\n  templates:\n  - {{name: dag, dag: {{}}}}\n  - name: main\n    script: {root}\n"
        );
        assert_eq!(privileged(&text), expected(7, "main"), "{kind}");
    }
    let cron = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\nspec:\n  workflowSpec:\n    templates:\n    - {{name: a, container: {root}}}\n"
    );
    assert_eq!(privileged(&cron), expected(6, "a"));
    let step = "steps: [{name: s, securityContext: {privileged: true}}]";
    for (kind, spec) in [
        ("Task", format!("  {step}\n")),
        ("TaskRun", format!("  taskSpec: {{{step}}}\n")),
        ("Pipeline", format!("  tasks: [{{taskSpec: {{{step}}}}}]\n")),
        (
            "Task",
            "  {stepTemplate: {securityContext: {privileged: true}}, steps: [{name: s, securityContext: {runAsUser: 7}}]}\n".to_owned(),
        ),
    ] {
        let text = format!("apiVersion: tekton.dev/v1\nkind: {kind}\nspec:\n{spec}");
        assert_eq!(privileged(&text), expected(4, "s"), "{text}");
    }
    let list = "apiVersion: v1\nkind: PodTemplateList\nitems:\n- template: {spec: {containers: [{name: c, securityContext: {privileged: true}}]}}\n";
    let list = list.replace(
        "- template",
        "- apiVersion: v1\n  kind: PodTemplate\n  template",
    );
    assert_eq!(privileged(&list), expected(6, "c"));
    // As the API server sends it.
    let raw = "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n  spec: {containers: [{name: c, securityContext: {privileged: true}}]}\n";
    assert_eq!(privileged(raw), expected(5, "c"));
    let knative = "apiVersion: serving.knative.dev/v1\nkind: Service\nspec:\n  template:\n    spec: {containers: [{name: k, securityContext: {privileged: true}}]}\n";
    assert_eq!(privileged(knative), expected(5, "k"));
}

#[test]
fn kinds_of_somebodys_own_are_searched_for_pods() {
    for text in [
        "apiVersion: jobset.x-k8s.io/v1alpha2\nkind: JobSet\nspec:\n  replicatedJobs: [{template: {spec: {template: {spec:\n    {containers: [{name: c, securityContext: {privileged: true}}]}}}}}]\n",
        "apiVersion: example.com/v1\nkind: Widget\nspec:\n  podTemplate: {spec:\n    {containers: [{name: c, securityContext: {privileged: yes}}]}}\n",
    ] {
        assert_eq!(
            privileged(text),
            [(5, "container c is privileged".to_owned())]
        );
    }
}

#[test]
fn pods_of_windows_have_no_profiles() {
    let text =
        "apiVersion: v1\nkind: Pod\nspec:\n  os: {name: windows}\n  containers: [{name: c}]\n";
    assert_eq!(of(&audit(text), "unconfined"), []);
}

#[test]
fn a_template_is_no_value() {
    let text = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    securityContext: {seccompProfile: {type: \"{{ .Values.type }}\"}}\n";
    let findings = audit(text);
    let [(6, message)] = of(&findings, "refused-object")[..] else {
        panic!("{findings:?}");
    };
    assert!(message.contains("is a template"), "{message}");
    assert!(findings.iter().all(|it| it.severity <= Severity::Medium));
    for value in [
        "privileged: \"{{ .Values.privileged }}\"",
        "seccompProfile: {type: Localhost, localhostProfile: \"{{ .Values.name }}.json\"}",
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    securityContext: {{{value}}}\n"
        );
        let findings = audit(&text);
        let [(6, message)] = of(&findings, "refused-object")[..] else {
            panic!("{findings:?}");
        };
        assert!(message.contains("is a template"), "{message}");
        assert!(findings.iter().all(|it| it.severity <= Severity::Medium));
    }
}

/// Findings of files of container engines: severity, rule and line.
fn of_engine(text: &str) -> Vec<(Severity, &'static str, usize)> {
    let report = report("f", text);
    assert_eq!(report.malformed, []);
    let all = report.findings.into_iter();
    all.map(|it| (it.severity, it.id, it.place.line)).collect()
}

#[test]
fn compose_files_are_read() {
    let found = of_engine(
        "services:\n  web:\n    image: nginx\n    security_opt:\n    - seccomp:unconfined\n    - apparmor=unconfined\n  db: {image: pg,\n    privileged: true}\n  ok: {image: a}\n  own:\n    build: .\n    security_opt: [no-new-privileges:true,\n      seccomp=./own.json]\n",
    );
    assert_eq!(
        found,
        [
            (Severity::Critical, "privileged", 8),
            (Severity::High, "unconfined", 5),
            (Severity::High, "unconfined", 6),
            (Severity::Info, "profile-missing", 13),
        ]
    );
}

#[test]
fn compose_files_that_override_others_are_read() {
    let found = of_engine(
        "services:\n  web:\n    privileged: \"true\"\n  db:\n    privileged: \"${PRIVILEGED}\"\n    security_opt:\n    - seccomp=${PROFILE}\n  ok: {privileged: \"false\"}\n",
    );
    assert_eq!(
        found,
        [
            (Severity::Critical, "privileged", 3),
            (Severity::Medium, "refused-object", 5),
            (Severity::Medium, "refused-object", 7),
        ]
    );
}

#[test]
fn inspected_containers_are_read() {
    let container = |host: &str| format!("[{{\"Name\": \"/web\",\n\"HostConfig\": {host}}}]");
    assert_eq!(
        of_engine(&container("{\"SecurityOpt\": null}")),
        [],
        "the engine's default is in force"
    );
    assert_eq!(
        of_engine(&container("{\"Privileged\": true}")),
        [(Severity::Critical, "privileged", 2)]
    );
    assert_eq!(
        of_engine(&container(
            "{\"Privileged\": false,\n\"SecurityOpt\": [\"seccomp=unconfined\"]}"
        )),
        [(Severity::High, "unconfined", 3)]
    );
    // Docker's client puts the profile itself there.
    let inline = container(
        "{\"SecurityOpt\": [\n\"seccomp={\\\"defaultAction\\\": \\\"SCMP_ACT_LOG\\\", \\\"syscalls\\\": [{\\\"names\\\": [\\\"nosuch\\\"], \\\"action\\\": \\\"SCMP_ACT_ERRNO\\\"}]}\"]}",
    );
    let report = report("f", &inline);
    let finding = report.findings.iter().find(|it| it.id == "unknown-name");
    let (begin, end) = finding.unwrap().place.bytes;
    assert_eq!(&inline[begin..end], "\\\"nosuch\\\"");
}

#[test]
fn a_config_json_without_seccomp_is_unconfined() {
    for linux in ["{}", "{\"seccomp\": null}"] {
        let found = of_engine(&format!(
            "{{\"ociVersion\": \"1.0.2\",\n\"linux\": {linux}}}"
        ));
        assert_eq!(found, [(Severity::High, "unconfined", 2)]);
    }
    for other in ["windows", "solaris", "vm"] {
        let text = format!("{{\"ociVersion\": \"1.0.2\", \"{other}\": {{}}}}");
        assert_eq!(of_engine(&text), [], "{other}");
    }
    let wrong = report("f", "{\"ociVersion\": \"1.0.2\",\n\"linux\": []}");
    assert_eq!(wrong.malformed.len(), 1, "{wrong:?}");
}

#[test]
fn comments_in_an_embedded_profile_are_reported() {
    let text = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a.json: |\n    // why\n    {\"defaultAction\": \"SCMP_ACT_ALLOW\"}\n";
    assert_eq!(
        of(&audit(text), "not-standard-json"),
        [(5, "JSON has no comments: runtimes refuse the profile")]
    );
}
