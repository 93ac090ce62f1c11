//! A hostile recording stays text in everything that people read.

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
use tracer_core::{
    diff::{self, Change, ChangeKind, Diff, Kind},
    explain::explain,
    profile::{
        apparmor::{self, AppArmorProfile},
        capabilities::Capabilities,
        seccomp::{Options, SeccompProfile, oci::OciSeccomp},
    },
    recording::Recording,
};

use super::*;
use crate::html::{Report, Since};

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
        headroom: None,
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
        localhost: "operator/web.json",
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
fn hostile_text_adds_no_html_element_or_attribute() {
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
fn page_allows_only_its_own_script_and_style() {
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
fn hostile_text_is_harmless_in_markdown_and_text() {
    let recording = hostile();
    let recordings = [recording.clone()];
    let seccomp = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
    let profile = AppArmorProfile::from_recordings(&recordings, &apparmor::Options::default());
    let profile = profile.unwrap();
    let needed = Capabilities::needed_by(&profile);
    is_harmless("REVIEW.md", &crate::review(&recordings, &seccomp));
    is_harmless("REVIEW.md", &crate::apparmor(&profile, needed.as_ref()));
    assert!(profile.files().count() > 5);
    is_harmless("apparmor.profile", &profile.to_text());
    is_harmless(
        "seccomp.json",
        &OciSeccomp::from(&seccomp).to_json().unwrap(),
    );
    let changes = diff::recordings(&mixed(), &recording);
    is_harmless(
        "diff",
        &crate::diff_text(&changes, HOSTILE, HOSTILE).replace('é', ""),
    );
    is_harmless(
        "diff",
        &crate::diff_markdown(&changes, HOSTILE, HOSTILE).replace('é', ""),
    );
    let since = Since {
        label: HOSTILE.to_owned(),
        calls: Some(changes),
        rules: Some(rules(HOSTILE)),
    };
    let mut doc = crate::markdown::Document::default();
    crate::diff::changes(&mut doc, &since);
    is_harmless("REVIEW.md", &doc.into_text());
    let explained = explain(&recording, &Options::default(), "openat").unwrap();
    is_harmless("explain", &crate::explanation(&explained).replace('é', ""));
}
