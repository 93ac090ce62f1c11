use std::fs;

use super::*;
use crate::container::{Owner, OwnerKind, Seccomp, cri::CriState};
use tracer_core::recording::Warning;
use tracer_report::words;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID: &str = "5a3b8b3e-1a2b-4c5d-8e9f-001122334455";

fn sources(root: &Path) -> MetadataSources {
    MetadataSources {
        api: Snapshot::default(),
        asks_api: false,
        files: Files::new(root),
        cri: Snapshot::default(),
        node: Some("node-1".to_owned()),
        problems: Vec::new(),
    }
}

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn containerd(root: &Path, pod: &str) -> String {
    let path = format!("/kubepods/burstable/pod{UID}/{ID}");
    let config = format!(
        r#"{{"process":{{"args":["nginx"],"user":{{"uid":1000}}}},
        "annotations":{{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"nginx",
        "io.kubernetes.cri.sandbox-name":"{pod}","io.kubernetes.cri.sandbox-namespace":"shop",
        "io.kubernetes.cri.sandbox-uid":"{UID}","io.kubernetes.cri.image-name":"nginx:1"}},
        "linux":{{"cgroupsPath":"{path}","seccomp":{{"defaultAction":"SCMP_ACT_ERRNO"}}}}}}"#
    );
    let file = format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    write(root, &file, &config);
    path
}

#[test]
fn containerd_pod_is_resolved_from_files_alone() {
    let root = tempfile::tempdir().unwrap();
    let path = containerd(root.path(), "web-5d8f9c7b6d-x2x4z");
    let container = resolve(&format!("{path}/below"), &sources(root.path())).unwrap();
    assert_eq!(
        (container.engine, container.cgroup.as_str()),
        (Engine::Containerd, path.as_str())
    );
    assert_eq!(container.workload.to_string(), "shop/web/nginx");
    assert_eq!(container.args, ["nginx"]);
    assert!(matches!(
        container.security.unwrap().seccomp,
        Seccomp::Filter { .. }
    ));
    assert!(matches!(
        container.warnings.first(),
        Some(Warning::FilterInPlace { .. })
    ));
    // Without labels the owner is a guess, and says so.
    assert_eq!(container.unresolved.len(), 1, "{:?}", container.unresolved);
}

#[test]
fn cri_adds_labels_digest_and_role() {
    let root = tempfile::tempdir().unwrap();
    let path = containerd(root.path(), "db-0");
    let mut sources = sources(root.path());
    sources.cri = Snapshot::from_containers([CriContainer {
        id: ID.to_owned(),
        name: "nginx".to_owned(),
        pod: "db-0".to_owned(),
        namespace: "shop".to_owned(),
        pod_uid: UID.to_owned(),
        pod_labels: [("controller-revision-hash".to_owned(), "db-1".to_owned())].into(),
        labels: [("io.kubernetes.container.type".to_owned(), "INIT".to_owned())].into(),
        digest: "nginx@sha256:2".to_owned(),
        attempt: 3,
        state: CriState::Running,
        ..CriContainer::default()
    }]);
    let container = resolve(&path, &sources).unwrap();
    assert_eq!(container.workload.to_string(), "shop/db/nginx");
    assert_eq!((container.attempt, container.role), (Some(3), Role::Init));
    let image = container.image.unwrap();
    assert_eq!(image.name.as_deref(), Some("nginx:1"));
    assert_eq!(image.digest.as_deref(), Some("nginx@sha256:2"));
    assert_eq!(container.unresolved, Vec::<Unresolved>::new());
}

#[test]
fn crio_labels_come_from_the_sandbox() {
    let root = tempfile::tempdir().unwrap();
    let storage = "/run/containers/storage/overlay-containers";
    let sandbox = "f".repeat(64);
    write(
        root.path(),
        &format!("{storage}/{ID}/userdata/config.json"),
        &format!(
            r#"{{"annotations":{{"io.kubernetes.cri-o.SandboxID":"{sandbox}","io.kubernetes.cri-o.ContainerType":"container",
            "io.kubernetes.container.name":"c","io.kubernetes.pod.name":"agent-x2x4z","io.kubernetes.pod.namespace":"kube-system"}}}}"#
        ),
    );
    write(
        root.path(),
        &format!("{storage}/{sandbox}/userdata/config.json"),
        r#"{"annotations":{"io.kubernetes.cri-o.SandboxID":"x","io.kubernetes.cri-o.ContainerType":"sandbox",
        "io.kubernetes.cri-o.Labels":"{\"controller-revision-hash\":\"6f8d7c\"}"}}"#,
    );
    let pod = UID.replace('-', "_");
    let path = format!("/kubepods.slice/kubepods-pod{pod}.slice/crio-{ID}.scope");
    let container = resolve(&path, &sources(root.path())).unwrap();
    assert_eq!(container.engine, Engine::CriO);
    assert_eq!(container.workload.to_string(), "kube-system/agent/c");
    assert_eq!(
        container.pod.unwrap().owner.unwrap().kind,
        OwnerKind::DaemonSet
    );
    assert_eq!(container.unresolved, Vec::<Unresolved>::new());
}

#[test]
fn vanished_container_is_named_by_its_cgroup() {
    let root = tempfile::tempdir().unwrap();
    let path = format!("/kubepods/burstable/pod{UID}/{ID}");
    let container = resolve(&path, &sources(root.path())).unwrap();
    assert_eq!(container.workload, WorkloadKey::Cgroup(path));
    assert_eq!(container.pod.unwrap().uid.as_deref(), Some(UID));
    assert!(container.security.is_none() && container.unresolved.len() == 2);
    assert!(resolve("/system.slice/nginx.service", &sources(root.path())).is_none());
}

