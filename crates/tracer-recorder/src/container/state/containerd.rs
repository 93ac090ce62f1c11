//! The bundles of containerd's tasks. They are there before the runtime is called.

use std::path::{Path, PathBuf};

use super::{State, v2_path};
use crate::container::{
    ContainerError,
    files::{Files, Id},
    path::Engine,
};

const TASKS: &str = "/run/containerd/io.containerd.runtime.v2.task";

/// The cgroup that the engine asks the runtime for.
const CGROUP: &str = "/linux/cgroupsPath";

fn namespaces(files: &Files) -> Vec<(PathBuf, Engine)> {
    [TASKS, "/run/k3s/containerd/io.containerd.runtime.v2.task"]
        .into_iter()
        .flat_map(|tasks| {
            files
                .ids(Path::new(tasks))
                .into_iter()
                .map(move |namespace| {
                    // Docker's containers are tasks in the namespace `moby`.
                    let engine = if namespace.as_str() == "moby" {
                        Engine::Docker
                    } else {
                        Engine::Containerd
                    };
                    (Path::new(tasks).join(namespace.as_str()), engine)
                })
        })
        .collect()
}

pub(super) fn list(files: &Files) -> Vec<Id> {
    namespaces(files)
        .iter()
        .flat_map(|(directory, _)| files.ids(directory))
        .collect()
}

pub(super) fn find(files: &Files, id: &Id) -> Vec<Result<State, ContainerError>> {
    let mut found = Vec::new();
    for (directory, engine) in namespaces(files) {
        let bundle = directory.join(id.as_str());
        found.extend(
            files
                .fields(&bundle.join("config.json"), None, &[CGROUP])
                .transpose()
                .map(|config| {
                    config.map(|config| State {
                        engine: Some(engine),
                        cgroup: config.text(CGROUP).and_then(v2_path),
                        pid: None,
                        bundle: Some(bundle),
                        ..State::new(id)
                    })
                }),
        );
    }
    found
}
