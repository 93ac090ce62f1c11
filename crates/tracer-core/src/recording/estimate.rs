//! How many calls are still unseen, judged by how often the seen ones were seen.
//!
//! The sampling unit is an instance, and a call was seen in it or not. What was seen in one instance
//! only tells of what was seen in none: Good's and Turing's idea (Good 1953). The number of unseen calls
//! is estimated by Chao2 (Chao 1987) in its bias-corrected form, with its log-normal interval:
//!
//! - I. J. Good, *The population frequencies of species and the estimation of population parameters*,
//!   Biometrika 40 (1953), 237-264.
//! - A. Chao, *Estimating the population size for capture-recapture data with unequal catchability*,
//!   Biometrics 43 (1987), 783-791.
//! - A. Chao and R. K. Colwell, *Thirty years of progeny from Chao's inequality*, SORT 41 (2017), 3-54.
//!
//! `docs/completeness.md` says what that assumes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Instance, Phase, Recording, Source, SyscallId};

/// Fewer instances tell too little.
pub const MIN_INSTANCES: u64 = 5;

/// The 97.5th percentile of the normal distribution.
const Z: f64 = 1.959_964;

/// How far the discovery of a workload's calls had come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Different calls that count: made by the workload or a program put into it later, and not
    /// stopped by a filter.
    pub calls: u64,
    /// Instances of the workload.
    pub instances: u64,
    /// How many of the calls only one instance made.
    pub in_one: u64,
    /// How many exactly two made.
    pub in_two: u64,
    /// For how many seconds anything was recorded; `null` when that is not known any more.
    pub recorded_s: Option<u64>,
    /// For how many seconds of these, at least, no new call had come at the end; `null` when that is
    /// not known.
    pub quiet_s: Option<u64>,
    /// How many calls are unseen.
    pub unseen: Estimate,
}

/// How many calls are unseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Estimate {
    /// An estimate.
    Chao2(Unseen),
    /// None, and why.
    Refused(Refusal),
}

/// Why the number of unseen calls is not estimated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Refusal {
    /// On different architectures the same program makes different calls.
    SeveralArchitectures,
    /// No call was seen.
    NoCalls,
    /// Too few instances were recorded.
    TooFewInstances {
        /// How many.
        instances: u64,
        /// How many it takes.
        needed: u64,
    },
    /// More than half of the calls were seen in one instance only.
    TooManyRareCalls,
    /// Another one, in words: from a recording of schema v1.
    Other(String),
}

/// An estimated number of unseen calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unseen {
    /// The number, rounded. Chao2 tends to be too low: it cannot know of the very unlikely ones.
    pub calls: u64,
    /// Lower end of its 95 % interval, rounded down.
    pub low: u64,
    /// Upper end, rounded up.
    pub high: u64,
}

impl Discovery {
    /// That of a recording.
    pub fn from_recording(recording: &Recording) -> Self {
        let incidence = Incidence::from_recording(recording);
        let time = Timeline::from_recording(recording);
        let machines: BTreeSet<_> = recording.hosts().map(|host| &host.machine).collect();
        let unseen = if machines.len() > 1 {
            Estimate::Refused(Refusal::SeveralArchitectures)
        } else {
            incidence.estimate()
        };
        Self {
            calls: incidence.calls(),
            instances: incidence.instances,
            in_one: incidence.seen_in(1),
            in_two: incidence.seen_in(2),
            recorded_s: time.as_ref().map(|time| time.after(None).as_secs()),
            quiet_s: time
                .as_ref()
                .and_then(|time| Some(time.after(Some(time.last_new?)).as_secs())),
            unseen,
        }
    }
}

/// The numbers of the instances that a log told of.
fn logs(recording: &Recording) -> impl Iterator<Item = u32> + '_ {
    let numbered = recording.instances.iter().zip(0..);
    let logs = numbered.filter(|(instance, _)| instance.source == Source::Log);
    logs.map(|(_, number)| number)
}

/// In how many instances each call was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incidence {
    /// How many instances there are, those that made no call included.
    instances: u64,
    by_call: BTreeMap<SyscallId, BTreeSet<u32>>,
}

/// Whether evidence counts: what is in a profile by default.
pub fn counts(phase: Phase, blocked: bool) -> bool {
    matches!(phase, Phase::Run | Phase::Exec) && !blocked
}

