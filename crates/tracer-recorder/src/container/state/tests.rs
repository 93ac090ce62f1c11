use std::fs;

use super::*;
use crate::container::path::Engine;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// As runc 1.1.5 wrote it, shortened.
fn runc_state(cgroup: &str, bundle: &str) -> String {
    format!(
        r#"{{"id":"x","init_process_pid":14368,"cgroup_paths":{{"":"{cgroup}","devices":"/sys/fs/cgroup/devices/other"}},
        "config":{{"rootfs":"/r","labels":["bundle=/evil","x=y","bundle={bundle}"]}}}}"#
    )
}

/// As crun 1.8.1 wrote it, shortened.
fn crun_status(cgroup: &str, bundle: &str) -> String {
    format!(
        r#"{{"pid":14482,"process-start-time":411265,"cgroup-path":"{cgroup}","scope":"","rootfs":"rootfs","systemd-cgroup":false,"bundle":"{bundle}","owner":"root"}}"#
    )
}

fn state(root: &Path, id: &str, cgroup: &str) -> State {
    let lookup = by_id(&Files::new(root), &Id::new(id).unwrap(), cgroup);
    assert!(lookup.problems.is_empty(), "{:?}", lookup.problems);
    lookup.state.unwrap()
}

#[test]
fn reads_runc_state_in_every_location() {
    for (directory, engine) in [
        ("/run/runc", None),
        ("/run/containerd/runc/k8s.io", Some(Engine::Containerd)),
        ("/run/containerd/runc/moby", Some(Engine::Docker)),
        ("/run/docker/runtime-runc/moby", Some(Engine::Docker)),
    ] {
        for mount in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
            let root = tempfile::tempdir().unwrap();
            let text = runc_state(&format!("{mount}/t/a"), "/b");
            write(root.path(), &format!("{directory}/c1/state.json"), &text);
            let state = state(root.path(), "c1", "/t/a");
            assert_eq!(
                (state.engine, state.runtime),
                (engine, Some(OciRuntime::Runc))
            );
            assert_eq!(
                (state.pid, state.cgroup.as_deref()),
                (Some(14368), Some("/t/a"))
            );
            assert_eq!(state.bundle.as_deref(), Some(Path::new("/b")));
        }
    }
}

#[test]
fn reads_crun_status_with_either_cgroup_path() {
    for path in ["/t/a", "/t/a/container"] {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "/run/crun/c1/status", &crun_status(path, "/b"));
        let state = state(root.path(), "c1", "/t/a");
        assert_eq!(
            (state.runtime, state.pid),
            (Some(OciRuntime::Crun), Some(14482))
        );
        assert_eq!(state.cgroup.as_deref(), Some("/t/a"));
    }
}

#[test]
fn engines_add_their_own_metadata() {
    let root = tempfile::tempdir().unwrap();
    let tasks = "/run/containerd/io.containerd.runtime.v2.task";
    write(
        root.path(),
        &format!("{tasks}/moby/{ID}/config.json"),
        &format!(r#"{{"linux":{{"cgroupsPath":"system.slice:docker:{ID}"}}}}"#),
    );
    let directory = format!("/var/lib/docker/containers/{ID}");
    write(
        root.path(),
        &format!("{directory}/config.v2.json"),
        r#"{"Name":"/web","Image":"sha256:12","Config":{"Image":"nginx:1","Labels":{"a":"b","c":1}}}"#,
    );
    write(
        root.path(),
        &format!("{directory}/hostconfig.json"),
        r#"{"Privileged":true}"#,
    );
    let found = state(root.path(), ID, &format!("/system.slice/docker-{ID}.scope"));
    assert_eq!(found.engine, Some(Engine::Docker));
    assert_eq!(
        (found.name.as_deref(), found.image.as_deref()),
        (Some("web"), Some("nginx:1"))
    );
    assert_eq!(
        (found.image_id.as_deref(), found.privileged),
        (Some("sha256:12"), true)
    );
    assert_eq!(found.labels.len(), 1);
    assert!(found.bundle.is_some());
}

#[test]
fn reads_podman_storage() {
    let root = tempfile::tempdir().unwrap();
    let directory = "/var/lib/containers/storage/overlay-containers";
    write(
        root.path(),
        &format!("{directory}/{ID}/userdata/config.json"),
        "{}",
    );
    write(
        root.path(),
        &format!("{directory}/containers.json"),
        &format!(
            r#"[7,{{"id":"other"}},{{"id":"{ID}","names":["web"],"image":"12","metadata":"{{\"image-name\":\"nginx:1\"}}"}}]"#
        ),
    );
    let found = state(root.path(), ID, "/machine.slice/x.scope");
    assert_eq!(
        (found.name.as_deref(), found.image.as_deref()),
        (Some("web"), Some("nginx:1"))
    );
    assert_eq!(found.image_id.as_deref(), Some("sha256:12"));
    assert!(config(&Files::new(root.path()), &found).unwrap().is_some());
}

#[test]
fn same_id_in_two_namespaces_is_told_apart_by_cgroup() {
    let root = tempfile::tempdir().unwrap();
    for namespace in ["a", "b"] {
        let text = runc_state(
            &format!("/sys/fs/cgroup/{namespace}/web"),
            &format!("/{namespace}"),
        );
        write(
            root.path(),
            &format!("/run/containerd/runc/{namespace}/web/state.json"),
            &text,
        );
    }
    assert_eq!(
        state(root.path(), "web", "/b/web").bundle.as_deref(),
        Some(Path::new("/b"))
    );
    let scan = Scan::from_files(&Files::new(root.path()));
    assert_eq!(scan.states.len(), 2);
    let found = scan.outermost("/a/web/init.scope").unwrap();
    assert_eq!(found.bundle.as_deref(), Some(Path::new("/a")));
    assert!(scan.outermost("/a").is_none() && scan.outermost("/a/web2").is_none());
}

#[test]
fn user_files_cannot_describe_system_cgroups() {
    let root = tempfile::tempdir().unwrap();
    let own = nix::unistd::geteuid().as_raw();
    // The file is of whoever runs this test, so only the right user's directory is read.
    let user = if own == 0 { 1000 } else { own };
    write(
        root.path(),
        &format!("/run/user/{user}/crun/c1/status"),
        &crun_status("/system.slice/victim", "/b"),
    );
    let files = Files::new(root.path());
    assert!(
        Scan::from_files(&files)
            .outermost("/system.slice/victim")
            .is_none()
    );
    let lookup = by_id(&files, &Id::new("c1").unwrap(), "/system.slice/victim");
    assert_eq!(lookup.state, None);
    // And what is the system's is not lent to a user's cgroup of the same name.
    let directory = format!("/var/lib/docker/containers/{ID}");
    write(
        root.path(),
        &format!("{directory}/config.v2.json"),
        r#"{"Name":"/victim"}"#,
    );
    let cgroup = format!("/user.slice/user-1000.slice/user@1000.service/docker-{ID}.scope");
    assert_eq!(by_id(&files, &Id::new(ID).unwrap(), &cgroup).state, None);
}

#[test]
fn hostile_files_are_reported_as_problems() {
    let long = " ".repeat(9 << 20);
    let deep = "[".repeat(200_000);
    for text in [
        "",
        "{",
        "[]",
        "null",
        "7",
        r#""x""#,
        r#"{"bundle":7,"pid":"x","cgroup-path":[]}"#,
        &long,
        &deep,
    ] {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "/run/runc/c1/state.json",
            "/run/crun/c1/status",
            "/run/containerd/io.containerd.runtime.v2.task/ns/c1/config.json",
            "/var/lib/docker/containers/c1/config.v2.json",
            "/var/lib/docker/containers/c1/hostconfig.json",
            "/var/lib/containers/storage/overlay-containers/c1/userdata/config.json",
            "/var/lib/containers/storage/overlay-containers/containers.json",
        ] {
            write(root.path(), file, text);
        }
        let files = Files::new(root.path());
        let lookup = by_id(&files, &Id::new("c1").unwrap(), "/a");
        assert!(lookup.state.is_some() || !lookup.problems.is_empty());
        for problem in lookup
            .problems
            .iter()
            .chain(&Scan::from_files(&files).problems)
        {
            assert!(!problem.to_string().contains('\n'), "{problem}");
        }
    }
}

