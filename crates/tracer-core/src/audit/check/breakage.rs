//! What was recorded and would be denied, and runtimes that could not start a container.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{Findings, Severity, loaded_profile::LoadedProfile, rules},
    list,
};
use crate::recording::plain_text::counted;
use crate::{
    profile::seccomp::evaluate::{Outcome, Verdict},
    recording::{Executable, Phase, Recording, Syscall},
};
use syscalls::{
    arguments,
    runtime_init::{self, OPTIONAL_SYSCALLS, Row, Source},
};

pub(super) fn check(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let recordings = profile.context.recordings;
    if recordings.is_empty() && !profile.context.in_container {
        return;
    }
    workload(profile, recordings, out);
    let contained = recordings
        .iter()
        .flat_map(|recording| &recording.instances)
        .any(|instance| instance.container.is_some());
    if contained || profile.context.in_container {
        start(profile, out);
    }
}

/// A call that would be denied: in which phases, by whom, and what it would return.
#[derive(Default)]
struct Denied {
    phases: BTreeSet<Phase>,
    executables: BTreeSet<String>,
    verdicts: BTreeSet<Verdict>,
    arguments: BTreeSet<String>,
}

fn workload(profile: &LoadedProfile<'_>, recordings: &[Recording], out: &mut Findings<'_>) {
    let mut denied: BTreeMap<String, Denied> = BTreeMap::new();
    for syscall in recordings.iter().flat_map(|recording| &recording.syscalls) {
        let label = format!("{} ({})", syscall.label(), syscall.abi);
        for (phase, executables, args, said) in made(syscall) {
            let outcome: Outcome = profile.evaluate(syscall.abi, syscall.nr, args);
            // What is made before the filter is loaded, the filter is not asked for.
            if phase == Phase::Setup || outcome.verdict.allows() {
                continue;
            }
            let denied = denied.entry(label.clone()).or_default();
            denied.phases.insert(phase);
            denied.executables.extend(executables);
            denied.verdicts.insert(outcome.verdict);
            denied.arguments.extend(said);
        }
    }
    if denied.is_empty() {
        return;
    }
    let in_run = denied.values().any(|it| it.phases.contains(&Phase::Run));
    let span = denied
        .keys()
        .find_map(|label| {
            let name = label.split(' ').next()?;
            profile.entries_of(name).next().map(|_| profile.named(name))
        })
        .unwrap_or_else(|| profile.top("defaultAction"));
    out.add(
        &rules::BREAKS_WORKLOAD,
        span,
        format!(
            "{} denied: {}",
            counted(denied.len(), "recorded call is", "recorded calls are"),
            list(denied.keys().map(String::as_str), 8)
        ),
    )
    .severity(if in_run {
        Severity::Critical
    } else {
        Severity::High
    })
    .evidence(denied.iter().map(|(label, it)| {
        let phases: Vec<_> = it.phases.iter().map(|phase| describe(*phase)).collect();
        let verdicts: Vec<_> = it.verdicts.iter().map(ToString::to_string).collect();
        let arguments: Vec<_> = it.arguments.iter().map(String::as_str).collect();
        let given = if arguments.is_empty() {
            String::new()
        } else {
            format!(" with {}", list(arguments, 3))
        };
        format!(
            "{label}{given}: {} by {}; {}",
            phases.join(" and "),
            list(it.executables.iter().map(String::as_str), 3),
            verdicts.join(" or ")
        )
    }));
}

/// A way in which a call was made: phase, by whom, with which arguments, and these in words.
type Made = (Phase, Vec<String>, [u64; 6], Option<String>);

/// Each way in which a call was made.
fn made(syscall: &Syscall) -> Vec<Made> {
    let evidence = syscall.evidence.iter().filter(|who| who.blocked.is_none());
    let Some(recorded) = &syscall.arguments else {
        return evidence
            .map(|who| {
                let args = who.first.as_ref().map_or([0; 6], |first| first.args);
                (who.phase, vec![path(&who.executable)], args, None)
            })
            .collect();
    };
    let name = syscall.name.as_deref().unwrap_or_default();
    let known = arguments::recorded(syscall.abi, name);
    let combinations = recorded.seen.iter().map(|combination| {
        let mut args = [0; 6];
        for (index, value) in recorded.indices.iter().zip(&combination.values) {
            if let Some(argument) = usize::try_from(*index).ok().and_then(|at| args.get_mut(at)) {
                *argument = *value;
            }
        }
        let by = combination.executables.iter().map(path).collect();
        let said = known.map(|known| known.describe(&combination.values));
        (combination.phase, by, args, said)
    });
    combinations.collect()
}

