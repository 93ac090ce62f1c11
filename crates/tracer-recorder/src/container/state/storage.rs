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
        for name in ["containers.json", "volatile-containers.json"] {
            found.extend(
                files
                    .json(&directory.join(name), None)
                    .map(|list| list.as_ref().and_then(|list| entry(list, id)))
                    .transpose(),
            );
        }
    }
    found
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
