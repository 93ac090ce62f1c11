//! Seccomp profiles: plain, and as the spec of an object.

use std::ops::Range;

use super::{
    Content, Extension, Form, Input, Node, ParseError, object,
    unread::{self, UnreadKey},
};
use crate::profile::seccomp::read::Document;

/// A seccomp profile as it stands in its file.
#[derive(Clone, Debug)]
pub struct Seccomp {
    pub(crate) form: Form,
    /// What it is called, where it has a name.
    pub(crate) name: Option<String>,
    /// The map that has `defaultAction`.
    pub(crate) node: Node,
    /// The object around it.
    pub(crate) object: Option<Node>,
    pub(crate) document: Document,
    /// A profile that it is added to and that is not in its file.
    pub(crate) base: Option<Base>,
    /// Keys that runtimes ignore.
    pub(crate) unread: Vec<UnreadKey>,
    /// Whether it is a text within a value of its file.
    pub(crate) is_embedded: bool,
    /// What standard JSON does not have in such a text.
    pub(crate) extensions: Vec<Extension>,
}

/// What `baseProfileName` names.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}

impl Seccomp {
    /// The profile.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Where in the file the entry stands that a message names as `syscalls[3]`; the profile when it names
    /// none.
    pub fn place_of(&self, message: &str) -> Range<usize> {
        let index = || {
            let (_, rest) = message.split_once("syscalls[")?;
            rest.split_once(']')?.0.parse::<usize>().ok()
        };
        let entry = index().and_then(|at| self.node.get("syscalls")?.items().nth(at));
        entry.unwrap_or(&self.node).span.clone()
    }
}

/// The kernel takes filters of up to 4,096 instructions (BPF_MAXINSNS, include/uapi/linux/bpf_common.h),
/// so these are far above what can be loaded, and what is checked by pairs stays bounded.
const MAX_ENTRIES: usize = 1_000;
const MAX_NAMES: usize = 20_000;

/// A profile by itself.
pub(super) fn plain(input: &Input, node: &Node, name: Option<&str>) -> Result<Seccomp, ParseError> {
    let form = if is_engines(node) {
        Form::Engine
    } else {
        Form::Oci
    };
    profile(input, node, form, name)
}

/// A SeccompProfile of the operator, together with those of its file that it is added to.
pub(super) fn resource(input: &Input, object: &Node, all: &[&Node]) -> Result<Seccomp, ParseError> {
    let spec = object::spec(input, object, "SeccompProfile")?;
    let mut node = bare(spec);
    let base = add_bases(input, spec, all, &mut node)?;
    let read = profile(input, &node, Form::Resource, object::name(object))?;
    Ok(Seccomp {
        object: Some(object.clone()),
        base,
        ..read
    })
}

/// The spec without what is the operator's own and says nothing of calls. `disabled` and `targetWorkload`
/// are of its alpha versions.
fn bare(spec: &Node) -> Node {
    let mut node = spec.clone();
    if let Content::Map(pairs) = &mut node.content {
        pairs.retain(|(key, _)| {
            !matches!(
                key.text.as_str(),
                "state" | "disabled" | "baseProfileName" | "targetWorkload"
            )
        });
    }
    node
}

/// Puts the entries of the profiles in front that a profile is added to, as the operator does when it
/// installs it. Returns the one that is not in the file.
fn add_bases(
    input: &Input,
    spec: &Node,
    all: &[&Node],
    node: &mut Node,
) -> Result<Option<Base>, ParseError> {
    let mut seen = Vec::new();
    let mut here = spec;
    while let Some((at, name)) = base_of(here) {
        if seen.contains(&name) {
            let what = format!("baseProfileName is circular, through {name:?}");
            return Err(input.malformed(at.span.start, what));
        }
        seen.push(name);
        let is_it = |object: &&&Node| {
            object::kind(object) == Some(object::Kind::SeccompProfile)
                && object::name(object) == Some(name)
        };
        let Some(found) = all.iter().find(is_it) else {
            return Ok(Some(Base {
                name: name.to_owned(),
                span: at.span.clone(),
            }));
        };
        here = object::spec(input, found, "SeccompProfile")?;
        let entries: Vec<_> = here
            .get("syscalls")
            .into_iter()
            .flat_map(Node::items)
            .cloned()
            .collect();
        put_in_front(node, entries);
    }
    Ok(None)
}

fn base_of(spec: &Node) -> Option<(&Node, &str)> {
    let at = spec.get("baseProfileName")?;
    let name = at.text().filter(|name| !name.is_empty())?;
    Some((at, name))
}

fn put_in_front(node: &mut Node, mut entries: Vec<Node>) {
    let span = node.span.clone();
    let Content::Map(pairs) = &mut node.content else {
        return;
    };
    match pairs.iter_mut().find(|(key, _)| key.text == "syscalls") {
        Some((_, list)) => {
            entries.extend(list.items().cloned());
            list.content = Content::List(entries);
        }
        None => pairs.push((
            super::node::Key {
                span: span.clone(),
                text: "syscalls".to_owned(),
            },
            Node {
                span,
                content: Content::List(entries),
            },
        )),
    }
}

/// The containers of a SeccompProfile of Kubescape.
pub(super) fn kubescape(input: &Input, object: &Node) -> Result<Vec<Seccomp>, ParseError> {
    let spec = object::spec(input, object, "SeccompProfile")?;
    let kinds = ["initContainers", "containers", "ephemeralContainers"];
    let all = kinds.iter().filter_map(|kind| spec.get(kind));
    all.flat_map(Node::items)
        .map(|container| {
            let name = container.get("name").and_then(Node::text);
            let inner = object::spec(input, container, "container of the SeccompProfile")?;
            let node = bare(inner);
            let base = base_of(inner).map(|(at, name)| Base {
                name: name.to_owned(),
                span: at.span.clone(),
            });
            let read = profile(input, &node, Form::Kubescape, name)?;
            Ok(Seccomp { base, ..read })
        })
        .collect()
}

fn profile(
    input: &Input,
    node: &Node,
    form: Form,
    name: Option<&str>,
) -> Result<Seccomp, ParseError> {
    // An API server refuses or drops unknown fields of an object, so there they stay errors.
    let (value, unread) = match form {
        Form::Oci | Form::Engine => unread::split(node),
        _ => (node.value(), Vec::new()),
    };
    let document: Document = serde_path_to_error::deserialize(value).map_err(|error| {
        let at = place(node, error.path()).start;
        let what = format!("{} (read as {form})", error.into_inner());
        input.malformed(at, what)
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
    Ok(Seccomp {
        form,
        name: name.map(str::to_owned),
        node: node.clone(),
        object: None,
        document,
        base: None,
        unread,
        is_embedded: false,
        extensions: Vec::new(),
    })
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
fn place(node: &Node, path: &serde_path_to_error::Path) -> Range<usize> {
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
