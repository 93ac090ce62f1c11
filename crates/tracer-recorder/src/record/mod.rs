//! The work of `tracer record`: it brings together a command or a cgroup, the kernel side, and the
//! recording that comes of them.
//!
//! [`Session`] takes in what the kernel side saw; [`command`] and [`attach`] say what is recorded, and
//! until when; `container_tracker` finds out which container each instance is; `discovery` knows for how long nothing
//! new came; `assemble` makes the recordings.

mod assemble;
pub mod attach;
pub mod command;
mod container_tracker;
mod convert;
mod discovery;
mod error;
mod filter;
mod instance;
mod program;
mod session;
pub mod signals;
mod spawn;
mod user;

pub use assemble::FinishedWorkload;
pub use error::RecordError;
pub use instance::InstanceInfo;
pub use session::{Denial, Progress, ProgressListener, Session};
pub use user::RunAs;
