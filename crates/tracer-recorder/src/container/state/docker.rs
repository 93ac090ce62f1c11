//! Docker's own files (moby, container/container.go: `config.v2.json`, `hostconfig.json`). Only root
//! reads them, and the data root may be another: then the name stays unknown.

use std::path::Path;

use serde_json::Value;

use super::State;
use crate::container::{
    ContainerError,
    files::{Files, Id, text},
    path::Engine,
};

const CONTAINERS: &str = "/var/lib/docker/containers";

pub(super) fn find(files: &Files, id: &Id) -> Vec<Result<State, ContainerError>> {
    let directory = Path::new(CONTAINERS).join(id.as_str());
    let config = match files.json(&directory.join("config.v2.json"), None) {
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
        ..State::new(id)
    };
    match files.json(&directory.join("hostconfig.json"), None) {
        Ok(host) => {
            state.privileged = host
                .and_then(|host| host.pointer("/Privileged")?.as_bool())
                .unwrap_or(false);
            vec![Ok(state)]
        }
        Err(error) => vec![Ok(state), Err(error)],
    }
}
