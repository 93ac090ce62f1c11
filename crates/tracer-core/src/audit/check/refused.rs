//! Values in a pod that an API server refuses (Kubernetes 1.31, pkg/apis/core/validation/validation.go,
//! `validateSeccompProfileField`, `ValidateAppArmorProfileField`, `validateAppArmorAnnotationsAndFieldsMatchOnCreate`).

use super::super::{Findings, Severity, rules};
use crate::parse::Node;

const TYPES: [&str; 3] = ["RuntimeDefault", "Localhost", "Unconfined"];

const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Longest name of an AppArmor profile.
const MAX_NAME_LEN: usize = 4095;

pub(super) fn check(pod: &Node, out: &mut Findings<'_>) {
    let Some(spec) = pod.get("spec") else {
        return;
    };
    let kinds = ["initContainers", "containers", "ephemeralContainers"];
    let all = kinds.iter().filter_map(|kind| spec.get(kind));
    let containers: Vec<&Node> = all.flat_map(Node::items).collect();
    for holder in [spec].iter().chain(&containers) {
        let context = holder.get("securityContext");
        for key in ["seccompProfile", "appArmorProfile"] {
            if let Some(profile) = context.and_then(|it| it.get(key)) {
                self::profile(key, profile, out);
            }
        }
    }
    for container in &containers {
        if let Some(context) = container.get("securityContext") {
            escalation(context, out);
        }
    }
    annotations(pod, spec, &containers, out);
}

fn refused(node: &Node, message: String, out: &mut Findings<'_>) {
    out.add(&rules::REFUSED_OBJECT, node.span.clone(), message);
}

/// A value that is not known until the template is rendered.
fn template(what: &str, text: &str, node: &Node, out: &mut Findings<'_>) {
    let message = format!("{what} is a template, {text:?}: what is set is not known");
    out.add(&rules::REFUSED_OBJECT, node.span.clone(), message)
        .severity(Severity::Medium)
        .fix("Render the template first (helm template), and audit what comes out.");
}

/// What Compose fills in, in a container of it.
pub(super) fn variables(container: &Node, out: &mut Findings<'_>) {
    let context = container.get("securityContext");
    let places: [(&str, &[&str]); 4] = [
        ("privileged", &["privileged"]),
        ("no-new-privileges", &["allowPrivilegeEscalation"]),
        ("the seccomp profile", &["seccompProfile", "type"]),
        ("the AppArmor profile", &["appArmorProfile", "type"]),
    ];
    for (what, keys) in places {
        let Some(value) = context.and_then(|it| it.at(keys)) else {
            continue;
        };
        if let Some(text) = value.text().filter(|text| text.contains("${")) {
            let message = format!("{what} is a variable, {text:?}: what is set is not known");
            out.add(&rules::REFUSED_OBJECT, value.span.clone(), message)
                .severity(Severity::Medium)
                .fix("Fill it in first (docker compose config), and audit what comes out.");
        }
    }
}

/// Settings of a container that exclude one another (`ValidateSecurityContext`), and texts for booleans.
fn escalation(context: &Node, out: &mut Findings<'_>) {
    for key in ["privileged", "allowPrivilegeEscalation"] {
        let Some(value) = context.get(key) else {
            continue;
        };
        match value.text() {
            Some(text) if text.contains("{{") => template(key, text, value, out),
            Some(_) => refused(
                value,
                format!("{key} is a text, and takes true or false"),
                out,
            ),
            None => {}
        }
    }
    let is = |key: &str, expected| context.get(key).and_then(Node::bool) == Some(expected);
    if !is("allowPrivilegeEscalation", false) {
        return;
    }
    let Some(node) = context.get("allowPrivilegeEscalation") else {
        return;
    };
    let add = context.at(&["capabilities", "add"]);
    let mut added = add.into_iter().flat_map(Node::items);
    if is("privileged", true) {
        refused(
            node,
            "allowPrivilegeEscalation cannot be false where privileged is true".to_owned(),
            out,
        );
    } else if added.any(|it| it.text() == Some("CAP_SYS_ADMIN")) {
        refused(
            node,
            "allowPrivilegeEscalation cannot be false where CAP_SYS_ADMIN is added".to_owned(),
            out,
        );
    }
}

