//! What was observed, how it is known, and how sure that is.
//!
//! [`Recording`] is the model and the file format in one: `recording.json` is its serialisation,
//! and `docs/recording.schema.json` is generated from it.

pub mod access;
mod arguments;
mod coverage;
pub mod estimate;
pub mod json;
pub mod merge;
mod model;
mod notes;
mod observe;
mod run;
mod sighting;

#[cfg(test)]
pub(crate) mod strategy;
pub mod words;

pub(crate) use access::MOST_WITNESSES;
pub use access::{
    Accesses, CapabilityUse, FileAccess, FilePath, FileUse, Moment, MountOperation, MountUse, Peer,
    Seen, SignalDirection, SignalUse, SocketOperation, SocketUse, TraceDirection, TraceUse, Use,
    Uses, Who, Witness,
};
pub use arguments::{Arguments, Combination, MOST_COMBINATIONS};
pub use coverage::{Coverage, Losses, Note, NoteCode, Reason, ReasonCode};
pub use estimate::Discovery;
pub use model::{
    Blocked, Call, Container, Evidence, Executable, FirstSeen, Host, Instance, Phase, Provider,
    Recording, SCHEMA, Security, Source, Syscall, Warning, Workload,
};
pub use observe::{Given, Observation, Observations};
pub use run::{Kind, Merged, RunId};
pub use sighting::Sighting;
