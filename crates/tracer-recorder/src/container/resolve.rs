//! Brings together what all sources say of one container.

use std::path::Path;

use super::{
    Container, ContainerError, Image, Pod, Role, WorkloadKey,
    annotations::AnnotationInfo,
    bundle::{Bundle, Privileged, Security},
    cri::{CriContainer, Snapshot},
    files::{Files, Id},
    owner::{Labels, owner},
    path::{CgroupIdentity, Engine, identify, is_within},
    sandboxed,
    state::{self, Scan, State},
    warning::warnings,
    workload::{plain_workload, role},
};
use tracer_core::recording::Unresolved;

/// Where containers are looked up.
#[derive(Clone, Debug)]
pub struct MetadataSources {
    /// Below which root runtimes keep their state.
    pub files: Files,
    /// What CRI said.
    pub cri: Snapshot,
    /// What an API server said, which counts more: it knows what owns a pod, and CRI does not.
    pub api: Snapshot,
    /// Whether an API server is asked: then it is no problem that a pod's container has no files of a runtime.
    pub asks_api: bool,
    /// The node's name, which static pods carry.
    pub node: Option<String>,
    /// What is wrong with the sources themselves.
    pub problems: Vec<String>,
}

impl MetadataSources {
    /// The files below `/`, and no CRI.
    pub fn local() -> Self {
        Self {
            files: Files::new("/"),
            cri: Snapshot::default(),
            api: Snapshot::default(),
            asks_api: false,
            node: nix::unistd::gethostname()
                .ok()
                .and_then(|name| name.into_string().ok()),
            problems: Vec::new(),
        }
    }

    /// Asks CRI anew, at the given socket or the known ones. Takes some seconds at most; what was
    /// said of containers that are gone by now is kept.
    pub async fn refresh_cri(&mut self, socket: Option<&Path>) {
        let (snapshot, problems) = Snapshot::ask_all(socket).await;
        self.cri.extend(snapshot);
        self.problems = problems.iter().map(ContainerError::to_string).collect();
    }
}

/// The container that the cgroup at `path` (below the v2 mount) belongs to; `None` when neither the
/// path nor any runtime's file says that there is one.
///
/// runc and crun write their files after they made the cgroup: ask again at the container's first
/// exec, when the answer had `unresolved` parts or was `None`. A path that tells no id makes tracer
/// read the files of all containers of runc, crun and containerd.
pub fn resolve(path: &str, sources: &MetadataSources) -> Option<Container> {
    match identify(path) {
        Some(identity) => Some(identified(&identity, sources)),
        None => named_by_id(path, sources)
            .or_else(|| scanned(path, sources, &Scan::from_files(&sources.files))),
    }
}

/// The container that lies where plain runc and crun put it by default: in a cgroup of its id. One
/// look instead of one at each container's files.
///
/// Files that are there and cannot be read tell at least that there is a container of that id.
fn named_by_id(path: &str, sources: &MetadataSources) -> Option<Container> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let (id, lookup) = parts
        .filter_map(|part| Id::new(part).ok())
        .map(|id| {
            let lookup = state::by_id(&sources.files, &id, path);
            (id, lookup)
        })
        .find(|(_, lookup)| lookup.state.is_some() || !lookup.problems.is_empty())?;
    let Some(state) = lookup.state else {
        return named(path, id.as_str(), sources);
    };
    let cgroup = state
        .cgroup
        .clone()
        .filter(|known| is_within(path, known))?;
    Some(identified(&of_state(&state, cgroup), sources))
}

/// The container of that id, when a cgroup lies where plain runc and crun put it by default, although
/// no file tells of it any more: one that lived for milliseconds. A user's own cgroups, which that
/// user names, are not taken for it.
pub fn named(path: &str, id: &str, sources: &MetadataSources) -> Option<Container> {
    let at = path
        .split('/')
        .position(|part| part == id && !id.is_empty())?;
    let parts: Vec<_> = path.split('/').take(at + 1).collect();
    let identity = CgroupIdentity {
        engine: Engine::Unknown,
        driver: super::Driver::Cgroupfs,
        id: id.to_owned(),
        pod_uid: None,
        cgroup: parts.join("/"),
        user: super::path::user(path),
    };
    (identity.user.is_none() && identify(path).is_none()).then(|| identified(&identity, sources))
}

/// As [`resolve`], where the files were read already.
pub(super) fn resolve_in(path: &str, sources: &MetadataSources, scan: &Scan) -> Option<Container> {
    match identify(path) {
        Some(identity) => Some(identified(&identity, sources)),
        None => scanned(path, sources, scan),
    }
}

fn scanned(path: &str, sources: &MetadataSources, scan: &Scan) -> Option<Container> {
    let state = scan.outermost(path)?;
    let cgroup = state.cgroup.clone()?;
    Some(identified(&of_state(state, cgroup), sources))
}

fn of_state(state: &State, cgroup: String) -> CgroupIdentity {
    CgroupIdentity {
        engine: state.engine.unwrap_or(Engine::Unknown),
        driver: super::Driver::Cgroupfs,
        id: state.id.as_str().to_owned(),
        pod_uid: None,
        user: super::path::user(&cgroup),
        cgroup,
    }
}

