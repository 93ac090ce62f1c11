//! The work of `tracer record`: it brings together a command or a cgroup, the kernel side, and the
//! recording that comes of them.
//!
//! [`Session`] turns what the kernel side saw into a recording; [`command`] and [`attach`] say what
//! is recorded, and until when.

pub mod attach;
pub mod command;
mod describe;
mod error;
mod program;
mod session;
pub mod signals;
mod spawn;
mod user;

pub use error::RecordError;
pub use session::{Ending, Progress, Session, Subject, Watcher};
pub use user::RunAs;
