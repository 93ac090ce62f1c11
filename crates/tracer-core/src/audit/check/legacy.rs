//! Old forms.

use super::super::{Context, Findings, Severity, rules};
use crate::parse::{self, Form, Node, Seccomp};
use crate::recording::plain_text::counted;

pub(super) fn check(read: &Seccomp, context: &Context<'_>, out: &mut Findings<'_>) {
    old_names(read, out);
    unread_keys(read, out);
    not_standard(&read.extensions, "profile", out);
    if read.form == Form::Engine {
        engine_form(read, context, out);
    }
    if let Some(base) = &read.base {
        out.add(
            &rules::BASE_PROFILE,
            base.span.clone(),
            format!(
                "{:?}, which this profile is added to, is not in this file",
                base.name
            ),
        );
    }
    if let Some(object) = &read.object {
        old_resource(object, out);
    }
}

fn old_names(read: &Seccomp, out: &mut Findings<'_>) {
    let entries = read.node.get("syscalls").into_iter().flat_map(Node::items);
    let old: Vec<_> = entries
        .filter(|entry| {
            entry
                .get("names")
                .is_none_or(|names| names.items().next().is_none())
        })
        .filter_map(|entry| entry.get("name"))
        .collect();
    let Some(first) = old.first() else {
        return;
    };
    let names: Vec<_> = old
        .iter()
        .filter_map(|name| name.text())
        .map(|name| format!("\"{name}\""))
        .collect();
    out.add(
        &rules::LEGACY_NAME_KEY,
        first.span.clone(),
        format!(
            "{} the legacy key \"name\"; containerd ignores such an entry, so it denies nothing there",
            counted(old.len(), "entry uses", "entries use")
        ),
    )
    .fix(format!("write \"names\": [{}]", names.join(", ")));
}

/// A byte order mark and comments in JSON.
pub(in super::super) fn json_extensions(out: &mut Findings<'_>) {
    let extensions = parse::json_extensions(out.input());
    not_standard(&extensions, "file", out);
}

fn not_standard(extensions: &[parse::Extension], what: &str, out: &mut Findings<'_>) {
    for (span, message, fix) in parse::remarks::not_standard(extensions, what) {
        out.add(&rules::NOT_STANDARD_JSON, span, message).fix(fix);
    }
}

fn unread_keys(read: &Seccomp, out: &mut Findings<'_>) {
    for key in &read.unread {
        let added = out.add(&rules::UNREAD_KEY, key.span.clone(), key.message());
        if let Some(meant) = key.meant {
            added
                .severity(Severity::High)
                .fix(format!("write {meant:?}"));
        }
    }
}

/// What is lost on a reader of the runtime-spec.
fn engine_form(read: &Seccomp, context: &Context<'_>, out: &mut Findings<'_>) {
    let keys = ["archMap", "defaultErrno"];
    let top = keys.iter().find_map(|key| read.node.key(key));
    let entries = || read.node.get("syscalls").into_iter().flat_map(Node::items);
    let choosing = entries()
        .filter(|entry| {
            ["includes", "excludes"]
                .iter()
                .filter_map(|key| entry.get(key))
                .any(|filter| filter.pairs().next().is_some())
        })
        .collect::<Vec<_>>();
    let span = top
        .or_else(|| choosing.first().map(|entry| entry.span.clone()))
        .unwrap_or_else(|| read.node.span.start..read.node.span.start + 1);
    out.add(
        &rules::ENGINE_SPECIFIC_FIELDS,
        span,
        if choosing.is_empty() {
            "only Docker, Podman and CRI-O read this form in full".to_owned()
        } else {
            format!(
                "only Docker, Podman and CRI-O read this form in full: in plain OCI, the {} with includes or excludes {} for every container",
                counted(choosing.len(), "entry", "entries"),
                if choosing.len() == 1 { "counts" } else { "count" }
            )
        },
    )
    // There it is read as such.
    .severity(if context.in_container && !choosing.is_empty() {
        Severity::High
    } else {
        Severity::Info
    });
}

pub(super) fn old_resource(object: &Node, out: &mut Findings<'_>) {
    let version = object.get("apiVersion");
    let text = version.and_then(Node::text).unwrap_or_default();
    if let Some(version) = version
        && !text.ends_with("/v1")
    {
        out.add(
            &rules::DEPRECATED_CRD,
            version.span.clone(),
            format!("{text} is served for a while; the operator's version is v1"),
        );
    }
    let spec = object.get("spec");
    if let Some(span) = spec.and_then(|spec| spec.key("disabled")) {
        out.add(
            &rules::DEPRECATED_CRD,
            span,
            "the operator does not read disabled any more",
        )
        .severity(Severity::Medium)
        .fix("write state: Disabled or state: Enabled");
    }
    if let Some(span) = spec.and_then(|spec| spec.key("complainMode")) {
        out.add(
            &rules::DEPRECATED_CRD,
            span,
            "the operator does not read complainMode any more: the profile is enforced",
        )
        .severity(Severity::Medium)
        .fix("write mode: Complain or mode: Enforce");
    }
    if let Some(span) = spec.and_then(|spec| spec.key("policy")) {
        out.add(
            &rules::DEPRECATED_CRD,
            span,
            "the operator does not read the text in policy any more: no profile is installed",
        )
        .severity(Severity::High)
        .fix("write the rules as lists in abstract");
    }
    let kind = object.get("kind").and_then(Node::text).unwrap_or_default();
    let metadata = object.get("metadata");
    if let Some(span) = metadata.and_then(|metadata| metadata.key("namespace"))
        && text.ends_with("/v1")
    {
        out.add(
            &rules::DEPRECATED_CRD,
            span,
            format!("{kind} has no namespace since v1"),
        )
        .fix("remove namespace");
    }
}
