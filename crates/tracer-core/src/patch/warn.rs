//! What in a manifest contradicts a profile.

use syscalls::capability::Capability;

use super::{contradictions, find::ContainerMatch, shown};
use crate::{
    parse::Node,
    profile::kubernetes::{ANNOTATION, Context},
};

/// What makes a container's profile worth less, or nothing.
pub(super) fn warnings(
    roots: &[Node],
    found: &ContainerMatch,
    context: &Context<'_>,
) -> Vec<String> {
    let (Some(pod), Some(container)) = (found.pod.node(roots), found.container.node(roots)) else {
        return Vec::new();
    };
    let name = shown(&found.name);
    let mut warnings = Vec::new();
    let own = |path: &[&str]| container.get("securityContext").and_then(|it| it.at(path));
    let of_pod = |path: &[&str]| pod.get("spec").and_then(|it| it.at(path));
    let is = |node: Option<&Node>, expected| node.and_then(Node::bool) == Some(expected);
    let text = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
    if is(own(&["privileged"]), true) {
        warnings.push(format!(
            "container {name} is privileged: its seccomp and AppArmor profiles are ignored"
        ));
    }
    for (key, what) in [
        (
            "hostPID",
            "it sees the processes of the node, and may signal and trace them as far as its profile lets it",
        ),
        (
            "hostIPC",
            "it shares the memory of the node's processes, which no seccomp profile sees",
        ),
        (
            "hostNetwork",
            "it has the node's network, abstract unix sockets of its services included",
        ),
    ] {
        if is(of_pod(&[key]), true) {
            warnings.push(format!("the pod has {key}: {what}"));
        }
    }
    for (key, kind) in [
        ("seccompProfile", "seccomp"),
        ("appArmorProfile", "AppArmor"),
    ] {
        if text(of_pod(&["securityContext", key, "type"])).as_deref() == Some("Unconfined") {
            warnings.push(format!(
                "the pod is Unconfined ({kind}): its other containers run without a profile"
            ));
        }
        if text(own(&[key, "type"])).as_deref() == Some("Unconfined") {
            warnings.push(format!("container {name} was Unconfined ({kind})"));
        }
    }
    annotations(pod, found, context, &mut warnings);
    if is(own(&["allowPrivilegeEscalation"]), true) {
        warnings.push(format!(
            "container {name} may gain privileges (allowPrivilegeEscalation: true)"
        ));
    }
    if context.hardening.children && is(own(&["allowPrivilegeEscalation"]), false) {
        warnings.push(format!(
            "container {name} has allowPrivilegeEscalation: false, and the kernel refuses to execute programs under profiles of their own then: take it away, or make the profile without --children"
        ));
    }
    capabilities(own(&["capabilities", "add"]), &name, context, &mut warnings);
    warnings.extend(contradictions::warnings(pod, container, &name, context));
    warnings
}

fn annotations(
    pod: &Node,
    found: &ContainerMatch,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) {
    let all = pod.at(&["metadata", "annotations"]);
    for (key, value) in all.into_iter().flat_map(Node::pairs) {
        let value = value.text().unwrap_or_default();
        if key.text.contains("seccomp.security.alpha.kubernetes.io/") {
            warnings.push(format!(
                "the annotation {} is not read any more; take it away",
                shown(&key.text)
            ));
        }
        if key.text.strip_prefix(ANNOTATION) != Some(found.name.as_str()) {
            continue;
        }
        let Some(profile) = &context.apparmor else {
            continue;
        };
        if value != format!("localhost/{profile}") {
            let what = if context.old_cluster {
                "said something else, and was changed"
            } else {
                "says something else than appArmorProfile, and API servers refuse that; take it away"
            };
            warnings.push(format!("the annotation {} {what}", shown(&key.text)));
        }
    }
}

fn capabilities(
    added: Option<&Node>,
    name: &str,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) {
    let needed: Option<Vec<_>> = context.capabilities.map(|it| it.iter().collect());
    let added = added.into_iter().flat_map(Node::items);
    for capability in added.filter_map(Node::text) {
        let given = Capability::listed(capability).unwrap_or_default();
        let used =
            |needed: &Vec<_>| !given.is_empty() && given.iter().all(|it| needed.contains(it));
        if needed.as_ref().is_some_and(|needed| !used(needed)) {
            warnings.push(format!(
                "container {name} is given {}, which was not used while it was recorded",
                shown(capability)
            ));
        }
    }
}
