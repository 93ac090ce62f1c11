//! The bundles of containerd's tasks. They are there before the runtime is called.

use std::path::PathBuf;

use super::{
    State,
    daemons::{Places, TASKS},
    v2_path,
};
use crate::container::{
    ContainerError,
    files::{Files, Id},
    path::Engine,
};

/// A directory of tasks, its engine, and the user whose it is.
type Namespace = (PathBuf, Engine, Option<u32>);

/// The cgroup that the engine asks the runtime for.
const CGROUP: &str = "/linux/cgroupsPath";

fn namespaces(files: &Files) -> Vec<Namespace> {
    let states = Places::find(files).containerd;
    let tasks = states
        .into_iter()
        .map(|(state, user)| (state.join(TASKS), user));
    tasks
        .flat_map(|(tasks, user)| {
            files.ids(&tasks).into_iter().map(move |namespace| {
                // Docker's containers are tasks in the namespace `moby`.
                let engine = if namespace.as_str() == "moby" {
                    Engine::Docker
                } else {
                    Engine::Containerd
                };
                (tasks.join(namespace.as_str()), engine, user)
            })
        })
        .collect()
}

pub(super) fn list(files: &Files) -> Vec<Id> {
    namespaces(files)
        .iter()
        .flat_map(|(directory, ..)| files.ids(directory))
        .collect()
}

pub(super) fn find(files: &Files, id: &Id) -> Vec<Result<State, ContainerError>> {
    let mut found = Vec::new();
    for (directory, engine, user) in namespaces(files) {
        let bundle = directory.join(id.as_str());
        found.extend(
            files
                .fields(&bundle.join("config.json"), user, &[CGROUP])
                .transpose()
                .map(|config| {
                    config.map(|config| State {
                        engine: Some(engine),
                        cgroup: config.text(CGROUP).and_then(v2_path),
                        pid: None,
                        bundle: Some(bundle),
                        user,
                        ..State::new(id)
                    })
                }),
        );
    }
    found
}
