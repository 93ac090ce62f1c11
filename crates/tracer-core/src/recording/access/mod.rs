//! What a workload did that AppArmor mediates: files, capabilities, sockets, signals, ptrace, mounts; and
//! what the SELinux policy did not allow it.
//!
//! Each kind is a list of [`ObservedAccess`]: one for each different thing, with who did it. [`AccessRecords`] is such a
//! list while it grows: a set, so that adding is commutative, associative and idempotent.

mod fold;
mod kinds;
mod path;
mod selinux;
mod set;
#[cfg(test)]
pub(super) mod strategy;
mod union;

pub use kinds::{
    CapabilityUse, FileAccess, FileUse, MountOperation, MountUse, Peer, Provenance,
    SignalDirection, SignalUse, SocketOperation, SocketUse, TraceDirection, TraceUse,
};
pub use path::FilePath;
pub use selinux::{SelinuxTarget, SelinuxUse};
pub use set::{AccessRecord, AccessRecords, Accesses, Actor, Novelty};
pub(crate) use union::MAX_EVIDENCE;
pub(super) use union::{AccessUnion, Numbers};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Executable, Phase, SyscallId};

/// One thing that was seen, and who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservedAccess<T> {
    /// What.
    pub what: T,
    /// One entry for each (phase, executable, call), in that order.
    pub evidence: Vec<AccessEvidence>,
}

impl<T> ObservedAccess<T> {
    /// Whether it was seen in one of these phases.
    pub fn is_in(&self, phases: &[Phase]) -> bool {
        self.evidence
            .iter()
            .any(|witness| phases.contains(&witness.phase))
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessEvidence {
    /// The phase.
    pub phase: Phase,
    /// The executable.
    pub executable: Executable,
    /// The system call in which it was done; absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<SyscallId>,
    /// Indices into `instances` of those that did it, in order. Of instances that are not listed any
    /// more, three at most.
    pub instances: Vec<u32>,
    /// The first time in any of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstAccess>,
}

/// When, and by whom.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct FirstAccess {
    /// Nanoseconds since the recording began.
    pub after_ns: u64,
    /// Process id, in the host's pid namespace.
    pub pid: u32,
    /// The thread's command name.
    pub comm: String,
}
