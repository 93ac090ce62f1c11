//! Which form a file has, and the profiles in it.

use super::{Content, Input, Malformed, Node, json, yaml};
use crate::profile::seccomp::read::Document;

/// How a seccomp profile is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The runtime-spec's.
    Oci,
    /// With what Docker, Podman and CRI-O read beside it.
    Engine,
    /// A SeccompProfile of the Security Profiles Operator.
    Resource,
}

/// A part of a file that can be audited.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A seccomp profile.
    Seccomp(Box<Seccomp>),
    /// An object of Kubernetes that has pods.
    Manifest(Manifest),
    /// AppArmor text: the whole file.
    AppArmor,
}

/// A seccomp profile as it stands in its file.
#[derive(Clone, Debug)]
pub struct Seccomp {
    pub(in super::super) form: Form,
    /// The map that has `defaultAction`.
    pub(in super::super) node: Node,
    /// The object around it.
    pub(in super::super) object: Option<Node>,
    pub(in super::super) document: Document,
}

/// An object that has pods.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The pod, or its template: the map that has `spec`.
    pub(in super::super) pod: Node,
}

/// The group of the Security Profiles Operator.
const OPERATOR: &str = "security-profiles-operator.x-k8s.io/";

/// The kernel takes filters of up to 4,096 instructions (BPF_MAXINSNS, include/uapi/linux/bpf_common.h),
/// so these are far above what can be loaded, and what is checked by pairs stays bounded.
const MAX_ENTRIES: usize = 1_000;
const MAX_NAMES: usize = 20_000;

/// What can be audited in a file; nothing when it is of another kind.
///
/// # Errors
/// When it is of a known kind and cannot be read.
pub(in super::super) fn subjects(input: &Input) -> Result<Vec<Subject>, Malformed> {
    let text = input.text().trim_start_matches('\u{feff}').trim_start();
    if text.starts_with(['{', '[']) {
        return subjects_of(input, &json::read(input)?);
    }
    if is_apparmor(text) {
        return Ok(vec![Subject::AppArmor]);
    }
    let mut subjects = Vec::new();
    for document in yaml::read(input)? {
        subjects.extend(subjects_of(input, &document)?);
    }
    Ok(subjects)
}

/// Whether the first line that says something begins as AppArmor text does (apparmor.d(5)).
fn is_apparmor(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| {
        let is_include = line.starts_with("#include") || line.starts_with("include ");
        !line.is_empty() && (is_include || !line.starts_with('#'))
    });
    let Some(first) = first else {
        return false;
    };
    let word = first.split([' ', '\t']).next().unwrap_or_default();
    matches!(word, "abi" | "include" | "#include" | "alias" | "profile")
        || first.starts_with("@{")
        || (first.starts_with('/') && first.ends_with('{'))
}

fn subjects_of(input: &Input, node: &Node) -> Result<Vec<Subject>, Malformed> {
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
    let version = node.get("apiVersion").and_then(Node::text);
    if kind == "List" || kind == "SeccompProfileList" {
        let items = node.get("items").into_iter().flat_map(Node::items);
        let all = items.map(|item| subjects_of(input, item));
        return Ok(all
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect());
    }
    if kind == "SeccompProfile" && version.is_some_and(|it| it.starts_with(OPERATOR)) {
        return Ok(vec![resource(input, node)?]);
    }
    if kind == "ConfigMap" {
        return embedded(input, node);
    }
    if version.is_some() {
        let pod = pod(node).map(|pod| Subject::Manifest(Manifest { pod: pod.clone() }));
        return Ok(pod.into_iter().collect());
    }
    if node.get("defaultAction").is_some() || is_list_of_calls(node) {
        return Ok(vec![profile(input, node, Form::Oci, None)?]);
    }
    Ok(Vec::new())
}

