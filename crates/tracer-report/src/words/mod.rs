//! The words for the codes in a recording.
//!
//! A recording holds codes with their parameters; this is where they become English. What a workload
//! or an image chose is escaped here.

mod calls;
mod container;
mod coverage;
mod discovery;
mod failure;
mod provider;
mod sighting;

pub use calls::{CallCounts, calls};
pub use container::{unresolved, warning};
pub use coverage::{blocking_filter, counted, loss, losses, note, reason, refusal};
pub use discovery::{discovery, incidence};
pub use failure::failure;
pub use provider::{blind_spot, mechanism};
pub(crate) use sighting::{phases, sighting};
