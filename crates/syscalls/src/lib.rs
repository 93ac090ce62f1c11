//! Facts about Linux system calls: ABIs, numbers and names, and what is known of each.
//!
//! Tables with their sources, and functions over them. Nothing here does I/O.
#![forbid(unsafe_code)]

mod abi;
mod amend;
pub mod arguments;
pub mod bypass;
pub mod capability;
pub mod condition;
pub mod defaults;
pub mod errno;
pub mod essential;
pub mod flags;
pub mod gates;
mod nearest;
pub mod purpose;
pub mod registers;
pub mod risk;
pub mod since;
pub mod translate;
pub mod variants;
pub mod window;

pub use abi::{Abi, Machine};
pub use nearest::nearest;
