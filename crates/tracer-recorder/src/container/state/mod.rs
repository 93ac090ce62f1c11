//! Where runtimes keep what they know of a container, on disk.
//!
//! | file | by | says |
//! | --- | --- | --- |
//! | `/run/runc/ID/state.json`, also below `/run/containerd/runc/NS`, `/run/docker/runtime-runc/NS` | runc | bundle, pid, cgroup |
//! | `/run/crun/ID/status` | crun | bundle, pid, cgroup |
//! | `/run/containerd/io.containerd.runtime.v2.task/NS/ID/config.json` | containerd's shims, Docker through them | it is the bundle |
//! | `/var/lib/docker/containers/ID/config.v2.json` | Docker | name, image |
//! | `/var/lib/containers/storage/overlay-containers/…` | Podman, CRI-O | bundle, names |
//!
//! These are the usual places. What engines that run were told instead is in `daemons`.
//!
//! runc and crun write theirs after they made the cgroup; the others are there before it. So a
//! look-up that finds nothing at `cgroup_mkdir` is worth repeating at the first exec.

mod containerd;
mod crun;
mod daemons;
mod docker;
mod runc;
mod storage;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use syscalls::OciRuntime;

use super::{
    ContainerError,
    files::{Files, Id},
    path::{Engine, cgroups_path, is_within, user},
};

/// What the files say of one container. Nothing in it is checked but the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The id.
    pub id: Id,
    /// The engine, where the place of the file tells.
    pub engine: Option<Engine>,
    /// The OCI runtime, where the place of the file tells.
    pub runtime: Option<OciRuntime>,
    /// Its cgroup's path below the v2 mount.
    pub cgroup: Option<String>,
    /// The first process' pid.
    pub pid: Option<i32>,
    /// The directory with `config.json`.
    pub bundle: Option<PathBuf>,
    /// The name that a user gave.
    pub name: Option<String>,
    /// The image's name.
    pub image: Option<String>,
    /// The image's id, a digest.
    pub image_id: Option<String>,
    /// Labels, as Docker keeps them; those of kubelet through cri-dockerd are among them.
    pub labels: BTreeMap<String, String>,
    /// Whether the engine says that it is privileged.
    pub privileged: bool,
    /// The user whose rootless runtime wrote it.
    pub user: Option<u32>,
}

impl State {
    fn new(id: &Id) -> Self {
        Self {
            id: id.clone(),
            engine: None,
            runtime: None,
            cgroup: None,
            pid: None,
            bundle: None,
            name: None,
            image: None,
            image_id: None,
            labels: BTreeMap::new(),
            privileged: false,
            user: None,
        }
    }

    /// Takes what is not known yet from another file about the same container.
    fn fill(&mut self, other: Self) {
        self.engine = self.engine.or(other.engine);
        self.runtime = self.runtime.or(other.runtime);
        self.cgroup = self.cgroup.take().or(other.cgroup);
        self.pid = self.pid.or(other.pid);
        self.bundle = self.bundle.take().or(other.bundle);
        self.name = self.name.take().or(other.name);
        self.image = self.image.take().or(other.image);
        self.image_id = self.image_id.take().or(other.image_id);
        if self.labels.is_empty() {
            self.labels = other.labels;
        }
        self.privileged |= other.privileged;
    }

    /// Whether it can be what is in that cgroup. A user's runtime may speak of that user's cgroups
    /// only.
    fn matches_values(&self, cgroup: &str) -> bool {
        let fits = self
            .cgroup
            .as_deref()
            .map(|known| is_within(cgroup, known) || is_within(known, cgroup));
        match (self.user, user(cgroup)) {
            (None, None) => fits.unwrap_or(true),
            // The user may have borrowed the id of one of the system's containers.
            (None, Some(_)) => fits.unwrap_or(false),
            (own, of) => own == of && fits.unwrap_or(true),
        }
    }
}

/// What a look-up gave.
#[derive(Debug, Default)]
pub struct Lookup {
    /// The container, when any file knows it.
    pub state: Option<State>,
    /// Files that could not be read.
    pub problems: Vec<ContainerError>,
}

/// A place where state is kept: one function that reads what is there of an id, and one that lists
/// ids.
struct StateDirectory {
    find: fn(&Files, &Id) -> Vec<Result<State, ContainerError>>,
    /// Ids of containers whose cgroup's path need not tell the id.
    list: fn(&Files) -> Vec<Id>,
}

