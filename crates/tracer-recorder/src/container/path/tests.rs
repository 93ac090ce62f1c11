use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID: &str = "5a3b8b3e-1a2b-4c5d-8e9f-001122334455";

fn check(path: &str, engine: Engine, driver: Driver, pod: Option<&str>) {
    let identity = identify(path).unwrap_or_else(|| panic!("{path} is a container"));
    assert_eq!(
        (identity.engine, identity.driver),
        (engine, driver),
        "{path}"
    );
    assert_eq!(identity.id, ID, "{path}");
    assert_eq!(identity.pod_uid.as_deref(), pod, "{path}");
    // What is below belongs to it.
    for below in ["container", "init.scope", "system.slice/ssh.service"] {
        assert_eq!(
            identify(&format!("{path}/{below}")).as_ref(),
            Some(&identity)
        );
    }
}

#[test]
fn units_and_pods_are_recognised_by_path() {
    for (path, unit) in [
        ("/system.slice/redis.service", true),
        ("/system.slice", true),
        ("/system.slice/runc-web.scope", false),
        ("/user.slice/user-0.slice/session-1.scope", false),
        ("/web", false),
    ] {
        assert_eq!(is_unit(path), unit, "{path}");
    }
    let id = "0123456789abcdef".repeat(4);
    let slice = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice";
    for (path, pod) in [
        (format!("{slice}/cri-containerd-{id}.scope"), Some(slice)),
        (format!("/kubepods/podu/{id}"), Some("/kubepods/podu")),
        (format!("/docker/{id}"), None),
        (format!("/k8s.io/{id}"), None),
        ("/web".to_owned(), None),
    ] {
        assert_eq!(pod_cgroup(&path), pod, "{path}");
    }
}

#[test]
fn identifies_containers_of_pods_in_every_layout() {
    let uid = UID.replace('-', "_");
    let systemd = |qos: &str, scope: &str| {
        let (outer, inner) = if qos.is_empty() {
            (String::new(), format!("kubepods-pod{uid}.slice"))
        } else {
            (
                format!("/kubepods-{qos}.slice"),
                format!("kubepods-{qos}-pod{uid}.slice"),
            )
        };
        format!("/kubepods.slice{outer}/{inner}/{scope}-{ID}.scope")
    };
    for qos in ["", "burstable", "besteffort"] {
        check(
            &systemd(qos, "cri-containerd"),
            Engine::Containerd,
            Driver::Systemd,
            Some(UID),
        );
        check(
            &systemd(qos, "crio"),
            Engine::CriO,
            Driver::Systemd,
            Some(UID),
        );
        check(
            &systemd(qos, "docker"),
            Engine::Docker,
            Driver::Systemd,
            Some(UID),
        );
    }
    check(
        &format!("/kubepods/burstable/pod{UID}/{ID}"),
        Engine::Unknown,
        Driver::Cgroupfs,
        Some(UID),
    );
    check(
        &format!("/kubepods/pod{UID}/{ID}"),
        Engine::Unknown,
        Driver::Cgroupfs,
        Some(UID),
    );
    check(
        &format!("/kubepods/pod{UID}/crio-{ID}"),
        Engine::CriO,
        Driver::Cgroupfs,
        Some(UID),
    );
    check(
        &format!(
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid}.slice/cri-containerd-{ID}.scope"
        ),
        Engine::Containerd,
        Driver::Systemd,
        Some(UID),
    );
}

#[test]
fn identifies_containers_outside_of_pods() {
    check(
        &format!("/system.slice/docker-{ID}.scope"),
        Engine::Docker,
        Driver::Systemd,
        None,
    );
    check(
        &format!("/k8s.io/{ID}"),
        Engine::Containerd,
        Driver::Cgroupfs,
        None,
    );
    check(
        &format!("/system.slice/runc-{ID}.scope"),
        Engine::Unknown,
        Driver::Systemd,
        None,
    );
    check(
        &format!("/system.slice/web.service/libpod-payload-{ID}"),
        Engine::Podman,
        Driver::Cgroupfs,
        None,
    );
    check(
        &format!("/machine.slice/machine-libpod_pod_{ID}.slice/libpod-{ID}.scope"),
        Engine::Podman,
        Driver::Systemd,
        None,
    );
    check(
        &format!("/libpod_parent/{}/libpod-{ID}", "e".repeat(64)),
        Engine::Podman,
        Driver::Cgroupfs,
        None,
    );
    check(
        &format!("/docker/{ID}"),
        Engine::Docker,
        Driver::Cgroupfs,
        None,
    );
    check(
        &format!("/machine.slice/libpod-{ID}.scope"),
        Engine::Podman,
        Driver::Systemd,
        None,
    );
    check(
        &format!("/libpod_parent/libpod-{ID}"),
        Engine::Podman,
        Driver::Cgroupfs,
        None,
    );
    check(
        &format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
        Engine::Podman,
        Driver::Systemd,
        None,
    );
}

