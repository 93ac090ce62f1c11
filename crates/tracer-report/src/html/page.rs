//! The frame of the page: its head, its parts in order, and the way between them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Report, apply, attention, certainty, changes, files, gaps, other_accesses, overview, surface,
    syscalls,
};
use crate::{escape::visible, risks::risks, verdict::Verdict};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// A part of the page.
pub(super) struct Part {
    /// What links name it by.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Shown beside the title in the list of parts.
    pub(super) number: Option<usize>,
    pub(super) body: Markup,
}

/// The page.
pub(super) fn page(report: &Report<'_>) -> String {
    let risks = risks(Some(report.recording), report.seccomp, report.apparmor);
    let verdict = Verdict::new(report.recording, report.seccomp, &risks);
    let before = [
        report.since.map(changes::part),
        Some(attention::part(&risks)),
        Some(surface::part(report)),
    ];
    let rules = [
        Some(syscalls::part(report)),
        report.apparmor.map(files::part),
        report.apparmor.map(other_accesses::capabilities),
        report.apparmor.and_then(other_accesses::sockets),
        report.apparmor.map(other_accesses::signals),
        report.apparmor.and_then(other_accesses::mounts),
    ];
    let after = [
        gaps::part(report),
        Some(apply::part(report)),
        Some(certainty::part(report)),
    ];
    let [before, rules, after] = [
        before.into_iter().flatten().collect::<Vec<_>>(),
        rules.into_iter().flatten().collect(),
        after.into_iter().flatten().collect(),
    ];
    let title = visible(&report.recording.workload.name);
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) ": review of its profile" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the review" }
                (surface::patterns())
                nav.parts aria-label="Parts of this page" {
                    p.brand { "tracer" }
                    ol {
                        li { a href="#overview" { "Overview" } }
                        @for part in before.iter().chain(&rules).chain(&after) {
                            li { a href=(format!("#{}", part.id)) {
                                (part.title)
                                @if let Some(number) = part.number { span.number { (super::text::thousands(number)) } }
                            } }
                        }
                    }
                }
                main #main tabindex="-1" {
                    (overview::header(report, &verdict, risks.len()))
                    @for part in &before { (section(part)) }
                    div.rules #rules {
                        (filter())
                        @for part in &rules { (section(part)) }
                    }
                    @for part in &after { (section(part)) }
                    footer {
                        p { "Made by tracer " (visible(env!("CARGO_PKG_VERSION"))) " from the recording alone. The page loads nothing and sends nothing. Non-printable characters in names are escaped, as " code { "\\x1b" } " or " code { "\\u{202e}" } "." }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    document.into_string()
}

fn section(part: &Part) -> Markup {
    let heading = format!("{}-title", part.id);
    html! {
        section id=(part.id) aria-labelledby=(heading) {
            h2 id=(heading) {
                (part.title)
                @if let Some(number) = part.number { " " span.number { (super::text::thousands(number)) } }
            }
            (part.body)
        }
    }
}

/// What narrows the rules down. Hidden until the script that does it is there.
fn filter() -> Markup {
    html! {
        search #filter hidden {
            label.query {
                span { "Filter the rules" }
                input #q type="search" autocomplete="off" spellcheck="false" placeholder="call, path, program ..." aria-describedby="found" aria-keyshortcuts="/";
            }
            fieldset {
                legend { "Layers" }
                @for layer in tracer_core::profile::Layer::ALL {
                    label { input type="checkbox" name="layer" value=(layer.as_str()) checked; " " (layer.as_str()) }
                }
            }
            label { input #risky type="checkbox"; " only rules with a known risk" }
            output #found for="q" aria-live="polite" {}
        }
    }
}

/// This style sheet, this script, and nothing else.
fn policy() -> String {
    let hash = |text: &str| {
        let sum = hmac_sha256::Hash::hash(text.as_bytes());
        format!("'sha256-{}'", STANDARD.encode(sum))
    };
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
