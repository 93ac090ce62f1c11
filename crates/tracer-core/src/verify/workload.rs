//! What would happen to the calls of a workload.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Answer, Answered, Finding, IntendedRefusal, Outcome, RecordingResult, Stopped, answer,
    intended::Kernels, outcomes, registers,
};
use crate::{
    profile::seccomp::evaluate::{Filter, Host},
    recording::{EvidenceSummary, Phase, Recording, Syscall, SyscallId},
};
use syscalls::Abi;

/// What is the same of several combinations: answer, why a refusal is intended, outcomes, what it depends
/// on, runtimes.
type Same = (
    Answer,
    Option<IntendedRefusal>,
    Vec<Outcome>,
    BTreeSet<usize>,
    BTreeSet<&'static str>,
);

/// A call in several combinations of arguments to which the same happens: their words, and their phases.
type Joined = (Vec<String>, BTreeSet<Phase>);

/// Verifies one recording on every host that it may run on.
pub(super) fn verify(
    name: &str,
    recording: &Recording,
    filters: &[(Host, Filter)],
    counts: impl Fn(Phase) -> bool + Copy,
) -> RecordingResult {
    let mut of_recording = RecordingResult {
        recording: name.to_owned(),
        workload: recording.workload.name.clone(),
        calls: 0,
        complete: recording.coverage.complete,
        instances: recording.runs(),
        findings: Vec::new(),
        answered: Vec::new(),
        stopped: Vec::new(),
        assumed: 0,
    };
    for syscall in &recording.syscalls {
        let filters: Vec<_> = filters
            .iter()
            .filter(|(host, _)| is_native(syscall.abi, host.native))
            .collect();
        let made = syscall.evidence.iter();
        let made = made.filter(|it| it.blocked.is_none() && counts(it.phase));
        if made.count() > 0 {
            of_recording.calls += 1;
            of_call(&mut of_recording, recording, syscall, &filters, counts);
        }
        of_recording
            .stopped
            .extend(stopped(recording, syscall, &filters, counts));
    }
    // What is certain first, then by name.
    of_recording
        .findings
        .sort_by(|a, b| (a.answer, &a.call, a.abi).cmp(&(b.answer, &b.call, b.abi)));
    of_recording
        .answered
        .sort_by(|a, b| (&a.call, a.abi).cmp(&(&b.call, b.abi)));
    of_recording
}

fn of_call(
    of_recording: &mut RecordingResult,
    recording: &Recording,
    syscall: &Syscall,
    filters: &[&(Host, Filter)],
    counts: impl Fn(Phase) -> bool + Copy,
) {
    let call = syscall.call();
    let kernels = Kernels::of(recording);
    let is_told = |it: &registers::KnownRegisters| {
        filters
            .iter()
            .all(|(_, filter)| answer(&it.possible_verdicts(filter, call)) != Answer::Undecided)
    };
    let mut joined: BTreeMap<Same, Joined> = BTreeMap::new();
    for given in registers::all(syscall, counts, is_told) {
        let mut by_outcome: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (host, filter) in filters.iter().copied() {
            let possible = given.possible_verdicts(filter, call);
            let intended = kernels.intended(call, given.values.as_deref(), &possible, filter);
            let key = (
                answer(&possible),
                intended,
                outcomes(&possible),
                possible.depends_on,
            );
            by_outcome
                .entry(key)
                .or_default()
                .insert(host.runtime.as_str());
        }
        let looked_at = filters.iter().any(|(_, filter)| {
            filter
                .decisions(call)
                .iter()
                .any(|it| !it.conditions.is_empty())
        });
        let mut on_all = filters.iter();
        let certain = on_all.all(|(_, filter)| given.is_certain(filter, call));
        of_recording.assumed += usize::from(!certain);
        for ((answer, intended, outcomes, depends_on), runtimes) in by_outcome {
            if answer == Answer::Allowed {
                continue;
            }
            let same = (answer, intended, outcomes, depends_on, runtimes);
            let (words, phases) = joined.entry(same).or_default();
            if let Some(text) = &given.words
                && looked_at
                && !words.contains(text)
            {
                words.push(text.clone());
            }
            phases.insert(given.phase);
        }
    }
    for (same, (given, phases)) in joined {
        add(of_recording, recording, syscall, same, given, &phases);
    }
}

/// Adds what happens to some combinations of a call's arguments.
fn add(
    of_recording: &mut RecordingResult,
    recording: &Recording,
    syscall: &Syscall,
    (answer, intended, outcomes, depends_on, runtimes): Same,
    given: Vec<String>,
    phases: &BTreeSet<Phase>,
) {
    let evidence = EvidenceSummary::from_syscall(recording, syscall).into_iter();
    let evidence = evidence
        .filter(|it| it.blocked.is_none() && phases.contains(&it.phase))
        .collect();
    let call = label(syscall);
    let SyscallId { abi, nr } = syscall.call();
    match intended {
        Some(why) => of_recording.answered.push(Answered {
            call,
            abi,
            nr,
            given,
            why,
            runtimes,
            evidence,
        }),
        None => of_recording.findings.push(Finding {
            call,
            abi,
            nr,
            given,
            answer,
            outcomes,
            depends_on,
            runtimes,
            evidence,
        }),
    }
}

/// What would happen to a call that a filter stopped.
fn stopped(
    recording: &Recording,
    syscall: &Syscall,
    filters: &[&(Host, Filter)],
    counts: impl Fn(Phase) -> bool,
) -> Option<Stopped> {
    let evidence = syscall.evidence.iter();
    let evidence = evidence.filter(|it| it.blocked.is_some() && counts(it.phase));
    let given = registers::stopped(evidence);
    if given.is_empty() {
        return None;
    }
    let answers = given.iter().flat_map(|given| {
        filters
            .iter()
            .map(|(_, filter)| answer(&given.possible_verdicts(filter, syscall.call())))
    });
    let sightings = EvidenceSummary::from_syscall(recording, syscall).into_iter();
    Some(Stopped {
        call: label(syscall),
        abi: syscall.abi,
        answers: answers.collect(),
        evidence: sightings
            .filter(|it| it.blocked.is_some() && counts(it.phase))
            .collect(),
    })
}

/// The table's name, not the recording's: a name from a file is not to be trusted.
fn label(syscall: &Syscall) -> String {
    let name = syscall.abi.syscall_name(syscall.nr);
    name.map_or_else(|| format!("number {}", syscall.nr), str::to_owned)
}

/// Whether a machine offers an ABI.
pub(crate) fn is_native(abi: Abi, native: Abi) -> bool {
    match native {
        Abi::X86_64 => matches!(abi, Abi::X86_64 | Abi::I386 | Abi::X32),
        Abi::Aarch64 => matches!(abi, Abi::Aarch64 | Abi::Arm),
        native => abi == native,
    }
}