fn evidence_counts(evidence: &Evidence) -> bool {
    counts(evidence.phase, evidence.blocked.is_some())
}

impl Incidence {
    /// That of `instances` instances, by what was seen: a call, the instance's number, the phase, and
    /// whether a filter stopped it. What does not count is left out.
    pub fn new(
        instances: u64,
        seen: impl IntoIterator<Item = (SyscallId, u32, Phase, bool)>,
    ) -> Self {
        let mut by_call = BTreeMap::<_, BTreeSet<_>>::new();
        for (call, instance, phase, blocked) in seen {
            if counts(phase, blocked) {
                by_call.entry(call).or_default().insert(instance);
            }
        }
        Self { instances, by_call }
    }

    /// That of a recording.
    pub fn from_recording(recording: &Recording) -> Self {
        // A log tells what was denied and nothing else: it is no run that a call could be missing from.
        let logs: BTreeSet<u32> = logs(recording).collect();
        let seen = recording.syscalls.iter().flat_map(|syscall| {
            let seen = syscall.evidence.iter();
            let seen = seen.filter(|evidence| !logs.contains(&evidence.instance));
            seen.map(|evidence| {
                (
                    syscall.call(),
                    evidence.instance,
                    evidence.phase,
                    evidence.blocked.is_some(),
                )
            })
        });
        Self::new((recording.runs() - logs.len()) as u64, seen)
    }

    /// How many different calls were seen.
    pub fn calls(&self) -> u64 {
        self.by_call.len() as u64
    }

    /// How many calls exactly this many instances made. One and two are exact even when a merged
    /// recording does not list every instance; more may be fewer than there were.
    pub fn seen_in(&self, instances: usize) -> u64 {
        let with = self.by_call.values().filter(|who| who.len() == instances);
        with.count() as u64
    }

    /// The calls that only one instance made, in order.
    pub fn in_one(&self) -> impl Iterator<Item = SyscallId> {
        let with = self.by_call.iter().filter(|(_, who)| who.len() == 1);
        with.map(|(call, _)| *call)
    }

    /// How many instances there were.
    pub fn instances(&self) -> u64 {
        self.instances
    }

    /// An estimate of how many calls are unseen, or why there is none.
    ///
    /// ```
    /// use syscalls::Abi;
    /// use tracer_core::recording::{Phase, SyscallId, estimate::{Estimate, Incidence, Refusal}};
    ///
    /// let read = SyscallId { abi: Abi::X86_64, nr: 0 };
    /// let two = Incidence::new(2, [(read, 0, Phase::Run, false), (read, 1, Phase::Run, false)]);
    /// let refusal = Refusal::TooFewInstances { instances: 2, needed: 5 };
    /// assert_eq!(two.estimate(), Estimate::Refused(refusal));
    /// ```
    pub fn estimate(&self) -> Estimate {
        if self.by_call.is_empty() {
            return Estimate::Refused(Refusal::NoCalls);
        }
        if self.instances < MIN_INSTANCES {
            return Estimate::Refused(Refusal::TooFewInstances {
                instances: self.instances,
                needed: MIN_INSTANCES,
            });
        }
        if 2 * self.seen_in(1) > self.calls() {
            return Estimate::Refused(Refusal::TooManyRareCalls);
        }
        Estimate::Chao2(self.chao2())
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of calls and instances, far below 2^52 and never negative"
    )]
    fn chao2(&self) -> Unseen {
        let seen: usize = self.by_call.values().map(BTreeSet::len).sum();
        let (unseen, low, high) = chao2(
            self.instances as f64,
            self.seen_in(1) as f64,
            self.seen_in(2) as f64,
            self.calls() as f64,
            seen as f64,
        );
        // A hair's breadth of rounding must not make a number out of nothing.
        Unseen {
            calls: unseen.round() as u64,
            low: (low + 1e-9).floor() as u64,
            high: (high - 1e-9).ceil() as u64,
        }
    }
}

