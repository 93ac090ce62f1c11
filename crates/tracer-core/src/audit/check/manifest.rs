//! Where profiles are used: the pods of Kubernetes, and the profiles that they name.

use std::{collections::BTreeSet, ops::Range};

use super::super::{Findings, Severity, context::Context, rules};
use crate::parse::{Manifest, Node, Source};
use syscalls::capability::Capability;

/// A profile that a container names.
#[derive(Clone, Debug)]
pub(in super::super) struct Named {
    /// `localhostProfile`.
    pub(in super::super) profile: String,
    /// The container.
    pub(in super::super) container: String,
    /// Where it is named.
    pub(in super::super) span: Range<usize>,
    /// What the container has, `CAP_…`.
    pub(in super::super) capabilities: BTreeSet<String>,
    /// What was added to what it has anyway, and where.
    pub(in super::super) added: Vec<(String, Range<usize>)>,
    pub(in super::super) no_new_privileges: bool,
    /// Whether Kubernetes reads it, below kubelet's directory.
    pub(in super::super) is_kubernetes: bool,
}

/// Annotations that are not read any more, or will not be (kubernetes.io, "Well-Known Labels,
/// Annotations and Taints").
const SECCOMP: [&str; 2] = [
    "seccomp.security.alpha.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
];
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

pub(in super::super) fn check(manifest: &Manifest, out: &mut Findings<'_>) -> Vec<Named> {
    let pod = &manifest.pod;
    annotations(pod, out);
    let is_kubernetes = manifest.source == Source::Kubernetes;
    if is_kubernetes {
        super::refused::check(pod, out);
    }
    let Some(spec) = pod.get("spec") else {
        return Vec::new();
    };
    // No seccomp and no AppArmor there, and an API server refuses their fields.
    if spec.at(&["os", "name"]).and_then(Node::text) == Some("windows") {
        return Vec::new();
    }
    let mut named = Vec::new();
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.get(kind).into_iter().flat_map(Node::items) {
            if manifest.source == Source::Engine {
                super::refused::variables(container, out);
            }
            named.extend(self::container(spec, container, manifest.source, out));
        }
    }
    named
}

fn annotations(pod: &Node, out: &mut Findings<'_>) {
    let annotations = pod.at(&["metadata", "annotations"]);
    for (key, value) in annotations.into_iter().flat_map(Node::pairs) {
        let what = value.text().unwrap_or_default();
        if SECCOMP.iter().any(|prefix| key.text.starts_with(prefix)) {
            out.add(
                &rules::REMOVED_SECCOMP_ANNOTATION,
                key.span.clone(),
                format!(
                    "{} is not read any more: {what:?} is not in force",
                    key.text
                ),
            );
        } else if key.text.starts_with(APPARMOR) {
            out.add(
                &rules::DEPRECATED_APPARMOR_ANNOTATION,
                key.span.clone(),
                format!("{} is deprecated", key.text),
            );
        }
    }
}

