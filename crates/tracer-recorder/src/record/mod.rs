//! The work of `tracer record`: it brings together a command or a cgroup, the kernel side, and the
//! recording that comes of them.
//!
//! [`Session`] takes in what the kernel side saw; [`command`] and [`attach`] say what is recorded, and
//! until when; `roster` finds out which container each instance is; `novelty` knows for how long nothing
//! new came; `assemble` makes the recordings.

mod assemble;
pub mod attach;
pub mod command;
mod describe;
mod error;
mod filter;
mod instance;
mod novelty;
mod program;
mod roster;
mod session;
pub mod signals;
mod spawn;
mod user;

pub use assemble::Ending;
pub use error::RecordError;
pub use instance::Subject;
pub use session::{Denial, Progress, Session, Watcher};
pub use user::RunAs;
