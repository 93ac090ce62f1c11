//! What was observed, how it is known, and how sure that is.
//!
//! [`Recording`] is the model and the file format in one: `recording.json` is its serialisation,
//! and `docs/recording.schema.json` is generated from it.

pub mod access;
mod arguments;
mod container;
mod coverage;
pub mod estimate;
mod evidence_summary;
mod filters;
pub mod json;
mod losses;
pub mod merge;
mod model;
mod notes;
mod observations;
mod provider;
mod run;

pub mod plain_text;
#[cfg(test)]
pub(crate) mod strategy;
mod v1;

pub(crate) use access::MAX_EVIDENCE;
pub use access::{
    AccessEvidence, AccessRecord, AccessRecords, Accesses, Actor, CapabilityUse, FileAccess,
    FilePath, FileUse, FirstAccess, MountOperation, MountUse, Novelty, ObservedAccess, Peer,
    Provenance, SelinuxTarget, SelinuxUse, SignalDirection, SignalUse, SocketOperation, SocketUse,
    TraceDirection, TraceUse,
};
pub use arguments::{Arguments, Combination, MAX_COMBINATIONS};
pub use container::{ConfigType, Container, Security, Unresolved, Warning};
pub use coverage::{Coverage, Note, NoteCode, Reason, ReasonCode, RecordingEnd};
pub use estimate::Discovery;
pub use evidence_summary::EvidenceSummary;
pub use filters::FilterLoader;
pub use losses::{LossKind, Losses};
pub use model::{
    Blocked, CommandFailure, Evidence, Executable, FirstSeen, Host, Instance, Phase, Recording,
    SCHEMA, Source, Syscall, SyscallId, Workload,
};
pub use observations::{Observation, Observations, ObservedArguments};
pub use provider::{BlindSpot, Mechanism, ObservationKind, Provider};
pub use run::{InstanceKind, Merged, RunId};
