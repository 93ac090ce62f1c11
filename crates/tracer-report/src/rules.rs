//! The tables of a review: every rule, with what it rests on.

use std::collections::BTreeSet;

use super::{arguments::marked, escape::code, markdown::Document};
use syscalls::{errno, essential, runtime_init};
use tracer_core::{
    profile::{
        Layer,
        seccomp::{Rule, SeccompProfile},
    },
    recording::Executable,
};

/// Most executables that are named for one call.
const MAX_EXECUTABLES_NAMED: usize = 6;

pub(super) fn unnamed(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .unnamed()
        .map(|(call, unnamed)| {
            [
                call.abi.to_string(),
                call.nr.to_string(),
                executables(&unnamed.executables),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Observed, and not in the profile");
    doc.paragraph("These numbers have no name in tracer's tables (Linux 6.18), and a profile can only allow names. Under the profile they return its default error. Most are numbers that no kernel has, and fail without a profile too.");
    doc.table(["ABI", "Number", "Made by"], rows);
}

pub(super) fn rules(doc: &mut Document, profile: &SeccompProfile) {
    doc.heading(2, "Every rule");
    // What is only headroom has a table of its own.
    let is_headroom = |rule: &Rule| rule.layer() == Some(Layer::Headroom);
    let shown = || profile.rules().filter(|(_, rule)| !is_headroom(rule));
    if profile.names_in(Layer::Headroom).next().is_some() {
        doc.paragraph("The calls of the layer `headroom` are in a table of their own, below.");
    }
    if profile.architectures().nth(1).is_some() {
        let rows = shown().map(|(name, rule)| {
            let abis = list(rule.abis().map(|abi| abi.to_string()));
            [
                marked(name, rule),
                layers(rule),
                or_dash(abis),
                made_by(rule),
                phases(rule),
            ]
        });
        doc.table(["Call", "Layers", "ABI", "Made by", "Phase"], rows);
    } else {
        let rows = shown().map(|(name, rule)| {
            [
                marked(name, rule),
                layers(rule),
                made_by(rule),
                phases(rule),
            ]
        });
        doc.table(["Call", "Layers", "Made by", "Phase"], rows);
    }
    let newer: Vec<_> = profile
        .rules()
        .map(|(name, _)| name)
        .filter(|name| errno::is_newer_than_libseccomp_2_5_4(name))
        .map(code)
        .collect();
    if !newer.is_empty() {
        doc.paragraph(&format!(
            "A runtime whose libseccomp is 2.5.4 or older may not know {}: it leaves the rule out, the call returns ENOSYS, and its callers fall back.",
            list(newer)
        ));
    }
}

pub(super) fn window_layer(doc: &mut Document, profile: &SeccompProfile) {
    let needs = profile.runtime_init_syscalls();
    let rows: Vec<_> = profile
        .names_in(Layer::RuntimeInit)
        .map(|name| {
            let needed_by = needs
                .get(name)
                .map(|rows| runtime_init::describe(rows).join(", "));
            [
                code(name),
                needed_by.unwrap_or_else(|| "seen while it was recorded".to_owned()),
            ]
        })
        .collect();
    doc.heading(2, "Added: `window`");
    if rows.is_empty() {
        doc.paragraph(&covered(profile.runtime_init()));
        return;
    }
    doc.paragraph("A container runtime makes these calls after it has loaded the profile and before it starts the workload, so it cannot start the workload without them.");
    doc.paragraph(&covered(profile.runtime_init()));
    doc.table(["Call", "Needed by"], rows);
}

/// Which runtimes may start the workload.
fn covered(choice: &runtime_init::RuntimeSelection) -> String {
    // What any version may do says nothing of a version.
    let rows = choice.rows();
    let rows: Vec<_> = rows
        .filter(|row| row.versions != runtime_init::VersionRange::Any)
        .collect();
    let known = list(runtime_init::describe(&rows));
    match choice {
        runtime_init::RuntimeSelection::All => format!(
            "It covers every runtime that tracer knows: {known}. A version between two of them most likely needs no more than they do."
        ),
        runtime_init::RuntimeSelection::None => "For no runtime, by `--runtime none`: none can start the workload under this profile. A process can load it by itself.".to_owned(),
        runtime_init::RuntimeSelection::Only(_) => format!(
            "**Only for some runtimes**, chosen by `--runtime {choice}`: {known}. Another one, or another version, may not be able to start the workload under this profile."
        ),
    }
}

pub(super) fn essential_layer(doc: &mut Document, profile: &SeccompProfile) {
    let added: BTreeSet<_> = profile.names_in(Layer::Essential).collect();
    let rows: Vec<_> = essential::GROUPS
        .iter()
        .filter_map(|group| {
            let names: Vec<_> = group
                .calls
                .iter()
                .filter(|name| added.contains(*name))
                .collect();
            let calls = list(names.into_iter().map(|name| code(name)));
            (!calls.is_empty()).then(|| [group.title.to_owned(), calls, group.reason.to_owned()])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Added: `essential`");
    doc.paragraph(
        "A test run hardly ever shows these calls, and the workload needs them sooner or later.",
    );
    doc.table(["For", "Calls", "Why"], rows);
}

fn layers(rule: &Rule) -> String {
    list(rule.layers().map(|layer| layer.as_str().to_owned()))
}

pub(super) fn made_by(rule: &Rule) -> String {
    or_dash(executables(rule.executables()))
}

fn phases(rule: &Rule) -> String {
    let phases = rule.phases().iter();
    or_dash(list(phases.map(|phase| phase.as_str().to_owned())))
}

pub(super) fn executables(executables: &BTreeSet<Executable>) -> String {
    let mut shown: Vec<_> = executables
        .iter()
        .take(MAX_EXECUTABLES_NAMED)
        .map(|executable| match executable {
            Executable::Path(path) => code(path),
            Executable::Truncated(beginning) => format!("{} (cut off)", code(beginning)),
            Executable::Launcher => "what starts the workload, before the first exec".to_owned(),
            Executable::Unknown => "unknown".to_owned(),
        })
        .collect();
    if let Some(more) = executables
        .len()
        .checked_sub(MAX_EXECUTABLES_NAMED)
        .filter(|more| *more > 0)
    {
        shown.push(format!("and {more} more"));
    }
    list(shown)
}

pub(super) fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}