/// Chao2, bias-corrected, and the ends of its 95 % interval, each less what was seen: of `m` instances,
/// `q1` calls seen in one and `q2` in two of them, `calls` in all, and `seen` pairs of a call and an
/// instance that made it.
fn chao2(m: f64, q1: f64, q2: f64, calls: f64, seen: f64) -> (f64, f64, f64) {
    let a = (m - 1.0) / m;
    let unseen = a * q1 * (q1 - 1.0) / (2.0 * (q2 + 1.0));
    if unseen > 0.0 {
        // The variance is that of Chao's own SpadeR (SpecInciChao2bc); the logarithm of the number of
        // the unseen is about normal (Chao 1987, p. 787).
        let variance = unseen
            + a.powi(2) * q1 * (2.0 * q1 - 1.0).powi(2) / (4.0 * (q2 + 1.0).powi(2))
            + a.powi(2) * q1.powi(2) * q2 * (q1 - 1.0).powi(2) / (4.0 * (q2 + 1.0).powi(4));
        let k = (Z * (variance / unseen.powi(2)).ln_1p().sqrt()).exp();
        (unseen, unseen / k, unseen * k)
    } else {
        // What is left is the chance that a call as frequent as the average one was missed (EstimateS
        // 9.1 User's Guide, equations 8 and 14).
        let missed = (-seen / calls).exp();
        let deviation = (calls * missed * (1.0 - missed)).sqrt();
        (0.0, 0.0, (calls + Z * deviation) / (1.0 - missed) - calls)
    }
}

/// When something was recorded, and when the last new call came.
struct Timeline {
    /// Begin and end of each instance.
    spans: Vec<(Timestamp, Timestamp)>,
    /// At the latest; `None` when it is not known.
    last_new: Option<Timestamp>,
}

impl Timeline {
    /// `None` when not all instances are listed, or a time is no time.
    fn from_recording(recording: &Recording) -> Option<Self> {
        if recording.instances.len() != recording.runs() || recording.instances.is_empty() {
            return None;
        }
        let span = |instance: &Instance| {
            Some((instance.began.parse().ok()?, instance.ended.parse().ok()?))
        };
        let spans: Vec<(Timestamp, Timestamp)> = recording
            .instances
            .iter()
            .map(span)
            .collect::<Option<_>>()?;
        // A call came at the latest when its time is counted from the instance's own beginning: it is
        // counted from the recording's, which was no later.
        let at = |evidence: &Evidence| {
            let (began, ended) = *spans.get(evidence.instance as usize)?;
            let after = Duration::from_nanos(evidence.first.as_ref()?.after_ns);
            Some(began.checked_add(after).ok()?.min(ended.max(began)))
        };
        let logs: BTreeSet<u32> = logs(recording).collect();
        let mut last_new = None;
        for syscall in &recording.syscalls {
            let mut counting = syscall
                .evidence
                .iter()
                .filter(|it| evidence_counts(it) && !logs.contains(&it.instance))
                .peekable();
            if counting.peek().is_some() {
                let Some(first) = counting.filter_map(at).min() else {
                    return Some(Self {
                        spans,
                        last_new: None,
                    });
                };
                last_new = last_new.max(Some(first));
            }
        }
        Some(Self { spans, last_new })
    }

    /// For how long anything was recorded, after `since` or at all: gaps between recordings are no time
    /// in which nothing new came.
    fn after(&self, since: Option<Timestamp>) -> Duration {
        let mut spans: Vec<_> = self
            .spans
            .iter()
            .map(|(began, ended)| ((*began).max(since.unwrap_or(*began)), *ended))
            .filter(|(began, ended)| began < ended)
            .collect();
        spans.sort();
        let mut total = Duration::ZERO;
        let mut until = Timestamp::MIN;
        for (began, ended) in spans {
            let span = ended.duration_since(began.max(until));
            total += Duration::try_from(span).unwrap_or_default();
            until = until.max(ended);
        }
        total
    }
}

/// How long a recording still has to go on without a new call before it counts as stable, which is
/// when none came for `span`: zero when it does, `None` before the workload has begun. `quiet` is for
/// how long none came.
///
/// ```
/// use std::time::Duration;
/// use tracer_core::recording::estimate::until_stable;
///
/// let span = Duration::from_secs(60);
/// assert_eq!(until_stable(span, Some(Duration::from_secs(45))), Some(Duration::from_secs(15)));
/// assert_eq!(until_stable(span, Some(span)), Some(Duration::ZERO));
/// assert_eq!(until_stable(span, None), None);
/// ```
pub fn until_stable(span: Duration, quiet: Option<Duration>) -> Option<Duration> {
    quiet.map(|quiet| span.saturating_sub(quiet))
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
