//! Shadow enforcement and drift: what profiles that are not enforced would have denied, and what an accepted
//! recording does not have, reported once for each workload, program and thing. Pure.
//!
//! [`Shadow`] takes recordings as they grow and gives [`Event`]s. What it asks are the evaluators that `verify`
//! and `audit` ask; it has none of its own. Whatever records can use it: `tracer watch`, or an agent.
//!
//! ```
//! use tracer_core::shadow::{Expectation, Expected, EventKind, Shadow};
//! # use std::collections::BTreeSet;
//! # use tracer_core::profile::apparmor::fixture;
//! # use tracer_core::recording::{CapabilityUse, Losses, Phase};
//! # use syscalls::capability::Capability;
//! # let mut recording = fixture::empty();
//! # let what = CapabilityUse {
//! #     capability: Capability::from_number(13), audited: Some(true), own_namespace: false, by_exec: false,
//! # };
//! # recording.capabilities = vec![fixture::seen(what, Phase::Run, "/bin/web")];
//!
//! let none = Expected {
//!     label: "no capabilities".to_owned(),
//!     workload: None,
//!     what: Expectation::Capabilities(BTreeSet::new()),
//! };
//! let mut shadow = Shadow::new(vec![none], Vec::new());
//! let events = shadow.take(&recording, &Losses::default());
//! assert_eq!(events[0].event, EventKind::WouldBeDenied);
//! assert_eq!(events[0].what.as_deref(), Some("CAP_NET_RAW"));
//! // Once.
//! assert!(shadow.take(&recording, &Losses::default()).is_empty());
//! ```

#[cfg(test)]
mod agreement_tests;
mod baseline;
mod denials;
mod event;
mod expected;
mod observation;
mod suppress;
#[cfg(test)]
mod tests;
mod thing;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hasher as _},
};

use serde::Serialize;

pub use baseline::Baseline;
pub use denials::{Attribution, DenialLog, DenialSummary};
pub use event::{Event, EventKind};
pub use expected::{Expectation, Expected};
pub use observation::{
    ContainerName, NewObservation, ObservedCall, ObservedProcess, ObservedThing, observations,
};
pub use suppress::{Suppression, SuppressionError};

use crate::{
    audit::Severity,
    recording::{Blocked, LossKind, Losses, Phase, Recording, plain_text},
    verify::Kernels,
};

/// Holds what workloads do against what is expected of them.
#[derive(Debug)]
pub struct Shadow {
    expected: Vec<Expected>,
    suppressions: Vec<Suppression>,
    workloads: HashMap<String, Workload>,
    /// What was lost, of whom nobody knows.
    lost: BTreeMap<LossKind, u64>,
    /// Whether nothing comes after what is taken in now.
    is_last: bool,
    summary: Summary,
}

/// What is known of a workload.
#[derive(Debug, Default)]
struct Workload {
    /// Hashes of what was judged.
    judged: HashSet<u64>,
    /// Hashes of what was reported.
    told: HashSet<u64>,
    /// Hashes of calls whose arguments were not known when they were last looked at.
    gaps: HashSet<u64>,
    lost: BTreeMap<LossKind, u64>,
    is_unexpected: bool,
}

/// What came of it so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The workloads that were seen.
    pub workloads: BTreeSet<String>,
    /// Those of which nothing was judged, since nothing was given to judge them by.
    pub not_judged: BTreeSet<String>,
    /// Different things that were judged.
    pub judged: u64,
    /// How many events there were of each kind, without what was suppressed.
    pub events: BTreeMap<EventKind, u64>,
    /// How many events were suppressed.
    pub suppressed: u64,
    /// What was lost.
    pub lost: Losses,
}

impl Summary {
    /// Whether anything was denied, would have been, or is new.
    pub fn has_findings(&self) -> bool {
        let kinds = [EventKind::WouldBeDenied, EventKind::Denied, EventKind::New];
        kinds.iter().any(|kind| self.events.contains_key(kind))
    }
}

