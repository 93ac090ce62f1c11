//! containers/storage, which Podman and CRI-O keep their containers in (containers.go: Container).

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::State;
use crate::container::{
    ContainerError,
    files::{Files, Id, text},
};

/// The static one that Podman uses, and the volatile one of CRI-O.
const CONTAINERS: [&str; 2] = [
    "/var/lib/containers/storage/overlay-containers",
    "/run/containers/storage/overlay-containers",
];

pub(super) fn find(files: &Files, id: &Id) -> Vec<Result<State, ContainerError>> {
    let mut found = Vec::new();
    for directory in CONTAINERS.map(Path::new) {
        let bundle: PathBuf = directory.join(id.as_str()).join("userdata");
        found.extend(
            files
                .json(&bundle.join("config.json"), None)
                .transpose()
                .map(|config| {
                    config.map(|_| State {
                        bundle: Some(bundle),
                        ..State::new(id)
                    })
                }),
        );
    }
    if found.is_empty() {
        return found;
    }
    for directory in CONTAINERS.map(Path::new) {
        found.extend(listed(files, directory, None, id));
    }
    found
}

/// What the lists of a storage say that is elsewhere, of a container whose bundle is in it: a rootless Podman's, or
/// one whose `graphroot` is another.
pub(super) fn beside(files: &Files, state: &State) -> Vec<Result<State, ContainerError>> {
    let Some(bundle) = &state.bundle else {
        return Vec::new();
    };
    let mut parents = bundle.ancestors().skip(2);
    match parents.next() {
        Some(directory)
            if directory.ends_with("overlay-containers")
                && !CONTAINERS.iter().any(|it| directory == Path::new(it)) =>
        {
            listed(files, directory, state.user, &state.id)
        }
        _ => Vec::new(),
    }
}

/// The entries of a container in a storage's lists.
fn listed(
    files: &Files,
    directory: &Path,
    user: Option<u32>,
    id: &Id,
) -> Vec<Result<State, ContainerError>> {
    ["containers.json", "volatile-containers.json"]
        .into_iter()
        .filter_map(|name| {
            let list = files.json(&directory.join(name), user);
            list.map(|list| list.as_ref().and_then(|list| entry(list, id)))
                .transpose()
        })
        .collect()
}

fn entry(list: &Value, id: &Id) -> Option<State> {
    let entry = list
        .as_array()?
        .iter()
        .find(|entry| text(entry, "/id") == Some(id.as_str()))?;
    // What Podman and CRI-O keep there for themselves, as text that is JSON again.
    let metadata: Option<Value> =
        text(entry, "/metadata").and_then(|metadata| serde_json::from_str(metadata).ok());
    let metadata = metadata.as_ref();
    Some(State {
        name: text(entry, "/names/0").map(str::to_owned),
        image: metadata
            .and_then(|metadata| text(metadata, "/image-name"))
            .map(str::to_owned),
        image_id: text(entry, "/image").map(|image| {
            if image.contains(':') {
                image.to_owned()
            } else {
                format!("sha256:{image}")
            }
        }),
        ..State::new(id)
    })
}
