//! What a recording can claim. "Complete" is earned: it is the absence of every reason against it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Discovery;

/// Whether a recording holds all there was to observe, and if not, why not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// True when there is no reason against it.
    pub complete: bool,
    /// Why the recording is a lower bound, by code.
    pub reasons: Vec<Reason>,
    /// What was counted as lost.
    pub losses: Losses,
    /// What is no reason against it, and has to be known by whoever reads it: what differed between
    /// the recordings that it was merged from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// How far the discovery of calls had come; absent in recordings of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
}

impl Coverage {
    /// The coverage that follows from `reasons` and `losses`.
    pub fn new(mut reasons: Vec<Reason>, losses: Losses) -> Self {
        reasons.extend(losses.reasons());
        reasons.sort();
        reasons.dedup();
        Self {
            complete: reasons.is_empty(),
            reasons,
            losses,
            notes: Vec::new(),
            discovery: None,
        }
    }
}

/// One thing to know about a recording that does not make it incomplete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// For programs.
    pub code: NoteCode,
    /// For people.
    pub text: String,
}

/// The kinds of note.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum NoteCode {
    /// The instances ran on several architectures.
    SeveralMachines,
    /// The instances ran on several kernels.
    SeveralKernels,
    /// The instances ran several images, or versions of one.
    SeveralImages,
    /// Several commands were recorded.
    SeveralCommands,
    /// Not every instance is listed.
    InstancesFolded,
}

/// One reason why a recording is not complete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// For programs.
    pub code: ReasonCode,
    /// For people: what happened, to what, and what to do.
    pub text: String,
}

/// The kinds of reason.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// The workload ran before the recording began.
    StartNotObserved,
    /// The recording ended while the workload ran.
    StillRunning,
    /// The workload used io_uring, which works without system calls.
    IoUring,
    /// A seccomp filter was in place: what it stopped was not seen.
    FilterInPlace,
    /// A runtime put processes into the container, and none was seen to start a program.
    NotStarted,
    /// A process left the recorded cgroup.
    LeftCgroup,
    /// A table of the kernel side was full and observations were lost.
    ObservationsLost,
    /// The kernel did not run a program of ours.
    ProgramSkipped,
    /// What belongs to other phases was filed as the workload's.
    PhasesMixed,
    /// An error ended the recording.
    CutShort,
}

/// Everything that was lost, each by its own counter. All zero is the ordinary case.
///
/// Of a merged recording, each is the most that one of its recordings lost: a sum would grow when the
/// same recording is merged twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Losses {
    /// Events that did not fit into the ring: who made a call first, and with which arguments, is
    /// not known for that many observations. The observations themselves are kept.
    pub events: u64,
    /// How often a task or process could not be filed under its executable, or the executable's path
    /// could not be kept. What they did is kept, under an unknown executable.
    pub executables: u64,
    /// Calls that no table had room for.
    pub calls: u64,
    /// Child cgroups that could not be followed from their start.
    pub cgroups: u64,
    /// Runs of a kernel program that the kernel skipped.
    pub program_runs: u64,
    /// Threads under a filter whose blocked calls were not told, for want of room.
    pub threads: u64,
    /// How often what a runtime did, or a program that was put in later, found no row and was filed as
    /// the workload's.
    pub phases: u64,
    /// Calls whose arguments found no room, or could not be read: that they are not all known is noted with
    /// each such call.
    pub values: u64,
    /// Accesses to files, capabilities, sockets and the like that found no room, or whose path could
    /// not be read.
    pub accesses: u64,
}

impl Losses {
    /// The reasons that follow: lost evidence is told but is no lost observation.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.calls > 0 {
            reasons.push(Reason {
                code: ReasonCode::ObservationsLost,
                text: format!(
                    "{} calls found the kernel side's tables full; record again with a larger --max-rows",
                    self.calls
                ),
            });
        }
        if self.cgroups > 0 {
            reasons.push(Reason {
                code: ReasonCode::ObservationsLost,
                text: format!(
                    "{} child cgroups could not be followed from their start; record again, with a larger --max-cgroups when there are many",
                    self.cgroups
                ),
            });
        }
        if self.threads > 0 {
            reasons.push(Reason {
                code: ReasonCode::ObservationsLost,
                text: format!(
                    "what a filter stopped was not seen of {} threads; record again with a larger --max-cgroups",
                    self.threads
                ),
            });
        }
        if self.accesses > 0 {
            reasons.push(Reason {
                code: ReasonCode::ObservationsLost,
                text: format!(
                    "{} accesses to files and the like found the kernel side's tables full, or their paths could not be read; record again with a larger --max-accesses",
                    self.accesses
                ),
            });
        }
        if self.phases > 0 {
            reasons.push(Reason {
                code: ReasonCode::PhasesMixed,
                text: format!(
                    "the kernel side's tables were full {} times when a runtime, or a program that was put in later, was at work: what it did is filed as the workload's, and the profile may allow more than that needs; record again with a larger --max-rows",
                    self.phases
                ),
            });
        }
        if self.program_runs > 0 {
            reasons.push(Reason {
                code: ReasonCode::ProgramSkipped,
                text: format!(
                    "the kernel skipped {} runs of tracer's programs; another tracing tool may be interfering, record again without it",
                    self.program_runs
                ),
            });
        }
        reasons
    }

    /// The larger one of each counter.
    #[must_use]
    pub(super) fn most(self, other: Self) -> Self {
        Self {
            events: self.events.max(other.events),
            executables: self.executables.max(other.executables),
            calls: self.calls.max(other.calls),
            cgroups: self.cgroups.max(other.cgroups),
            program_runs: self.program_runs.max(other.program_runs),
            threads: self.threads.max(other.threads),
            phases: self.phases.max(other.phases),
            values: self.values.max(other.values),
            accesses: self.accesses.max(other.accesses),
        }
    }

    /// Whether nothing at all was lost.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
