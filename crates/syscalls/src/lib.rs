//! Facts about Linux system calls: ABIs, numbers and names, and what is known of each.
//!
//! Tables with their sources, and functions over them. Nothing here does I/O.
#![forbid(unsafe_code)]

mod abi;
pub mod arguments;
pub mod bypass;
pub mod capability;
pub mod capability_requirements;
pub mod category;
pub mod condition;
mod corrections;
pub mod defaults;
pub mod errno;
pub mod essential;
pub mod fallbacks;
pub mod flags;
pub mod headroom;
pub mod introduced;
mod oci_runtime;
pub mod registers;
pub mod risk;
pub mod runtime_init;
mod suggest;
pub mod translate;

pub use abi::{Abi, Machine, UnknownAbi};
pub use oci_runtime::OciRuntime;
pub use suggest::{distance, suggest};
