//! The names and owners of a node's containers.

mod containers;
mod owners;
mod watch;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use watch::watch;

/// A container, as the pod's status describes it.
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
    /// Its role in the pod.
    pub role: Role,
    /// The pod's owner; `None` if the API server does not report it, so that labels decide.
    pub owner: Option<Owner>,
}

/// The role of a container in its pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// One of the pod's containers.
    #[default]
    Main,
    /// An init container: it ends before the pod's containers start.
    Init,
    /// An init container that keeps running (`restartPolicy: Always`).
    Sidecar,
    /// Added later, by `kubectl debug`.
    Ephemeral,
}

/// The owner of a pod: the outermost controller that tracer follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Its kind in lower case: `deployment`, `cronjob`, or `pod` for a pod without a controller.
    pub kind: String,
    /// Its name.
    pub name: String,
}
