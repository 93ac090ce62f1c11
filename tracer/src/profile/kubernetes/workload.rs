//! Where a workload is in its cluster, as far as its recording says so.

use std::collections::BTreeSet;

use crate::{
    profile::Unfit,
    recording::{Container, Recording},
};

/// Where a workload is in its cluster. What several recorded containers say differently is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Its namespace.
    pub namespace: Option<String>,
    /// What owns its pods: the kind in small letters, and the name.
    pub owner: Option<(String, String)>,
    /// The container in the pod.
    pub container: Option<String>,
    /// What the container is in its pod: main, init, sidecar, ephemeral.
    pub role: Option<String>,
    /// The image as it was asked for.
    pub image: Option<String>,
}

impl Placement {
    /// What a recording says of it.
    pub fn of(recording: &Recording) -> Self {
        let kinds = recording.kinds();
        let containers: Vec<_> = kinds
            .iter()
            .filter_map(|kind| kind.container.as_ref())
            .collect();
        let in_pods = containers.iter().filter(|it| it.pod.is_some());
        Self {
            namespace: one(in_pods.clone().map(|it| namespace(it))),
            owner: one(in_pods.clone().map(|it| owner(it))),
            container: one(in_pods.map(|it| it.name.clone())),
            role: one(containers.iter().map(|it| it.role.clone())),
            image: one(containers.iter().map(|it| it.image.clone())),
        }
    }

    /// The container's name.
    ///
    /// # Errors
    /// When it is not known.
    pub fn container(&self) -> Result<&str, Unfit> {
        self.container.as_deref().ok_or(Unfit::Missing {
            what: "the container's name in its pod",
            advice: "the recording is not of a container in a pod, so give the name with --container",
        })
    }

    /// The list of a pod's that the container is in.
    pub(super) fn list(&self) -> &'static str {
        match self.role.as_deref() {
            Some("init" | "sidecar") => "initContainers",
            Some("ephemeral") => "ephemeralContainers",
            _ => "containers",
        }
    }
}

fn namespace(container: &Container) -> Option<String> {
    let (namespace, _) = container.pod.as_deref()?.split_once('/')?;
    Some(namespace.to_owned())
}

fn owner(container: &Container) -> Option<(String, String)> {
    let (kind, name) = container.owner.as_deref()?.split_once('/')?;
    Some((kind.to_ascii_lowercase(), name.to_owned()))
}

/// What all of them say.
fn one<T: Ord>(all: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut all: BTreeSet<_> = all.collect();
    if all.len() == 1 {
        all.pop_first().flatten()
    } else {
        None
    }
}
