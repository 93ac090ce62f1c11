//! What the container runtime tells Kubernetes, asked over the socket that kubelet uses (CRI v1).
//!
//! Asking can be slow or hang, and a container may be gone by then: so everything is asked for at
//! once, within a time limit, and kept in a [`Snapshot`]. The files know less and never wait.

mod client;
mod sockets;
mod wire;

use std::{collections::BTreeMap, path::Path, time::Duration};

pub use client::TIMEOUT;
pub use sockets::SOCKETS;

use self::{
    client::Client,
    wire::{ListContainersResponse, ListImagesResponse, ListPodSandboxResponse},
};
use super::{ContainerError, Owner, Role, files::MAX_ENTRIES};

/// A container, as CRI has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriContainer {
    /// Its id.
    pub id: String,
    /// The container's name in its pod; empty for a sandbox.
    pub name: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid.
    pub pod_uid: String,
    /// The container's labels, those of kubelet.
    pub labels: BTreeMap<String, String>,
    /// The container's annotations, those of kubelet.
    pub annotations: BTreeMap<String, String>,
    /// The pod's labels.
    pub pod_labels: BTreeMap<String, String>,
    /// The pod's annotations.
    pub pod_annotations: BTreeMap<String, String>,
    /// The image as the pod names it.
    pub image: String,
    /// The image's digest, `name@sha256:…` where the runtime knows one, else the id of the image.
    pub digest: String,
    /// How often it was restarted.
    pub attempt: u32,
    /// What it does.
    pub state: CriState,
    /// Whether it is the pod's sandbox and not one of its containers.
    pub sandbox: bool,
    /// What it is in its pod, where it is told. CRI does not tell; an API server does.
    pub role: Option<Role>,
    /// What owns the pod, where it is told. CRI does not tell; an API server does.
    pub owner: Option<Owner>,
}

/// `ContainerState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CriState {
    /// Made, not started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// The runtime does not know, or there is no such state.
    #[default]
    Unknown,
}

/// What the runtimes of this machine said, by container id.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    containers: BTreeMap<String, CriContainer>,
}

impl Snapshot {
    /// Asks the runtime at `socket`; `None` when it does not speak CRI. It takes at most four times
    /// `limit`.
    ///
    /// # Errors
    /// [`ContainerError::CriTime`], [`ContainerError::Cri`].
    pub async fn ask(socket: &Path, limit: Duration) -> Result<Option<Self>, ContainerError> {
        let mut client = Client::connect(socket, limit).await?;
        let Some(pods) = client
            .list::<ListPodSandboxResponse>("/runtime.v1.RuntimeService/ListPodSandbox")
            .await?
        else {
            return Ok(None);
        };
        let Some(containers) = client
            .list::<ListContainersResponse>("/runtime.v1.RuntimeService/ListContainers")
            .await?
        else {
            return Ok(None);
        };
        // Without this only digests are missing.
        let images = match client
            .list::<ListImagesResponse>("/runtime.v1.ImageService/ListImages")
            .await
        {
            Ok(images) => images.unwrap_or_default(),
            Err(error) => {
                log::warn!("{error}");
                ListImagesResponse::default()
            }
        };
        Ok(Some(Self::of(pods, containers, &images)))
    }

    /// Asks the runtimes that listen at [`SOCKETS`] or elsewhere, or the one that was `given`, and says which did not
    /// answer. A socket that is not there is an error only when it was given.
    pub async fn ask_all(given: Option<&Path>) -> (Self, Vec<ContainerError>) {
        let mut all = Self::default();
        let mut problems = Vec::new();
        let sockets = match given {
            Some(given) => vec![given.to_owned()],
            // It looks at every process of the host: recording goes on meanwhile.
            None => tokio::task::spawn_blocking(sockets::all)
                .await
                .unwrap_or_default(),
        };
        for socket in sockets {
            match Self::ask(&socket, TIMEOUT).await {
                Ok(Some(snapshot)) => all.extend(snapshot),
                Ok(None) => log::debug!("{} does not speak CRI", socket.display()),
                Err(error) => problems.push(error),
            }
        }
        (all, problems)
    }

