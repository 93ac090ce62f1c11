//! Every rule for files, in groups by directory.

use maud::{Markup, html};

use super::{
    groups::{Group, groups},
    page::Part,
    text::{executables, literal, name, thousands},
};
use crate::phrases::{CHILDREN, DENIED_UNSEEN, LEFT_OPEN, NO_ROOM, file_risk};
use tracer_core::profile::apparmor::{
    AppArmorProfile, Division, FileRule, Pattern, Permissions, Policy,
};

/// With more rules than this, their groups are closed at first.
const OPEN: usize = 400;

/// Most paths that are told of those behind a glob.
const PATHS: usize = 8;

pub(super) fn part(profile: &AppArmorProfile) -> Part {
    let rules: Vec<_> = profile
        .files()
        .map(|(pattern, rule)| (pattern.token().unwrap_or_default(), pattern, rule))
        .collect();
    let paths: Vec<_> = rules
        .iter()
        .map(|(token, ..)| token.trim_matches('"').to_owned())
        .collect();
    let groups = groups(&paths);
    let open = rules.len() <= OPEN;
    Part {
        id: "files",
        title: "Files",
        number: Some(rules.len()),
        body: html! {
            p { (introduction(profile)) }
            (children(profile))
            @if rules.is_empty() { p { "None was used." } }
            @for group in groups.iter().filter(|group| !group.members.is_empty()) {
                @let members: Vec<_> = group.members.iter().filter_map(|at| rules.get(*at)).collect();
                (table(group, &members, open))
            }
            h3 { "Limits of AppArmor profiles" }
            p { (LEFT_OPEN.replace('`', "")) }
            p { (DENIED_UNSEEN.replace('`', "")) }
        },
    }
}

fn introduction(profile: &AppArmorProfile) -> String {
    let how = match profile.policy() {
        Policy::None => {
            " Paths are exactly the observed ones: process ids and names of temporary files will differ the next time."
        }
        Policy::Safe => "",
        Policy::Wide => " Paths were generalised widely, whole trees included.",
    };
    let complain = if profile.complain() {
        " The profile only reports, and denies nothing."
    } else {
        ""
    };
    format!(
        "r: read, w: write and create, k: lock, m: map executable, ix: execute, l: new name of a hard link. Everything else is denied and logged.{how}{complain}"
    )
}

fn children(profile: &AppArmorProfile) -> Markup {
    let parts = match profile.division() {
        Division::Undivided => return html! {},
        Division::Impossible(why) => {
            return html! { p.note { "No child profiles: " (why.as_str()) ". All programs run under one profile." } };
        }
        Division::Divided(parts) => parts,
    };
    html! {
        h3 { "Child profiles" }
        p { (CHILDREN.replace('`', "")) }
        div.scroll { table {
            thead { tr { th scope="col" { "Profile" } th scope="col" { "Program" } th scope="col" { "Started by" } th scope="col" { "Rules for files" } th scope="col" { "Capabilities" } } }
            tbody { @for child in &parts.children {
                tr {
                    th scope="row" { (literal(&child.name)) }
                    td { (literal(&child.program.to_string())) }
                    td { (executables(&child.started_by)) }
                    td { (child.profile.files().count()) }
                    td { (child.profile.capabilities().filter_map(|(one, _)| one.name()).collect::<Vec<_>>().join(", ")) }
                }
            } }
        } }
        @if !parts.without.is_empty() {
            p.note { (NO_ROOM) ": " @for path in &parts.without { (literal(&path.to_string())) " " } }
        }
    }
}

type Row<'a> = (String, &'a Pattern, &'a FileRule);

fn table(group: &Group, rows: &[&Row<'_>], open: bool) -> Markup {
    let all = rows.iter().fold(Permissions::NONE, |all, (_, _, rule)| {
        all | rule.permissions | rule.owner
    });
    html! {
        details.group open[open] {
            summary {
                (literal(&group.title)) " "
                span.number { (thousands(rows.len())) } " "
                small { "allows " (all) }
            }
            div.scroll { table.filtered {
                thead { tr {
                    th scope="col" { "Path" }
                    th scope="col" { "Anyone" }
                    th scope="col" { "Owner" }
                    th scope="col" { "Used by" }
                    th scope="col" { "Notes" }
                } }
                tbody { @for row in rows { (line(row)) } }
            } }
        }
    }
}

fn line((token, pattern, rule): &Row<'_>) -> Markup {
    let risk = file_risk(pattern, rule);
    let reasons: Vec<_> = rule.reasons.iter().map(|it| it.explained().1).collect();
    html! {
        tr.risk[risk.is_some()] {
            th scope="row" { (literal(token)) }
            td { (permissions(rule.permissions)) }
            td { (permissions(rule.owner)) }
            td { (executables(&rule.executables)) }
            td {
                @if let Some((_, why)) = risk { div.known { (super::text::sentence(why)) } }
                @for reason in reasons { div { (super::text::sentence(reason)) } }
                @if pattern.is_glob() { (behind(rule)) }
            }
        }
    }
}

fn behind(rule: &FileRule) -> Markup {
    let more = rule.paths.len().saturating_sub(PATHS);
    html! {
        @if !rule.paths.is_empty() {
            details {
                summary { (thousands(rule.paths.len())) " observed" }
                ul { @for (path, needed) in rule.paths.iter().take(PATHS) { li { (name(&path.to_string())) " " (needed) } } }
                @if more > 0 { p.more { "and " (thousands(more)) " more; recording.json has them all" } }
            }
        }
    }
}

fn permissions(permissions: Permissions) -> Markup {
    html! {
        @if permissions.is_empty() { span.none { "-" } } @else { b.permissions { (permissions) } }
    }
}
