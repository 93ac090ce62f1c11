//! What a recording can claim. "Complete" is earned: it is the absence of every reason against it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Discovery, FilterLoader, LossKind, Losses};

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
// Variants without fields have braces so that `deny_unknown_fields` holds for them too: serde ignores
// the fields of a unit variant of a tagged enum. So it is with `Reason` and `Warning`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Note {
    /// The instances ran on several architectures.
    SeveralMachines {
        /// How many.
        count: u64,
        /// The architectures (`uname -m`): the first 8, in order.
        values: Vec<String>,
    },
    /// The instances ran on several kernels.
    SeveralKernels {
        /// How many.
        count: u64,
        /// The kernels (`uname -r`): the first 8, in order.
        values: Vec<String>,
    },
    /// The instances ran several images, or versions of one.
    SeveralImages {
        /// How many.
        count: u64,
        /// The images, each with its digest: the first 8, in order.
        values: Vec<String>,
    },
    /// Several commands were recorded.
    SeveralCommands {
        /// How many.
        count: u64,
        /// The commands, each with its arguments after spaces: the first 8, in order.
        values: Vec<String>,
    },
    /// Not every instance is listed.
    InstancesFolded {
        /// How many are listed.
        listed: u64,
        /// How many there are; at least, when there are more than were counted.
        instances: u64,
        /// Whether there are more than were counted.
        uncounted: bool,
    },
    /// Another one, in words: from a recording of schema v1.
    Other {
        /// Its code there.
        about: NoteCode,
        /// What it says.
        text: String,
    },
}

/// One reason why a recording is not complete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reason {
    /// The workload ran before the recording began.
    StartNotObserved {},
    /// A guest of gVisor ran before it was told to report.
    GuestStartNotObserved {},
    /// The recording ended while the workload ran.
    StillRunning {
        /// How the recording ended.
        after: RecordingEnd,
    },
    /// The workload used io_uring, which works without system calls.
    IoUring {},
    /// A seccomp filter was in place: what it stopped was not seen.
    FilterInPlace {
        /// Who loaded it; nobody where it was there before the recording.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        loaded_by: Vec<FilterLoader>,
    },
    /// A runtime put processes into the container, and none was seen to start a program.
    NotStarted {},
    /// A process left the recorded cgroup.
    LeftCgroup {},
    /// A table of the kernel side was full and observations were lost.
    ObservationsLost {
        /// Which counter of `losses`.
        lost: LossKind,
        /// How much it counted.
        count: u64,
    },
    /// The kernel did not run a program of ours.
    ProgramSkipped {
        /// How many times.
        count: u64,
    },
    /// What belongs to other phases was filed as the workload's.
    PhasesMixed {
        /// How many times.
        count: u64,
    },
    /// Containers of the same pods were recorded, and nothing told their names: they may be instances
    /// of this workload.
    UnnamedInstances {
        /// How many.
        count: u64,
    },
    /// The SELinux policy refused something to the workload's domain, which was not permissive: what
    /// would have followed was not seen.
    SelinuxRefused {
        /// The domain.
        domain: String,
    },
    /// The SELinux domain was not permissive.
    SelinuxNotPermissive {
        /// The domain.
        domain: String,
    },
    /// The kernel's cache of SELinux decisions could not be emptied: what was reported before is not
    /// reported again.
    SelinuxCacheKept {},
    /// The policy has `dontaudit` rules for the domain: what they cover is not reported.
    SelinuxDontaudit {
        /// The domain.
        domain: String,
    },
    /// The workload ran in another SELinux domain than the one to be recorded.
    OtherSelinuxDomain {
        /// That domain.
        domain: String,
    },
    /// The domain that was to be recorded is not in the loaded policy.
    SelinuxDomainNotLoaded {
        /// The domain.
        domain: String,
    },
    /// An error ended the recording.
    CutShort {
        /// The error.
        error: String,
    },
    /// The recorder was killed. The recording is its last checkpoint.
    RecorderKilled {
        /// When the checkpoint was written.
        checkpoint: String,
    },
    /// Another one, in words: from a recording of schema v1.
    Other {
        /// Its code there.
        about: ReasonCode,
        /// What it says.
        text: String,
    },
}

