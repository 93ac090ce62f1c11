use serde_json::json;

use super::*;

/// Shaped like `runc spec`'s.
fn spec() -> Value {
    json!({
        "ociVersion": "1.0.2-dev",
        "process": {
            "user": {"uid": 1000, "gid": 10},
            "args": ["nginx", "-g", "daemon off;"],
            "capabilities": {
                "bounding": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
                "effective": ["CAP_KILL"],
                "permitted": ["CAP_KILL"]
            },
            "noNewPrivileges": true,
            "apparmorProfile": "cri-containerd.apparmor.d"
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "web",
        "annotations": {"io.kubernetes.cri.container-type": "container"},
        "linux": {
            "cgroupsPath": "/kubepods/x",
            "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []},
            "maskedPaths": ["/proc/kcore"]
        }
    })
}

#[test]
fn reads_a_config() {
    let bundle = Bundle::read(&spec());
    assert_eq!(bundle.problems, Vec::<Unresolved>::new());
    assert_eq!(bundle.args, ["nginx", "-g", "daemon off;"]);
    assert_eq!(bundle.cgroups_path.as_deref(), Some("/kubepods/x"));
    assert_eq!(bundle.hostname.as_deref(), Some("web"));
    let security = bundle.security;
    assert_eq!((security.uid, security.gid), (Some(1000), Some(10)));
    assert_eq!(security.no_new_privileges, Some(true));
    assert_eq!(security.read_only_root, Some(true));
    assert_eq!(
        security.apparmor.as_deref(),
        Some("cri-containerd.apparmor.d")
    );
    assert_eq!(security.capabilities.bounding.len(), 2);
    assert_eq!(security.privileged, None);
    assert_eq!(
        security.seccomp,
        Seccomp::Filter {
            default_action: "SCMP_ACT_ERRNO".to_owned(),
            allows_all: false
        }
    );
}

#[test]
fn missing_fields_have_the_specs_defaults() {
    let security = Bundle::read(&json!({})).security;
    assert_eq!(security.uid, Some(0));
    assert_eq!(security.no_new_privileges, Some(false));
    assert_eq!(security.read_only_root, Some(false));
    assert_eq!(security.seccomp, Seccomp::Unconfined);
}

#[test]
fn filter_that_allows_all_is_detected() {
    for (syscalls, all) in [
        (json!(null), true),
        (json!([{"names": ["read"], "action": "SCMP_ACT_LOG"}]), true),
        (
            json!([{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]),
            false,
        ),
        (json!([7]), false),
    ] {
        let config = json!({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls}}});
        let Seccomp::Filter { allows_all, .. } = Bundle::read(&config).security.seccomp else {
            panic!("there is a filter");
        };
        assert_eq!(allows_all, all, "{config}");
    }
}

#[test]
fn privileged_needs_all_signs_or_an_annotation() {
    let all: Vec<String> = Capability::all()
        .take(KNOWN_TO_ENGINES)
        .map(|capability| capability.to_string())
        .collect();
    let config = |caps: &[String], linux: Value| json!({"process": {"capabilities": {"bounding": caps}}, "linux": linux});
    let privileged = |config: &Value| Bundle::read(config).security.privileged;
    assert_eq!(
        privileged(&config(&all, json!({}))),
        Some(Privileged::ByBundle)
    );
    assert_eq!(privileged(&config(all.get(1..).unwrap(), json!({}))), None);
    assert_eq!(
        privileged(&config(&all, json!({"maskedPaths": ["/proc/kcore"]}))),
        None
    );
    assert_eq!(
        privileged(&config(
            &all,
            json!({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}})
        )),
        None
    );
    let told = json!({"annotations": {"io.podman.annotations.privileged": "TRUE"}});
    assert_eq!(privileged(&told), Some(Privileged::Told));
}

#[test]
fn wrong_type_invalidates_only_its_field() {
    for (pointer, wrong) in [
        ("/annotations", json!([1])),
        ("/annotations", json!({"a": 1})),
        ("/process/args", json!("sh")),
        ("/process/args", json!([["x"]])),
        ("/process/user/uid", json!(-1)),
        ("/process/user/gid", json!(1_u64 << 40)),
        ("/process/noNewPrivileges", json!("yes")),
        ("/process/apparmorProfile", json!({})),
        ("/process/capabilities/bounding", json!({"CAP_KILL": 1})),
        ("/root/readonly", json!(1)),
        ("/hostname", json!(["a\nb"])),
        ("/linux/cgroupsPath", json!(4)),
        ("/linux/seccomp", json!([])),
        ("/linux/seccomp", json!({"defaultAction": 5})),
    ] {
        let mut config = spec();
        *config.pointer_mut(pointer).unwrap() = wrong;
        let bundle = Bundle::read(&config);
        assert_eq!(bundle.problems.len(), 1, "{pointer}: {:?}", bundle.problems);
        let whole = Bundle::read(&spec());
        // Another part is as it was.
        if pointer == "/process/args" {
            assert_eq!(bundle.annotations, whole.annotations);
        } else {
            assert_eq!(bundle.args, whole.args);
        }
    }
    for config in [json!([]), json!("x"), json!(null), json!(1.5)] {
        let bundle = Bundle::read(&config);
        assert_eq!(bundle.problems.len(), 1, "{config}");
        assert_eq!(bundle.security.seccomp, Seccomp::Unknown);
    }
}
