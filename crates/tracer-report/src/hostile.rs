//! A recording in which every string means harm, and what becomes of it in all that people read.
#![expect(clippy::unwrap_used, reason = "a fixture: only tests use it")]

use serde_json::Value;
use tracer_core::{
    profile::{apparmor::fixture, seccomp::fixture::mixed},
    recording::Recording,
};

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod tests;

/// Markup, a terminal's control sequences, marks that turn the direction of writing, Markdown, YAML, templates: no
/// backslash and no empty name, so that it is a path's text too.
pub const HOSTILE: &str = "</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"' onmouseover=alert(1) \u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{2066}\u{200f}\u{2028}\u{85}\u{e9}| a | `b` **c** [d](javascript:alert(1)) ![e](http:e)\n# Approved\n\n- yaml: &a *a\n---\nprivileged: true\r\n{{ 1 }} ${x} $(touch x) --> ]]> <!-- &lt; r,\n/etc/shadow rw,\n";

/// A recording with everything in it: calls of two ABIs, a container, files, capabilities, sockets.
fn everything() -> Recording {
    let mut recording = fixture::web();
    let mixed = mixed();
    recording.syscalls = mixed.syscalls;
    recording.coverage = mixed.coverage;
    let mut json = serde_json::to_value(recording).unwrap();
    json["instances"][0]["container"] = serde_json::json!({
        "engine": "docker", "runtime": "runc", "id": "0123", "name": "web", "pod": "shop/web-0",
        "owner": "Deployment/web", "role": "main", "labels": {"app": "web"},
        "image": "docker.io/library/nginx", "image_digest": "sha256:0", "security": null,
        "warnings": [
            {"code": "privileged", "inferred": true},
            {"code": "filter-in-place", "default_action": "SCMP_ACT_ERRNO"},
            {"code": "other", "about": "haunted", "text": "it is haunted"},
        ],
        "unresolved": [
            {"code": "guessed-owner", "pod": "web-0", "kind": "Deployment", "owner": "web"},
            {"code": "other", "text": "the pod"},
        ],
    });
    json["instances"][0]["source"] = "container".into();
    let again = json["instances"][0].clone();
    json["instances"].as_array_mut().unwrap().push(again);
    json["coverage"]["notes"] = serde_json::json!([
        {"code": "several-images", "count": 3, "values": ["web:1", "web:2"]},
        {"code": "other", "about": "several-kernels", "text": "two kernels"},
    ]);
    let reasons = json["coverage"]["reasons"].as_array_mut().unwrap();
    reasons.push(serde_json::json!({"code": "cut-short", "error": "the disk is full"}));
    reasons.push(serde_json::json!({"code": "other", "about": "io-uring", "text": "io_uring"}));
    json["sockets"][0]["what"]["address"] = "@abstract".into();
    json["syscalls"][0]["evidence"][0]["blocked"] = serde_json::json!({"errno": 1});
    let another = serde_json::json!({
        "kind": "arguments",
        "provider": {"other": "x"},
        "cannot_see": [{"unusable-hook": {"hook": "y", "error": "z"}}, {"other": "y"}],
    });
    json["providers"].as_array_mut().unwrap().push(another);
    serde_json::from_value(json).unwrap()
}

/// The same with each string that may be anything replaced by `text`, behind a slash where it is a path.
fn with_strings(text: &str) -> Recording {
    let mut json = serde_json::to_value(everything()).unwrap();
    let mut places = Vec::new();
    strings(&json, String::new(), &mut places);
    let mut replaced = 0;
    for place in places {
        let was = json.pointer(&place).cloned().unwrap();
        let slash = was.as_str().is_some_and(|it| it.starts_with('/'));
        *json.pointer_mut(&place).unwrap() = if slash {
            // Each another path, so that there is a rule for each.
            format!("/{replaced}{text}").into()
        } else {
            text.into()
        };
        // What may only be one of a few words, or a time, or a name of a thing, is no place for it.
        if serde_json::from_value::<Recording>(json.clone()).is_ok() {
            replaced += 1;
        } else {
            *json.pointer_mut(&place).unwrap() = was;
        }
    }
    assert!(replaced > 60, "{replaced}");
    let recording: Recording = serde_json::from_value(json).unwrap();
    // The key of a map, which no pointer replaces.
    let mut recording = recording;
    if let Some(container) = &mut recording.instances[0].container {
        container.labels = [(text.to_owned(), text.to_owned())].into();
    }
    recording
}

fn strings(value: &Value, place: String, out: &mut Vec<String>) {
    match value {
        Value::String(_) => out.push(place),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                strings(item, format!("{place}/{at}"), out);
            }
        }
        Value::Object(items) => {
            for (key, item) in items {
                strings(
                    item,
                    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1")),
                    out,
                );
            }
        }
        _ => {}
    }
}

/// The recording in which every string is [`HOSTILE`].
pub fn hostile() -> Recording {
    with_strings(HOSTILE)
}

/// Nothing that a terminal or an editor obeys.
fn is_printable(what: &str, text: &str) {
    let bad = |c: char| (c.is_control() && c != '\n') || (!c.is_ascii() && !"✓△−–“”…".contains(c));
    let found = text.chars().find(|c| bad(*c));
    assert_eq!(found, None, "{what}: {}", text.escape_debug());
}

/// That, and no line that the recording wrote.
pub fn is_harmless(what: &str, text: &str) {
    is_printable(what, text);
    for line in text.lines() {
        for injected in [
            "# Approved",
            "- yaml",
            "---",
            "privileged: true",
            "/etc/shadow",
        ] {
            // A table of Markdown and the beginning of a YAML document are our own.
            let own = injected == "---" && line != "---";
            assert!(
                own || !line.trim_start().starts_with(injected),
                "{what}: {line}"
            );
        }
    }
}
