//! What can go wrong on the way to a container's name, each with its remedy.

use std::{io, path::PathBuf};

use thiserror::Error;
use tracer_core::recording::Unresolved;

/// Why something about a container could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// An id or a name that may not become a part of a path.
    #[error(
        "{0:?} cannot be a container's id: ids have 1 to 255 letters, digits and _ + - . characters, and do not begin with a dot"
    )]
    Id(String),
    /// A selector that selects nothing.
    #[error("{0:?} does not name a container or pod; give {1}")]
    Selector(String, &'static str),
    /// A path that leads out of where runtimes keep their state.
    #[error(
        "the path {0:?} in a runtime's state is not absolute or contains ..; it was not followed"
    )]
    Path(PathBuf),
    /// A file that could not be read.
    #[error("cannot read {path:?}: {source}; run tracer as root, and on the host")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{path:?} is {what}; it was not read")]
    NotRead {
        /// Which file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A file whose text is not JSON, or too deep.
    #[error("{path:?} is not the JSON that a runtime writes: {source}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The cgroup hierarchy could not be walked.
    #[error("cannot look for containers in {path:?}: {source}; run tracer as root")]
    Walk {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The CRI socket did not answer in time.
    #[error(
        "the CRI socket {socket:?} did not answer {call} within {seconds} s; check the runtime, or give another socket"
    )]
    CriTime {
        /// The socket.
        socket: PathBuf,
        /// What was asked.
        call: &'static str,
        /// The limit.
        seconds: u64,
    },
    /// The CRI socket refused, or answered nonsense.
    #[error(
        "the CRI socket {socket:?} cannot answer {call}: {reason}; names of pods come from the containers' files alone"
    )]
    Cri {
        /// The socket.
        socket: PathBuf,
        /// What was asked.
        call: &'static str,
        /// Why; what the other side said is escaped.
        reason: String,
    },
}

impl From<ContainerError> for Unresolved {
    fn from(error: ContainerError) -> Self {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        match error {
            ContainerError::Id(id) => Self::InvalidId { id },
            ContainerError::Path(path) => Self::UnsafePath { path: text(path) },
            ContainerError::Read { path, source } => Self::UnreadableFile {
                path: text(path),
                error: source.to_string(),
            },
            ContainerError::NotRead { path, what } => Self::RefusedFile {
                path: text(path),
                found: what,
            },
            ContainerError::Json { path, source } => Self::InvalidJson {
                path: text(path),
                error: source.to_string(),
            },
            // Not of one container.
            ContainerError::Selector(..)
            | ContainerError::Walk { .. }
            | ContainerError::CriTime { .. }
            | ContainerError::Cri { .. } => Self::Other {
                text: error.to_string(),
            },
        }
    }
}
