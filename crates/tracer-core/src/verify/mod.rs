//! Whether a profile would have let a recording run: what would have been denied, to whom, with what
//! outcome, on which runtime; and what cannot be told. Pure.
//!
//! Every call that counts goes through [`crate::profile::seccomp::evaluate`] with each combination of
//! arguments that was recorded, and where none are recorded with those of the first time. What a profile
//! asks of a register that nobody wrote down is undecided, never fine.

mod answerer;
mod intended;
mod intersection;
mod live;
mod registers;
mod runtime_init;
mod single;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use answerer::Answerer;
pub(crate) use intended::Kernels;
pub use intended::{Answered, IntendedRefusal};
pub use intersection::{Intersection, Restricted, intersection};
pub use live::{AnsweredLive, Denials, Denied, LiveReport, StoppedCall};
pub(crate) use single::{SeenCall, judge};
pub(crate) use workload::is_native;

use crate::{
    profile::seccomp::{
        evaluate::{Decider, Filter, Host, PossibleVerdicts, Verdict},
        oci::OciSeccomp,
    },
    recording::{EvidenceSummary, Phase, Recording},
};
use syscalls::{Abi, runtime_init::RuntimeSelection};

/// What to ask.
#[derive(Clone, Debug)]
pub struct VerifyInput<'a> {
    /// The profile as each machine reads it, by the machine's own ABI.
    pub profiles: Vec<Enforced>,
    /// What is to run under it, each with what it is called.
    pub recordings: Vec<(String, &'a Recording)>,
    /// The runtimes that are to start it.
    pub runtime_init: RuntimeSelection,
    /// `noNewPrivileges` of the containers: `None` for both.
    pub no_new_privileges: Option<bool>,
    /// Whether what people did in terminals counts.
    pub terminal: bool,
}

/// A profile on a host.
#[derive(Clone, Debug)]
pub struct Enforced {
    /// The profile in plain form.
    pub profile: OciSeccomp,
    /// Where.
    pub host: Host,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Each way to start the workload.
    pub starts: Vec<Start>,
    /// What would happen to the calls of each recording.
    pub recordings: Vec<RecordingResult>,
    /// What runtimes would be denied, or may be, before the workload is started.
    pub runtime_init: Vec<RuntimeInitFinding>,
}

/// A way to start a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Start {
    /// The machine.
    pub machine: Abi,
    /// runc, crun.
    pub runtime: &'static str,
    /// `noNewPrivileges`.
    pub no_new_privileges: bool,
    /// Why the runtime refuses the profile; nothing else is known then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The calls that some measured version needs before the workload starts, and that are denied.
    pub denied_before: BTreeSet<&'static str>,
    /// How many different calls of the workloads are denied.
    pub denied: usize,
    /// How many cannot be decided, those before the start included.
    pub undecided: usize,
}

/// What would happen to what one recording has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingResult {
    /// What it is called.
    pub recording: String,
    /// Its workload.
    pub workload: String,
    /// Different calls that count.
    pub calls: usize,
    /// Whether it is complete: what it lacks may be denied, too.
    pub complete: bool,
    /// How many instances it is of.
    pub instances: usize,
    /// What would be denied, and what cannot be told.
    pub findings: Vec<Finding>,
    /// What would return ENOSYS as on a kernel without the call, upon which its callers go on: no denial.
    pub answered: Vec<Answered>,
    /// What a filter stopped while it was recorded: it does not count, since the workload ran without it.
    pub stopped: Vec<Stopped>,
    /// Combinations of arguments that are decided only if the upper half of an `int` is as compilers leave
    /// it: zero, or its sign.
    pub assumed: usize,
}

/// A call of a workload that would not simply be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name, or its number.
    pub call: String,
    /// The ABI.
    pub abi: Abi,
    /// The number.
    pub nr: u32,
    /// With which arguments, by the manuals' names; none: any, or they are not recorded.
    pub given: Vec<String>,
    /// Whether it is certain.
    pub answer: Answer,
    /// What the filter may return, and what decides.
    pub outcomes: Vec<Outcome>,
    /// The arguments on which it depends and that were not recorded, from 0.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<usize>,
    /// On which runtimes.
    pub runtimes: BTreeSet<&'static str>,
    /// Who made it.
    pub evidence: Vec<EvidenceSummary>,
}

/// Whether a call would be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It would not.
    Denied,
    /// It depends on what was not recorded, or on somebody who listens.
    Undecided,
    /// It would.
    Allowed,
}

/// What a filter may return.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Outcome {
    /// As a profile has it.
    pub action: String,
    /// What the program sees of it.
    pub sees: String,
    /// What decides.
    pub by: String,
}

/// A call that a filter stopped while it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Its name, or its number.
    pub call: String,
    /// The ABI.
    pub abi: Abi,
    /// Who tried, and what it saw.
    pub evidence: Vec<EvidenceSummary>,
    /// What this profile would have done, on each runtime that is asked about.
    pub answers: BTreeSet<Answer>,
}

/// A call of a runtime before the workload starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeInitFinding {
    /// The call.
    pub call: &'static str,
    /// The machine.
    pub machine: Abi,
    /// With which argument, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// Whether it is certain.
    pub answer: Answer,
    /// What the filter may return.
    pub outcomes: Vec<Outcome>,
    /// Who makes it.
    pub needed_by: Vec<String>,
    /// Whether each start makes it, or only some may.
    pub always: bool,
}

impl Report {
    /// Whether anything would be denied, or a runtime refuses the profile.
    pub fn denies(&self) -> bool {
        self.starts.iter().any(|start| {
            start.refused.is_some() || start.denied > 0 || !start.denied_before.is_empty()
        })
    }

