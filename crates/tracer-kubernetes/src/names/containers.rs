//! Reads the containers of a pod object. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus};

use super::{NamedContainer, Role};

/// The annotation of a mirror pod, which stands for a pod from a file on the node. Its value is the hash in the name
/// of the pod's cgroup (pkg/kubelet/types/pod_update.go).
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";

/// The containers of a pod that have an id, including those from before a restart. Without their owner.
pub(super) fn containers(pod: &Pod) -> Vec<NamedContainer> {
    let metadata = &pod.metadata;
    let annotations = metadata.annotations.as_ref();
    let hash = annotations.and_then(|it| it.get(MIRROR));
    let (Some(name), Some(namespace), Some(uid)) = (
        &metadata.name,
        &metadata.namespace,
        hash.or(metadata.uid.as_ref()),
    ) else {
        return Vec::new();
    };
    let of_pod = NamedContainer {
        pod: name.clone(),
        namespace: namespace.clone(),
        pod_uid: uid.clone(),
        labels: metadata.labels.clone().unwrap_or_default(),
        ..NamedContainer::default()
    };
    let spec = pod.spec.as_ref();
    let images = spec.map(images).unwrap_or_default();
    let status = pod.status.as_ref();
    statuses(status)
        .flat_map(|(list, status)| {
            let image = images.get(status.name.as_str()).copied();
            let container = NamedContainer {
                name: status.name.clone(),
                image: image.unwrap_or(status.image.as_str()).to_owned(),
                digest: digest(&status.image_id),
                role: role(list, &status.name, spec),
                ..of_pod.clone()
            };
            runs(status).map(move |(id, attempt)| NamedContainer {
                id,
                attempt,
                ..container.clone()
            })
        })
        .collect()
}

/// The list of a pod's status that a container is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Main,
    Init,
    Ephemeral,
}

/// The statuses of a pod's containers, in the order in which they run.
fn statuses(status: Option<&PodStatus>) -> impl Iterator<Item = (List, &ContainerStatus)> {
    let lists = status.map(|status| {
        [
            (List::Init, status.init_container_statuses.as_ref()),
            (List::Main, status.container_statuses.as_ref()),
            (
                List::Ephemeral,
                status.ephemeral_container_statuses.as_ref(),
            ),
        ]
    });
    let lists = lists.into_iter().flatten();
    lists.flat_map(|(list, statuses)| {
        let statuses = statuses.map(Vec::as_slice).unwrap_or_default();
        statuses.iter().map(move |status| (list, status))
    })
}

/// The ids of the runs in a container's status, with their numbers: the current one, and the last one before it.
fn runs(status: &ContainerStatus) -> impl Iterator<Item = (String, u32)> {
    let restarts = u32::try_from(status.restart_count).unwrap_or_default();
    let ended = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
        state?.terminated.as_ref()?.container_id.clone()
    };
    let current = status
        .container_id
        .clone()
        .or_else(|| ended(status.state.as_ref()));
    let last = ended(status.last_state.as_ref()).filter(|last| Some(last) != current.as_ref());
    let last = last.map(|id| (id, restarts.saturating_sub(1)));
    let runs = current.map(|id| (id, restarts)).into_iter().chain(last);
    runs.filter_map(|(id, attempt)| {
        // `containerd://ID`.
        let (_, id) = id.split_once("://")?;
        (!id.is_empty()).then(|| (id.to_owned(), attempt))
    })
}

fn images(spec: &PodSpec) -> BTreeMap<&str, &str> {
    let lists = [Some(&spec.containers), spec.init_containers.as_ref()];
    let containers = lists.into_iter().flatten().flatten();
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    containers
        .map(|it| (it.name.as_str(), it.image.as_deref()))
        .chain(ephemeral.map(|it| (it.name.as_str(), it.image.as_deref())))
        .filter_map(|(name, image)| Some((name, image?)))
        .collect()
}

