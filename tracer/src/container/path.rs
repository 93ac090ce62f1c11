//! What a cgroup's path says about the container in it. Pure.
//!
//! Each runtime has a way to name the cgroups it makes; the path is there before the first process
//! and can be kept when everything else about a container is gone.

/// The engine that made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// Docker.
    Docker,
    /// containerd, through CRI or alone.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// A systemd unit that is no container.
    Systemd,
    /// The path does not tell: plain runc and crun, containerd with the cgroupfs driver.
    Unknown,
}

impl Engine {
    /// The name in recordings and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Systemd => "systemd",
            Self::Unknown => "unknown",
        }
    }
}

/// Who makes the cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Driver {
    /// systemd, as slices and scopes.
    Systemd,
    /// The runtime itself.
    Cgroupfs,
}

/// What a path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The engine.
    pub engine: Engine,
    /// The driver.
    pub driver: Driver,
    /// The container's id; for a systemd unit, the unit's name.
    pub id: String,
    /// The pod's uid, with dashes.
    pub pod_uid: Option<String>,
    /// The path of the container's own cgroup: nested ones belong to it.
    pub cgroup: String,
}

/// The container that a cgroup belongs to, by its path below the v2 mount; `None` when it belongs
/// to none.
///
/// The outermost container on the path is the answer: what a container makes below its own cgroup
/// (crun's `container`, systemd inside, Docker in Docker) is part of it.
pub fn identify(path: &str) -> Option<Identity> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut pod_uid = None;
    let mut in_pods = false;
    for (at, part) in parts.iter().enumerate() {
        let cgroup = || format!("/{}", parts.get(..=at).unwrap_or_default().join("/"));
        if part.starts_with("kubepods") {
            in_pods = true;
            if let Some(uid) = systemd_pod(part) {
                pod_uid = Some(uid);
            }
            continue;
        }
        if in_pods && pod_uid.is_none() {
            if let Some(uid) = part.strip_prefix("pod") {
                pod_uid = Some(uid.to_owned());
            }
            // Else the quality of service: `burstable`, `besteffort`.
            continue;
        }
        if let Some((engine, driver, id)) = container(part, parts.get(at.wrapping_sub(1)).copied(), in_pods) {
            return Some(Identity {
                engine,
                driver,
                id: id.to_owned(),
                pod_uid,
                cgroup: cgroup(),
            });
        }
    }
    None
}

/// `kubepods[-<qos>]-pod<uid with _>.slice` → uid (kubelet, pkg/kubelet/cm/cgroup_manager_linux.go).
fn systemd_pod(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice")?;
    let (_, uid) = name.rsplit_once("-pod")?;
    Some(uid.replace('_', "-"))
}

/// What one part of a path says by itself.
fn container<'a>(
    part: &'a str,
    parent: Option<&str>,
    in_pod: bool,
) -> Option<(Engine, Driver, &'a str)> {
    if let Some(name) = part.strip_suffix(".scope") {
        // CRI-O's monitor lives in a scope of its own next to the container: it is no container.
        if name.starts_with("crio-conmon-") || name.starts_with("libpod-conmon-") {
            return None;
        }
        return [
            ("cri-containerd-", Engine::Containerd),
            ("nerdctl-", Engine::Containerd),
            ("crio-", Engine::CriO),
            ("docker-", Engine::Docker),
            ("libpod-", Engine::Podman),
        ]
        .into_iter()
        .find_map(|(prefix, engine)| {
            let id = name.strip_prefix(prefix)?;
            is_id(id).then_some((engine, Driver::Systemd, id))
        });
    }
    if part.starts_with("crio-conmon-") || part.starts_with("libpod-conmon-") {
        return None;
    }
    if let Some(id) = part.strip_prefix("crio-").filter(|id| is_id(id)) {
        return Some((Engine::CriO, Driver::Cgroupfs, id));
    }
    if let Some(id) = part.strip_prefix("libpod-").filter(|id| is_id(id)) {
        return Some((Engine::Podman, Driver::Cgroupfs, id));
    }
    if is_id(part) {
        let engine = match parent {
            Some("docker") => Engine::Docker,
            _ => Engine::Unknown,
        };
        return Some((engine, Driver::Cgroupfs, part));
    }
    // In a pod's cgroup only containers have cgroups, whatever they are called.
    in_pod.then_some((Engine::Unknown, Driver::Cgroupfs, part))
}

