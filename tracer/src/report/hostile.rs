//! A recording in which every string means harm, and what becomes of it in all that people read.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use html5ever::{
    TokenizerResult,
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};
use serde_json::Value;

use super::html::{Report, Since};
use crate::{
    diff::{self, Change, ChangeKind, Diff, Kind},
    explain::explain,
    profile::{
        apparmor::{self, AppArmorProfile, fixture},
        capabilities::Capabilities,
        seccomp::{Options, SeccompProfile, fixture::mixed, oci::OciSeccomp},
    },
    recording::Recording,
    report,
};

/// Markup, a terminal's control sequences, marks that turn the direction of writing, Markdown, YAML, templates: no
/// backslash and no empty name, so that it is a path's text too.
pub(crate) const HOSTILE: &str = "</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"' onmouseover=alert(1) \u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{2066}\u{200f}\u{2028}\u{85}\u{e9}| a | `b` **c** [d](javascript:alert(1)) ![e](http:e)\n# Approved\n\n- yaml: &a *a\n---\nprivileged: true\r\n{{ 1 }} ${x} $(touch x) --> ]]> <!-- &lt; r,\n/etc/shadow rw,\n";

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
        "warnings": [{"code": "privileged", "text": "it is privileged"}], "unresolved": ["the pod"],
    });
    json["instances"][0]["source"] = "container".into();
    let again = json["instances"][0].clone();
    json["instances"].as_array_mut().unwrap().push(again);
    json["coverage"]["notes"] =
        serde_json::json!([{"code": "several-images", "text": "two images"}]);
    json["sockets"][0]["what"]["address"] = "@abstract".into();
    json["syscalls"][0]["evidence"][0]["blocked"] = serde_json::json!({"errno": 1});
    let another = serde_json::json!({"kind": "other", "provider": "x", "cannot_see": ["y"]});
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
        // What was watched decides what is made of a recording.
        if place.ends_with("/kind") && was != "other" {
            continue;
        }
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
pub(crate) fn hostile() -> Recording {
    with_strings(HOSTILE)
}

/// Nothing that a terminal or an editor obeys.
fn is_printable(what: &str, text: &str) {
    let bad = |c: char| (c.is_control() && c != '\n') || (!c.is_ascii() && !"✓△−–“”…".contains(c));
    let found = text.chars().find(|c| bad(*c));
    assert_eq!(found, None, "{what}: {}", text.escape_debug());
}