    /// Whether anything cannot be decided.
    pub fn is_undecided(&self) -> bool {
        self.starts.iter().any(|start| start.undecided > 0)
    }
}

/// Asks.
///
/// ```
/// use syscalls::{Abi, runtime_init::RuntimeSelection};
/// use tracer_core::profile::seccomp::{evaluate::{Host, Libseccomp}, oci::OciSeccomp};
/// use tracer_core::verify::{Enforced, VerifyInput, verify};
/// # use tracer_core::profile::seccomp::{Options, SeccompProfile};
/// # use tracer_core::{profile::seccomp::fixture, recording::Phase};
/// # let recording = fixture::recording(&[(Abi::X86_64, 0, Phase::Run, fixture::path("/bin/web"))]);
///
/// // The profile of a recording denies nothing of it.
/// let profile = SeccompProfile::from_recordings(&[recording.clone()], &Options::default()).unwrap();
/// let enforced = Enforced {
///     profile: OciSeccomp::from(&profile),
///     host: Host { native: Abi::X86_64, runtime: syscalls::OciRuntime::Runc, libseccomp: Libseccomp::Newest },
/// };
/// let report = verify(&VerifyInput {
///     profiles: vec![enforced],
///     recordings: vec![("recording.json".to_owned(), &recording)],
///     runtime_init: RuntimeSelection::default(),
///     no_new_privileges: None,
///     terminal: false,
/// });
/// assert!(!report.denies());
/// ```
pub fn verify(question: &VerifyInput<'_>) -> Report {
    let mut filters = Vec::new();
    let mut refusals = BTreeMap::new();
    for enforced in &question.profiles {
        match Filter::new(&enforced.profile, enforced.host) {
            Ok(filter) => filters.push((enforced.host, filter)),
            Err(refusal) => {
                refusals.insert(
                    (enforced.host.native, enforced.host.runtime),
                    refusal.to_string(),
                );
            }
        }
    }
    let counts = |phase| match phase {
        Phase::Run | Phase::Exec | Phase::RuntimeInit => true,
        Phase::Terminal => question.terminal,
        Phase::Setup => false,
    };
    let recordings: Vec<_> = question
        .recordings
        .iter()
        .map(|(name, recording)| workload::verify(name, recording, &filters, counts))
        .collect();
    let runtime_init = runtime_init::verify(question, &filters);
    let starts = question.profiles.iter().flat_map(|enforced| {
        let settings = [true, false].into_iter();
        let settings =
            settings.filter(|it| question.no_new_privileges.is_none_or(|only| only == *it));
        settings.map(|no_new_privileges| {
            let host = enforced.host;
            let refused = refusals.get(&(host.native, host.runtime)).cloned();
            start(host, no_new_privileges, refused, &recordings, &runtime_init)
        })
    });
    Report {
        starts: starts.collect(),
        recordings,
        runtime_init: runtime_init.into_iter().map(|it| it.finding).collect(),
    }
}

fn start(
    host: Host,
    no_new_privileges: bool,
    refused: Option<String>,
    recordings: &[RecordingResult],
    runtime_init: &[runtime_init::NeededSyscall],
) -> Start {
    let runtime = host.runtime.as_str();
    let of_machine =
        |it: &&Finding| it.runtimes.contains(runtime) && is_native(it.abi, host.native);
    let different = |answer| {
        let findings = recordings.iter().flat_map(|it| &it.findings);
        let calls: BTreeSet<_> = findings
            .filter(of_machine)
            .filter(|it| it.answer == answer)
            .map(|it| (it.abi, it.nr))
            .collect();
        calls.len()
    };
    let before = |answer| {
        let needed = runtime_init.iter().filter(move |it| {
            it.finding.answer == answer
                && it.finding.always
                && it.finding.machine == host.native
                && it.is_for(host.runtime, no_new_privileges)
        });
        needed.map(|it| it.finding.call).collect::<BTreeSet<_>>()
    };
    Start {
        machine: host.native,
        runtime,
        no_new_privileges,
        refused,
        denied_before: before(Answer::Denied),
        denied: different(Answer::Denied),
        undecided: different(Answer::Undecided) + before(Answer::Undecided).len(),
    }
}

/// What the possible verdicts amount to.
fn answer(possible: &PossibleVerdicts) -> Answer {
    let mut verdicts = possible.verdicts.keys().copied();
    let denies = |verdict: Verdict| !verdict.allows() && verdict != Verdict::Notify;
    if verdicts.clone().all(Verdict::allows) {
        Answer::Allowed
    } else if verdicts.all(denies) {
        Answer::Denied
    } else {
        Answer::Undecided
    }
}

fn outcomes(possible: &PossibleVerdicts) -> Vec<Outcome> {
    let all = possible.verdicts.iter();
    all.map(|(verdict, decider)| Outcome {
        action: verdict.to_string(),
        sees: sees(*verdict),
        by: by(*decider),
    })
    .collect()
}

/// What a program sees of a verdict.
pub fn sees(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allow | Verdict::Log => "let through".to_owned(),
        Verdict::Errno(number) => crate::recording::plain_text::errno(number),
        Verdict::Trace(_) => "ENOSYS, unless a tracer handles it".to_owned(),
        Verdict::Trap => "SIGSYS".to_owned(),
        Verdict::KillThread => "thread killed".to_owned(),
        Verdict::KillProcess => "process killed".to_owned(),
        Verdict::Notify => "the listener's answer; ENOSYS without a listener".to_owned(),
    }
}

fn by(decider: Decider) -> String {
    match decider {
        Decider::Entry(entry) => format!("syscalls[{entry}]"),
        Decider::Default => "defaultAction".to_owned(),
        Decider::Architecture => "architectures, which do not list its ABI".to_owned(),
        Decider::Stub => {
            "runc, which does that for numbers above the largest one in the profile".to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