/// The ids of Docker, containerd's CRI, CRI-O and Podman: 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "5a3b8b3e-1a2b-4c5d-8e9f-001122334455";

    fn check(path: &str, engine: Engine, driver: Driver, pod: Option<&str>) {
        let path = path
            .replace("ID", ID)
            .replace("U_ID", &UID.replace('-', "_"))
            .replace("UID", UID);
        let identity = identify(&path).unwrap_or_else(|| panic!("{path} is a container"));
        assert_eq!((identity.engine, identity.driver), (engine, driver), "{path}");
        assert_eq!(identity.id, ID, "{path}");
        assert_eq!(identity.pod_uid.as_deref(), pod, "{path}");
        // What is below belongs to it.
        for below in ["container", "init.scope", "system.slice/ssh.service"] {
            assert_eq!(identify(&format!("{path}/{below}")).as_ref(), Some(&identity));
        }
    }

    #[test]
    fn every_layout_is_understood() {
        let uid = UID.replace('-', "_");
        let systemd = |qos: &str, scope: &str| {
            let (outer, inner) = if qos.is_empty() {
                (String::new(), format!("kubepods-pod{uid}.slice"))
            } else {
                (
                    format!("/kubepods-{qos}.slice"),
                    format!("kubepods-{qos}-pod{uid}.slice"),
                )
            };
            format!("/kubepods.slice{outer}/{inner}/{scope}-{ID}.scope")
        };
        for qos in ["", "burstable", "besteffort"] {
            check(&systemd(qos, "cri-containerd"), Engine::Containerd, Driver::Systemd, Some(UID));
            check(&systemd(qos, "crio"), Engine::CriO, Driver::Systemd, Some(UID));
            check(&systemd(qos, "docker"), Engine::Docker, Driver::Systemd, Some(UID));
        }
        check(&format!("/kubepods/burstable/pod{UID}/{ID}"), Engine::Unknown, Driver::Cgroupfs, Some(UID));
        check(&format!("/kubepods/pod{UID}/{ID}"), Engine::Unknown, Driver::Cgroupfs, Some(UID));
        check(&format!("/kubepods/pod{UID}/crio-{ID}"), Engine::CriO, Driver::Cgroupfs, Some(UID));
        check(&format!("/system.slice/docker-{ID}.scope"), Engine::Docker, Driver::Systemd, None);
        check(&format!("/docker/{ID}"), Engine::Docker, Driver::Cgroupfs, None);
        check(&format!("/machine.slice/libpod-{ID}.scope"), Engine::Podman, Driver::Systemd, None);
        check(&format!("/libpod_parent/libpod-{ID}"), Engine::Podman, Driver::Cgroupfs, None);
        check(&format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"), Engine::Podman, Driver::Systemd, None);
    }

    #[test]
    fn what_is_no_container_is_not_taken_for_one() {
        for path in [
            "/",
            "/system.slice/nginx.service",
            "/kubepods.slice",
            "/kubepods.slice/kubepods-burstable.slice",
            "/kubepods/burstable",
            &format!("/kubepods/burstable/pod{UID}"),
            &format!("/kubepods.slice/kubepods-pod{}.slice", UID.replace('-', "_")),
            &format!("/kubepods.slice/kubepods-pod1.slice/crio-conmon-{ID}.scope"),
            &format!("/machine.slice/libpod-conmon-{ID}.scope"),
            "/docker/not-an-id",
            "/docker/0123",
        ] {
            assert_eq!(identify(path), None, "{path}");
        }
    }
}