impl Shadow {
    /// A shadow of profiles and recordings.
    pub fn new(expected: Vec<Expected>, suppressions: Vec<Suppression>) -> Self {
        Self {
            expected,
            suppressions,
            workloads: HashMap::new(),
            lost: BTreeMap::new(),
            is_last: false,
            summary: Summary::default(),
        }
    }

    /// Takes in a recording as it is now: what is new since the last time is judged. `unattributed` is what was
    /// lost of workloads that nobody knows, which each recording counts as its own.
    pub fn take(&mut self, recording: &Recording, unattributed: &Losses) -> Vec<Event> {
        let name = &recording.workload.name;
        let kernels = Kernels::of(recording);
        let mut events: Vec<_> = self.not_judged(name).into_iter().collect();
        for observation in observations(recording) {
            events.extend(self.observe(name, &observation, kernels));
        }
        let mut own = recording.coverage.losses;
        for (kind, count) in unattributed.iter() {
            let counter = own.counter_mut(kind);
            *counter = counter.saturating_sub(count);
        }
        events.extend(self.lost_of(Some(name), &own));
        events.extend(self.lost_of(None, unattributed));
        events
    }

    /// The same at the end, when no more becomes known of the arguments of a call.
    pub fn take_last(&mut self, recording: &Recording, unattributed: &Losses) -> Vec<Event> {
        self.is_last = true;
        self.take(recording, unattributed)
    }

    /// Takes in what was lost of workloads that nobody knows.
    pub fn take_losses(&mut self, losses: &Losses) -> Vec<Event> {
        self.lost_of(None, losses)
    }

    /// Judges one new observation of a workload. `kernel` is the release of the kernel that it was made on.
    pub fn take_one(
        &mut self,
        workload: &str,
        kernel: &str,
        observation: &NewObservation,
    ) -> Vec<Event> {
        let mut events: Vec<_> = self.not_judged(workload).into_iter().collect();
        events.extend(self.observe(workload, observation, Kernels::from_release(kernel)));
        events
    }

    /// Forgets a workload that is gone for good: if it comes again, everything is reported again.
    pub fn forget(&mut self, workload: &str) {
        self.workloads.remove(workload);
    }

    /// What came of it so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The workload's entry, and an event when nothing is expected of it.
    fn not_judged(&mut self, workload: &str) -> Option<Event> {
        self.summary.workloads.insert(workload.to_owned());
        if self.expected.iter().any(|it| it.is_for(workload)) {
            return None;
        }
        let known = self.workloads.entry(workload.to_owned()).or_default();
        if std::mem::replace(&mut known.is_unexpected, true) {
            return None;
        }
        self.summary.not_judged.insert(workload.to_owned());
        self.count(Event {
            workload: Some(workload.to_owned()),
            ..Event::new(EventKind::NotJudged, Severity::Low)
        })
    }

    fn observe(
        &mut self,
        workload: &str,
        observation: &NewObservation,
        kernels: Kernels,
    ) -> Vec<Event> {
        if observation.phase == Phase::Setup {
            return Vec::new();
        }
        let is_runtime_init = observation.phase == Phase::RuntimeInit;
        let key = hash(&(&observation.executable, &observation.what, is_runtime_init));
        let known = self.workloads.entry(workload.to_owned()).or_default();
        if known.judged.contains(&key) {
            return Vec::new();
        }
        // A recorder reads the arguments of a call a moment after the call: what is missing is waited for.
        if is_cut(observation) && !self.is_last && known.gaps.insert(key) {
            return Vec::new();
        }
        known.judged.insert(key);
        self.summary.judged += 1;
        let mut events = Vec::new();
        events.extend(blocked(workload, observation));
        for expected in self.expected.iter().filter(|it| it.is_for(workload)) {
            events.extend(judged(workload, observation, expected, kernels));
        }
        events.retain(|event| known.told.insert(identity(event)));
        events
            .into_iter()
            .filter_map(|event| self.count(event))
            .collect()
    }

