//! System calls: ABIs, numbers and names, and what is known about them. Pure data and functions.

mod abi;

pub use abi::{Abi, Machine};