/// Profiles as texts in a ConfigMap. Where in the text a thing stands is not where it stands in the
/// file, so all of it is at the key.
fn embedded(input: &Input, map: &Node) -> Result<Vec<Subject>, Malformed> {
    let mut subjects = Vec::new();
    for (key, value) in map.get("data").into_iter().flat_map(Node::pairs) {
        let Some(text) = value
            .text()
            .filter(|text| text.contains("\"defaultAction\""))
        else {
            continue;
        };
        let wrong = |malformed: Malformed| {
            let what = match malformed.position {
                Some((line, column)) => {
                    format!(
                        "{}, line {line}, column {column}: {}",
                        key.text, malformed.what
                    )
                }
                None => format!("{}: {}", key.text, malformed.what),
            };
            input.malformed(key.span.start, what)
        };
        let inner = Input::new(key.text.clone(), text.into()).map_err(wrong)?;
        let mut node = json::read(&inner).map_err(wrong)?;
        node.move_to(&key.span);
        subjects.push(profile(input, &node, Form::Oci, None)?);
    }
    Ok(subjects)
}

/// A profile without `defaultAction` is a mistake, and no file of another kind.
fn is_list_of_calls(node: &Node) -> bool {
    let entries = node.get("syscalls").into_iter().flat_map(Node::items);
    entries
        .into_iter()
        .any(|entry| entry.get("action").is_some())
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

fn resource(input: &Input, object: &Node) -> Result<Subject, Malformed> {
    let Some(spec) = object.get("spec") else {
        return Err(input.malformed(object.span.start, "the SeccompProfile has no spec"));
    };
    let mut node = spec.clone();
    if let Content::Map(pairs) = &mut node.content {
        // What is the operator's and says nothing of calls.
        pairs.retain(|(key, _)| {
            !matches!(key.text.as_str(), "state" | "disabled" | "baseProfileName")
        });
    }
    profile(input, &node, Form::Resource, Some(object))
}

fn profile(
    input: &Input,
    node: &Node,
    form: Form,
    object: Option<&Node>,
) -> Result<Subject, Malformed> {
    let document: Document = serde_path_to_error::deserialize(node.value()).map_err(|error| {
        let at = place(node, error.path()).start;
        input.malformed(at, error.into_inner().to_string())
    })?;
    let entries = || node.get("syscalls").into_iter().flat_map(Node::items);
    let names = entries().filter_map(|entry| entry.get("names"));
    let names: usize = names.map(|names| names.items().count()).sum();
    if entries().count() > MAX_ENTRIES || names > MAX_NAMES {
        let what = format!(
            "more than {MAX_ENTRIES} entries or {MAX_NAMES} names, which no filter of 4,096 instructions can hold"
        );
        return Err(input.malformed(node.span.start, what));
    }
    let form = match form {
        Form::Oci if is_engines(node) => Form::Engine,
        form => form,
    };
    Ok(Subject::Seccomp(Box::new(Seccomp {
        form,
        node: node.clone(),
        object: object.cloned(),
        document,
    })))
}

/// Whether a profile has what the runtime-spec does not; one `name` is a matter of its own.
fn is_engines(node: &Node) -> bool {
    let filters = |filter: &Node| filter.pairs().next().is_some();
    let entries = node.get("syscalls").into_iter().flat_map(Node::items);
    let mut entries = entries.into_iter();
    node.get("archMap").is_some()
        || node.get("defaultErrno").is_some()
        || entries.any(|entry| {
            ["includes", "excludes"]
                .into_iter()
                .filter_map(|key| entry.get(key))
                .any(filters)
                || entry.get("errno").is_some()
        })
}

/// Where the end of a path is, or as much of it as there is.
fn place(node: &Node, path: &serde_path_to_error::Path) -> std::ops::Range<usize> {
    use serde_path_to_error::Segment;

    let mut here = node;
    for segment in path {
        let next = match segment {
            Segment::Seq { index } => here.items().nth(*index),
            Segment::Map { key } => here.get(key),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        match next {
            Some(next) => here = next,
            None => break,
        }
    }
    here.span.clone()
}
