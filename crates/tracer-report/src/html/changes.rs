//! What changed since an older profile or recording.

use maud::{Markup, html};

use super::{
    Since,
    page::Part,
    text::{count, name, sentence},
};
use crate::escape::printable;
use tracer_core::diff::{Change, ChangeKind, Diff, Kind};

pub(super) fn part(since: &Since) -> Part {
    let number = |diff: &Option<Diff>| diff.as_ref().map_or(0, |diff| diff.changes.len());
    let (calls, rules) = (number(&since.calls), number(&since.rules));
    Part {
        id: "changes",
        title: "What changed",
        number: Some(calls + rules),
        body: html! {
            p { "Since " (name(&since.label)) "." }
            @if calls + rules == 0 && (since.calls.is_some() || since.rules.is_some()) { p.verdict.good { strong { "✓ No difference." } } }
            @match &since.calls {
                Some(diff) => { (changed(diff)) }
                None => { p { "The older one has no system calls to compare." } }
            }
            @match &since.rules {
                Some(diff) => { (changed(diff)) }
                None => { p { "Files, capabilities, sockets and signals are not compared: only one of the two has them." } }
            }
        },
    }
}

fn changed(diff: &Diff) -> Markup {
    let (what, one, several) = match diff.of {
        Kind::Recordings | Kind::Profiles => {
            ("Call", "change of system calls", "changes of system calls")
        }
        Kind::AppArmor => (
            "Rule",
            "change of AppArmor rules",
            "changes of AppArmor rules",
        ),
    };
    html! {
        @for note in &diff.notes { p.note { (sentence(note)) } }
        @if !diff.changes.is_empty() {
            div.scroll { table {
                caption { (count(diff.changes.len(), one, several)) ", riskiest first" }
                thead { tr { th scope="col" { "" } th scope="col" { (what) } th scope="col" { "Before" } th scope="col" { "After" } th scope="col" { "Notes" } } }
                tbody { @for change in &diff.changes {
                    tr.risk[change.grants && change.risk.is_some()] {
                        td { span class=(format!("change {}", change.kind.as_str())) { (sign(change)) " " (change.kind.as_str()) } }
                        th scope="row" { (name(&change.call)) }
                        td { (lines(&change.before)) }
                        td { (lines(&change.after)) }
                        td {
                            @if let Some(risk) = change.risk { div.known { (sentence(risk)) } }
                            @if !change.capabilities.is_empty() { div { "requires " (change.capabilities.iter().copied().collect::<Vec<_>>().join(", ")) } }
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
