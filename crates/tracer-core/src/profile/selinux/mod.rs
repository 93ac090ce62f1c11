//! SELinux profiles: which accesses a domain needs beyond what its base allows.
//!
//! | file | holds |
//! | --- | --- |
//! | `model` | the profile, made from recordings |
//! | `names` | which names may stand in a policy |
//! | `cil` | the profile as a CIL block, as udica writes it |
//! | `domain` | the permissive domain that a workload is recorded in |
//! | `module` | the profile as a reference-policy module for a service |
//! | `risks` | accesses that a reviewer has to see |
//! | `classes` | classes and permissions in the kernel's order |

mod cil;
pub mod classes;
mod domain;
mod model;
mod module;
mod names;
mod risks;
#[cfg(test)]
pub(crate) mod tests;

pub use domain::{RecordingDomain, recording_domain};
pub use model::{Base, DEFAULT_BLOCK, Lost, LostReason, Options, Rule, SelinuxProfile};
pub use module::Module;
pub use names::{block_name, is_identifier};
pub use risks::{Risk, is_unconfined, risk};
