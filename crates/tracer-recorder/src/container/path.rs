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
pub struct CgroupIdentity {
    /// The engine.
    pub engine: Engine,
    /// The driver.
    pub driver: Driver,
    /// The container's id, as the path has it: text that nothing has checked; for a systemd unit,
    /// the unit's name.
    pub id: String,
    /// The pod's uid, with dashes.
    pub pod_uid: Option<String>,
    /// The path of the container's own cgroup: nested ones belong to it.
    pub cgroup: String,
    /// The user whose systemd made the cgroup. That user may name cgroups there at will, so such a
    /// container is never taken for one of the system's.
    pub user: Option<u32>,
}

/// What one part of a path is.
enum Part<'a> {
    Container(Engine, Driver, &'a str),
    /// A container's monitor: neither it nor anything below it is a container.
    Monitor,
    Other,
}

/// The container that a cgroup belongs to, by its path below the v2 mount; `None` when the path
/// tells of none.
///
/// The outermost container on the path is the answer: what a container makes below its own cgroup
/// (crun's `container`, systemd inside, Docker or Kubernetes inside) is part of it.
pub fn identify(path: &str) -> Option<CgroupIdentity> {
    let parts = parts(path);
    let mut pod_uid = None;
    let mut in_pods = false;
    for (at, part) in parts.iter().enumerate() {
        if let Some(uid) = pods(part) {
            in_pods = true;
            pod_uid = uid.or(pod_uid);
            continue;
        }
        if in_pods && pod_uid.is_none() {
            // Else the quality of service: `burstable`, `besteffort`.
            pod_uid = part
                .strip_prefix("pod")
                .filter(|uid| !uid.is_empty())
                .map(str::to_owned);
            continue;
        }
        let parent = at.checked_sub(1).and_then(|at| parts.get(at)).copied();
        match part_of(part, parent, in_pods) {
            Part::Container(engine, driver, id) => {
                return Some(CgroupIdentity {
                    engine,
                    driver,
                    id: id.to_owned(),
                    pod_uid,
                    cgroup: format!("/{}", parts.get(..=at)?.join("/")),
                    user: user(path),
                });
            }
            Part::Monitor => return None,
            Part::Other => {}
        }
    }
    None
}

/// The systemd unit that a cgroup belongs to; within a user's systemd, the unit there
/// (systemd, src/basic/cgroup-util.c: cg_path_get_unit, cg_path_get_user_unit).
pub fn unit(path: &str) -> Option<CgroupIdentity> {
    const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    let parts = parts(path);
    let mut manager = None;
    for (at, part) in parts.iter().enumerate() {
        // A name that looks like a file of the kernel's is escaped by an underscore.
        let name = part.strip_prefix('_').unwrap_or(part);
        if name.ends_with(".slice") {
            continue;
        }
        if !KINDS.iter().any(|kind| name.ends_with(kind)) {
            break;
        }
        manager = Some((at, name));
        if !name.starts_with("user@") {
            break;
        }
    }
    let (at, name) = manager?;
    Some(CgroupIdentity {
        engine: Engine::Systemd,
        driver: Driver::Systemd,
        id: name.to_owned(),
        pod_uid: None,
        cgroup: format!("/{}", parts.get(..=at)?.join("/")),
        user: user(path),
    })
}

/// The user below whose systemd the path lies: `/user.slice/user-<uid>.slice/user@<uid>.service`.
pub fn user(path: &str) -> Option<u32> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    (parts.next()? == "user.slice").then_some(())?;
    let slice = parts
        .next()?
        .strip_prefix("user-")?
        .strip_suffix(".slice")?;
    let manager = parts
        .next()?
        .strip_prefix("user@")?
        .strip_suffix(".service")?;
    // Root is nobody to be kept apart from the system.
    let user = slice.parse().ok().filter(|user| *user != 0)?;
    (manager == slice).then_some(user)
}

