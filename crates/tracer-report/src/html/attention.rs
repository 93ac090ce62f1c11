//! What deserves a second look, of all kinds, in one list.

use maud::{Markup, html};

use super::{
    Report,
    page::Part,
    text::{executables, literal, name},
};
use crate::phrases::file_risk;
use syscalls::{capability::Capability, risk};
use tracer_core::profile::{
    Layer,
    apparmor::{AppArmorProfile, CapabilityRule, FileRule, Pattern},
    seccomp::Rule,
};

/// Most files that are listed here; the rest is marked where the rules are.
const FILES: usize = 50;

/// What is known against a call, that it was seen to make.
fn calls<'a>(
    report: &'a Report<'_>,
) -> impl Iterator<Item = (&'static str, &'a Rule, &'static str)> {
    let names = report.seccomp.names_in(Layer::Observed);
    names.filter_map(|name| Some((name, report.seccomp.rule(name)?, risk::risk(name)?.sentence)))
}

/// What is known against a call with any arguments.
fn open<'a>(
    report: &'a Report<'_>,
) -> impl Iterator<Item = (&'static str, &'a Rule, &'static str)> {
    risk::ALLOWED_BY_ARGUMENT.iter().filter_map(|(name, what)| {
        let rule = report.seccomp.rule(name)?;
        rule.only().is_none().then_some((*name, rule, *what))
    })
}

fn files(
    profile: &AppArmorProfile,
) -> impl Iterator<Item = (&Pattern, &FileRule, String, &'static str)> {
    profile.files().filter_map(|(pattern, rule)| {
        let (all, why) = file_risk(pattern, rule)?;
        Some((pattern, rule, all.to_string(), why))
    })
}

fn capabilities(profile: &AppArmorProfile) -> impl Iterator<Item = (Capability, &CapabilityRule)> {
    let all = profile.capabilities();
    all.filter(|(capability, _)| capability.is_nearly_root())
}

/// How many there are.
pub(super) fn number(report: &Report<'_>) -> usize {
    let of_files = |it| files(it).count() + capabilities(it).count();
    calls(report).count() + open(report).count() + report.apparmor.map_or(0, of_files)
}

pub(super) fn part(report: &Report<'_>) -> Part {
    let number = number(report);
    Part {
        id: "attention",
        title: "Worth a second look",
        number: Some(number),
        body: if number == 0 {
            html! { p { "Nothing that was seen is known to be dangerous in itself." } }
        } else {
            list(report)
        },
    }
}

fn list(report: &Report<'_>) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "What" } th scope="col" { "Why" } th scope="col" { "Used by" } } }
            tbody {
                @for (call, rule, why) in calls(report) {
                    tr { th scope="row" { "call " (name(call)) } td { (why) } td { (executables(rule.executables())) } }
                }
                @for (call, rule, what) in open(report) {
                    tr { th scope="row" { "call " (name(call)) ", any arguments" } td { "Its arguments are not restricted: " (what) "." } td { (executables(rule.executables())) } }
                }
                @if let Some(profile) = report.apparmor {
                    @for (capability, rule) in capabilities(profile) {
                        tr {
                            th scope="row" { "capability " (name(&capability.to_string())) }
                            td { "Close to root: " (capability.grants().unwrap_or("it is not known what it opens")) "." }
                            td { (executables(&rule.executables)) }
                        }
                    }
                    @for (pattern, rule, all, why) in files(profile).take(FILES) {
                        tr {
                            th scope="row" { "file " (literal(&pattern.token().unwrap_or_default())) " " (literal(&all)) }
                            td { (super::text::sentence(why)) }
                            td { (executables(&rule.executables)) }
                        }
                    }
                }
            }
        } }
        @if let Some(more) = report.apparmor.and_then(|it| files(it).count().checked_sub(FILES)).filter(|more| *more > 0) {
            p.more { "and " (more) " more files: see the rules, with “only what deserves a second look”" }
        }
    }
}
