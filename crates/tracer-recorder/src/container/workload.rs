//! Which workload a container is an instance of, and what its directory is called. Pure.

use std::fmt;

use serde_json::Value;

use super::{
    owner::{Labels, Owner, OwnerKind, is_random},
    path::Engine,
};

/// What gets one profile. Containers with equal keys are instances of one workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKey {
    /// A container of an owner in Kubernetes.
    Pod {
        /// The namespace.
        namespace: String,
        /// The owner's kind.
        kind: OwnerKind,
        /// The owner's name.
        owner: String,
        /// The container's name in the pod.
        container: String,
    },
    /// A container that has a name of its own.
    Named(String),
    /// A container that has none: what it runs.
    Command(String),
    /// A container of which only the cgroup is known.
    Cgroup(String),
    /// A container of a user's own, who may call it anything: never the same as one of the system.
    User(u32, Box<WorkloadKey>),
}

impl WorkloadKey {
    /// The key of a container in a pod.
    pub fn pod(namespace: &str, owner: &Owner, container: &str) -> Self {
        Self::Pod {
            namespace: namespace.to_owned(),
            kind: owner.kind,
            owner: owner.name.clone(),
            container: container.to_owned(),
        }
    }

    /// The name of its directory. `clean` makes one name safe, as the names that a user gives are
    /// made; names that had to be changed get a hash of what they were, so that two workloads never
    /// share a directory.
    ///
    /// `<namespace>_<kind>-<owner>_<container>` in a pod: a name in Kubernetes has no underscore,
    /// and without the kind a Deployment and a StatefulSet of one name would be one directory.
    pub fn directory(&self, clean: impl Fn(&str) -> String) -> String {
        const MAX: usize = 180;
        let whole = self.unsafe_name();
        // A cleaner that takes the last part of a path must see no path.
        let cleaned = clean(&whole.replace('/', "_"));
        let plain_workload = match self {
            Self::Pod { .. } => whole.matches('_').count() == 2,
            Self::Named(name) => !looks_made(name),
            _ => false,
        };
        if plain_workload && cleaned == whole && whole.len() <= MAX {
            return cleaned;
        }
        let hash = fnv1a(format!("{self:?}").as_bytes());
        let short: String = cleaned.chars().take(MAX).collect();
        clean(&format!("{short}-{hash:016x}"))
    }

    fn unsafe_name(&self) -> String {
        match self {
            Self::Pod {
                namespace,
                kind,
                owner,
                container,
            } => {
                format!("{namespace}_{}-{owner}_{container}", kind.as_str())
            }
            Self::Named(name) => name.clone(),
            Self::Command(command) => command.rsplit('/').next().unwrap_or_default().to_owned(),
            Self::Cgroup(path) => path.trim_start_matches('/').to_owned(),
            Self::User(uid, key) => format!("user{uid}.{}", key.unsafe_name()),
        }
    }
}

/// For messages; escape it before it reaches a terminal.
impl fmt::Display for WorkloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod {
                namespace,
                owner,
                container,
                ..
            } => {
                write!(f, "{namespace}/{owner}/{container}")
            }
            Self::Named(name) | Self::Command(name) | Self::Cgroup(name) => f.write_str(name),
            Self::User(uid, key) => write!(f, "{key} of user {uid}"),
        }
    }
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It is in no pod, or nothing tells. CRI does not: kubelet keeps it to itself.
    #[default]
    Unknown,
    /// One of the pod's containers.
    Main,
    /// It ends before the pod's containers begin.
    Init,
    /// An init container that goes on, or a proxy that a mesh put in.
    Sidecar,
    /// Put in later by `kubectl debug`.
    Ephemeral,
    /// The pod's sandbox: `pause`.
    Sandbox,
}

