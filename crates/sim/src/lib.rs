//! A deterministic simulation of the kernel, over the very source of tracer's programs.
//!
//! A [`Schedule`] is a list of events (calls, forks, moves between cgroups, filters, what user space
//! does), a number of CPUs, sizes of maps, and a seed that says where each event is interrupted. It is
//! drawn from a number by [`Schedule::random`]. [`run`] plays the kernel: it calls the programs as the
//! kernel's tracepoints do, on simulated CPUs that are stopped between operations on maps, and keeps
//! the truth: who made which call. Then it reads the maps as user space does, and compares:
//!
//! - each call is marked under who made it, or counted as lost;
//! - nothing is marked under who did not do it;
//! - an event in the ring says nothing that the marks do not say;
//! - no row and no number of a value goes missing.
//!
//! A schedule that fails is made smaller by [`shrink`], and printed as a list:
//!
//! ```
//! let schedule = tracer_sim::Schedule::random(1);
//! if let Err(failure) = tracer_sim::run(&schedule) {
//!     let small = tracer_sim::shrink(&schedule);
//!     panic!("{failure}\n{small}");
//! }
//! ```

mod changes;
mod check;
mod driver;
mod event;
mod kernel;
mod process;
mod random;
mod shrink;
mod steps;
mod truth;
mod user;

pub use check::Failure;
pub use driver::{Report, run};
pub use event::{Event, Schedule};
pub use shrink::shrink;
pub use tracer_ebpf::machine::{Mutation, Settings, mutate};
