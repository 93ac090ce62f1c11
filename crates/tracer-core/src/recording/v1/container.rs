//! Containers in recordings of schema v1.

use std::collections::BTreeMap;

use serde::Deserialize;
use syscalls::OciRuntime;

use super::{Sentence, sentences};
use crate::recording::{self, Security};

/// What is known of the container that an instance is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Container {
    engine: String,
    // tracer wrote no other name than those of the runtimes that v2 knows.
    runtime: Option<OciRuntime>,
    id: String,
    name: Option<String>,
    pod: Option<String>,
    owner: Option<String>,
    role: Option<String>,
    labels: BTreeMap<String, String>,
    image: Option<String>,
    image_digest: Option<String>,
    security: Option<Security>,
    warnings: Vec<Sentence<String>>,
    unresolved: Vec<String>,
}

impl From<Container> for recording::Container {
    fn from(old: Container) -> Self {
        Self {
            engine: old.engine,
            runtime: old.runtime,
            id: old.id,
            name: old.name,
            pod: old.pod,
            owner: old.owner,
            role: old.role,
            labels: old.labels,
            image: old.image,
            image_digest: old.image_digest,
            security: old.security,
            warnings: old.warnings.into_iter().map(sentences::warning).collect(),
            unresolved: old
                .unresolved
                .into_iter()
                .map(sentences::unresolved)
                .collect(),
        }
    }
}