/// What a container is in its pod, by what kubelet and others left in labels and annotations:
///
/// - label `io.kubernetes.container.type` (INIT, REGULAR, EPHEMERAL), of older kubelets and some
///   others;
/// - the pod's annotation `kubectl.kubernetes.io/last-applied-configuration`, the whole pod as it was
///   applied, when a bare pod was;
/// - the pod's annotation `sidecar.istio.io/status`, the names that Istio put in;
/// - the name that `kubectl debug` makes, `debugger-` and five random characters
///   (kubectl, pkg/cmd/debug: computeDebugContainerName), where nothing else tells.
pub fn role(container: &str, labels: &Labels, pod_annotations: &Labels) -> Role {
    match labels
        .get("io.kubernetes.container.type")
        .map(String::as_str)
    {
        Some("INIT") => return Role::Init,
        Some("REGULAR") => return Role::Main,
        Some("EPHEMERAL" | "DEBUG") => return Role::Ephemeral,
        _ => {}
    }
    let json =
        |key: &str| -> Option<Value> { serde_json::from_str(pod_annotations.get(key)?).ok() };
    if let Some(status) = json("sidecar.istio.io/status") {
        let names = |key: &str| {
            let list = status.pointer(key).and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|name| name.as_str() == Some(container)))
        };
        if names("/containers") {
            return Role::Sidecar;
        }
        if names("/initContainers") {
            // A native sidecar is an init container that is called istio-proxy.
            return if container == "istio-proxy" {
                Role::Sidecar
            } else {
                Role::Init
            };
        }
    }
    let by_name = if is_debugger(container) {
        Role::Ephemeral
    } else {
        Role::Unknown
    };
    let Some(applied) = json("kubectl.kubernetes.io/last-applied-configuration") else {
        return by_name;
    };
    let find = |pointer: &str| {
        let list = applied.pointer(pointer)?.as_array()?;
        list.iter()
            .find(|c| c.pointer("/name").and_then(Value::as_str) == Some(container))
    };
    if let Some(init) = find("/spec/initContainers") {
        let always = init.pointer("/restartPolicy").and_then(Value::as_str) == Some("Always");
        return if always { Role::Sidecar } else { Role::Init };
    }
    if find("/spec/containers").is_some() {
        return Role::Main;
    }
    by_name
}

/// Whether a name is one that `kubectl debug` made.
fn is_debugger(name: &str) -> bool {
    let suffix = name.strip_prefix("debugger-");
    suffix.is_some_and(|suffix| suffix.len() == 5 && is_random(suffix))
}

/// What the key of a container that is in no pod is.
pub(super) fn plain_workload(
    engine: Engine,
    id: &str,
    name: Option<&str>,
    args: &[String],
    cgroup: &str,
) -> WorkloadKey {
    if let Some(name) = name {
        return WorkloadKey::Named(name.to_owned());
    }
    // Plain runc, crun and ctr: the id is the name that somebody gave; a generated one is not.
    let generated = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if !generated && engine != Engine::Systemd {
        return WorkloadKey::Named(id.to_owned());
    }
    match args.first().filter(|command| !command.is_empty()) {
        Some(command) => WorkloadKey::Command(command.clone()),
        None => WorkloadKey::Cgroup(cgroup.to_owned()),
    }
}

/// Whether a name that somebody gave is of the form of the directories that are made up here.
fn looks_made(name: &str) -> bool {
    let hashed = name
        .rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == 16 && end.bytes().all(|b| b.is_ascii_hexdigit()));
    let of_pod = name
        .split_once('_')
        .is_some_and(|(_, rest)| rest.contains('_') && rest.contains('-'));
    hashed || of_pod
}