/// The v2 path that `linux.cgroupsPath` of a bundle means: a path, or `slice:prefix:name` for
/// systemd (runc, docs/systemd.md). `None` for a relative one, which lies below wherever the
/// runtime was.
pub fn cgroups_path(text: &str) -> Option<String> {
    if text.starts_with('/') {
        let parts = parts(text);
        return (!parts.is_empty() && !parts.iter().any(|part| matches!(*part, "." | "..")))
            .then(|| format!("/{}", parts.join("/")));
    }
    let mut fields = text.split(':');
    let (slice, prefix, name) = (fields.next()?, fields.next()?, fields.next()?);
    let whole = [slice, prefix, name]
        .iter()
        .all(|field| !field.contains('/'));
    if fields.next().is_some() || !whole || name.is_empty() {
        return None;
    }
    // runc's own default.
    let slice = if slice.is_empty() {
        "system.slice"
    } else {
        slice
    };
    let mut path = String::new();
    let stem = slice.strip_suffix(".slice")?;
    // The root slice is the root itself; elsewhere a dash is a level: a-b.slice is in a.slice
    // (systemd.slice(5)).
    if stem != "-" {
        for (at, _) in stem.match_indices('-') {
            path.push_str(&format!("/{}.slice", stem.get(..at)?));
        }
        path.push_str(&format!("/{slice}"));
    }
    let scope = match (name.ends_with(".slice"), prefix) {
        (true, _) => name.to_owned(),
        (false, "") => format!("{name}.scope"),
        (false, prefix) => format!("{prefix}-{name}.scope"),
    };
    Some(format!("{path}/{scope}"))
}

/// The cgroup of the pod that a container's cgroup lies in, where kubelet made one.
pub fn pod_cgroup(path: &str) -> Option<&str> {
    identify(path)?.pod_uid?;
    let (parent, _) = path.rsplit_once('/')?;
    Some(parent)
}

/// Whether a cgroup is a unit of systemd's that is no container, by its own name: a service, a slice.
/// Scopes are left open: plain runc and crun have theirs, and so has a login.
pub fn is_unit(path: &str) -> bool {
    const KINDS: [&str; 6] = [
        ".service", ".slice", ".socket", ".mount", ".swap", ".device",
    ];
    let name = path.rsplit('/').next().unwrap_or_default();
    identify(path).is_none() && KINDS.iter().any(|kind| name.ends_with(kind))
}

/// Whether `path` is `outer` or lies below it.
pub fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// `Some` for kubelet's slices and its root: `kubepods`, `kubepods-<qos>.slice`,
/// `kubepods[-<qos>]-pod<uid with _>.slice`, the same below a root that was given to kubelet
/// (`kubelet-kubepods-…`); with the pod's uid when it names one
/// (kubelet, pkg/kubelet/cm/cgroup_manager_linux.go).
fn pods(part: &str) -> Option<Option<String>> {
    if part == "kubepods" {
        return Some(None);
    }
    let stem = part.strip_suffix(".slice")?;
    stem.split('-').any(|word| word == "kubepods").then(|| {
        let (_, uid) = stem.rsplit_once("-pod")?;
        (!uid.is_empty()).then(|| uid.replace('_', "-"))
    })
}

fn part_of<'a>(part: &'a str, parent: Option<&str>, in_pod: bool) -> Part<'a> {
    let (name, driver) = match part.strip_suffix(".scope") {
        Some(name) => (name, Driver::Systemd),
        None => (part, Driver::Cgroupfs),
    };
    // The monitor lives next to the container.
    if name.starts_with("crio-conmon-") || name.starts_with("libpod-conmon-") {
        return Part::Monitor;
    }
    let named = [
        ("cri-containerd-", Engine::Containerd),
        ("nerdctl-", Engine::Containerd),
        ("crio-", Engine::CriO),
        ("docker-", Engine::Docker),
        // `--cgroups=split`, the default of quadlets.
        ("libpod-payload-", Engine::Podman),
        ("libpod-", Engine::Podman),
    ];
    for (prefix, engine) in named {
        if let Some(id) = name.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Part::Container(engine, driver, id);
        }
    }
    if driver == Driver::Systemd {
        // What runc and crun call their scopes when nobody tells them.
        return match name.strip_prefix("runc-").or(name.strip_prefix("crun-")) {
            Some(id) if !id.is_empty() => Part::Container(Engine::Unknown, driver, id),
            _ => Part::Other,
        };
    }
    if is_id(part) {
        return match parent {
            // Podman's pods have ids too.
            Some("libpod_parent") => Part::Other,
            Some("docker") => Part::Container(Engine::Docker, driver, part),
            // containerd's CRI without a parent cgroup.
            Some("k8s.io") => Part::Container(Engine::Containerd, driver, part),
            _ => Part::Container(Engine::Unknown, driver, part),
        };
    }
    // In a pod's cgroup only containers have cgroups, whatever they are called.
    if in_pod && !part.ends_with(".slice") && !part.ends_with(".service") {
        return Part::Container(Engine::Unknown, driver, part);
    }
    Part::Other
}

/// The ids of Docker, containerd's CRI, CRI-O and Podman: 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests;
