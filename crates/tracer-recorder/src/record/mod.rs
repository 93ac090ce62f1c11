//! The work of `tracer record`: it brings together a command or a cgroup, the kernel side, and the
//! recording that comes of them.
//!
//! | | |
//! | --- | --- |
//! | what is recorded, and until when | [`command`], [`attach`], driven by `recording_loop` |
//! | who is each instance | `container_tracker` decides, `instances` numbers them, `lookup` asks the runtimes |
//! | what was seen | `observed`, from the rings (`intake`) and the marks (`checkpoint`), by `rows` |
//! | which files were named | `file_lookup` asks in another process, `process_paths` finds them |
//! | what was lost | `losses` |
//! | which containers an agent records | a [`Supervisor`]; `conclude` forgets those that have ended |
//! | what a kill of tracer leaves | `snapshot`, kept by a [`SnapshotSink`] |
//! | how long nothing was new | `discovery`, told by `progress` |
//! | the recordings | `assemble` |
//!
//! [`Session`] brings these parts together, and `recorder` adds the containers. The kernel is the trait
//! [`Kernel`], the machine around it [`System`], the runtimes `ContainerLookup`: `simulation` puts a model
//! behind each, and drives all of it without root.

mod announce;
mod assemble;
pub mod attach;
mod checkpoint;
pub mod command;
mod conclude;
mod container_tracker;
mod convert;
mod daemon_client;
mod discovery;
mod error;
mod exits;
mod file_capabilities;
mod file_lookup;
mod filter;
mod instance;
mod instances;
mod intake;
mod kernel;
mod lookup;
mod losses;
mod mutation;
mod naming;
mod observed;
mod process_paths;
mod program;
mod progress;
mod recorder;
mod recording_loop;
mod rows;
mod selinux;
mod session;
pub mod signals;
#[cfg(test)]
mod simulation;
mod snapshot;
mod socket_address;
mod spawn;
mod supervisor;
mod system;
mod tracked_container;
mod unnamed;
mod user;

pub use assemble::{FinishedWorkload, WorkloadPart};
pub use attach::Ended;
pub(crate) use command::forward_signal;
pub(crate) use convert::text as escaped_text;
pub use error::RecordError;
pub(crate) use filter::load_filter;
pub use instance::InstanceInfo;
pub use kernel::{Kernel, KernelCounts, LiveKernel, NewCgroup};
pub use lookup::NameSource;
pub use observed::Denial;
pub(crate) use program::find as find_program;
pub use progress::{Progress, ProgressListener};
pub use session::Session;
pub use snapshot::{CHECKPOINT, NoSnapshots, Snapshot, SnapshotSink};
pub use supervisor::{RecorderStatus, Selection, Supervisor, WorkloadAge};
pub use system::{CgroupTree, Clock, InstanceProcess, Processes, System, ThisMachine};
pub use user::RunAs;
