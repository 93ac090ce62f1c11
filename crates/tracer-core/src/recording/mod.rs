//! What was observed, how it is known, and how sure that is.
//!
//! [`Recording`] is the model and the file format in one: `recording.json` is its serialisation,
//! and `docs/recording.schema.json` is generated from it.

pub mod access;
mod arguments;
mod coverage;
pub mod estimate;
mod evidence_summary;
pub mod json;
pub mod merge;
mod model;
mod notes;
mod observations;
mod run;

pub mod plain_text;
#[cfg(test)]
pub(crate) mod strategy;

pub(crate) use access::MAX_EVIDENCE;
pub use access::{
    AccessEvidence, AccessRecord, AccessRecords, Accesses, Actor, CapabilityUse, FileAccess,
    FilePath, FileUse, FirstAccess, MountOperation, MountUse, ObservedAccess, Peer,
    SignalDirection, SignalUse, SocketOperation, SocketUse, TraceDirection, TraceUse,
};
pub use arguments::{Arguments, Combination, MAX_COMBINATIONS};
pub use coverage::{Coverage, Losses, Note, NoteCode, Reason, ReasonCode};
pub use estimate::Discovery;
pub use evidence_summary::EvidenceSummary;
pub use model::{
    Blocked, Container, Evidence, Executable, FirstSeen, Host, Instance, Phase, Provider,
    Recording, SCHEMA, Security, Source, Syscall, SyscallId, Warning, Workload,
};
pub use observations::{Observation, Observations, ObservedArguments};
pub use run::{InstanceKind, Merged, RunId};
