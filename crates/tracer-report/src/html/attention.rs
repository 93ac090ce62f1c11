//! The risks of all kinds in one list, worst first.

use maud::{Markup, html};

use super::{
    page::Part,
    text::{executables, literal, name, sentence},
};
use crate::risks::{Risk, What};

/// Most risks that are listed here; the rest is marked where the rules are.
const MAX_RISKS: usize = 100;

pub(super) fn part(risks: &[Risk]) -> Part {
    Part {
        id: "attention",
        title: "Risks",
        number: Some(risks.len()),
        body: if risks.is_empty() {
            html! { p { "No rule of this profile has a known risk." } }
        } else {
            list(risks)
        },
    }
}

fn list(risks: &[Risk]) -> Markup {
    let more = risks.len().saturating_sub(MAX_RISKS);
    html! {
        div.scroll { table.risks {
            thead { tr { th scope="col" { "Risk" } th scope="col" { "What" } th scope="col" { "Why" } th scope="col" { "Used by" } } }
            tbody {
                @for risk in risks.iter().take(MAX_RISKS) {
                    tr {
                        td { span class=(format!("level {}", risk.level.as_str())) { (risk.level.as_str()) } }
                        th scope="row" { (what(&risk.what)) }
                        td { (sentence(&risk.why)) }
                        td { (executables(&risk.by)) }
                    }
                }
            }
        } }
        @if more > 0 {
            p.more { "and " (more) " more: see the rules, with “only rules with a known risk”" }
        }
    }
}

fn what(what: &What) -> Markup {
    html! {
        @match what {
            What::Container => { "container" }
            What::Call(call) => { (name(call)) }
            What::AnyArguments(call) => { (name(call)) ", any arguments" }
            What::Capability(capability) => { (name(capability)) }
            What::File(path, permissions) => { (literal(path)) " " (literal(permissions)) }
        }
    }
}
