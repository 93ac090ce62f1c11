//! What is reported of a workload under watch.

use serde::Serialize;

use super::{ContainerName, ObservedProcess};
use crate::{
    audit::Severity,
    recording::{Executable, LossKind, ObservationKind, Phase},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A profile that is not enforced would have denied it.
    WouldBeDenied,
    /// It depends on what was not recorded whether the profile would have denied it.
    MayBeDenied,
    /// A filter that is enforced denied it.
    Denied,
    /// A profile that only logs let it pass.
    Logged,
    /// The accepted recording does not have it.
    New,
    /// Something was lost: from here on silence is no proof.
    Lost,
    /// No profile and no recording was given for this workload: nothing of it is judged.
    NotJudged,
}

impl EventKind {
    /// The name in JSON lines and in suppressions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldBeDenied => "would_be_denied",
            Self::MayBeDenied => "may_be_denied",
            Self::Denied => "denied",
            Self::Logged => "logged",
            Self::New => "new",
            Self::Lost => "lost",
            Self::NotJudged => "not_judged",
        }
    }
}

/// One event. What is not known, or does not apply, is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What happened.
    pub event: EventKind,
    /// The workload; absent when something was lost and nobody knows of whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The container that did it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerName>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<Executable>,
    /// The process that did it first.
    #[serde(flatten)]
    pub process: Option<ObservedProcess>,
    /// The phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The kind of thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ObservationKind>,
    /// The thing: the call's name, the path, `CAP_…`, family and type, the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// How: the ABI and arguments of a call, the access to a file, the direction of a signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The profile or recording that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What of it decides: `syscalls[3]`, `defaultAction`, a `deny` rule. Absent when no rule allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The action, as a profile has it: `SCMP_ACT_ERRNO(1)`, `deny`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What the program would see, or saw: `EPERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// What it depends on, when it is undecided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<String>,
    /// How bad it is, by what the thing is known for.
    pub severity: Severity,
    /// What it is known for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_for: Option<String>,
    /// The counter, when something was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<LossKind>,
    /// How many were lost so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Whether there may be more than `count`; `detail` says why.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

impl Event {
    /// An event that says nothing yet.
    pub(super) const fn new(event: EventKind, severity: Severity) -> Self {
        Self {
            event,
            workload: None,
            container: None,
            executable: None,
            process: None,
            phase: None,
            kind: None,
            what: None,
            detail: None,
            profile: None,
            rule: None,
            action: None,
            result: None,
            depends_on: None,
            severity,
            known_for: None,
            lost: None,
            count: None,
            at_least: false,
        }
    }

    /// Whether it is a reason to act: something was denied, or is new.
    pub const fn is_finding(&self) -> bool {
        matches!(
            self.event,
            EventKind::WouldBeDenied | EventKind::Denied | EventKind::New
        )
    }
}
