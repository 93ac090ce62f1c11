//! The kernel side, as user space sees it: load, attach, read the ring, read the maps. The only
//! place that names aya.

mod accesses;
mod arguments;
pub mod btf;
mod control;
#[cfg(test)]
mod cost;
mod decode;
mod error;
mod events;
mod executables;
mod instances;
mod load;
mod maps;
mod offsets;
mod pod;
pub mod support;
mod verifier;

pub use accesses::selinux;
pub use accesses::{AccessRing, KernelAccess, Mechanism, MechanismChoice, Mechanisms, blind_spots};
pub use arguments::{RowValues, abi_of_class};
pub use decode::RingMessage;
pub(crate) use decode::abi_class;
pub use error::{Cause, ProbeError};
pub use events::Events;
pub use instances::{CgroupKind, InstanceState};
pub use load::{Probe, Settings};
pub use maps::{RowExecutable, SeenRow};
