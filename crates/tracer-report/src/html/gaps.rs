//! What was seen and is in no rule: what was stopped, left out, or cannot be said.

use maud::{Markup, html};

use super::{
    Report,
    page::Part,
    text::{executables, name},
};
use crate::{phrases::saw, words};

/// Most things that are listed of those that were left out, besides calls.
const LIMIT: usize = 50;

/// `None` when there is nothing.
pub(super) fn part(report: &Report<'_>) -> Option<Part> {
    let profile = report.seccomp;
    let mut number = profile.blocked().count() + profile.excluded().count();
    number += profile.unnamed().count();
    if let Some(profile) = report.apparmor {
        number += profile.lost().count() + profile.excluded().count();
    }
    (number > 0).then(|| Part {
        id: "gaps",
        title: "Observed, but not allowed",
        number: Some(number),
        body: html! {
            (blocked(report))
            (excluded(report))
            (unnamed(report))
            (lost(report))
        },
    })
}

fn blocked(report: &Report<'_>) -> Markup {
    let rows: Vec<_> = report.seccomp.blocked().collect();
    html! {
        @if !rows.is_empty() {
            h3 { "Attempted, and blocked" }
            p { (words::blocking_filter(report.recording)) "." }
            div.scroll { table {
                thead { tr { th scope="col" { "Call" } th scope="col" { "Made by" } th scope="col" { "Result" } } }
                tbody { @for (call, stopped) in rows { tr {
                    th scope="row" { (name(call)) }
                    td { (executables(&stopped.executables)) }
                    td { (stopped.saw.iter().map(|it| saw(*it)).collect::<Vec<_>>().join(", ")) }
                } } }
            } }
        }
    }
}

fn excluded(report: &Report<'_>) -> Markup {
    let calls: Vec<_> = report.seccomp.excluded().collect();
    let others: Vec<_> = report
        .apparmor
        .into_iter()
        .flat_map(|it| it.excluded())
        .collect();
    html! {
        @if !calls.is_empty() || !others.is_empty() {
            h3 { "Done in other sessions only" }
            p { "Only processes started in the running container (docker exec, probes) did this; " code { "--exec" } " selects which of them count." }
            div.scroll { table {
                thead { tr { th scope="col" { "What" } th scope="col" { "Used by" } } }
                tbody {
                    @for (call, who) in calls { tr { th scope="row" { "call " (name(call)) } td { (executables(who)) } } }
                    @for (what, who) in others.iter().take(LIMIT) {
                        @let (kind, text) = what.words();
                        tr { th scope="row" { (kind) " " (name(&text)) } td { (executables(who)) } }
                    }
                }
            } }
            @if others.len() > LIMIT { p.more { "and " (others.len() - LIMIT) " more" } }
        }
    }
}

fn unnamed(report: &Report<'_>) -> Markup {
    let rows: Vec<_> = report.seccomp.unnamed().collect();
    html! {
        @if !rows.is_empty() {
            h3 { "Numbers without a name" }
            p { "A profile can only allow names. Most of these numbers do not exist in any kernel and fail without a profile too." }
            div.scroll { table {
                thead { tr { th scope="col" { "ABI" } th scope="col" { "Number" } th scope="col" { "Made by" } } }
                tbody { @for (call, unnamed) in rows { tr {
                    td { (call.abi) } td { (call.nr) } td { (executables(&unnamed.executables)) }
                } } }
            } }
        }
    }
}

fn lost(report: &Report<'_>) -> Markup {
    let rows: Vec<_> = report
        .apparmor
        .into_iter()
        .flat_map(|it| it.lost())
        .collect();
    html! {
        @if !rows.is_empty() {
            h3 { "Not expressible in AppArmor" }
            p { "Denied, unless the reason says otherwise." }
            div.scroll { table {
                thead { tr { th scope="col" { "What" } th scope="col" { "Why" } } }
                tbody { @for lost in rows { tr { th scope="row" { (name(&lost.what)) } td { (super::text::sentence(lost.reason.as_str())) } } } }
            } }
        }
    }
}
