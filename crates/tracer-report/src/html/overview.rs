//! The top of the page: the verdict, and the profile in a few numbers.

use maud::{Markup, html};

use super::{
    Report,
    text::{count, name, thousands},
};
use crate::{
    escape::{printable, shell_words, visible},
    phrases::how_recorded,
    summary::{against_default, allowed},
    verdict::{Decision, Verdict},
};
use syscalls::defaults;
use tracer_core::recording::{InstanceKind, Recording};

pub(super) fn header(report: &Report<'_>, verdict: &Verdict, risks: usize) -> Markup {
    let recording = report.recording;
    html! {
        header #overview {
            p.kicker { "Review of a least-privilege profile" }
            h1 { (visible(&recording.workload.name)) }
            p class=(if verdict.decision == Decision::Enforce { "decision good" } else { "decision bad" }) {
                strong { (verdict.decision.title()) ": " } (printable(&verdict.reason)) "."
            }
            (answers(verdict))
            p.lede { (lede(report)) }
            @if let Some(text) = against_default(report.seccomp) { p { (text.replace('`', "")) } }
            (translated(report))
            (numbers(report, risks))
            (origin(recording))
        }
    }
}

/// The three answers that the decision follows from.
fn answers(verdict: &Verdict) -> Markup {
    let rows = [
        ("Was anything lost?", &verdict.lost, verdict.whole),
        (
            "Has it stopped discovering?",
            &verdict.discovering,
            verdict.settled,
        ),
        (
            "What is risky?",
            &verdict.risky,
            verdict.decision != Decision::LookFirst,
        ),
    ];
    html! {
        dl.answers { @for (question, answer, good) in rows {
            div class=(if good { "good" } else { "bad" }) { dt { (question) } dd { (printable(answer)) } }
        } }
    }
}

fn lede(report: &Report<'_>) -> String {
    let files = report.apparmor.map_or_else(String::new, |profile| {
        format!(
            " Its files take {}.",
            count(profile.files().count(), "rule", "rules")
        )
    });
    format!(
        "{}{files} Everything else is denied.",
        allowed(report.seccomp).replace('`', "")
    )
}

fn translated(report: &Report<'_>) -> Markup {
    html! {
        @if let Some(translation) = report.seccomp.translation() {
            p.notice { strong { "Translated. " } "Recorded on another architecture, generated for " (translation.to()) ". The workload was not observed there." }
        }
    }
}

fn numbers(report: &Report<'_>, risks: usize) -> Markup {
    let profile = report.seccomp;
    let globs = |files: &tracer_core::profile::apparmor::AppArmorProfile| {
        files
            .files()
            .filter(|(pattern, _)| pattern.is_glob())
            .count()
    };
    html! {
        ul.numbers {
            li { a href="#calls" {
                b { (profile.rules().count()) }
                span { "system calls allowed; Docker's default allows " (defaults::allowed_by_default().count()) }
            } }
            @match report.apparmor {
                Some(files) => {
                    li { a href="#files" {
                        b { (thousands(files.files().count())) }
                        span { "rules for files, " (thousands(globs(files))) " of them globs" }
                    } }
                    li { a href="#capabilities" {
                        @match report.capabilities {
                            Some(needed) => { b { (needed.iter().count()) } span { "capabilities needed; Docker grants " (defaults::DEFAULT_CAPABILITIES.len()) } }
                            None => { b { "-" } span { "capabilities were not recorded" } }
                        }
                    } }
                }
                None => { li { div { b { "-" } span { "files, capabilities and sockets were not recorded" } } } }
            }
            li class=(if risks == 0 { "good" } else { "look" }) {
                a href="#attention" {
                    b { (thousands(risks)) }
                    span { (if risks == 1 { "rule with a known risk" } else { "rules with a known risk" }) }
                }
            }
        }
    }
}

fn origin(recording: &Recording) -> Markup {
    let kinds = recording.kinds();
    let images = kinds.iter().filter_map(|kind| {
        let container = kind.container.as_ref()?;
        Some((
            container.image.as_deref()?,
            container.image_digest.as_deref(),
        ))
    });
    let images: std::collections::BTreeSet<_> = images.collect();
    let spans = recording.instances.iter();
    let began = spans.clone().map(|it| it.began.as_str()).min();
    let ended = spans.map(|it| it.ended.as_str()).max();
    html! {
        dl.origin {
            @for command in recording.commands() {
                div { dt { "Command" } dd { (name(&shell_words(command))) } }
            }
            @for (image, digest) in images {
                div { dt { "Image" } dd { (name(image)) @if let Some(digest) = digest { " " (name(digest)) } } }
            }
            @if let (Some(began), Some(ended)) = (began, ended) {
                div { dt { "Recorded" } dd { (time(began)) " to " (time(ended)) ", " (count(recording.runs(), "instance", "instances")) } }
            }
            @for host in recording.hosts() {
                div { dt { "Host" } dd { "Linux " (visible(&host.kernel)) ", " (visible(&host.machine)) ", tracer " (visible(&host.tracer)) } }
            }
            div { dt { "How" } dd { @for sentence in how(&kinds) { (sentence) " " } } }
            @for warning in kinds.iter().filter_map(|it| it.container.as_ref()).flat_map(|it| &it.warnings) {
                div.warning { dt { "Warning" } dd { (super::text::sentence(&crate::words::warning(warning))) } }
            }
        }
    }
}

fn how(
    kinds: &std::collections::BTreeSet<InstanceKind>,
) -> std::collections::BTreeSet<&'static str> {
    kinds.iter().map(how_recorded).collect()
}

/// A time without its fraction of a second. What a recording says of it may be anything, so it is in no attribute.
fn time(text: &str) -> String {
    let short = text.split('.').next().unwrap_or_default().replace('T', " ");
    format!("{} UTC", visible(short.trim_end_matches('Z')))
}