/// How a recording ended while its workload ran.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RecordingEnd {
    /// The recording of something that ran by itself ended.
    Attached,
    /// tracer ran the command, followed its processes, and was told to end.
    Followed,
    /// tracer ran the command, which ended and left processes running.
    CommandEnded,
}

/// The notes of schema v1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum NoteCode {
    /// [`Note::SeveralMachines`].
    SeveralMachines,
    /// [`Note::SeveralKernels`].
    SeveralKernels,
    /// [`Note::SeveralImages`].
    SeveralImages,
    /// [`Note::SeveralCommands`].
    SeveralCommands,
    /// [`Note::InstancesFolded`].
    InstancesFolded,
}

impl Note {
    /// Its code.
    pub const fn code(&self) -> NoteCode {
        match self {
            Self::SeveralMachines { .. } => NoteCode::SeveralMachines,
            Self::SeveralKernels { .. } => NoteCode::SeveralKernels,
            Self::SeveralImages { .. } => NoteCode::SeveralImages,
            Self::SeveralCommands { .. } => NoteCode::SeveralCommands,
            Self::InstancesFolded { .. } => NoteCode::InstancesFolded,
            Self::Other { about, .. } => *about,
        }
    }
}

/// The reasons of schema v1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// [`Reason::StartNotObserved`].
    StartNotObserved,
    /// [`Reason::GuestStartNotObserved`].
    GuestStartNotObserved,
    /// [`Reason::StillRunning`].
    StillRunning,
    /// [`Reason::IoUring`].
    IoUring,
    /// [`Reason::FilterInPlace`].
    FilterInPlace,
    /// [`Reason::NotStarted`].
    NotStarted,
    /// [`Reason::LeftCgroup`].
    LeftCgroup,
    /// [`Reason::ObservationsLost`].
    ObservationsLost,
    /// [`Reason::ProgramSkipped`].
    ProgramSkipped,
    /// [`Reason::PhasesMixed`].
    PhasesMixed,
    /// [`Reason::UnnamedInstances`].
    UnnamedInstances,
    /// [`Reason::SelinuxRefused`].
    SelinuxRefused,
    /// [`Reason::SelinuxNotPermissive`].
    SelinuxNotPermissive,
    /// [`Reason::SelinuxCacheKept`].
    SelinuxCacheKept,
    /// [`Reason::SelinuxDontaudit`].
    SelinuxDontaudit,
    /// [`Reason::OtherSelinuxDomain`].
    OtherSelinuxDomain,
    /// [`Reason::SelinuxDomainNotLoaded`].
    SelinuxDomainNotLoaded,
    /// [`Reason::CutShort`].
    CutShort,
    /// [`Reason::RecorderKilled`].
    RecorderKilled,
}

impl Reason {
    /// Its code.
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::StartNotObserved {} => ReasonCode::StartNotObserved,
            Self::GuestStartNotObserved {} => ReasonCode::GuestStartNotObserved,
            Self::StillRunning { .. } => ReasonCode::StillRunning,
            Self::IoUring {} => ReasonCode::IoUring,
            Self::FilterInPlace { .. } => ReasonCode::FilterInPlace,
            Self::NotStarted {} => ReasonCode::NotStarted,
            Self::LeftCgroup {} => ReasonCode::LeftCgroup,
            Self::ObservationsLost { .. } => ReasonCode::ObservationsLost,
            Self::ProgramSkipped { .. } => ReasonCode::ProgramSkipped,
            Self::PhasesMixed { .. } => ReasonCode::PhasesMixed,
            Self::UnnamedInstances { .. } => ReasonCode::UnnamedInstances,
            Self::SelinuxRefused { .. } => ReasonCode::SelinuxRefused,
            Self::SelinuxNotPermissive { .. } => ReasonCode::SelinuxNotPermissive,
            Self::SelinuxCacheKept { .. } => ReasonCode::SelinuxCacheKept,
            Self::SelinuxDontaudit { .. } => ReasonCode::SelinuxDontaudit,
            Self::OtherSelinuxDomain { .. } => ReasonCode::OtherSelinuxDomain,
            Self::SelinuxDomainNotLoaded { .. } => ReasonCode::SelinuxDomainNotLoaded,
            Self::CutShort { .. } => ReasonCode::CutShort,
            Self::RecorderKilled { .. } => ReasonCode::RecorderKilled,
            Self::Other { about, .. } => *about,
        }
    }
}
