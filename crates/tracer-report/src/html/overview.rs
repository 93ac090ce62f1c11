//! The top of the page: what the workload is, and the review in five numbers.

use maud::{Markup, html};

use super::{
    Report, attention,
    text::{count, name, thousands},
};
use crate::{
    escape::{shell_words, visible},
    phrases::how_recorded,
};
use syscalls::defaults;
use tracer_core::{
    profile::Layer,
    recording::{InstanceKind, Recording},
};

pub(super) fn header(report: &Report<'_>) -> Markup {
    let recording = report.recording;
    html! {
        header #overview {
            p.kicker { "Review of a least-privilege profile" }
            h1 { (visible(&recording.workload.name)) }
            p.lede { (lede(report)) }
            (translated(report))
            (numbers(report))
            (origin(recording))
        }
    }
}

fn lede(report: &Report<'_>) -> String {
    let profile = report.seccomp;
    let observed = profile.names_in(Layer::Observed).count()
        + usize::from(profile.replaced_clone3().is_some());
    let headroom = profile.names_in(Layer::Headroom).count();
    let added = profile.rules().count() - profile.names_in(Layer::Observed).count() - headroom;
    let files = report.apparmor.map_or_else(String::new, |profile| {
        format!(
            " Its files take {}.",
            count(profile.files().count(), "rule", "rules")
        )
    });
    let added = match added {
        0 => String::new(),
        1 => " One more is allowed because its runtime, its libc or the kernel need it.".to_owned(),
        added => format!(
            " {added} more are allowed because its runtime, its libc or the kernel need them."
        ),
    };
    let headroom = match headroom {
        0 => String::new(),
        headroom => format!(" {headroom} more are harmless, and the next run may make them."),
    };
    format!(
        "The workload was seen to make {}.{added}{headroom}{files} Everything else is denied.",
        count(observed, "system call", "different system calls")
    )
}

fn translated(report: &Report<'_>) -> Markup {
    html! {
        @if let Some(translation) = report.seccomp.translation() {
            p.notice { strong { "Translated. " } "It was recorded on another machine and made for " (translation.to()) ". Nobody has seen the workload run there." }
        }
    }
}

fn numbers(report: &Report<'_>) -> Markup {
    let profile = report.seccomp;
    let complete = report.recording.coverage.complete;
    let look = attention::number(report);
    let globs = |files: &tracer_core::profile::apparmor::AppArmorProfile| {
        files
            .files()
            .filter(|(pattern, _)| pattern.is_glob())
            .count()
    };
    html! {
        ul.numbers {
            li class=(if complete { "good" } else { "bad" }) {
                a href="#certainty" {
                    b { (if complete { "✓ Complete" } else { "△ Not complete" }) }
                    span { @if complete { "nothing that it did was lost" } @else { (count(report.recording.coverage.reasons.len(), "reason against it", "reasons against it")) } }
                }
            }
            li { a href="#calls" {
                b { (profile.rules().count()) }
                span { "system calls allowed; Docker's default lets " (defaults::allowed_by_default().count()) " through" }
            } }
            @match report.apparmor {
                Some(files) => {
                    li { a href="#files" {
                        b { (thousands(files.files().count())) }
                        span { "rules for files, " (thousands(globs(files))) " of them for more than one path" }
                    } }
                    li { a href="#capabilities" {
                        @match report.capabilities {
                            Some(needed) => { b { (needed.iter().count()) } span { "capabilities needed; Docker grants " (defaults::DEFAULT_CAPABILITIES.len()) } }
                            None => { b { "-" } span { "capabilities were not observed" } }
                        }
                    } }
                }
                None => { li { div { b { "-" } span { "files, capabilities and sockets were not observed" } } } }
            }
            li class=(if look == 0 { "good" } else { "look" }) {
                a href="#attention" {
                    b { (thousands(look)) }
                    span { (if look == 1 { "rule deserves" } else { "rules deserve" }) " a second look" }
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
