//! Why a format could not be rendered.

use thiserror::Error as ThisError;

use crate::profile::{TargetError, artifact, seccomp};

/// Why a format could not be rendered.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The recording did not observe what it is made of.
    #[error("the recording has nothing about {0}")]
    NotObserved(&'static str),
    /// It is for this kernel's decisions about the workload, and gVisor makes those itself.
    #[error(
        "gVisor handles the {0} of its guests itself, and this kernel could confine the sandbox only"
    )]
    OnlySandbox(&'static str),
    /// It holds what is known for the recorded machine only, and it was asked for another one.
    #[error("{0} are those of the machine recorded on")]
    OtherMachine(&'static str),
    /// The target does not take it, or the recording does not name what it needs.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// No seccomp profile can be made from the recording.
    #[error(transparent)]
    Seccomp(#[from] seccomp::Error),
    /// The artifact could not be put together.
    #[error(transparent)]
    Artifact(artifact::Error),
    /// The JSON could not be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<artifact::Error> for Error {
    fn from(error: artifact::Error) -> Self {
        match error {
            artifact::Error::TargetError(error) => Self::Target(error),
            other => Self::Artifact(other),
        }
    }
}