fn role(list: List, name: &str, spec: Option<&PodSpec>) -> Role {
    let goes_on = || {
        let init = spec.and_then(|spec| spec.init_containers.as_ref());
        let is_it = |it: &&Container| it.name == name;
        let container = init.and_then(|init| init.iter().find(is_it));
        container.and_then(|it| it.restart_policy.as_deref()) == Some("Always")
    };
    match list {
        List::Main => Role::Main,
        List::Ephemeral => Role::Ephemeral,
        List::Init if goes_on() => Role::Sidecar,
        List::Init => Role::Init,
    }
}

/// The digest without the prefix of Docker's shim.
fn digest(image_id: &str) -> String {
    let bare = image_id
        .split_once("://")
        .map_or(image_id, |(_, digest)| digest);
    bare.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_of_every_kind_and_run_are_named() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-0", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
            "spec": {
                "containers": [{"name": "main", "image": "web:1"}],
                "initContainers": [
                    {"name": "once", "image": "init:1"},
                    {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"},
                ],
            },
            "status": {
                "containerStatuses": [{
                    "name": "main", "image": "docker.io/web:1", "ready": true, "restartCount": 3,
                    "imageID": "docker.io/web@sha256:11", "containerID": "containerd://new",
                    "lastState": {"terminated": {"exitCode": 1, "containerID": "containerd://old"}},
                }],
                "initContainerStatuses": [
                    {"name": "once", "image": "", "imageID": "sha256:22", "ready": true, "restartCount": 0,
                     "state": {"terminated": {"exitCode": 0, "containerID": "cri-o://gone"}}},
                    {"name": "proxy", "image": "", "imageID": "docker-pullable://p@sha256:33", "ready": true,
                     "restartCount": 0, "containerID": "docker://p"},
                ],
                "ephemeralContainerStatuses": [
                    {"name": "debugger", "image": "busybox", "imageID": "", "ready": false, "restartCount": 0,
                     "containerID": "containerd://d"},
                ],
            },
        }))
        .unwrap();
        let found = containers(&pod);
        let brief: Vec<_> = found
            .iter()
            .map(|it| (it.id.as_str(), it.name.as_str(), it.role, it.attempt))
            .collect();
        assert_eq!(
            brief,
            [
                ("gone", "once", Role::Init, 0),
                ("p", "proxy", Role::Sidecar, 0),
                ("new", "main", Role::Main, 3),
                ("old", "main", Role::Main, 2),
                ("d", "debugger", Role::Ephemeral, 0),
            ]
        );
        let digests: Vec<_> = found.iter().map(|it| it.digest.as_str()).collect();
        let web = "docker.io/web@sha256:11";
        assert_eq!(digests, ["sha256:22", "p@sha256:33", web, web, ""]);
        assert!(
            found
                .iter()
                .all(|it| it.pod_uid == "u" && it.labels["app"] == "web")
        );
        assert_eq!(found[2].image, "web:1");
        assert_eq!(found[4].image, "busybox");
    }

    #[test]
    fn mirror_of_a_static_pod_is_known_by_the_hash_of_its_file() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "etcd-n1", "namespace": "kube-system", "uid": "made-by-the-api-server",
                "annotations": {MIRROR: "0123456789abcdef0123456789abcdef"},
            },
            "status": {"containerStatuses": [{
                "name": "etcd", "image": "e", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": "containerd://e",
            }]},
        }))
        .unwrap();
        let found = containers(&pod);
        assert_eq!(found[0].pod_uid, "0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn containers_without_an_id_are_left_out() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "b", "uid": "u"},
            "status": {"containerStatuses": [
                {"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                 "state": {"waiting": {"reason": "ContainerCreating"}}},
                {"name": "b", "image": "", "imageID": "", "ready": false, "restartCount": -1,
                 "containerID": "containerd://"},
            ]},
        }))
        .unwrap();
        assert!(containers(&pod).is_empty());
        assert!(containers(&Pod::default()).is_empty());
    }
}
