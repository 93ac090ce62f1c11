//! The kernel side of tracer, for the host: the very source of the programs, over a fake kernel.
//!
//! `main.rs` is the same modules for the BPF target, and there [`platform`] is aya's. Here it is
//! plain memory, so that a simulation can run the programs, stop them between any two operations on a
//! map, and read the maps as user space does: see [`machine`].
#![cfg_attr(target_arch = "bpf", no_std)]
#![cfg(not(target_arch = "bpf"))]

#[expect(dead_code, reason = "the machine calls few of the hooks")]
mod accesses;
mod accounts;
mod arguments;
mod blocked;
mod cgroups;
mod counters;
mod events;
mod kernel;
pub mod machine;
mod maps;
mod notices;
mod platform;
mod processes;
mod slots;
mod syscalls;
mod tasks;
