//! What annotations say of a container: each engine writes the pod's name, the container's and the
//! image's under keys of its own. Pure.
//!
//! | engine | keys | source |
//! | --- | --- | --- |
//! | containerd | `io.kubernetes.cri.*` | internal/cri/annotations/annotations.go |
//! | CRI-O | `io.kubernetes.cri-o.*`, and kubelet's labels | pkg/annotations, internal/factory/container |
//! | Docker through cri-dockerd | kubelet's labels, `io.kubernetes.docker.type` | core/labels.go |
//! | kubelet | `io.kubernetes.pod.*`, `io.kubernetes.container.*` | staging/src/k8s.io/kubelet/pkg/types/labels.go |
//! | nerdctl | `nerdctl/*` | pkg/labels/labels.go |

use super::{owner::Labels, path::Engine};

/// What annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnotationInfo {
    /// The engine that wrote them.
    pub engine: Option<Engine>,
    /// The container's name.
    pub name: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The image's name.
    pub image: Option<String>,
    /// The image's digest or id.
    pub digest: Option<String>,
    /// The id of the pod's sandbox.
    pub sandbox_id: Option<String>,
    /// Whether it is a pod's sandbox.
    pub sandbox: bool,
    /// How often it was restarted.
    pub attempt: Option<u32>,
    /// The labels that came through CRI: of a sandbox, the pod's.
    pub labels: Option<Labels>,
    /// The annotations that came through CRI: of a sandbox, the pod's.
    pub annotations: Labels,
}

/// The keys of each fact, the first that is there counts.
const NAME: [&str; 4] = [
    "io.kubernetes.cri.container-name",
    "io.kubernetes.container.name",
    "io.kubernetes.cri-o.ContainerName",
    "nerdctl/name",
];
const POD: [&str; 3] = [
    "io.kubernetes.cri.sandbox-name",
    "io.kubernetes.pod.name",
    "io.kubernetes.cri-o.KubeName",
];
const NAMESPACE: [&str; 3] = [
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.pod.namespace",
    "io.kubernetes.cri-o.Namespace",
];
const POD_UID: [&str; 2] = ["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"];
const IMAGE: [&str; 3] = [
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.ImageName",
    "nerdctl/image-ref",
];
const DIGEST: [&str; 1] = ["io.kubernetes.cri-o.ImageRef"];
const SANDBOX_ID: [&str; 3] = [
    "io.kubernetes.cri.sandbox-id",
    "io.kubernetes.cri-o.SandboxID",
    "io.kubernetes.sandbox.id",
];
const TYPE: [&str; 3] = [
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri-o.ContainerType",
    "io.kubernetes.docker.type",
];

impl AnnotationInfo {
    /// Reads a bundle's annotations, or Docker's labels.
    pub fn read(annotations: &Labels) -> Self {
        let first = |keys: &[&str]| {
            let mut values = keys.iter().filter_map(|key| annotations.get(*key));
            values.find(|value| !value.is_empty()).cloned()
        };
        let json =
            |key: &str| -> Option<Labels> { serde_json::from_str(annotations.get(key)?).ok() };
        let has = |prefix: &str| annotations.keys().any(|key| key.starts_with(prefix));
        // Podman uses some of CRI-O's keys, so its own count first.
        let engine = if has("io.podman.annotations.") || has("io.container.manager") {
            Some(Engine::Podman)
        } else if has("io.kubernetes.cri-o.") {
            Some(Engine::CriO)
        } else if has("io.kubernetes.cri.") || has("nerdctl/") {
            Some(Engine::Containerd)
        } else {
            None
        };
        let kind = first(&TYPE);
        let sandbox = matches!(kind.as_deref(), Some("sandbox" | "podsandbox"));
        Self {
            engine,
            name: first(&NAME).filter(|_| !sandbox),
            pod: first(&POD),
            namespace: first(&NAMESPACE),
            pod_uid: first(&POD_UID),
            image: first(&IMAGE),
            digest: first(&DIGEST),
            sandbox_id: first(&SANDBOX_ID),
            sandbox,
            attempt: first(&[
                "annotation.io.kubernetes.container.restartCount",
                "io.kubernetes.container.restartCount",
            ])
            .and_then(|count| count.parse().ok()),
            labels: json("io.kubernetes.cri-o.Labels"),
            annotations: json("io.kubernetes.cri-o.Annotations").unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> AnnotationInfo {
        AnnotationInfo::read(
            &pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn reads_annotations_of_every_engine() {
        let containerd = read(&[
            ("io.kubernetes.cri.container-type", "container"),
            ("io.kubernetes.cri.container-name", "nginx"),
            ("io.kubernetes.cri.sandbox-name", "web-0"),
            ("io.kubernetes.cri.sandbox-namespace", "shop"),
            ("io.kubernetes.cri.sandbox-uid", "u"),
            ("io.kubernetes.cri.sandbox-id", "s"),
            ("io.kubernetes.cri.image-name", "nginx:1"),
        ]);
        let crio = read(&[
            ("io.kubernetes.cri-o.ContainerType", "container"),
            ("io.kubernetes.container.name", "nginx"),
            ("io.kubernetes.pod.name", "web-0"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", "u"),
            ("io.kubernetes.cri-o.SandboxID", "s"),
            ("io.kubernetes.cri-o.ImageName", "nginx:1"),
            ("io.kubernetes.cri-o.Labels", r#"{"a":"b"}"#),
        ]);
        let docker = read(&[
            ("io.kubernetes.docker.type", "container"),
            ("io.kubernetes.container.name", "nginx"),
            ("io.kubernetes.pod.name", "web-0"),
            ("io.kubernetes.pod.namespace", "shop"),
            ("io.kubernetes.pod.uid", "u"),
            ("io.kubernetes.sandbox.id", "s"),
        ]);
        for (facts, engine) in [
            (&containerd, Some(Engine::Containerd)),
            (&crio, Some(Engine::CriO)),
            (&docker, None),
        ] {
            assert_eq!(facts.engine, engine);
            assert_eq!(facts.name.as_deref(), Some("nginx"));
            assert_eq!(facts.pod.as_deref(), Some("web-0"));
            assert_eq!(facts.namespace.as_deref(), Some("shop"));
            assert_eq!(facts.pod_uid.as_deref(), Some("u"));
            assert_eq!(facts.sandbox_id.as_deref(), Some("s"));
            assert!(!facts.sandbox);
        }
        assert_eq!(crio.labels.unwrap().len(), 1);
        assert_eq!(read(&[("nerdctl/name", "n")]).name.as_deref(), Some("n"));
        assert_eq!(
            read(&[
                ("io.container.manager", "libpod"),
                ("io.kubernetes.cri-o.SandboxID", "s")
            ])
            .engine,
            Some(Engine::Podman)
        );
    }

    #[test]
    fn sandbox_has_no_container_name() {
        let facts = read(&[
            ("io.kubernetes.cri-o.ContainerType", "sandbox"),
            ("io.kubernetes.container.name", "POD"),
        ]);
        assert_eq!((facts.sandbox, facts.name), (true, None));
        assert!(
            read(&[("io.kubernetes.cri-o.Labels", "[[[")])
                .labels
                .is_none()
        );
    }
}
