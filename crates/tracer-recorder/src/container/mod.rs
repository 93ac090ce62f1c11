//! From a cgroup to the container in it, the pod, the owner and the workload: the only place that
//! reads what runtimes keep on disk, and that asks them.
//!
//! What is known of a container is gathered from the surest and longest-lived source to the least:
//!
//! 1. the cgroup's path ([`path`]): there before the first call, and kept by whoever saw it;
//! 2. the files of engines and runtimes ([`state`], [`bundle`]): while the container lives;
//! 3. the CRI socket ([`cri`]): pod labels and digests, where it answers in time.
//!
//! Everything that is read was written by someone else. An id becomes a part of a path only as an
//! [`Id`]; files are bounded ([`files`]); names become directories only through [`WorkloadKey::directory`].

pub mod annotations;
pub mod bundle;
pub mod cri;
mod error;
pub mod files;
pub mod find;
pub mod owner;
pub mod path;
mod resolve;
mod sandboxed;
pub mod state;
pub mod warning;
pub mod workload;

use std::collections::BTreeMap;

use syscalls::OciRuntime;
use tracer_core::recording::{Unresolved, Warning};

pub(crate) use self::annotations::AnnotationInfo;
pub use self::{
    bundle::{Seccomp, Security},
    error::ContainerError,
    files::{Files, Id, MAX_ENTRIES},
    find::{Found, Search, Selector, find},
    owner::{Owner, OwnerKind},
    path::{Driver, Engine, is_unit, pod_cgroup},
    resolve::{MetadataSources, named, resolve},
    sandboxed::{Sandbox, Sandboxed, of_program, running},
    warning::warnings,
    workload::{Role, WorkloadKey},
};

/// All that is known of a container. Names and labels are what others wrote: escape them before
/// they are printed.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its own cgroup's path below the v2 mount; nested ones belong to it.
    pub cgroup: String,
    /// The engine.
    pub engine: Engine,
    /// Who made the cgroup, where the path tells.
    pub driver: Option<Driver>,
    /// The OCI runtime, where its files tell.
    pub runtime: Option<OciRuntime>,
    /// The id.
    pub id: String,
    /// The container's name: in its pod, or in its engine.
    pub name: Option<String>,
    /// The pod.
    pub pod: Option<Pod>,
    /// The image.
    pub image: Option<Image>,
    /// Labels: the pod's where they are known, else Docker's.
    pub labels: BTreeMap<String, String>,
    /// What it is in its pod.
    pub role: Role,
    /// How often it was restarted.
    pub attempt: Option<u32>,
    /// The first process' pid, as its runtime wrote it.
    pub pid: Option<i32>,
    /// `process.args` of its bundle.
    pub args: Vec<String>,
    /// What it may do; `None` when its bundle was not found.
    pub security: Option<Security>,
    /// What a reader of its profile has to know.
    pub warnings: Vec<Warning>,
    /// The user whose systemd made the cgroup, and who may name containers there at will.
    pub user: Option<u32>,
    /// The workload that it is an instance of.
    pub workload: WorkloadKey,
    /// What runs its tasks in place of this kernel, if something does.
    pub sandboxed: Option<Sandboxed>,
    /// Whether a runtime's files know it: if not, it is known by its cgroup's path alone.
    pub known: bool,
    /// What could not be found out, and why.
    pub unresolved: Vec<Unresolved>,
}

impl Container {
    /// Whether somebody who knows told what it is: its name in the pod, and what owns the pod. One in
    /// no pod has no more to tell.
    pub fn is_named(&self) -> bool {
        let Some(pod) = &self.pod else {
            return true;
        };
        let certain = pod.owner.as_ref().is_some_and(|owner| owner.certain);
        self.role == Role::Sandbox || (certain && self.name.is_some())
    }

    /// The same container under the names of a later look. What its files told stays: they are gone
    /// with the container, and the names come from elsewhere.
    pub fn with_names_of(&self, later: &Self) -> Self {
        let mut unresolved = self.unresolved.clone();
        unresolved.retain(|problem| !problem.is_about_names());
        let still = later.unresolved.iter().filter(|it| it.is_about_names());
        unresolved.extend(still.cloned());
        Self {
            name: later.name.clone(),
            pod: later.pod.clone(),
            image: later.image.clone().or_else(|| self.image.clone()),
            labels: later.labels.clone(),
            role: later.role,
            attempt: later.attempt.or(self.attempt),
            workload: later.workload.clone(),
            unresolved,
            ..self.clone()
        }
    }
}

/// A pod of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name; empty when only the uid is known.
    pub name: String,
    /// Its namespace; empty when only the uid is known.
    pub namespace: String,
    /// Its uid, the hash of its file for a static pod.
    pub uid: Option<String>,
    /// What owns it; `None` when its name is not known.
    pub owner: Option<Owner>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// As it was asked for.
    pub name: Option<String>,
    /// `name@sha256:…`, or the image's id.
    pub digest: Option<String>,
}
