//! Evidence of a call, as people ask for it: who did it, in which phase, how often, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    AccessEvidence, Blocked, Executable, FirstAccess, FirstSeen, Instance, Phase, Recording,
    Syscall, observations::earlier,
};

/// A call as one executable made it, or tried to, in one phase, whichever instances it was in; or an
/// access to a file and the like, of which less is known of the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceSummary<First = FirstSeen> {
    /// The phase.
    pub phase: Phase,
    /// The executable.
    pub executable: Executable,
    /// What it saw, when a filter stopped the call; `None` when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// In how many instances; of a merged recording at least.
    pub instances: usize,
    /// The earliest that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<First>,
    /// When the first of these instances began, RFC 3339; `None` when none of them is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When the last of them ended. Recordings do not keep when a call was last made: no later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl EvidenceSummary {
    /// All of a call, by phase and executable.
    pub fn from_syscall(recording: &Recording, syscall: &Syscall) -> Vec<Self> {
        let mut who: BTreeMap<_, (BTreeSet<u32>, Option<FirstSeen>)> = BTreeMap::new();
        for evidence in &syscall.evidence {
            let key = (
                evidence.phase,
                evidence.executable.clone(),
                evidence.blocked,
            );
            let (instances, first) = who.entry(key).or_default();
            instances.insert(evidence.instance);
            *first = earlier(first.take(), evidence.first.clone());
        }
        who.into_iter()
            .map(|((phase, executable, blocked), (instances, first))| {
                let (since, until) = span(recording, &instances);
                Self {
                    phase,
                    executable,
                    blocked,
                    instances: instances.len(),
                    first,
                    since,
                    until,
                }
            })
            .collect()
    }
}

impl EvidenceSummary<FirstAccess> {
    /// Those of an access, by phase and executable, whichever calls it was made in.
    pub fn from_access<'a>(
        recording: &Recording,
        evidence: impl IntoIterator<Item = &'a AccessEvidence>,
    ) -> Vec<Self> {
        let mut who: BTreeMap<_, (BTreeSet<u32>, Option<FirstAccess>)> = BTreeMap::new();
        for witness in evidence {
            let key = (witness.phase, witness.executable.clone());
            let (instances, first) = who.entry(key).or_default();
            instances.extend(&witness.instances);
            let both = [first.take(), witness.first.clone()].into_iter().flatten();
            *first = both.min();
        }
        who.into_iter()
            .map(|((phase, executable), (instances, first))| {
                let (since, until) = span(recording, &instances);
                Self {
                    phase,
                    executable,
                    blocked: None,
                    instances: instances.len(),
                    first,
                    since,
                    until,
                }
            })
            .collect()
    }
}

/// When the first of these instances began, and the last of them ended.
fn span(recording: &Recording, instances: &BTreeSet<u32>) -> (Option<String>, Option<String>) {
    let listed: Vec<_> = instances
        .iter()
        .filter_map(|number| recording.instances.get(*number as usize))
        .collect();
    let time = |of: fn(&Instance) -> &str| {
        let times = listed.iter().map(move |it| of(it));
        // As text they are in order only when all have as many digits.
        times.map(|text| (text.parse::<Timestamp>().ok(), text.to_owned()))
    };
    let since = time(|it| &it.began).min().map(|(_, text)| text);
    let until = time(|it| &it.ended).max().map(|(_, text)| text);
    (since, until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::seccomp::fixture::{path, recording};
    use syscalls::Abi;

    #[test]
    fn counts_instances_and_keeps_the_first_time() {
        let seen = |phase| (Abi::X86_64, 101, phase, path("/usr/bin/gdb"));
        let mut recording = recording(&[seen(Phase::Run), seen(Phase::Run), seen(Phase::Exec)]);
        let mut later = recording.instances[0].clone();
        later.began = "2026-01-02T00:00:00Z".to_owned();
        later.ended = "2026-01-02T00:01:00.5Z".to_owned();
        recording.instances.push(later);
        recording.syscalls[0].evidence[0].instance = 1;
        let sightings = EvidenceSummary::from_syscall(&recording, &recording.syscalls[0]);
        assert_eq!(sightings.len(), 2);
        let run = &sightings[0];
        assert_eq!((run.phase, run.instances), (Phase::Run, 2));
        assert_eq!(run.first.as_ref().unwrap().after_ns, 0);
        assert_eq!(run.since.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(run.until.as_deref(), Some("2026-01-02T00:01:00.5Z"));
        assert_eq!(sightings[1].until.as_deref(), Some("2026-01-01T00:01:00Z"));
    }
}