/// In order of trust: what comes first is not replaced.
const PLACES: [StateDirectory; 5] = [
    StateDirectory {
        find: runc::find,
        list: runc::list,
    },
    StateDirectory {
        find: crun::find,
        list: crun::list,
    },
    StateDirectory {
        find: containerd::find,
        list: containerd::list,
    },
    StateDirectory {
        find: docker::find,
        list: |_| Vec::new(),
    },
    StateDirectory {
        find: storage::find,
        list: |_| Vec::new(),
    },
];

/// What is known of the container `id` whose cgroup is at `cgroup`.
pub fn by_id(files: &Files, id: &Id, cgroup: &str) -> Lookup {
    let mut lookup = Lookup::default();
    for place in &PLACES {
        for found in (place.find)(files, id) {
            match found {
                // Namespaces of containerd may use an id twice: the cgroup decides.
                Ok(state) if !state.matches_values(cgroup) => {}
                Ok(state) => match &mut lookup.state {
                    Some(known) => known.fill(state),
                    None => lookup.state = Some(state),
                },
                Err(error) => lookup.problems.push(error),
            }
        }
    }
    if let Some(known) = &mut lookup.state {
        for found in storage::beside(files, known) {
            match found {
                Ok(state) => known.fill(state),
                Err(error) => lookup.problems.push(error),
            }
        }
    }
    lookup
}

/// Every container that runc, crun or containerd knows, with its cgroup.
#[derive(Debug, Default)]
pub struct Scan {
    states: Vec<State>,
    /// Files that could not be read.
    pub problems: Vec<ContainerError>,
}

impl Scan {
    /// Reads the files of every container.
    pub fn from_files(files: &Files) -> Self {
        let mut scan = Self::default();
        for place in &PLACES {
            let mut ids = (place.list)(files);
            // One id may stand in two directories of a place, and each look finds both.
            ids.sort();
            ids.dedup();
            for found in ids.iter().flat_map(|id| (place.find)(files, id)) {
                match found {
                    Ok(state) => scan.states.push(state),
                    Err(error) => scan.problems.push(error),
                }
            }
        }
        scan
    }

    /// The container whose cgroup is `cgroup` or lies above it; the outermost, when there are
    /// several. For paths that do not tell an id: plain runc, crun and `ctr`.
    pub fn outermost(&self, cgroup: &str) -> Option<&State> {
        let of = |state: &&State| {
            let known = state.cgroup.as_deref();
            known.is_some_and(|known| is_within(cgroup, known)) && state.matches_values(cgroup)
        };
        let depth = |state: &&State| state.cgroup.as_ref().map_or(0, String::len);
        self.states.iter().filter(of).min_by_key(depth)
    }
}

/// The parsed `config.json` of a container's bundle; `None` when no file tells where it is.
///
/// # Errors
/// When `config.json` cannot be read.
pub fn config(files: &Files, state: &State) -> Result<Option<serde_json::Value>, ContainerError> {
    match &state.bundle {
        Some(bundle) => files.json(&bundle.join("config.json"), state.user),
        None => Ok(None),
    }
}

/// The directories below `/run/user`, which rootless runtimes use, with the user each is of.
fn of_users(files: &Files, below: &str) -> Vec<(PathBuf, Option<u32>)> {
    files
        .ids(Path::new("/run/user"))
        .into_iter()
        .filter_map(|id| {
            let user: u32 = id.as_str().parse().ok()?;
            Some((
                Path::new("/run/user").join(id.as_str()).join(below),
                Some(user),
            ))
        })
        .collect()
}

/// A cgroup's path below the v2 mount, from a path that a runtime wrote: with the mount point, as
/// runc does, without, as crun does, or in systemd's form.
fn v2_path(text: &str) -> Option<String> {
    let below = ["/sys/fs/cgroup/unified/", "/sys/fs/cgroup/"]
        .iter()
        .find_map(|mount| text.strip_prefix(mount));
    match below {
        Some(below) => cgroups_path(&format!("/{below}")),
        None => cgroups_path(text),
    }
}

/// A pid that a runtime wrote.
fn pid(value: Option<&serde_json::Value>) -> Option<i32> {
    value?
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok())
        .filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests;
