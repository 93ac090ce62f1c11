//! Seccomp: which system calls are allowed, and what the others return.
//!
//! [`SeccompProfile`] is the model; [`oci`] renders it for runtimes that read the OCI
//! runtime-spec's form (Docker, containerd, CRI-O, Podman). [`read`] takes in profiles that others
//! wrote, in the engines' own forms too; [`evaluate`] says what any of them does to a call.

mod abis;
mod arguments;
mod error;
pub mod evaluate;
mod fallback;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixture;
mod headroom;
mod model;
pub mod oci;
mod options;
#[cfg(test)]
mod properties;
pub mod read;
mod rule;
#[cfg(test)]
mod tests;
mod translation;
#[cfg(test)]
mod translation_tests;

pub(crate) use arguments::flags_for_clone;
pub use error::Error;
pub use fallback::FallbackPolicy;
pub use headroom::HeadroomPolicy;
pub(crate) use model::MULTIPLEXERS;
pub use model::{BlockedAttempt, SeccompProfile, UnknownSyscall};
pub use options::{ErrnoPolicy, ExecPolicy, Options};
pub use rule::{Alternative, Rule};
pub use translation::{Translation, Untranslated};
