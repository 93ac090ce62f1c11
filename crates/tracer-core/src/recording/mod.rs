//! What was observed, how it is known, and how sure that is.
//!
//! [`Recording`] is the model and the file format in one: `recording.json` is its serialisation,
//! and `docs/recording.schema.json` is generated from it.

pub mod access;
mod arguments;
mod container;
mod coverage;
pub mod estimate;
pub mod json;
mod losses;
pub mod merge;
mod model;
mod notes;
mod observe;
mod provider;
mod run;
mod sighting;

#[cfg(test)]
pub(crate) mod strategy;
mod v1;
pub mod words;

pub(crate) use access::MOST_WITNESSES;
pub use access::{
    Accesses, CapabilityUse, FileAccess, FilePath, FileUse, Moment, MountOperation, MountUse, Peer,
    Seen, SignalDirection, SignalUse, SocketOperation, SocketUse, TraceDirection, TraceUse, Use,
    Uses, Who, Witness,
};
pub use arguments::{Arguments, Combination, MOST_COMBINATIONS};
pub use container::{ConfigType, Container, Security, Unresolved, Warning};
pub use coverage::{Coverage, Note, NoteCode, Reason, ReasonCode, RecordingEnd};
pub use estimate::Discovery;
pub use losses::{LossKind, Losses};
pub use model::{
    Blocked, Call, Evidence, Executable, FirstSeen, Host, Instance, Phase, Recording, SCHEMA,
    Source, Syscall, Workload,
};
pub use observe::{Given, Observation, Observations};
pub use provider::{BlindSpot, Mechanism, ObservationKind, Provider};
pub use run::{Kind, Merged, RunId};
pub use sighting::Sighting;