fn identified(identity: &CgroupIdentity, sources: &MetadataSources) -> Container {
    let mut unresolved = Vec::new();
    let state = known_state(identity, sources, &mut unresolved);
    let bundle = bundle(state.as_ref(), sources, &mut unresolved);
    let labels = state
        .as_ref()
        .map(|state| state.labels.clone())
        .unwrap_or_default();
    let facts = annotations(bundle.as_ref(), &labels);
    // CRI and API servers speak of the system's containers only.
    let cri = sources
        .api
        .get(&identity.id)
        .or_else(|| sources.cri.get(&identity.id))
        .filter(|_| identity.user.is_none());
    let pod_labels = pod_labels(cri, &facts, &labels, sources, identity);
    let pod = pod(identity, cri, &facts, &pod_labels, sources, &mut unresolved);
    let state = state.as_ref();
    let name = first([
        cri.map(|cri| cri.name.as_str()),
        facts.name.as_deref(),
        state.and_then(|state| state.name.as_deref()),
    ]);
    let sandbox = facts.sandbox || cri.is_some_and(|cri| cri.sandbox);
    let role = match (&pod, &name) {
        _ if sandbox => Role::Sandbox,
        (Some(_), Some(_)) if cri.is_some_and(|cri| cri.role.is_some()) => {
            cri.and_then(|cri| cri.role).unwrap_or_default()
        }
        (Some(_), Some(name)) => {
            let labels = cri.map_or(&labels, |cri| &cri.labels);
            role(name, labels, &pod_labels.annotations)
        }
        _ => Role::Unknown,
    };
    let args = bundle
        .as_ref()
        .map(|bundle| bundle.args.clone())
        .unwrap_or_default();
    let security = bundle.map(|bundle| security(bundle.security, state));
    let known = (identity.engine != Engine::Unknown).then_some(identity.engine);
    let engine = known.or(facts.engine).or(state.and_then(|it| it.engine));
    let engine = engine.unwrap_or(Engine::Unknown);
    let workload = workload(identity, engine, pod.as_ref(), name.as_deref(), role, &args);
    Container {
        cgroup: identity.cgroup.clone(),
        engine,
        driver: Some(identity.driver),
        runtime: state.and_then(|state| state.runtime),
        id: identity.id.clone(),
        name,
        pod,
        image: image(cri, &facts, state),
        labels: pod_labels.labels.unwrap_or(labels),
        role,
        attempt: cri.map(|cri| cri.attempt).or(facts.attempt),
        pid: state.and_then(|state| state.pid),
        args,
        warnings: security.as_ref().map(warnings).unwrap_or_default(),
        security,
        user: identity.user,
        workload,
        sandboxed: Id::new(&identity.id)
            .ok()
            .and_then(|id| sandboxed::of_files(&sources.files, &id)),
        known: state.is_some(),
        unresolved,
    }
}

/// The annotations that say most: the bundle's, or the labels where those name no pod.
fn annotations(bundle: Option<&Bundle>, labels: &Labels) -> AnnotationInfo {
    let facts = AnnotationInfo::read(bundle.map_or(labels, |bundle| &bundle.annotations));
    if facts.pod.is_some() {
        return facts;
    }
    AnnotationInfo {
        engine: facts.engine,
        ..AnnotationInfo::read(labels)
    }
}

/// The image's name and digest, where anybody knows one.
fn image(
    cri: Option<&CriContainer>,
    facts: &AnnotationInfo,
    state: Option<&State>,
) -> Option<Image> {
    let image = Image {
        name: first([
            cri.map(|cri| cri.image.as_str()),
            facts.image.as_deref(),
            state.and_then(|state| state.image.as_deref()),
        ]),
        digest: first([
            cri.map(|cri| cri.digest.as_str()),
            facts.digest.as_deref(),
            state.and_then(|state| state.image_id.as_deref()),
        ]),
    };
    (image != Image::default()).then_some(image)
}

fn known_state(
    identity: &CgroupIdentity,
    sources: &MetadataSources,
    unresolved: &mut Vec<Unresolved>,
) -> Option<State> {
    let id = match Id::new(&identity.id) {
        Ok(id) => id,
        Err(error) => {
            unresolved.push(error.into());
            return None;
        }
    };
    let lookup = state::by_id(&sources.files, &id, &identity.cgroup);
    unresolved.extend(lookup.problems.into_iter().map(Unresolved::from));
    let is_expected = !(sources.asks_api && identity.pod_uid.is_some());
    if lookup.state.is_none() && is_expected {
        unresolved.push(Unresolved::UnknownToRuntimes {});
    }
    lookup.state
}

fn bundle(
    state: Option<&State>,
    sources: &MetadataSources,
    unresolved: &mut Vec<Unresolved>,
) -> Option<Bundle> {
    match state::config(&sources.files, state?) {
        Ok(Some(config)) => {
            let mut bundle = Bundle::read(&config);
            unresolved.append(&mut bundle.problems);
            Some(bundle)
        }
        Ok(None) => {
            unresolved.push(Unresolved::NoConfig {});
            None
        }
        Err(error) => {
            unresolved.push(error.into());
            None
        }
    }
}