#[test]
fn other_cgroups_are_not_containers() {
    for path in [
        "/",
        "/system.slice/nginx.service",
        "/kubepods.slice",
        "/kubepods.slice/kubepods-burstable.slice",
        "/kubepods/burstable",
        &format!("/kubepods/burstable/pod{UID}"),
        &format!(
            "/kubepods.slice/kubepods-pod{}.slice",
            UID.replace('-', "_")
        ),
        &format!("/kubepods.slice/kubepods-pod1.slice/crio-conmon-{ID}.scope"),
        &format!("/machine.slice/libpod-conmon-{ID}.scope"),
        &format!("/kubepods/pod1/crio-conmon-{ID}/below"),
        &format!("/libpod_parent/{ID}"),
        "/system.slice/web.service/runtime",
        "/kubelet.slice/kubelet-kubepods.slice",
        "/docker/not-an-id",
        "/docker/0123",
    ] {
        assert_eq!(identify(path), None, "{path}");
    }
}

#[test]
fn static_pod_uid_is_a_hash() {
    let hash = "0123456789abcdef0123456789abcdef";
    for path in [
        format!("/kubepods/burstable/pod{hash}/{ID}"),
        format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{hash}.slice/crio-{ID}.scope"
        ),
    ] {
        let identity = identify(&path).unwrap();
        assert_eq!(identity.pod_uid.as_deref(), Some(hash), "{path}");
    }
}

#[test]
fn cgroups_in_a_user_slice_are_marked() {
    let path = format!("/user.slice/user-1000.slice/user@1000.service/docker-{ID}.scope");
    assert_eq!(identify(&path).unwrap().user, Some(1000));
    assert_eq!(identify(&format!("/docker/{ID}")).unwrap().user, None);
}

#[test]
fn finds_systemd_units() {
    for (path, name, cgroup) in [
        (
            "/system.slice/nginx.service",
            "nginx.service",
            "/system.slice/nginx.service",
        ),
        (
            "/system.slice/a-b.slice/c.service/worker",
            "c.service",
            "/system.slice/a-b.slice/c.service",
        ),
        ("/init.scope", "init.scope", "/init.scope"),
        (
            "/user.slice/user-7.slice/user@7.service/app.slice/x.service/y",
            "x.service",
            "/user.slice/user-7.slice/user@7.service/app.slice/x.service",
        ),
        (
            "/user.slice/user-7.slice/user@7.service/odd",
            "user@7.service",
            "/user.slice/user-7.slice/user@7.service",
        ),
    ] {
        let unit = unit(path).unwrap_or_else(|| panic!("{path} is a unit"));
        assert_eq!((unit.id.as_str(), unit.cgroup.as_str()), (name, cgroup));
    }
    for path in ["/", "/system.slice", "/docker/x.service", ""] {
        assert_eq!(unit(path), None, "{path}");
    }
}

#[test]
fn parses_both_kinds_of_cgroups_path() {
    for (text, path) in [
        ("/a/b/", Some("/a/b")),
        (
            "system.slice:docker:x",
            Some("/system.slice/docker-x.scope"),
        ),
        (":runc:x", Some("/system.slice/runc-x.scope")),
        (
            "a-b-c.slice:cri-containerd:x",
            Some("/a.slice/a-b.slice/a-b-c.slice/cri-containerd-x.scope"),
        ),
        ("-.slice:p:x", Some("/p-x.scope")),
        ("/", None),
        ("/a/../b", None),
        ("relative", None),
        ("a:b", None),
        ("a.slice:b:c:d", None),
        ("a.slice:b:../c", None),
    ] {
        assert_eq!(cgroups_path(text).as_deref(), path, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_path_is_handled(path in "([a-z@._:-]{0,9}|pod|/|kubepods|kubepods-|\\PC{0,4}|[0-9a-f]{64}|\\.slice|\\.scope|crio-|libpod-|user-1){0,12}") {
        let _ = (unit(&path), user(&path), cgroups_path(&path));
        if let Some(identity) = identify(&path) {
            // The container's own cgroup is on the path, and is found again from itself.
            proptest::prop_assert!(!identity.id.contains('/') && !identity.id.is_empty());
            proptest::prop_assert_eq!(identify(&identity.cgroup), Some(identity.clone()));
            let below = format!("{}/x", identity.cgroup);
            proptest::prop_assert_eq!(identify(&below), Some(identity));
        }
    }
}