fn path(executable: &Executable) -> String {
    match executable {
        Executable::Path(path) | Executable::Truncated(path) => path.clone(),
        Executable::Launcher => "the container runtime".to_owned(),
        Executable::Unknown => "an unknown program".to_owned(),
    }
}

fn describe(phase: Phase) -> &'static str {
    match phase {
        Phase::Setup => "while the container was prepared",
        Phase::RuntimeInit => "after loading the filter, before the start",
        Phase::Run => "while it ran",
        Phase::Exec => "by a process started in the running container",
        Phase::Terminal => "in a session",
    }
}

/// Runtimes whose own calls after loading the filter are denied.
fn start(profile: &LoadedProfile<'_>, out: &mut Findings<'_>) {
    let native = profile.context.native;
    let counts = |row: &&Row| {
        let is_known = !matches!(row.source, Source::Possible(_));
        let nnp = profile.context.no_new_privileges;
        is_known && (row.no_new_privs.is_none() || nnp.is_none() || row.no_new_privs == nnp)
    };
    let mut stopped: BTreeMap<Vec<&str>, Vec<&Row>> = BTreeMap::new();
    let mut fine = Vec::new();
    for row in runtime_init::ROWS.iter().filter(counts) {
        let missing: Vec<_> = row
            .calls
            .iter()
            .copied()
            .filter(|call| !OPTIONAL_SYSCALLS.contains(call))
            .filter(|call| is_denied(profile, row, call))
            .filter(|call| native.syscall_number(call).is_some())
            .collect();
        if missing.is_empty() {
            fine.push(row);
        } else {
            stopped.entry(missing).or_default().push(row);
        }
    }
    if stopped.is_empty() {
        return;
    }
    let all: BTreeSet<_> = stopped.keys().flatten().copied().collect();
    let starts = if fine.is_empty() {
        "starts on no runtime that was measured".to_owned()
    } else {
        let fine = runtime_init::describe(&fine);
        format!("starts on {}", list(fine.iter().map(String::as_str), 4))
    };
    let rows: Vec<_> = stopped.values().flatten().copied().collect();
    let not = runtime_init::describe(&rows);
    out.add(
        &rules::BREAKS_CONTAINER_START,
        profile.top("defaultAction"),
        format!(
            "{starts}, not on {}: {}",
            list(not.iter().map(String::as_str), 4),
            list(all.iter().copied(), 8)
        ),
    )
    .evidence(stopped.iter().map(|(missing, rows)| {
        format!(
            "{}: {}",
            runtime_init::describe(rows).join(", "),
            missing.join(", ")
        )
    }))
    .fix(format!(
        "allow {}, or generate the profile again: its layer runtime-init has them",
        list(all.iter().copied(), 40)
    ));
}

/// Whether a call of a runtime is denied, with a value that it is known to give.
fn is_denied(profile: &LoadedProfile<'_>, row: &Row, call: &str) -> bool {
    let native = profile.context.native;
    let index = arguments::recorded(native, call)
        .and_then(|recorded| recorded.arguments.first())
        .and_then(|argument| usize::try_from(argument.index).ok());
    let mut values: Vec<_> = row
        .values
        .iter()
        .filter(|(of, _)| *of == call)
        .map(|(_, value)| {
            let mut args = [0; 6];
            if let Some(argument) = index.and_then(|index| args.get_mut(index)) {
                *argument = *value;
            }
            args
        })
        .collect();
    if values.is_empty() {
        values = profile.probes(call);
        // Nothing is known of its arguments: it is denied when it always is.
        return values.into_iter().all(|args| denies(profile, call, args));
    }
    values.into_iter().any(|args| denies(profile, call, args))
}

fn denies(profile: &LoadedProfile<'_>, call: &str, args: [u64; 6]) -> bool {
    profile
        .outcome(profile.context.native, call, args)
        .is_some_and(|outcome| !outcome.verdict.allows())
}
