//! The objects of Kubernetes in a file.

use super::{Input, Node, ParseError};

/// The group of the Security Profiles Operator.
const OPERATOR: &str = "security-profiles-operator.x-k8s.io";

/// What an object is, as far as profiles go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    SeccompProfile,
    AppArmorProfile,
    SelinuxProfile,
    RawSelinuxProfile,
    /// Kubescape's SeccompProfile, in `kubescape.io` or in its storage's group, which ends so.
    Kubescape,
    /// Something else with an `apiVersion`.
    Other,
}

/// What an object is; `None`: it is none.
pub(super) fn kind(node: &Node) -> Option<Kind> {
    let version = node.get("apiVersion").and_then(Node::text)?;
    let group = version.split('/').next().unwrap_or_default();
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
    Some(match (kind, group) {
        ("SeccompProfile", OPERATOR) => Kind::SeccompProfile,
        ("AppArmorProfile", OPERATOR) => Kind::AppArmorProfile,
        ("SelinuxProfile", OPERATOR) => Kind::SelinuxProfile,
        ("RawSelinuxProfile", OPERATOR) => Kind::RawSelinuxProfile,
        ("SeccompProfile", group)
            if group == "kubescape.io" || group.ends_with(".kubescape.io") =>
        {
            Kind::Kubescape
        }
        _ => Kind::Other,
    })
}

/// The objects of a document: those in a list, by themselves, and so on inwards.
pub(super) fn flatten(document: &Node) -> Vec<&Node> {
    let kind = document.get("kind").and_then(Node::text);
    let items = document
        .get("items")
        .filter(|_| kind.is_some_and(|kind| kind.ends_with("List")));
    match items {
        Some(items) => items.items().flat_map(flatten).collect(),
        None => vec![document],
    }
}

/// What an object is called.
pub(super) fn name(object: &Node) -> Option<&str> {
    object.at(&["metadata", "name"]).and_then(Node::text)
}

/// The `spec` of an object.
pub(super) fn spec<'a>(
    input: &Input,
    object: &'a Node,
    kind: &str,
) -> Result<&'a Node, ParseError> {
    let missing = || input.malformed(object.span.start, format!("the {kind} has no spec"));
    object.get("spec").ok_or_else(missing)
}