/// FNV-1a, 64 bits: the same for ever, and no more is asked of it.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `cli::name::of` does.
    fn clean(name: &str) -> String {
        let fine = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
        let name: String = name
            .chars()
            .map(|c| if fine(c) { c } else { '_' })
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .take(200)
            .collect();
        if name.is_empty() {
            "workload".to_owned()
        } else {
            name
        }
    }

    fn pod(namespace: &str, kind: OwnerKind, owner: &str, container: &str) -> WorkloadKey {
        let owner = Owner {
            kind,
            name: owner.to_owned(),
            certain: true,
        };
        WorkloadKey::pod(namespace, &owner, container)
    }

    #[test]
    fn ordinary_names_are_kept() {
        let key = pod("shop", OwnerKind::Deployment, "web", "nginx");
        assert_eq!(key.directory(clean), "shop_deployment-web_nginx");
        assert_eq!(key.to_string(), "shop/web/nginx");
        assert_eq!(WorkloadKey::Named("db".to_owned()).directory(clean), "db");
    }

    #[test]
    fn distinct_keys_have_distinct_directories() {
        let keys = [
            pod("a", OwnerKind::Deployment, "b", "c"),
            pod("a", OwnerKind::StatefulSet, "b", "c"),
            pod("a", OwnerKind::Pod, "deployment-b", "c"),
            pod("a_b", OwnerKind::Pod, "c", "d"),
            pod("a", OwnerKind::Pod, "b_c", "d"),
            WorkloadKey::Named("a/b".to_owned()),
            WorkloadKey::Named("a_b".to_owned()),
            WorkloadKey::Named("a\nb".to_owned()),
            WorkloadKey::Command("/bin/sh".to_owned()),
            WorkloadKey::Command("/usr/bin/sh".to_owned()),
            WorkloadKey::Command("sh".to_owned()),
            WorkloadKey::Named("sh".to_owned()),
            WorkloadKey::Named("a_deployment-b_c".to_owned()),
            WorkloadKey::Named("user1000.sh".to_owned()),
            WorkloadKey::Named("x".repeat(190)),
            WorkloadKey::Named("x".repeat(191)),
            WorkloadKey::Cgroup("/a/b".to_owned()),
            WorkloadKey::User(1000, Box::new(WorkloadKey::Named("sh".to_owned()))),
        ];
        let directories: std::collections::BTreeSet<String> =
            keys.iter().map(|key| key.directory(clean)).collect();
        assert_eq!(directories.len(), keys.len(), "{directories:#?}");
    }

    #[test]
    fn roles_are_read_from_labels_and_annotations() {
        let map =
            |key: &str, value: &str| -> Labels { [(key.to_owned(), value.to_owned())].into() };
        let none = Labels::new();
        assert_eq!(
            role("c", &map("io.kubernetes.container.type", "INIT"), &none),
            Role::Init
        );
        let applied = map(
            "kubectl.kubernetes.io/last-applied-configuration",
            r#"{"spec":{"initContainers":[{"name":"i"},{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"c"}]}}"#,
        );
        let istio = map(
            "sidecar.istio.io/status",
            r#"{"initContainers":["istio-init"],"containers":["istio-proxy"]}"#,
        );
        for (name, annotations, expected) in [
            ("i", &applied, Role::Init),
            ("s", &applied, Role::Sidecar),
            ("c", &applied, Role::Main),
            ("debugger-x", &applied, Role::Unknown),
            ("debugger-x2b4k", &applied, Role::Ephemeral),
            ("debugger-x2b4k", &none, Role::Ephemeral),
            ("debugger-queue", &none, Role::Unknown),
            ("istio-init", &istio, Role::Init),
            ("istio-proxy", &istio, Role::Sidecar),
            ("c", &istio, Role::Unknown),
            ("c", &map("sidecar.istio.io/status", "[[["), Role::Unknown),
        ] {
            assert_eq!(role(name, &none, annotations), expected, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn directory_names_are_safe(a in "\\PC{0,20}|[./_\\n]{0,9}", b in "\\PC{0,300}", c in "[a-z]{0,9}") {
            for key in [
                pod(&a, OwnerKind::Pod, &b, &c),
                WorkloadKey::Named(a.clone()),
                WorkloadKey::Command(b.clone()),
                WorkloadKey::User(7, Box::new(WorkloadKey::Cgroup(format!("/{b}/{a}")))),
            ] {
                let directory = key.directory(clean);
                proptest::prop_assert!(!directory.is_empty() && directory.len() <= 200);
                proptest::prop_assert!(directory.starts_with(|c: char| c.is_ascii_alphanumeric()));
                proptest::prop_assert!(directory.chars().all(|c| c.is_ascii_alphanumeric() || "._+@-".contains(c)));
            }
        }
    }
}
