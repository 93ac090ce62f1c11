//! Records the guests of gVisor, whose system calls this kernel never sees: the sandbox itself reports them.
//! That is gVisor's *runtime monitoring* (gvisor.dev, "Runtime Monitoring"); no kernel program is needed.
//!
//! | module | does |
//! | --- | --- |
//! | `session` | what gVisor is told to report |
//! | `sink` | the socket that it reports to, and the thread that reads |
//! | `wire` | packets to messages |
//! | `facts`, `container` | messages to observations |
//! | `room` | how much is kept |
//! | `assemble` | observations to recordings |
//! | `runsc` | runsc's command line and its running sandboxes |
//! | `trusted` | which runsc is executed, and which directories count |
//! | `bundle` | what a container's files say of it |
//! | [`record`] | a recording from start to end |

mod assemble;
mod bundle;
mod container;
mod facts;
pub mod record;
mod room;
mod runsc;
mod session;
mod sink;
mod trusted;
mod wire;

use std::{ffi::OsString, io};

use thiserror::Error;

use crate::record::RecordError;

pub use runsc::points_of;
pub use session::{Points, WithoutListener, containerd_lines, default_socket, init_config};
pub use sink::SinkError;

/// Why a guest of gVisor could not be recorded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GvisorError {
    /// The socket.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The command or a signal.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The command line is not one of runsc that starts a container.
    #[error(
        "{command:?} does not start a container of gVisor; give runsc's own command line: runsc run, runsc create or runsc do"
    )]
    NoStart {
        /// The command.
        command: OsString,
    },
    /// The command line says already whom to report to.
    #[error(
        "the command has a configuration of the pod's start already (pod-init-config); leave it out, tracer adds its own"
    )]
    HasConfig,
    /// The container does not run in gVisor.
    #[error(
        "no container of gVisor that runs has an id that begins with {0:?}; the list that runsc prints shows what runs"
    )]
    NoSandbox(String),
    /// There is no runsc that may be executed.
    #[error("no runsc can be used to speak to the sandbox: {0}")]
    NoRunsc(String),
    /// What may be the container's sandbox is not one of the runsc that is executed.
    #[error(
        "no container of gVisor that can be trusted has an id that begins with {given:?}: {why}"
    )]
    Refused {
        /// What was given.
        given: String,
        /// Why a process that calls itself a sandbox is none.
        why: String,
    },
    /// Several containers may be meant.
    #[error(
        "several containers of gVisor have an id that begins with {given:?}: {ids}; give more of the one you mean"
    )]
    Ambiguous {
        /// What was given.
        given: String,
        /// Whose ids begin so.
        ids: String,
    },
    /// runsc refused.
    #[error("{command} failed: {why}")]
    Runsc {
        /// The command.
        command: String,
        /// What it said.
        why: String,
    },
    /// A file for runsc could not be written.
    #[error("cannot write {path:?} for runsc: {cause}")]
    Write {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        cause: io::Error,
    },
}
