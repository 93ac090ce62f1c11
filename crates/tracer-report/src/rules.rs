//! The tables of a review: every rule, with what it rests on.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    arguments::marked,
    escape::code,
    fallbacks::fallback_layer,
    markdown::{Document, count},
};
use syscalls::{category::CATEGORIES, errno, essential, runtime_init};
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
    doc.heading(2, "Observed, but not in the profile");
    doc.paragraph("These numbers have no name in tracer's tables (Linux 6.18), and a profile can only allow names, so they return its default error. Most of them do not exist in any kernel and fail without a profile too.");
    doc.table(["ABI", "Number", "Made by"], rows);
}

/// The calls that the workload made, in rows of what they are for and who made them: one row for
/// each call would hide the risks between them.
pub(super) fn observed(doc: &mut Document, profile: &SeccompProfile) {
    let several = profile.architectures().nth(1).is_some();
    let mut rows: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (name, rule) in profile.rules() {
        if rule.layer() != Some(Layer::Observed) {
            continue;
        }
        let at = CATEGORIES
            .iter()
            .position(|category| category.calls.contains(&name));
        let abis = list(rule.abis().map(|abi| abi.to_string()));
        let group = (at, made_by(rule), phases(rule), abis);
        rows.entry(group).or_default().push(marked(name, rule));
    }
    let title = |at: Option<usize>| {
        let category = at.and_then(|at| CATEGORIES.get(at));
        category.map_or("other", |it| it.title).to_owned()
    };
    if rows.is_empty() {
        doc.paragraph("The workload made none.");
    } else if several {
        let rows = rows.into_iter().map(|((at, by, phases, abis), names)| {
            [title(at), list(names), by, phases, or_dash(abis)]
        });
        doc.table(["For", "Calls", "Made by", "Phase", "ABI"], rows);
    } else {
        let rows = rows
            .into_iter()
            .map(|((at, by, phases, _), names)| [title(at), list(names), by, phases]);
        doc.table(["For", "Calls", "Made by", "Phase"], rows);
    }
    let newer: Vec<_> = profile
        .rules()
        .map(|(name, _)| name)
        .filter(|name| errno::is_newer_than_libseccomp_2_5_4(name))
        .map(code)
        .collect();
    if !newer.is_empty() {
        doc.paragraph(&format!(
            "Libseccomp 2.5.4 and older may not know {}: the runtime then ignores the rule, the call returns ENOSYS, and its callers fall back.",
            list(newer)
        ));
    }
}

/// The calls that the workload did not make, by the layer that adds them.
pub(super) fn added(doc: &mut Document, profile: &SeccompProfile) {
    let layers = [
        (Layer::RuntimeInit, runtime_layer(profile)),
        (Layer::Essential, essential_layer(profile)),
        (Layer::Fallback, fallback_layer(profile)),
    ];
    let number = Layer::ALL
        .into_iter()
        .filter(|layer| *layer != Layer::Observed);
    let number: usize = number.map(|layer| profile.names_in(layer).count()).sum();
    let folded = doc.folded(&format!(
        "{} allowed that the workload did not make: runtime, essential, fallbacks, headroom",
        count(number, "call is", "calls are")
    ));
    doc.paragraph(&format!(
        "`runtime-init`: a container runtime makes them after it has loaded the profile. {} `essential`: tests rarely exercise them but workloads need them. `fallback`: `tracer explain` shows why each grants nothing new. {}",
        covered(profile),
        headroom_layer(profile)
    ));
    let rows = layers.into_iter().flat_map(|(layer, rows)| {
        rows.into_iter()
            .map(move |[calls, why]| [layer.as_str().to_owned(), calls, why])
    });
    doc.table(["Layer", "Calls", "Why"], rows);
    doc.end_folded(folded);
}

fn runtime_layer(profile: &SeccompProfile) -> Vec<[String; 2]> {
    let needs = profile.runtime_init_syscalls();
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in profile.names_in(Layer::RuntimeInit) {
        let needed_by = needs.get(name).map(|rows| {
            let runtimes: BTreeSet<_> = rows.iter().map(|row| row.runtime.as_str()).collect();
            list(runtimes.into_iter().map(str::to_owned))
        });
        let needed_by = needed_by.unwrap_or_else(|| "the recorded runtime".to_owned());
        rows.entry(needed_by).or_default().push(code(name));
    }
    let row = |(by, names)| [list(names), format!("needed by {by}")];
    rows.into_iter().map(row).collect()
}

/// Which runtimes may start the workload.
fn covered(profile: &SeccompProfile) -> String {
    let choice = profile.runtime_init();
    if profile.is_for_gvisor() && *choice == runtime_init::RuntimeSelection::None {
        return "gVisor makes none. **Only for gVisor**: another runtime cannot start the workload under this profile.".to_owned();
    }
    // What any version may do says nothing of a version.
    let rows = choice.rows();
    let rows: Vec<_> = rows
        .filter(|row| row.versions != runtime_init::VersionRange::Any)
        .collect();
    let known = list(runtime_init::describe(&rows));
    match choice {
        runtime_init::RuntimeSelection::All => format!(
            "It covers every measured runtime: {known}. A version between two of them very likely needs no more."
        ),
        runtime_init::RuntimeSelection::None => "No runtime can start the workload under this profile (`--runtime none`). A process can load it by itself.".to_owned(),
        runtime_init::RuntimeSelection::Only(_) => format!(
            "**Only for some runtimes** (`--runtime {choice}`): {known}. Another runtime or version may not be able to start the workload under this profile."
        ),
    }
}

/// The harmless calls that were not observed.
fn headroom_layer(profile: &SeccompProfile) -> String {
    let calls = list(profile.names_in(Layer::Headroom).map(code));
    if calls.is_empty() {
        return "`headroom`: none, by `--headroom none`.".to_owned();
    }
    format!(
        "`headroom`: harmless calls that were not observed and that the next run may make: {calls}. Some are allowed in a harmless form only. `tracer explain` shows why each is harmless; `--headroom none` leaves them out."
    )
}

fn essential_layer(profile: &SeccompProfile) -> Vec<[String; 2]> {
    let added: BTreeSet<_> = profile.names_in(Layer::Essential).collect();
    let rows = essential::GROUPS.iter().filter_map(|group| {
        let names = group.calls.iter().filter(|name| added.contains(*name));
        let calls = list(names.map(|name| code(name)));
        (!calls.is_empty()).then(|| [calls, format!("{}: {}", group.title, group.reason)])
    });
    rows.collect()
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
            Executable::Launcher => "container runtime or tracer (before exec)".to_owned(),
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
