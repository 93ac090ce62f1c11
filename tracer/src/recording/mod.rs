//! What was observed, how it is known, and how sure that is.
//!
//! [`Recording`] is the model and the file format in one: `recording.json` is its serialisation,
//! and `docs/recording.schema.json` is generated from it. Everything here is pure but for
//! [`store`].

mod coverage;
mod model;
mod observe;
pub mod store;

pub use coverage::{Coverage, Losses, Reason, ReasonCode};
pub use model::{
    Blocked, Call, Container, Evidence, Executable, FirstSeen, Host, Instance, Phase, Provider,
    Recording, SCHEMA, Security, Source, Syscall, Warning, Workload,
};
pub use observe::{Observation, Observations};
