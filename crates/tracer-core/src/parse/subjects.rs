//! The profiles in a file, and what else of it concerns them.

use super::{
    AppArmor, Form, Input, Node, ParseError, Seccomp, apparmor, json, object, seccomp, yaml,
};

/// A part of a file that says something of profiles.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A seccomp profile.
    Seccomp(Box<Seccomp>),
    /// An AppArmor profile; of text, the whole of it.
    AppArmor(AppArmor),
    /// An object of Kubernetes that has pods.
    Manifest(Manifest),
}

/// An object that has pods.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The pod, or its template: the map that has `spec`.
    pub(crate) pod: Node,
}

impl Subject {
    /// Its form, and what it is called; `None`: it is no profile.
    pub(super) fn profile(&self) -> Option<(Form, Option<&str>)> {
        match self {
            Self::Seccomp(read) => Some((read.form, read.name.as_deref())),
            Self::AppArmor(read) => Some((read.form, read.name.as_deref())),
            Self::Manifest(_) => None,
        }
    }

    /// Where it begins.
    pub(super) fn begin(&self) -> usize {
        match self {
            Self::Seccomp(read) => read.object.as_ref().unwrap_or(&read.node).span.start,
            Self::AppArmor(read) => read.begin(),
            Self::Manifest(manifest) => manifest.pod.span.start,
        }
    }
}

/// What is in a file; nothing when it is of another kind.
///
/// # Errors
///
/// When it is of a known kind and cannot be read.
pub fn subjects(input: &Input) -> Result<Vec<Subject>, ParseError> {
    let text = input.text().trim_start_matches('\u{feff}').trim_start();
    if text.starts_with(['{', '[']) {
        let node = json::read(input).map_err(|malformed| malformed.read_as("JSON"))?;
        return of_documents(input, &[node]);
    }
    if apparmor::is_text(text) {
        return Ok(vec![Subject::AppArmor(AppArmor::from_text(input)?)]);
    }
    let documents = yaml::read(input).map_err(|malformed| malformed.read_as("YAML"))?;
    of_documents(input, &documents)
}

fn of_documents(input: &Input, documents: &[Node]) -> Result<Vec<Subject>, ParseError> {
    let all: Vec<_> = documents.iter().flat_map(object::flatten).collect();
    let mut subjects = Vec::new();
    for node in &all {
        subjects.extend(of_object(input, node, &all)?);
    }
    Ok(subjects)
}

fn of_object(input: &Input, node: &Node, all: &[&Node]) -> Result<Vec<Subject>, ParseError> {
    let boxed = |read| Subject::Seccomp(Box::new(read));
    match object::kind(node) {
        Some(object::Kind::SeccompProfile) => Ok(vec![boxed(seccomp::resource(input, node, all)?)]),
        Some(object::Kind::AppArmorProfile) => {
            Ok(vec![Subject::AppArmor(apparmor::resource(input, node)?)])
        }
        Some(object::Kind::Kubescape) => {
            let containers = seccomp::kubescape(input, node)?;
            Ok(containers.into_iter().map(boxed).collect())
        }
        Some(object::Kind::Other) => {
            let mut subjects = embedded(input, node)?;
            let pod = pod(node).map(|pod| Manifest { pod: pod.clone() });
            subjects.extend(pod.map(Subject::Manifest));
            Ok(subjects)
        }
        None if node.get("defaultAction").is_some() || is_list_of_calls(node) => {
            Ok(vec![boxed(seccomp::plain(input, node, None)?)])
        }
        None => Ok(Vec::new()),
    }
}

/// Profiles as texts: in the data of a ConfigMap, or in annotations. Where in the text a thing stands is
/// not where it stands in the file, so all of it is at the key.
fn embedded(input: &Input, object: &Node) -> Result<Vec<Subject>, ParseError> {
    let places: [&[&str]; 3] = [
        &["data"],
        &["metadata", "annotations"],
        &["spec", "template", "metadata", "annotations"],
    ];
    let maps = places.iter().filter_map(|keys| object.at(keys));
    let mut subjects = Vec::new();
    for (key, value) in maps.flat_map(Node::pairs) {
        let Some(text) = value.text() else {
            continue;
        };
        let is_seccomp = text.contains("defaultAction") && text.contains("SCMP_ACT_");
        let is_apparmor = apparmor::is_text(text) && text.contains('{');
        if !(is_seccomp || is_apparmor) {
            continue;
        }
        let wrong = |malformed: ParseError| malformed.within(input, &key.text, key.span.start);
        let inner = Input::new(key.text.clone(), text.into()).map_err(wrong)?;
        if !is_seccomp {
            let read = AppArmor::from_text(&inner).map_err(wrong)?;
            subjects.push(Subject::AppArmor(read.named(&key.text).at(&key.span)));
            continue;
        }
        let documents = if inner.text().trim_start().starts_with('{') {
            vec![json::read(&inner).map_err(wrong)?]
        } else {
            yaml::read(&inner).map_err(wrong)?
        };
        for mut node in documents {
            // A helm value or a note may only speak of profiles.
            if node.get("defaultAction").is_none() {
                continue;
            }
            node.move_to(&key.span);
            let read = seccomp::plain(input, &node, Some(&key.text))?;
            subjects.push(Subject::Seccomp(Box::new(read)));
        }
    }
    Ok(subjects)
}

/// A profile without `defaultAction` is a mistake, and no file of another kind.
fn is_list_of_calls(node: &Node) -> bool {
    let mut entries = node.get("syscalls").into_iter().flat_map(Node::items);
    entries.any(|entry| entry.get("action").is_some())
}

/// The map that has a pod's `spec`.
fn pod(node: &Node) -> Option<&Node> {
    let is_pod = |node: &&Node| node.at(&["spec", "containers"]).is_some();
    [
        Some(node),
        node.at(&["spec", "template"]),
        node.at(&["spec", "jobTemplate", "spec", "template"]),
        node.get("template"),
    ]
    .into_iter()
    .flatten()
    .find(is_pod)
}