    /// The container with that id.
    pub fn get(&self, id: &str) -> Option<&CriContainer> {
        self.containers.get(id)
    }

    /// Whether it knows a container.
    pub fn knows(&self, id: &str) -> bool {
        self.containers.contains_key(id)
    }

    /// Adds what a later look said, which counts more. Containers that are gone since are kept, up
    /// to [`MAX_ENTRIES`] in all: one that is asked for late is still known, and an agent does not
    /// grow for ever.
    pub fn extend(&mut self, later: Self) {
        if self.containers.len() + later.containers.len() > MAX_ENTRIES {
            self.containers.clear();
        }
        self.containers.extend(later.containers);
    }

    /// How many containers and sandboxes there are.
    pub fn len(&self) -> usize {
        self.containers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// One that holds these.
    pub fn from_containers(containers: impl IntoIterator<Item = CriContainer>) -> Self {
        Self {
            containers: containers.into_iter().map(|c| (c.id.clone(), c)).collect(),
        }
    }

    fn of(
        pods: ListPodSandboxResponse,
        containers: ListContainersResponse,
        images: &ListImagesResponse,
    ) -> Self {
        let sandboxes: BTreeMap<String, CriContainer> = pods
            .items
            .into_iter()
            .map(|pod| {
                let metadata = pod.metadata.unwrap_or_default();
                let sandbox = CriContainer {
                    id: pod.id.clone(),
                    pod: metadata.name,
                    namespace: metadata.namespace,
                    pod_uid: metadata.uid,
                    pod_labels: pod.labels.into_iter().collect(),
                    pod_annotations: pod.annotations.into_iter().collect(),
                    sandbox: true,
                    ..CriContainer::default()
                };
                (pod.id, sandbox)
            })
            .collect();
        let containers: Vec<CriContainer> = containers
            .containers
            .into_iter()
            .map(|container| {
                let pod = sandboxes
                    .get(&container.pod_sandbox_id)
                    .cloned()
                    .unwrap_or_default();
                let metadata = container.metadata.unwrap_or_default();
                let spec = container.image.unwrap_or_default();
                let image_ids = [&container.image_id, &container.image_ref, &spec.image];
                CriContainer {
                    name: metadata.name,
                    attempt: metadata.attempt,
                    labels: container.labels.into_iter().collect(),
                    annotations: container.annotations.into_iter().collect(),
                    digest: digest(images, &image_ids),
                    image: image(images, &spec, &image_ids),
                    state: state(container.state),
                    sandbox: false,
                    id: container.id,
                    ..pod
                }
            })
            .collect();
        Self::from_containers(sandboxes.into_values().chain(containers))
    }
}

/// The digest that pulls this image again. `image_ref` is one on some runtimes and an id on others.
fn digest(images: &ListImagesResponse, ids: &[&String]) -> String {
    if let Some(reference) = ids.iter().find(|id| id.contains('@')) {
        return (*reference).clone();
    }
    let of_image = |id: &&&String| {
        let image = images.images.iter().find(|image| image.id == ***id)?;
        image.repo_digests.first().cloned()
    };
    ids.iter()
        .filter(|id| !id.is_empty())
        .find_map(|id| of_image(&id))
        .or_else(|| {
            ids.iter()
                .find(|id| id.starts_with("sha256:"))
                .map(|id| (*id).clone())
        })
        .unwrap_or_default()
}

/// The name that the pod gave; kubelet passes the id in its place (KEP 4216 added the name).
fn image(images: &ListImagesResponse, spec: &wire::ImageSpec, ids: &[&String]) -> String {
    if !spec.user_specified_image.is_empty() {
        return spec.user_specified_image.clone();
    }
    if spec.image.starts_with("sha256:") {
        let known = images.images.iter().find(|image| ids.contains(&&image.id));
        if let Some(tag) = known.and_then(|image| image.repo_tags.first()) {
            return tag.clone();
        }
    }
    spec.image.clone()
}

fn state(number: i32) -> CriState {
    match number {
        0 => CriState::Created,
        1 => CriState::Running,
        2 => CriState::Exited,
        _ => CriState::Unknown,
    }
}

#[cfg(test)]
mod tests;
