//! Why a file, a capability, a kind of socket or a signal is in an AppArmor profile, or is not.

mod capabilities;
mod files;
mod known_risks;
mod signals;
mod sockets;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

pub(crate) use known_risks::{is_read_by_all, path_risk, socket_risk};
pub use subject::Subject;

use crate::{
    profile::{
        apparmor::{self, AppArmorProfile},
        seccomp,
    },
    recording::{
        AccessEvidence, EvidenceSummary, Executable, FirstAccess, ObservationKind, ObservedAccess,
        Phase, Recording,
    },
};

/// What is known of a thing that AppArmor mediates, and of a workload's profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessExplanation {
    /// The thing, as a profile has it.
    pub what: String,
    /// Its kind.
    pub kind: ObservationKind,
    /// The workload.
    pub workload: String,
    /// Whether the profile allows some of it.
    pub allowed: bool,
    /// The rules that do.
    pub rules: Vec<RuleReason>,
    /// Why none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What was seen of it, by what was done.
    pub seen: Vec<AccessByKind>,
    /// For how many instances the recording speaks.
    pub instances: usize,
    /// What it gives to somebody who has taken over the workload.
    pub known: Vec<String>,
    /// What changes when its rules are taken out of the profile; when it has none, what is as it is.
    pub without: Vec<String>,
}

/// A rule that allows it, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleReason {
    /// As it stands in the profile.
    pub rule: String,
    /// The layer.
    pub layer: &'static str,
    /// In words.
    pub reasons: Vec<String>,
}

/// Something that was done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessByKind {
    /// What.
    pub what: String,
    /// In which calls, where that is known.
    pub calls: BTreeSet<&'static str>,
    /// By whom.
    pub by: Vec<EvidenceSummary<FirstAccess>>,
}

/// Why nothing can be explained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// Nothing looked for it.
    #[error(
        "the recording has no {0}: nothing looked for them; `tracer doctor` says what this host can show"
    )]
    NotObserved(ObservationKind),
    /// The recording makes no seccomp profile, which tells the calls that take a capability.
    #[error(transparent)]
    Profile(#[from] seccomp::Error),
}

/// What profiles are made with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The AppArmor profile.
    pub apparmor: apparmor::Options,
    /// The seccomp profile.
    pub seccomp: seccomp::Options,
}

/// Explains a thing by the recording of a workload and the profile that `settings` make of it.
///
/// # Errors
///
/// When the recording does not hold its kind.
pub fn access(
    recording: &Recording,
    settings: &Settings,
    subject: &Subject,
) -> Result<AccessExplanation, AccessError> {
    let profile =
        AppArmorProfile::from_recordings(std::slice::from_ref(recording), &settings.apparmor)
            .ok_or(AccessError::NotObserved(ObservationKind::Files))?;
    let needs = subject.kind();
    if profile.unseen().any(|unseen| unseen == needs) {
        return Err(AccessError::NotObserved(needs));
    }
    let of = ExplainContext {
        recording,
        profile: &profile,
        settings,
    };
    match subject {
        Subject::File(path) => Ok(files::explain(&of, path)),
        Subject::Capability(capability) => capabilities::explain(&of, *capability),
        Subject::Socket(family, kind) => Ok(sockets::explain(&of, *family, *kind)),
        Subject::Signal(number) => Ok(signals::explain(&of, *number)),
    }
}

/// What is explained of.
struct ExplainContext<'a> {
    recording: &'a Recording,
    profile: &'a AppArmorProfile,
    settings: &'a Settings,
}

impl ExplainContext<'_> {
    /// An explanation that says nothing yet.
    fn blank(&self, what: String, kind: ObservationKind) -> AccessExplanation {
        AccessExplanation {
            what,
            kind,
            workload: self.recording.workload.name.clone(),
            allowed: false,
            rules: Vec::new(),
            why_not: None,
            seen: Vec::new(),
            instances: self.recording.runs(),
            known: Vec::new(),
            without: Vec::new(),
        }
    }

    fn done<T>(&self, what: String, seen: &ObservedAccess<T>) -> AccessByKind {
        let calls = seen.evidence.iter().filter_map(|it| it.call);
        AccessByKind {
            what,
            calls: calls
                .filter_map(|call| call.abi.syscall_name(call.nr))
                .collect(),
            by: EvidenceSummary::from_access(self.recording, &seen.evidence),
        }
    }

    /// Those whose doing counts in the profile.
    fn who<'w>(
        &self,
        evidence: impl IntoIterator<Item = &'w AccessEvidence>,
    ) -> BTreeSet<Executable> {
        let counts = |it: &&AccessEvidence| self.settings.apparmor.exec.counts(it.phase);
        let counting = evidence.into_iter().filter(counts);
        counting.map(|it| it.executable.clone()).collect()
    }

    /// Why something that was seen is in no rule.
    fn why_not<'w>(&self, evidence: impl IntoIterator<Item = &'w AccessEvidence>) -> String {
        let phases: BTreeSet<_> = evidence.into_iter().map(|it| it.phase).collect();
        let is_later = |phase: &Phase| matches!(phase, Phase::Exec | Phase::Terminal);
        if phases.is_empty() {
            "it was not observed, and nothing else needs it".to_owned()
        } else if phases.iter().any(is_later) {
            "only programs used it that were put into the running container and do not count; --exec all counts them".to_owned()
        } else {
            "only the runtime used it, before the workload was started and is under the profile"
                .to_owned()
        }
    }
}

/// `1 file`, `2 files`.
fn count(many: usize, one: &str, more: &str) -> String {
    format!("{many} {}", if many == 1 { one } else { more })
}
