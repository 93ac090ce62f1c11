//! What the workload did, against a profile: what breaks, and what was never used.

use std::collections::BTreeSet;

use super::{
    super::{
        super::{
            Context,
            apparmor_policy::{Decision, Profile, decide_capability},
            rules,
        },
        list,
    },
    Asked,
};
use crate::recording::{ObservedAccess, Phase, Recording};

pub(super) fn check(context: &Context<'_>, asked: &mut Asked<'_, '_>) {
    let recordings: Vec<&Recording> = context.recordings.iter().collect();
    if recordings.is_empty() {
        return;
    }
    let Some(profile) = asked.policy.outer() else {
        return;
    };
    let several = asked.policy.profiles.len() > 1;
    missing_files(profile, &recordings, several, asked);
    missing_capabilities(profile, &recordings, several, asked);
    unused(profile, &recordings, asked);
}

/// The phases in which a container's profile is in force: it counts from the execution of the workload.
fn counts<T>(access: &ObservedAccess<T>) -> bool {
    let of = |phase: Phase| !matches!(phase, Phase::Setup | Phase::RuntimeInit);
    access.evidence.iter().any(|it| of(it.phase))
}

/// A sentence for a file with child profiles, which may allow what this one does not.
fn note(several: bool) -> Option<String> {
    several.then(|| {
        "the file has other profiles; what a program does under one of them is not told apart"
            .to_owned()
    })
}

fn missing_files(
    profile: &Profile,
    recordings: &[&Recording],
    several: bool,
    asked: &mut Asked<'_, '_>,
) {
    let files = recordings.iter().flat_map(|recording| &recording.files);
    let missing: BTreeSet<String> = files
        .filter(|file| counts(file))
        .filter_map(|file| match asked.policy.decide_file(profile, &file.what) {
            Decision::Denied { lacks, .. } => Some(format!("{} {lacks}", file.what.path)),
            Decision::Allowed | Decision::Unknown(_) => None,
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    let shown: Vec<&str> = missing.iter().map(String::as_str).collect();
    let message = match missing.len() {
        1 => format!("the recorded workload needs {}", list(shown, 1)),
        count => format!(
            "the recorded workload needs {count} accesses to files that are not allowed: {}",
            list(shown, 3)
        ),
    };
    asked
        .out
        .add(
            &rules::APPARMOR_BREAKS_WORKLOAD,
            profile.span.clone(),
            message,
        )
        .evidence(missing.iter().cloned())
        .evidence(note(several));
}

fn missing_capabilities(
    profile: &Profile,
    recordings: &[&Recording],
    several: bool,
    asked: &mut Asked<'_, '_>,
) {
    let used = recordings
        .iter()
        .flat_map(|recording| &recording.capabilities);
    let missing: BTreeSet<String> = used
        .filter(|it| counts(it))
        .filter_map(|it| match decide_capability(profile, it.what) {
            Decision::Denied { lacks, .. } => {
                Some(lacks.trim_start_matches("capability ").to_owned())
            }
            Decision::Allowed | Decision::Unknown(_) => None,
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    let shown: Vec<&str> = missing.iter().map(String::as_str).collect();
    asked
        .out
        .add(
            &rules::APPARMOR_BREAKS_WORKLOAD,
            profile.span.clone(),
            format!(
                "the recorded workload used {} that is not allowed: {}",
                if missing.len() == 1 {
                    "a capability"
                } else {
                    "capabilities"
                },
                list(shown, 8)
            ),
        )
        .evidence(note(several));
}

/// Rules of the profile's own that nothing in the recordings needed.
fn unused(profile: &Profile, recordings: &[&Recording], asked: &mut Asked<'_, '_>) {
    let files: Vec<_> = recordings
        .iter()
        .flat_map(|recording| &recording.files)
        .filter(|file| counts(file))
        .collect();
    if files.is_empty() {
        return;
    }
    let is_own = |rule: &super::Rule| rule.from.is_none();
    let never: Vec<_> = profile
        .files()
        .filter(|(rule, _)| is_own(rule))
        .filter(|(_, file)| {
            !files.iter().any(|used| {
                let path = used.what.path.as_bytes();
                file.globs.iter().any(|glob| glob.matches(path))
            })
        })
        .map(|(rule, _)| rule)
        .collect();
    let Some(first) = never.first() else {
        return;
    };
    let all = profile.files().filter(|(rule, _)| is_own(rule)).count();
    let count = never.len();
    let message = format!(
        "{count} of {all} rules for files were never used, first `{}`",
        first.text
    );
    asked
        .out
        .add(&rules::APPARMOR_UNUSED_RULES, first.span.clone(), message)
        .evidence(never.iter().map(|rule| format!("`{}`", rule.text)));
}
