//! Who the containers of a node are.

mod containers;
mod owners;
mod watch;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use watch::watch;

/// A container, as its pod's status has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedContainer {
    /// Its id, without the runtime's name.
    pub id: String,
    /// Its name in the pod.
    pub name: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid, as kubelet names its cgroup: of a static pod the hash of its file.
    pub pod_uid: String,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// The image as the pod names it.
    pub image: String,
    /// `name@sha256:…` where the runtime knows one, else the image's id.
    pub digest: String,
    /// How often it was restarted.
    pub attempt: u32,
    /// What it is in its pod.
    pub role: Role,
    /// What owns the pod; `None` where the API server does not tell, and labels have to.
    pub owner: Option<Owner>,
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// One of the pod's containers.
    #[default]
    Main,
    /// It ends before the pod's containers begin.
    Init,
    /// An init container that goes on (`restartPolicy: Always`).
    Sidecar,
    /// Put in later, by `kubectl debug`.
    Ephemeral,
}

/// What owns a pod: the outermost controller that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Its kind in lower case: `deployment`, `cronjob`, `pod` for a pod of its own.
    pub kind: String,
    /// Its name.
    pub name: String,
}
