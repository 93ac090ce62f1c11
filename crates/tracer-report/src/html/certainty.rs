//! How sure the review is: coverage, losses, what could not be seen, and how far discovery had come.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    Report, curve,
    page::Part,
    text::{count, executables, name, sentence},
};
use crate::words;
use tracer_core::recording::{
    Discovery, Executable, Recording,
    estimate::{Estimate, Incidence, counts},
};

/// Most things that are named of those that one instance did alone.
const MAX_NAMED: usize = 20;

pub(super) fn part(report: &Report<'_>) -> Part {
    let recording = report.recording;
    Part {
        id: "certainty",
        title: "How it was recorded",
        number: None,
        body: html! {
            (verdict(recording))
            (curve::curves(recording))
            (discovery(recording))
            (rare(recording))
            (providers(recording))
        },
    }
}

fn verdict(recording: &Recording) -> Markup {
    let coverage = &recording.coverage;
    let losses: Vec<_> = coverage.losses.iter().collect();
    html! {
        @if coverage.complete {
            p.verdict.good { strong { "✓ No events lost. " } "Every system call that the workload made while recorded is in the profile. Behaviour that did not occur then is not." }
        } @else {
            p.verdict.bad { strong { "△ Incomplete. " } "The workload may have done more than this profile allows." }
            ul { @for reason in coverage.reasons.iter().map(|it| sentence(&words::reason(it))).collect::<BTreeSet<_>>() { li { (reason) } } }
        }
        @if losses.is_empty() {
            p { "Every loss counter is zero." }
        } @else {
            table.plain {
                caption { "Losses" }
                tbody { @for (lost, count) in losses { tr { td { (words::loss(lost, count)) } } } }
            }
        }
    }
}

fn discovery(recording: &Recording) -> Markup {
    let discovery = Discovery::from_recording(recording);
    html! {
        ul {
            @match &discovery.unseen {
                Estimate::Refused(why) => { li { (sentence(&words::refusal(why))) } }
                Estimate::Chao2(unseen) => { li {
                    "Estimated unseen system calls: " (unseen.calls) " (95 % interval: " (unseen.low) " to " (unseen.high) "; Chao2, a lower bound). That covers instances with the same kind of work."
                } }
            }
            @for note in &recording.coverage.notes { li { (sentence(&words::note(note))) } }
        }
    }
}

/// What only one of several instances did: the next one may well do something else.
fn rare(recording: &Recording) -> Markup {
    let runs = recording.runs();
    if runs < 2 {
        return html! {};
    }
    let incidence = Incidence::from_recording(recording);
    let calls: Vec<_> = incidence.in_one().collect();
    let who = |call| -> BTreeSet<Executable> {
        let syscall = recording.syscalls.iter().find(|it| it.call() == call);
        let evidence = syscall.into_iter().flat_map(|it| &it.evidence);
        evidence.map(|it| it.executable.clone()).collect()
    };
    let files: Vec<_> = recording
        .files
        .iter()
        .filter(|file| {
            let counting = file.evidence.iter().filter(|it| counts(it.phase, false));
            let instances: BTreeSet<_> = counting.flat_map(|it| &it.instances).collect();
            instances.len() == 1
        })
        .map(|file| &file.what.path)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    html! {
        h3 { "Observed in only one of " (runs) " instances" }
        @if calls.is_empty() && files.is_empty() {
            p { "Nothing: each call and each file was observed in at least two." }
        }
        @if !calls.is_empty() {
            div.scroll { table {
                caption { (count(calls.len(), "call", "calls")) }
                thead { tr { th scope="col" { "Call" } th scope="col" { "Made by" } } }
                tbody { @for call in calls.iter().take(MAX_NAMED) { tr {
                    th scope="row" { (name(&call.abi.syscall_name(call.nr).map_or_else(|| format!("{} {}", call.abi, call.nr), str::to_owned))) }
                    td { (executables(&who(*call))) }
                } } }
            } }
            (more(calls.len()))
        }
        @if !files.is_empty() {
            details {
                summary { (count(files.len(), "path", "paths")) }
                ul { @for path in files.iter().take(MAX_NAMED) { li { (name(&path.to_string())) } } }
                (more(files.len()))
            }
        }
    }
}

fn more(number: usize) -> Markup {
    html! {
        @if number > MAX_NAMED { p.more { "and " (number - MAX_NAMED) " more; recording.json has them all" } }
    }
}

fn providers(recording: &Recording) -> Markup {
    html! {
        h3 { "What was monitored, and what was not observed" }
        div.scroll { table {
            thead { tr { th scope="col" { "Kind" } th scope="col" { "Monitored by" } th scope="col" { "Not observed" } } }
            tbody { @for provider in &recording.providers { tr {
                th scope="row" { (name(provider.kind.as_str())) }
                td { (crate::escape::printable(words::mechanism(&provider.provider))) }
                td {
                    @if provider.cannot_see.is_empty() { span.none { "-" } }
                    @for blind in &provider.cannot_see { (sentence(&words::blind_spot(blind))) " " }
                }
            } } }
        } }
        p.note { "A kind that is not in this table was not monitored. The profiles do not restrict it, except mounts, which are denied, and ptrace, where nothing that was recorded could have used it." }
    }
}