#[test]
fn plain_runc_container_is_found_by_its_cgroup() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "/run/runc/web/state.json",
        r#"{"cgroup_paths":{"":"/sys/fs/cgroup/unified/t/a"},"config":{"labels":["bundle=/b"]}}"#,
    );
    write(
        root.path(),
        "/b/config.json",
        r#"{"process":{"args":["sleep"]}}"#,
    );
    let container = resolve("/t/a/container", &sources(root.path())).unwrap();
    assert_eq!(
        (container.id.as_str(), container.cgroup.as_str()),
        ("web", "/t/a")
    );
    assert_eq!(container.workload, WorkloadKey::Named("web".to_owned()));
    assert_eq!(container.unresolved, Vec::<Unresolved>::new());
}

#[test]
fn container_cannot_impersonate_another_pod() {
    let root = tempfile::tempdir().unwrap();
    containerd(root.path(), "web");
    let other = UID.replace('5', "6");
    let mut sources = sources(root.path());
    sources.cri = Snapshot::from_containers([CriContainer {
        id: ID.to_owned(),
        name: "c".to_owned(),
        pod: "p".to_owned(),
        namespace: "n".to_owned(),
        pod_uid: UID.to_owned(),
        ..CriContainer::default()
    }]);
    let container = resolve(&format!("/kubepods/pod{other}/{ID}"), &sources).unwrap();
    assert!(matches!(container.workload, WorkloadKey::Cgroup(_)));
    assert!(
        container
            .unresolved
            .iter()
            .any(|reason| matches!(reason, Unresolved::PodMismatch { .. }))
    );
    let user = format!("/user.slice/user-7.slice/user@7.service/docker-{ID}.scope");
    let container = resolve(&user, &sources).unwrap();
    assert!(matches!(container.workload, WorkloadKey::User(7, _)) && container.pod.is_none());
}

#[test]
fn hostile_names_are_escaped() {
    let root = tempfile::tempdir().unwrap();
    let path = containerd(root.path(), "../../etc\\n\\u001b[2J");
    let container = resolve(&path, &sources(root.path())).unwrap();
    let reasons: String = container.unresolved.iter().map(words::unresolved).collect();
    assert!(!reasons.contains(['\n', '\u{1b}']), "{reasons:?}");
    assert!(container.pod.unwrap().name.starts_with("../"));
}

#[test]
fn vanished_container_is_found_by_the_id_in_its_cgroup() {
    let root = tempfile::tempdir().unwrap();
    let sources = sources(root.path());
    let container = named("/web-1/container", "web-1", &sources).unwrap();
    assert_eq!(
        (container.id.as_str(), container.cgroup.as_str()),
        ("web-1", "/web-1")
    );
    assert!(!container.known);
    for (path, id) in [
        ("/web-10", "web-1"),
        ("/web-1", "web"),
        ("/web-1", ""),
        ("/", ""),
        (
            "/user.slice/user-1000.slice/user@1000.service/web-1",
            "web-1",
        ),
    ] {
        assert!(named(path, id, &sources).is_none(), "{path} {id}");
    }
}

/// A bundle with an annotation of many megabytes makes runc's own file as long.
#[test]
fn unreadable_files_still_reveal_a_container() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "/run/runc/web/state.json", "{");
    let found = resolve("/web/below", &sources(root.path())).unwrap();
    assert_eq!((found.id.as_str(), found.cgroup.as_str()), ("web", "/web"));
    assert!(!found.known);
    assert!(
        matches!(&found.unresolved[0], Unresolved::InvalidJson { path, .. } if path.ends_with("/run/runc/web/state.json")),
        "{:?}",
        found.unresolved
    );
    assert!(resolve("/other", &sources(root.path())).is_none());
}

#[test]
fn api_server_tells_the_owner_and_role_of_a_container_without_files() {
    let root = tempfile::tempdir().unwrap();
    let path = format!("/kubepods/besteffort/pod{UID}/{ID}");
    let mut sources = sources(root.path());
    sources.asks_api = true;
    let unnamed = resolve(&path, &sources).unwrap();
    assert!(!unnamed.is_named());
    // That its runtime is not asked is no problem; that nobody told its name is.
    assert!(unnamed.unresolved.iter().all(Unresolved::is_about_names));
    assert_eq!(unnamed.unresolved.len(), 1);
    sources.api = Snapshot::from_containers([CriContainer {
        id: ID.to_owned(),
        name: "proxy".to_owned(),
        // Its name has the form of a Deployment's pod, and its owner is another one.
        pod: "web-5d8f9c7b6d-x2x4z".to_owned(),
        namespace: "shop".to_owned(),
        pod_uid: UID.to_owned(),
        image: "proxy:1".to_owned(),
        digest: "sha256:3".to_owned(),
        role: Some(Role::Sidecar),
        owner: Some(Owner {
            kind: OwnerKind::Other,
            name: "cluster-db".to_owned(),
            certain: true,
        }),
        ..CriContainer::default()
    }]);
    // What CRI says beside it counts less.
    sources.cri = Snapshot::from_containers([CriContainer {
        id: ID.to_owned(),
        name: "other".to_owned(),
        ..CriContainer::default()
    }]);
    let container = resolve(&path, &sources).unwrap();
    assert!(container.is_named() && container.unresolved.is_empty());
    assert_eq!(container.role, Role::Sidecar);
    assert_eq!(container.workload.to_string(), "shop/cluster-db/proxy");
    let image = container.image.unwrap();
    assert_eq!(image.digest.as_deref(), Some("sha256:3"));
}