fn container(
    spec: &Node,
    container: &Node,
    source: Source,
    out: &mut Findings<'_>,
) -> Option<Named> {
    let fixes = match source {
        Source::Kubernetes => &KUBERNETES,
        Source::Engine => &ENGINE,
        Source::Runtime => &RUNTIME,
    };
    // Knative names the only container of a service.
    let name = container.get("name").and_then(Node::text);
    let name = name.unwrap_or("without a name");
    let at = container.get("name").unwrap_or(container).span.clone();
    let own = |keys: &[&str]| container.get("securityContext").and_then(|it| it.at(keys));
    let pods = |key: &str| spec.at(&["securityContext", key]);
    if own(&["privileged"]).and_then(Node::bool) == Some(true) {
        let span = own(&["privileged"]).map_or(at.clone(), |it| it.span.clone());
        out.add(
            &rules::PRIVILEGED,
            span,
            format!("container {name} is privileged"),
        );
        return None;
    }
    let selinux = own(&["seLinuxOptions"]).or_else(|| pods("seLinuxOptions"));
    super::selinux::of_container(name, selinux, out);
    let apparmor = own(&["appArmorProfile"]).or_else(|| pods("appArmorProfile"));
    if let Some(kind) = apparmor.and_then(|it| it.get("type"))
        && kind.text() == Some("Unconfined")
    {
        let message = format!("container {name} runs without an AppArmor profile");
        out.add(&rules::UNCONFINED, kind.span.clone(), message)
            .fix(fixes.apparmor);
    }
    let Some(profile) = own(&["seccompProfile"]).or_else(|| pods("seccompProfile")) else {
        let message = format!(
            "container {name} has no seccompProfile: Unconfined, unless kubelet runs with seccompDefault"
        );
        out.add(&rules::UNCONFINED, at, message)
            .severity(Severity::Medium);
        return None;
    };
    let kind = profile.get("type");
    let span = kind.map_or_else(|| profile.span.clone(), |kind| kind.span.clone());
    match kind.and_then(Node::text).unwrap_or_default() {
        "Unconfined" => {
            let message = format!("container {name} runs without a seccomp profile");
            out.add(&rules::UNCONFINED, span, message)
                .fix(fixes.seccomp);
            return None;
        }
        "Localhost" => {}
        _ => return None,
    }
    let escalation = own(&["allowPrivilegeEscalation"]);
    let no_new_privileges = escalation.and_then(Node::bool) == Some(false);
    if !no_new_privileges {
        let span = escalation.map_or(at, |it| it.span.clone());
        let message = format!("container {name} has a profile of its own and may gain privileges");
        out.add(&rules::PRIVILEGE_ESCALATION_ALLOWED, span, message)
            .fix(fixes.escalation);
    }
    let Some(local) = profile.get("localhostProfile") else {
        let message = format!("container {name} is Localhost and names no localhostProfile");
        out.add(&rules::PROFILE_MISSING, span, message)
            .severity(Severity::High);
        return None;
    };
    // What a template names is not known, which is reported.
    if local.text().is_some_and(|name| name.contains("{{")) {
        return None;
    }
    let (capabilities, added) = capabilities(own(&["capabilities"]));
    Some(Named {
        profile: local.text().unwrap_or_default().to_owned(),
        container: name.to_owned(),
        span: local.span.clone(),
        capabilities,
        added,
        no_new_privileges,
        is_kubernetes: source == Source::Kubernetes,
    })
}

/// What to write where findings of a container are.
struct Fixes {
    seccomp: &'static str,
    apparmor: &'static str,
    escalation: &'static str,
}

const KUBERNETES: Fixes = Fixes {
    seccomp: "Set seccompProfile: {type: RuntimeDefault}, or Localhost with a profile of its own.",
    apparmor: "Set appArmorProfile: {type: RuntimeDefault}, or Localhost with a profile of its own.",
    escalation: "Set allowPrivilegeEscalation: false.",
};

const RUNTIME: Fixes = Fixes {
    seccomp: "Put a profile into linux.seccomp.",
    apparmor: "Set process.apparmorProfile.",
    escalation: "Set process.noNewPrivileges.",
};

const ENGINE: Fixes = Fixes {
    seccomp: "Leave the engine's default in force, or name a profile of its own.",
    apparmor: "Leave the engine's default in force, or name a profile of its own.",
    escalation: "Add no-new-privileges:true to the security options.",
};

/// `CAP_NET_ADMIN` for `NET_ADMIN`, `net_admin` and itself; what is no capability keeps its name.
fn full_name(name: &str) -> String {
    match Capability::listed(name).as_deref() {
        Ok([one]) => one.to_string(),
        Ok(_) => "CAP_ALL".to_owned(),
        Err(_) => format!("CAP_{name}"),
    }
}

/// What a container has: containerd's and CRI-O's default is Docker's list, more or less.
fn capabilities(field: Option<&Node>) -> (BTreeSet<String>, Vec<(String, Range<usize>)>) {
    let list = |key: &str| {
        let items = field.and_then(|field| field.get(key)).into_iter();
        let items = items.flat_map(Node::items);
        items
            .filter_map(|item| Some((full_name(item.text()?), item.span.clone())))
            .collect::<Vec<_>>()
    };
    let mut have = Context::usual_capabilities();
    for (name, _) in list("drop") {
        if name == "CAP_ALL" {
            have.clear();
        }
        have.remove(&name);
    }
    let added = list("add");
    for (name, _) in &added {
        if name == "CAP_ALL" {
            have.extend(Capability::all().map(|it| it.to_string()));
        }
        have.insert(name.clone());
    }
    (have, added)
}