    /// What was lost since it was last told: at first, and each time that it has doubled.
    fn lost_of(&mut self, workload: Option<&str>, losses: &Losses) -> Vec<Event> {
        let told = match workload {
            Some(workload) => &mut self.workloads.entry(workload.to_owned()).or_default().lost,
            None => &mut self.lost,
        };
        let mut events = Vec::new();
        for (kind, count) in losses.iter() {
            let before = told.entry(kind).or_default();
            if count >= before.saturating_mul(2).max(1) {
                *before = count;
                events.push(Event {
                    workload: workload.map(str::to_owned),
                    lost: Some(kind),
                    count: Some(count),
                    ..Event::new(EventKind::Lost, Severity::Medium)
                });
            }
            let total = self.summary.lost.counter_mut(kind);
            *total = (*total).max(count);
        }
        events
            .into_iter()
            .filter_map(|event| self.count(event))
            .collect()
    }

    /// Counts an event; `None` when it is suppressed.
    fn count(&mut self, event: Event) -> Option<Event> {
        if self.suppressions.iter().any(|it| it.matches(&event)) {
            self.summary.suppressed += 1;
            return None;
        }
        *self.summary.events.entry(event.event).or_default() += 1;
        Some(event)
    }
}

impl Expected {
    fn is_for(&self, workload: &str) -> bool {
        self.workload.as_deref().is_none_or(|it| it == workload)
    }
}

/// Whether the values of its recorded arguments are missing.
const fn is_cut(observation: &NewObservation) -> bool {
    matches!(&observation.what, ObservedThing::Call(call) if call.is_cut)
}

/// What one expectation says of an observation.
fn judged(
    workload: &str,
    observation: &NewObservation,
    expected: &Expected,
    kernels: Kernels,
) -> Option<Event> {
    let verdict = expected.what.judge(
        &observation.what,
        observation.phase,
        &observation.executable,
        kernels,
    )?;
    let mut event = about(verdict.kind?, workload, observation, verdict.by_arguments);
    if let (Some(given), ObservedThing::Call(call)) = (verdict.given, &observation.what) {
        event.detail = Some(format!("{}, {given}", call.call.abi));
    }
    Some(Event {
        profile: Some(expected.label.clone()),
        rule: verdict.rule,
        action: verdict.action,
        result: verdict.result,
        depends_on: verdict.depends_on,
        ..event
    })
}

/// A call that a filter that is enforced stopped.
fn blocked(workload: &str, observation: &NewObservation) -> Option<Event> {
    let ObservedThing::Call(ObservedCall {
        blocked: Some(saw), ..
    }) = &observation.what
    else {
        return None;
    };
    // As callers of a call see it that the kernel does not have.
    const ENOSYS: u16 = 38;
    if *saw == Blocked::Errno(ENOSYS) {
        return None;
    }
    Some(Event {
        result: Some(plain_text::blocked(*saw)),
        ..about(EventKind::Denied, workload, observation, false)
    })
}

fn about(
    kind: EventKind,
    workload: &str,
    observation: &NewObservation,
    by_arguments: bool,
) -> Event {
    let (severity, known_for) = thing::severity(&observation.what);
    let thing::Name { what, detail } = thing::name(&observation.what, by_arguments);
    Event {
        workload: Some(workload.to_owned()),
        container: observation.container.clone(),
        executable: Some(observation.executable.clone()),
        process: observation.process.clone(),
        phase: Some(observation.phase),
        kind: Some(observation.what.kind()),
        what: Some(what),
        detail,
        known_for,
        ..Event::new(kind, severity)
    }
}

/// What makes two events the same: program, thing and answer.
fn identity(event: &Event) -> u64 {
    hash(&(
        event.event,
        &event.executable,
        event.kind.map(|kind| kind.as_str()),
        (&event.what, &event.detail),
        (&event.profile, &event.rule, &event.action),
    ))
}

fn hash(what: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