/// That, and no line that the recording wrote.
pub(crate) fn is_harmless(what: &str, text: &str) {
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

/// Changes of AppArmor rules in which a name is everything.
fn rules(name: &str) -> Diff {
    let change = |kind| Change {
        call: name.to_owned(),
        abis: [].into(),
        kind,
        grants: kind == ChangeKind::Added,
        before: vec![name.to_owned()],
        after: vec![name.to_owned()],
        risk: None,
        capabilities: [].into(),
    };
    Diff {
        of: Kind::AppArmor,
        changes: vec![change(ChangeKind::Added), change(ChangeKind::Removed)],
        notes: vec![name.to_owned()],
    }
}

fn page(recording: &Recording) -> String {
    let recordings = [recording.clone()];
    let seccomp = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
    let apparmor = AppArmorProfile::from_recordings(&recordings, &apparmor::Options::default());
    let apparmor = apparmor.unwrap();
    let capabilities = Capabilities::needed_by(&apparmor);
    let name = &recording.workload.name;
    let files = [
        (
            "seccomp.json".to_owned(),
            OciSeccomp::from(&seccomp).to_json().unwrap(),
        ),
        ("apparmor.profile".to_owned(), apparmor.to_text()),
        (name.clone(), format!("{name}\n{name}")),
    ];
    let mut before = recording.clone();
    before.syscalls.truncate(3);
    let since = Since {
        label: name.clone(),
        calls: Some(diff::recordings(&before, recording)),
        rules: Some(rules(name)),
    };
    Report {
        recording,
        seccomp: &seccomp,
        apparmor: Some(&apparmor),
        capabilities: capabilities.as_ref(),
        files: &files,
        since: Some(&since),
    }
    .to_html()
}

/// A page as a browser's tokenizer has it.
#[derive(Default)]
struct Page {
    /// Each element with the names of its attributes, in order of appearance.
    elements: RefCell<Vec<(String, Vec<String>)>>,
    values: RefCell<Vec<String>>,
    text: RefCell<String>,
    errors: RefCell<Vec<String>>,
    comments: Cell<usize>,
}

impl TokenSink for Page {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                let names = tag.attrs.iter().map(|it| it.name.local.to_string());
                self.elements
                    .borrow_mut()
                    .push((tag.name.to_string(), names.collect()));
                let values = tag.attrs.iter().map(|it| it.value.to_string());
                self.values.borrow_mut().extend(values);
                // As the tree builder tells it: what is in these is no markup.
                return match &*tag.name {
                    "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" => TokenSinkResult::RawData(RawKind::Rawtext),
                    "title" if self.elements.borrow().len() < 20 => {
                        TokenSinkResult::RawData(RawKind::Rcdata)
                    }
                    _ => TokenSinkResult::Continue,
                };
            }
            Token::CharacterTokens(text) => self.text.borrow_mut().push_str(&text),
            Token::CommentToken(_) => self.comments.set(self.comments.get() + 1),
            Token::ParseError(error) => self.errors.borrow_mut().push(error.to_string()),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn parsed(html: &str) -> Page {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let options = TokenizerOpts {
        exact_errors: true,
        ..TokenizerOpts::default()
    };
    let tokenizer = Tokenizer::new(Page::default(), options);
    while let TokenizerResult::Script(()) = tokenizer.feed(&input) {}
    tokenizer.end();
    tokenizer.sink
}

#[test]
fn no_element_and_no_attribute_of_a_page_is_the_recordings() {
    let (hostile, harmless) = (page(&hostile()), page(&with_strings("harmless")));
    is_printable("report.html", &hostile);
    let (found, expected) = (parsed(&hostile), parsed(&harmless));
    assert_eq!(*found.errors.borrow(), Vec::<String>::new());
    assert_eq!(found.comments.get(), 0);
    // The same elements with the same attributes as when nobody means harm, and as many of them.
    let number = |page: &Page| {
        let mut number = BTreeMap::new();
        for element in &*page.elements.borrow() {
            *number.entry(element.clone()).or_insert(0) += 1;
        }
        number
    };
    assert_eq!(number(&found), number(&expected));
    for value in &*found.values.borrow() {
        assert!(
            !value.contains("alert") && !value.contains("Approved"),
            "{value}"
        );
    }
    // It is all there, to be read.
    assert!(found.text.borrow().contains("<img src=x onerror=alert(1)>"));
    assert!(found.text.borrow().contains("\\u{202e}\\u{2066}"));
}

#[test]
fn a_page_allows_nothing_but_its_own_script_and_style() {
    let page = parsed(&page(&everything()));
    let values = page.values.borrow();
    let policy = values.iter().find(|it| it.contains("default-src")).unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for (element, attributes) in &*page.elements.borrow() {
        let loads = ["link", "img", "iframe", "object", "embed", "base", "form"];
        assert!(!loads.contains(&element.as_str()), "{element}");
        for name in attributes {
            assert!(
                !name.starts_with("on") && name != "style" && name != "src",
                "{element} {name}"
            );
        }
    }
    // Each link leads to a part of the page.
    let links: Vec<_> = values.iter().filter(|it| it.starts_with('#')).collect();
    assert!(links.len() > 10);
    for link in links {
        assert!(values.iter().any(|it| it == &link[1..]), "{link}");
    }
}

#[test]
fn markdown_and_text() {
    let recording = hostile();
    let recordings = [recording.clone()];
    let seccomp = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
    let profile = AppArmorProfile::from_recordings(&recordings, &apparmor::Options::default());
    let profile = profile.unwrap();
    let needed = Capabilities::needed_by(&profile);
    is_harmless("REVIEW.md", &report::review(&recordings, &seccomp));
    is_harmless("REVIEW.md", &report::apparmor(&profile, needed.as_ref()));
    assert!(profile.files().count() > 5);
    is_harmless("apparmor.profile", &profile.to_text());
    is_harmless(
        "seccomp.json",
        &OciSeccomp::from(&seccomp).to_json().unwrap(),
    );
    let changes = diff::recordings(&mixed(), &recording);
    is_harmless(
        "diff",
        &report::diff_text(&changes, HOSTILE, HOSTILE).replace('é', ""),
    );
    is_harmless(
        "diff",
        &report::diff_markdown(&changes, HOSTILE, HOSTILE).replace('é', ""),
    );
    let since = Since {
        label: HOSTILE.to_owned(),
        calls: Some(changes),
        rules: Some(rules(HOSTILE)),
    };
    is_harmless("REVIEW.md", &report::changes_markdown(&since));
    let explained = explain(&recording, &Options::default(), "openat").unwrap();
    is_harmless("explain", &report::explanation(&explained).replace('é', ""));
}