/// A seccompProfile or an appArmorProfile.
fn profile(key: &str, profile: &Node, out: &mut Findings<'_>) {
    let kind = profile.get("type");
    let Some(text) = kind.and_then(Node::text) else {
        return refused(
            profile,
            format!("{key} has no type, which is required"),
            out,
        );
    };
    let node = kind.unwrap_or(profile);
    if text.contains("{{") {
        return template(&format!("the type of {key}"), text, node, out);
    }
    if !TYPES.contains(&text) {
        let same = TYPES.iter().find(|known| known.eq_ignore_ascii_case(text));
        let hint = same.map(|known| format!("; {known} is meant"));
        let message = format!(
            "{key} has the type {text:?}, and known are {}{}",
            TYPES.join(", "),
            hint.unwrap_or_default()
        );
        return refused(node, message, out);
    }
    let local = profile.get("localhostProfile");
    let Some(local) = local else {
        // Of seccomp the check of the manifest says it.
        if text == "Localhost" && key == "appArmorProfile" {
            refused(
                node,
                format!("{key} is Localhost and names no localhostProfile"),
                out,
            );
        }
        return;
    };
    let path = local.text().unwrap_or_default();
    if path.contains("{{") {
        let what = format!("localhostProfile of {key}");
        return template(&what, path, local, out);
    }
    let wrong = if text != "Localhost" {
        format!("is only for the type Localhost, and this is {text}")
    } else if key == "seccompProfile" && path.starts_with('/') {
        format!("{path:?} is absolute; it has to be relative to kubelet's seccomp directory")
    } else if key == "seccompProfile" && path.split('/').any(|part| part == "..") {
        format!("{path:?} has .. in it")
    } else if path.trim().is_empty() {
        "is empty".to_owned()
    } else if key == "appArmorProfile" && path.trim() != path {
        format!("{path:?} has space around the name")
    } else if key == "appArmorProfile" && path.len() > MAX_NAME_LEN {
        format!("is longer than {MAX_NAME_LEN} bytes")
    } else {
        return;
    };
    refused(local, format!("localhostProfile of {key} {wrong}"), out);
}

/// AppArmor's annotations, which have to say what the fields say.
fn annotations(pod: &Node, spec: &Node, containers: &[&Node], out: &mut Findings<'_>) {
    let annotations = pod.at(&["metadata", "annotations"]);
    for (key, value) in annotations.into_iter().flat_map(Node::pairs) {
        let Some(name) = key.text.strip_prefix(APPARMOR) else {
            continue;
        };
        let text = value.text().unwrap_or_default();
        let Some((kind, local)) = meaning(text) else {
            let message = format!(
                "the annotation has {text:?}; known are runtime/default, unconfined and localhost/NAME"
            );
            refused(value, message, out);
            continue;
        };
        let is_it = |it: &&&Node| it.get("name").and_then(Node::text) == Some(name);
        let Some(container) = containers.iter().find(is_it) else {
            let message =
                format!("the annotation is for {name}, and the pod has no such container");
            refused(value, message, out);
            continue;
        };
        let keys = ["securityContext", "appArmorProfile"];
        let Some(field) = container.at(&keys).or_else(|| spec.at(&keys)) else {
            continue;
        };
        let of = |key| field.get(key).and_then(Node::text);
        if of("type").is_some_and(|it| it != kind) || of("localhostProfile") != local {
            let message = format!(
                "the annotation of container {name} says {text:?}, and appArmorProfile says otherwise"
            );
            refused(value, message, out);
        }
    }
}

/// An annotation as the field's type, and the profile's name.
fn meaning(text: &str) -> Option<(&'static str, Option<&str>)> {
    match text {
        "runtime/default" => Some(("RuntimeDefault", None)),
        "unconfined" => Some(("Unconfined", None)),
        _ => {
            let name = text.strip_prefix("localhost/")?;
            (!name.is_empty()).then_some(("Localhost", Some(name)))
        }
    }
}
