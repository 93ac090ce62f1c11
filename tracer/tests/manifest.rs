//! `tracer generate --for` with the recordings of all containers of a pod.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a failure is to end them"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: cart}
spec:
  containers:
  - name: web
    image: web:1
  - name: cache
    image: cache:1
";

/// A recording of one container of a pod, made of a committed one of a command.
fn recording(directory: &Path, container: &str) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/redis/recording.json");
    let text = fs::read(example).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    json["workload"]["name"] = format!("shop_pod-cart_{container}").into();
    for instance in json["instances"].as_array_mut().unwrap() {
        let id = format!("{container:0>12}");
        instance["container"] = serde_json::json!({
            "engine": "containerd", "runtime": "runc", "id": id, "name": container,
            "pod": "shop/cart", "owner": "Pod/cart", "role": "main", "labels": {},
            "image": format!("{container}:1"), "image_digest": null, "security": null,
            "warnings": [], "unresolved": []
        });
    }
    let path = directory.join(format!("{container}.json"));
    fs::write(&path, json.to_string()).unwrap();
    path
}

fn generate(directory: &Path, options: &[&str], recordings: &[PathBuf]) -> Output {
    let manifest = directory.join("pod.yaml");
    fs::write(&manifest, POD).unwrap();
    Command::new(env!("CARGO_BIN_EXE_tracer"))
        .args(["generate", "--for"])
        .arg(manifest)
        .args(options)
        .args(recordings)
        .output()
        .unwrap()
}

#[test]
fn all_containers_of_a_pod_get_their_own_profile() {
    let directory = tempfile::tempdir().unwrap();
    let both = ["web", "cache"].map(|name| recording(directory.path(), name));
    let made = generate(directory.path(), &[], &both);
    let text = String::from_utf8(made.stdout).unwrap();
    let said = String::from_utf8(made.stderr).unwrap();
    assert!(made.status.success(), "{said}");
    for container in ["web", "cache"] {
        let (_, own) = text.split_once(&format!("name: {container}\n")).unwrap();
        let own = own.split("- name:").next().unwrap();
        assert!(
            own.contains(&format!("operator/shop.pod-cart.{container}.json")),
            "{text}"
        );
        let line = format!("Pod/cart, container {container}: profile added");
        assert!(said.contains(&line), "{said}");
    }
}

#[test]
fn only_seccomp_names_no_apparmor_profile() {
    let directory = tempfile::tempdir().unwrap();
    let web = [recording(directory.path(), "web")];
    let text = |options: &[&str]| {
        let made = generate(directory.path(), options, &web);
        assert!(made.status.success());
        String::from_utf8(made.stdout).unwrap()
    };
    assert!(text(&[]).contains("appArmorProfile"));
    let only = text(&["--only", "seccomp"]);
    assert!(
        only.contains("seccompProfile") && !only.contains("appArmorProfile"),
        "{only}"
    );
}

#[test]
fn one_container_is_not_named_for_several_workloads() {
    let directory = tempfile::tempdir().unwrap();
    let both = ["web", "cache"].map(|name| recording(directory.path(), name));
    for options in [
        &["--container", "web"][..],
        &["--localhost-profile", "profiles/web.json"],
    ] {
        let made = generate(directory.path(), options, &both);
        assert_eq!(made.status.code(), Some(2), "{options:?}");
    }
}