#[derive(Default)]
struct PodLabels {
    labels: Option<Labels>,
    annotations: Labels,
}

/// The pod's labels: from CRI, else from where CRI-O writes them, the sandbox's bundle.
fn pod_labels(
    cri: Option<&CriContainer>,
    facts: &AnnotationInfo,
    docker: &Labels,
    sources: &MetadataSources,
    identity: &CgroupIdentity,
) -> PodLabels {
    if let Some(cri) = cri {
        return PodLabels {
            labels: Some(cri.pod_labels.clone()),
            annotations: cri.pod_annotations.clone(),
        };
    }
    if facts.sandbox {
        return PodLabels {
            labels: facts.labels.clone(),
            annotations: facts.annotations.clone(),
        };
    }
    let sandbox = || {
        let id = Id::new(facts.sandbox_id.as_deref()?).ok()?;
        // The sandbox's cgroup is another one in the same pod.
        let (parent, _) = identity.cgroup.rsplit_once('/')?;
        let state = state::by_id(&sources.files, &id, parent).state?;
        let config = state::config(&sources.files, &state).ok()??;
        let facts = AnnotationInfo::read(&Bundle::read(&config).annotations);
        (facts.sandbox).then_some(PodLabels {
            labels: facts.labels,
            annotations: facts.annotations,
        })
    };
    sandbox().unwrap_or_else(|| PodLabels {
        labels: None,
        // kubelet's annotations of the container, through cri-dockerd.
        annotations: docker.clone(),
    })
}

fn pod(
    identity: &CgroupIdentity,
    cri: Option<&CriContainer>,
    facts: &AnnotationInfo,
    pod_labels: &PodLabels,
    sources: &MetadataSources,
    unresolved: &mut Vec<Unresolved>,
) -> Option<Pod> {
    let name = first([cri.map(|cri| cri.pod.as_str()), facts.pod.as_deref()]);
    let namespace = first([
        cri.map(|cri| cri.namespace.as_str()),
        facts.namespace.as_deref(),
    ]);
    let uid = first([
        cri.map(|cri| cri.pod_uid.as_str()),
        facts.pod_uid.as_deref(),
        identity.pod_uid.as_deref(),
    ]);
    // The path is the kernel's word: what annotations say of another pod is not believed.
    if let (Some(path), Some(said)) = (&identity.pod_uid, &uid)
        && path != said
        && !is_static_hash(path)
    {
        unresolved.push(Unresolved::PodMismatch {
            cgroup: path.clone(),
            files: said.clone(),
        });
        return Some(Pod {
            uid: Some(path.clone()),
            ..Pod::default()
        });
    }
    let (Some(name), Some(namespace)) = (name, namespace) else {
        let uid = uid?;
        unresolved.push(Unresolved::NoPodName { uid: uid.clone() });
        return Some(Pod {
            uid: Some(uid),
            ..Pod::default()
        });
    };
    let by_labels = || {
        owner(
            &name,
            pod_labels.labels.as_ref(),
            &pod_labels.annotations,
            sources.node.as_deref(),
        )
    };
    let owner = cri
        .and_then(|cri| cri.owner.clone())
        .unwrap_or_else(by_labels);
    if !owner.certain {
        unresolved.push(Unresolved::GuessedOwner {
            pod: name.clone(),
            kind: owner.kind.as_str().to_owned(),
            owner: owner.name.clone(),
        });
    }
    Some(Pod {
        name,
        namespace,
        uid,
        owner: Some(owner),
    })
}

/// A static pod's cgroup bears the hash of its file, and its mirror at the API server has another
/// uid.
fn is_static_hash(uid: &str) -> bool {
    uid.len() == 32 && uid.bytes().all(|b| b.is_ascii_hexdigit())
}

fn security(mut security: Security, state: Option<&State>) -> Security {
    if state.is_some_and(|state| state.privileged) {
        security.privileged = Some(Privileged::Told);
    }
    security
}

fn workload(
    identity: &CgroupIdentity,
    engine: Engine,
    pod: Option<&Pod>,
    name: Option<&str>,
    role: Role,
    args: &[String],
) -> WorkloadKey {
    // No container's name has upper case: this is what Docker's kubelet called it.
    let name = if role == Role::Sandbox {
        Some("POD")
    } else {
        name
    };
    let key = match pod {
        Some(Pod {
            owner: Some(owner),
            namespace,
            ..
        }) if name.is_some() => WorkloadKey::pod(namespace, owner, name.unwrap_or_default()),
        // One of a pod that has no name must not be taken for another of the same command.
        Some(_) => WorkloadKey::Cgroup(identity.cgroup.clone()),
        None => plain_workload(engine, &identity.id, name, args, &identity.cgroup),
    };
    match identity.user {
        Some(user) => WorkloadKey::User(user, Box::new(key)),
        None => key,
    }
}

fn first<const N: usize>(texts: [Option<&str>; N]) -> Option<String> {
    texts
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests;
