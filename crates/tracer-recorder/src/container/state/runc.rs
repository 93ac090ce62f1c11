//! runc's `state.json` (libcontainer/container_linux.go: State).

use std::path::PathBuf;

use syscalls::OciRuntime;

use super::{State, daemons::Places, of_users, pid, v2_path};
use crate::container::{
    ContainerError,
    files::{Files, Id},
    path::Engine,
};

/// Its cgroup: "" is the v2 hierarchy.
const CGROUP: &str = "/cgroup_paths/";
const LABELS: &str = "/config/labels";
const PID: &str = "/init_process_pid";

/// The directories of containers, each with the engine whose it is and the user.
fn roots(files: &Files) -> Vec<(PathBuf, Option<Engine>, Option<u32>)> {
    let mut roots = vec![(PathBuf::from("/run/runc"), None, None)];
    let containerd =
        [PathBuf::from("/run/containerd/runc")].map(|parent| (parent, Engine::Containerd, None));
    let docker = Places::find(files).runc.into_iter();
    let docker = docker.map(|(parent, user)| (parent, Engine::Docker, user));
    for (parent, engine, user) in containerd.into_iter().chain(docker) {
        for namespace in files.ids(&parent) {
            // Docker's own containers in containerd's hands.
            let engine = if namespace.as_str() == "moby" {
                Engine::Docker
            } else {
                engine
            };
            roots.push((parent.join(namespace.as_str()), Some(engine), user));
        }
    }
    roots.extend(
        of_users(files, "runc")
            .into_iter()
            .map(|(root, user)| (root, None, user)),
    );
    roots
}

pub(super) fn list(files: &Files) -> Vec<Id> {
    roots(files)
        .iter()
        .flat_map(|(root, ..)| files.ids(root))
        .collect()
}

pub(super) fn find(files: &Files, id: &Id) -> Vec<Result<State, ContainerError>> {
    let mut found = Vec::new();
    for (root, engine, user) in roots(files) {
        let file = root.join(id.as_str()).join("state.json");
        let state = match files.fields(&file, user, &[CGROUP, LABELS, PID]) {
            Ok(Some(state)) => state,
            Ok(None) => continue,
            Err(error) => {
                found.push(Err(error));
                continue;
            }
        };
        let labels = state.get(LABELS).and_then(serde_json::Value::as_array);
        let bundle = labels
            .into_iter()
            .flatten()
            .filter_map(|label| label.as_str()?.strip_prefix("bundle="))
            // runc appends its own after the annotations, so that none of them can be taken for it
            // (libcontainer/specconv/spec_linux.go).
            .next_back();
        found.push(Ok(State {
            engine,
            runtime: Some(OciRuntime::Runc),
            cgroup: state.text(CGROUP).and_then(v2_path),
            pid: pid(state.get(PID)),
            bundle: bundle.map(PathBuf::from),
            user,
            ..State::new(id)
        }));
    }
    found
}
