//! Where a manifest contradicts what was recorded: under it the workload would not do the same.

use std::collections::BTreeSet;

use syscalls::capability::Capability;

use super::shown;
use crate::{parse::Node, profile::kubernetes::Context, recording::FilePath};

/// Capabilities that the kernel asks the first user namespace for and no other (`capable()`;
/// user_namespaces(7)), by what they are for.
const ONLY_ON_THE_NODE: &[&str] = &[
    "BLOCK_SUSPEND",
    "MKNOD",
    "SYSLOG",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PACCT",
    "SYS_RAWIO",
    "SYS_TIME",
    "WAKE_ALARM",
];

/// Most names in one warning.
const MAX_NAMED: usize = 6;

/// What in a pod and its container contradicts the recording.
pub(super) fn warnings(
    pod: &Node,
    container: &Node,
    name: &str,
    context: &Context<'_>,
) -> Vec<String> {
    let spec = pod.get("spec");
    let all = [
        operating_system(spec),
        image(container, name, context),
        dropped(container, name, context),
        read_only_root(container, name, context),
        users(spec, name, context),
    ];
    all.into_iter().flatten().collect()
}

/// The API server refuses seccompProfile, appArmorProfile and capabilities there (`spec.os` of a Pod).
fn operating_system(spec: Option<&Node>) -> Option<String> {
    let os = spec?.at(&["os", "name"])?.text()?;
    (os == "windows").then(|| {
        "the pod is for Windows (os: windows), and Linux was recorded: API servers refuse such profiles there".to_owned()
    })
}

fn image(container: &Node, name: &str, context: &Context<'_>) -> Option<String> {
    let recorded = &context.hardening.recorded.images;
    let image = container.get("image")?.text()?;
    let is_same = |other: &String| full_name(other) == full_name(image);
    if recorded.is_empty() || recorded.iter().any(is_same) {
        return None;
    }
    let known: Vec<_> = recorded
        .iter()
        .take(MAX_NAMED)
        .map(|it| shown(it))
        .collect();
    Some(format!(
        "container {name} has the image {}, and {} was recorded: record this one",
        shown(image),
        known.join(", ")
    ))
}

/// An image with what engines add to a short name: registry, `library/` and the tag.
fn full_name(image: &str) -> String {
    let (path, digest) = match image.split_once('@') {
        Some((path, digest)) => (path, Some(digest)),
        None => (image, None),
    };
    let first = path.split('/').next().unwrap_or_default();
    let has_registry = path.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let path = match (has_registry, path.contains('/')) {
        (true, _) => path.to_owned(),
        (false, true) => format!("docker.io/{path}"),
        (false, false) => format!("docker.io/library/{path}"),
    };
    let has_tag = path
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'));
    match digest {
        Some(digest) => format!("{path}@{digest}"),
        None if has_tag => path,
        None => format!("{path}:latest"),
    }
}

/// A capability that is dropped by name is gone even where it is added; one that goes with ALL is not
/// (containerd, `WithCapabilities` of its CRI plugin).
fn dropped(container: &Node, name: &str, context: &Context<'_>) -> Option<String> {
    let list = |key| -> BTreeSet<String> {
        let list = container.at(&["securityContext", "capabilities", key]);
        let entries = list.into_iter().flat_map(Node::items);
        let entries = entries.filter_map(Node::text).map(str::to_ascii_uppercase);
        entries
            .map(|it| it.strip_prefix("CAP_").map(str::to_owned).unwrap_or(it))
            .collect()
    };
    let (drop, add) = (list("drop"), list("add"));
    let is_lost = |needed: &Capability| {
        let short = needed.name().unwrap_or_default();
        let all = |list: &BTreeSet<String>| list.contains("ALL");
        drop.contains(short) || (all(&drop) && !all(&add) && !add.contains(short))
    };
    let lost: Vec<_> = context.capabilities?.iter().filter(is_lost).collect();
    (!lost.is_empty()).then(|| {
        format!(
            "container {name} drops {}, used while it was recorded",
            join(&lost)
        )
    })
}

