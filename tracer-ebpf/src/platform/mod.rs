//! What the programs run on: maps, helpers and the contexts of hooks.
//!
//! In the kernel these are aya's, and this module costs nothing. On the host they are a fake kernel
//! over plain memory, with the same names, so that the same source runs in a simulation.

#[cfg(not(target_arch = "bpf"))]
pub(crate) mod host;
#[cfg(target_arch = "bpf")]
mod kernel;

#[cfg(not(target_arch = "bpf"))]
pub(crate) use host::*;
#[cfg(target_arch = "bpf")]
pub(crate) use kernel::*;
