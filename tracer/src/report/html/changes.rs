//! What changed since an older profile or recording.

use maud::{Markup, html};

use super::{
    RuleChanges, Since,
    page::Part,
    text::{count, literal, name, sentence},
};
use crate::{
    diff::{Change, ChangeKind, Diff},
    report::escape::printable,
};

pub(super) fn part(since: &Since) -> Part {
    let calls = since.calls.as_ref().map_or(0, |diff| diff.changes.len());
    let rules = since
        .rules
        .as_ref()
        .map_or(0, |it| it.added.len() + it.removed.len());
    Part {
        id: "changes",
        title: "What changed",
        number: Some(calls + rules),
        body: html! {
            p { "Since " (name(&since.label)) "." }
            @if calls + rules == 0 { p.verdict.good { strong { "✓ No difference." } } }
            @match &since.calls {
                Some(diff) => { (changed_calls(diff)) }
                None => { p { "The older one says nothing of system calls." } }
            }
            @match &since.rules {
                Some(rules) => { (changed_rules(rules)) }
                None => { p { "Files, capabilities, sockets and signals are not compared: only one of the two says anything of them." } }
            }
        },
    }
}

fn changed_calls(diff: &Diff) -> Markup {
    html! {
        @for note in &diff.notes { p.note { (sentence(note)) } }
        @if !diff.changes.is_empty() {
            div.scroll { table {
                caption { (count(diff.changes.len(), "change of system calls", "changes of system calls")) ", riskiest first" }
                thead { tr { th scope="col" { "" } th scope="col" { "Call" } th scope="col" { "Before" } th scope="col" { "After" } th scope="col" { "To know" } } }
                tbody { @for change in &diff.changes {
                    tr.risk[change.grants && change.risk.is_some()] {
                        td { span class=(format!("change {}", change.kind.as_str())) { (sign(change)) " " (change.kind.as_str()) } }
                        th scope="row" { (name(&change.call)) }
                        td { (lines(&change.before)) }
                        td { (lines(&change.after)) }
                        td {
                            @if let Some(risk) = change.risk { div.known { (sentence(risk)) } }
                            @if !change.capabilities.is_empty() { div { "takes " (change.capabilities.iter().copied().collect::<Vec<_>>().join(", ")) } }
                        }
                    }
                } }
            } }
        }
    }
}

const fn sign(change: &Change) -> &'static str {
    match change.kind {
        ChangeKind::Added => "+",
        ChangeKind::Removed => "−",
        ChangeKind::Arguments | ChangeKind::Action | ChangeKind::Phases => "~",
    }
}

fn lines(lines: &[String]) -> Markup {
    html! { @for line in lines { div { (printable(line)) } } }
}

fn changed_rules(rules: &RuleChanges) -> Markup {
    let list = |title: &str, sign: &str, class: &str, lines: &[String]| {
        html! {
            @if !lines.is_empty() {
                details open[lines.len() <= 100] {
                    summary { (title) " " span.number { (lines.len()) } }
                    ul.lines { @for line in lines { li class=(class) { (sign) " " (literal(line)) } } }
                }
            }
        }
    };
    html! {
        (list("Rules of AppArmor that were added", "+", "added", &rules.added))
        (list("Rules of AppArmor that were removed", "−", "removed", &rules.removed))
    }
}