fn read_only_root(container: &Node, name: &str, context: &Context<'_>) -> Option<String> {
    let setting = container.at(&["securityContext", "readOnlyRootFilesystem"])?;
    if setting.bool() != Some(true) {
        return None;
    }
    let mounts = container.get("volumeMounts").into_iter();
    let mounts = mounts
        .flat_map(Node::items)
        .filter(|it| it.get("readOnly").and_then(Node::bool) != Some(true))
        .filter_map(|it| it.get("mountPath")?.text());
    let mounts: Vec<_> = mounts.map(|it| it.trim_end_matches('/')).collect();
    let is_volume = |directory: &FilePath| {
        mounts.iter().any(|mount| {
            let below = directory.as_bytes().strip_prefix(mount.as_bytes());
            below.is_some_and(|below| below.is_empty() || below.starts_with(b"/"))
        })
    };
    let changed = &context.hardening.recorded.changed_directories;
    let changed: Vec<_> = changed.iter().filter(|it| !is_volume(it)).collect();
    (!changed.is_empty()).then(|| {
        let mut named: Vec<_> = changed
            .iter()
            .take(MAX_NAMED)
            .map(|it| shown(&it.to_string()))
            .collect();
        if changed.len() > MAX_NAMED {
            named.push(format!("{} more", changed.len() - MAX_NAMED));
        }
        format!(
            "container {name} has readOnlyRootFilesystem: true, and changed files in {} while it was recorded: mount a volume at each",
            named.join(", ")
        )
    })
}

fn users(spec: Option<&Node>, name: &str, context: &Context<'_>) -> Option<String> {
    let own_users = spec?.get("hostUsers").and_then(Node::bool) == Some(false);
    match (own_users, context.hardening.recorded.user_namespace?) {
        (true, false) => {
            let needed = context.capabilities?.iter();
            let lost: Vec<_> = needed
                .filter(|it| it.name().is_some_and(|it| ONLY_ON_THE_NODE.contains(&it)))
                .collect();
            (!lost.is_empty()).then(|| {
                format!(
                    "container {name} used {} while it was recorded, which has no effect with hostUsers: false",
                    join(&lost)
                )
            })
        }
        (false, true) => Some(format!(
            "container {name} was recorded in a user namespace, and its root is the node's without hostUsers: false"
        )),
        _ => None,
    }
}

/// The capabilities that have the same effect in a user namespace of the container's own, on what belongs to
/// it (user_namespaces(7)).
const WORKS_IN_A_USER_NAMESPACE: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Recommends `hostUsers: false`, where the recording supports it: root in the container is then nobody on
/// the node. API servers refuse it together with the node's network, processes or IPC.
pub(super) fn own_users(pod: &Node, name: &str, context: &Context<'_>) -> Option<String> {
    let spec = pod.get("spec")?;
    let is_host = |key: &&str| spec.get(key).and_then(Node::bool) == Some(true);
    let is_refused = ["hostNetwork", "hostPID", "hostIPC"].iter().any(is_host);
    let is_decided = spec.get("hostUsers").is_some();
    if is_refused || is_decided || context.hardening.recorded.user_namespace != Some(false) {
        return None;
    }
    let mut needed = context.capabilities?.iter();
    let works = needed.all(|it| {
        it.name()
            .is_some_and(|it| WORKS_IN_A_USER_NAMESPACE.contains(&it))
    });
    works.then(|| {
        format!(
            "container {name} used nothing that takes the node's users: set hostUsers: false in the pod, if its volumes support it (Kubernetes 1.33 and later)"
        )
    })
}

fn join(capabilities: &[Capability]) -> String {
    let names: Vec<_> = capabilities.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_image_names_are_completed() {
        for (short, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("grafana/loki:3", "docker.io/grafana/loki:3"),
            ("localhost/a", "localhost/a:latest"),
            ("r.example:5000/a", "r.example:5000/a:latest"),
            ("a@sha256:00", "docker.io/library/a@sha256:00"),
        ] {
            assert_eq!(full_name(short), full);
            assert_eq!(full_name(full), full);
        }
    }
}