#[test]
fn bundle_path_cannot_escape_the_root() {
    for bundle in ["/../etc", "relative", "/a/../../b"] {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "/run/crun/c1/status",
            &crun_status("/a", bundle),
        );
        let state = state(root.path(), "c1", "/a");
        assert!(
            config(&Files::new(root.path()), &state).is_err(),
            "{bundle}"
        );
    }
}

/// A rootless Podman, and one whose storage was moved: their names are beside the bundle.
#[test]
fn podman_names_are_beside_the_bundle() {
    let own = nix::unistd::geteuid().as_raw();
    // Root is not kept apart from the system.
    let user = if own == 0 { 1000 } else { own };
    let give = |path: PathBuf| {
        if own == 0 {
            std::os::unix::fs::chown(path, Some(user), None).unwrap();
        }
    };
    let home = "/home/jo/.local/share/containers/storage/overlay-containers";
    for (status, storage, cgroup) in [
        (
            format!("/run/user/{user}/crun/{ID}/status"),
            home,
            format!(
                "/user.slice/user-{user}.slice/user@{user}.service/user.slice/libpod-{ID}.scope"
            ),
        ),
        (
            format!("/run/crun/{ID}/status"),
            "/data/storage/overlay-containers",
            format!("/machine.slice/libpod-{ID}.scope"),
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        let bundle = format!("{storage}/{ID}/userdata");
        write(root.path(), &status, &crun_status(&cgroup, &bundle));
        write(root.path(), &format!("{bundle}/config.json"), "{}");
        let list = format!(
            r#"[{{"id":"{ID}","names":["web"],"image":"ab","metadata":"{{\"image-name\":\"docker.io/library/nginx:1\"}}"}}]"#
        );
        write(root.path(), &format!("{storage}/containers.json"), &list);
        if storage == home {
            for file in [&status, &format!("{storage}/containers.json")] {
                give(root.path().join(file.trim_start_matches('/')));
            }
        }
        let state = state(root.path(), ID, &cgroup);
        assert_eq!(state.name.as_deref(), Some("web"));
        assert_eq!(state.image.as_deref(), Some("docker.io/library/nginx:1"));
    }
}

/// Docker's files where Docker was told to keep them: by its configuration, or as a snap.
#[test]
fn docker_names_are_in_its_own_data_root() {
    for (data_root, configuration) in [
        ("/var/lib/docker", None),
        ("/var/snap/docker/common/var-lib-docker", None),
        ("/data/docker", Some(r#"{"data-root": "/data/docker"}"#)),
    ] {
        let root = tempfile::tempdir().unwrap();
        if let Some(text) = configuration {
            write(root.path(), "/etc/docker/daemon.json", text);
        }
        let config = r#"{"Name":"/web","Config":{"Image":"nginx:1"},"Image":"sha256:ab"}"#;
        let file = format!("{data_root}/containers/{ID}/config.v2.json");
        write(root.path(), &file, config);
        let state = state(root.path(), ID, &format!("/docker/{ID}"));
        assert_eq!(state.name.as_deref(), Some("web"), "{data_root}");
        assert_eq!(state.engine, Some(Engine::Docker));
    }
}
