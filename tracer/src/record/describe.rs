//! What is known of a container, in a recording's words.

use crate::{
    container::Container,
    recording::{self, Warning},
};

/// The part of it that a recording keeps.
pub(super) fn container(container: &Container) -> recording::Container {
    let image = container.image.clone().unwrap_or_default();
    recording::Container {
        engine: container.engine.as_str().to_owned(),
        id: container.id.clone(),
        name: container.name.clone(),
        pod: container
            .pod
            .as_ref()
            .filter(|pod| !pod.name.is_empty())
            .map(|pod| format!("{}/{}", pod.namespace, pod.name)),
        image: image.name,
        image_digest: image.digest,
        warnings: container
            .warnings
            .iter()
            .map(|warning| Warning {
                code: warning.code().to_owned(),
                text: warning.to_string(),
            })
            .collect(),
        unresolved: container.unresolved.clone(),
    }
}
