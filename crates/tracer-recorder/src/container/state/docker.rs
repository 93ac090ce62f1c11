//! Docker's own files (moby, container/container.go: `config.v2.json`, `hostconfig.json`). Only root
//! reads them, but for a rootless Docker, whose user does. The data root is the one that Docker was given.

use std::path::Path;

use serde_json::Value;

use super::{State, daemons::Places};
use crate::container::{
    ContainerError,
    files::{Files, Id, text},
    path::Engine,
};

pub(super) fn find(files: &Files, id: &Id) -> Vec<Result<State, ContainerError>> {
    let roots = Places::find(files).docker;
    roots
        .iter()
        .flat_map(|(root, user)| below(files, &root.join("containers"), *user, id))
        .collect()
}

fn below(
    files: &Files,
    containers: &Path,
    user: Option<u32>,
    id: &Id,
) -> Vec<Result<State, ContainerError>> {
    let directory = containers.join(id.as_str());
    let config = match files.json(&directory.join("config.v2.json"), user) {
        Ok(Some(config)) => config,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Err(error)],
    };
    let mut state = State {
        engine: Some(Engine::Docker),
        name: text(&config, "/Name").map(|name| name.trim_start_matches('/').to_owned()),
        image: text(&config, "/Config/Image").map(str::to_owned),
        image_id: text(&config, "/Image").map(str::to_owned),
        labels: config
            .pointer("/Config/Labels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        user,
        ..State::new(id)
    };
    match files.json(&directory.join("hostconfig.json"), user) {
        Ok(host) => {
            state.privileged = host
                .and_then(|host| host.pointer("/Privileged")?.as_bool())
                .unwrap_or(false);
            vec![Ok(state)]
        }
        Err(error) => vec![Ok(state), Err(error)],
    }
}
