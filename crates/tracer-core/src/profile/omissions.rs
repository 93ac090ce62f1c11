//! What a format cannot say, and what its target does not take.

use std::fmt;

use thiserror::Error;

/// Something of a profile that a format cannot say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Omission {
    /// What. It may hold a workload's words: escape it.
    pub what: String,
    /// What the output has instead, or what follows.
    pub instead: String,
}

impl Omission {
    /// Something that a format cannot express, and what was written instead.
    pub fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            instead: instead.into(),
        }
    }
}

/// A file, and what its format cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// The text; what is unsaid is in it as a comment.
    pub text: String,
    /// What is not in it.
    pub omissions: Vec<Omission>,
}

/// Why a profile does not fit a target, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// A name is none that the target takes.
    #[error("{name:?} cannot be the name of {of}: {rule}; give another name")]
    Name {
        /// The name.
        name: String,
        /// Whose.
        of: &'static str,
        /// What it has to be.
        rule: &'static str,
    },
    /// There is too much of something.
    #[error("{what} has {found} {unit}, and {limit} is the most {by}: {remedy}")]
    TooMuch {
        /// What.
        what: &'static str,
        /// How much.
        found: usize,
        /// Of what.
        unit: &'static str,
        /// The limit.
        limit: usize,
        /// Whose limit.
        by: &'static str,
        /// What to do.
        remedy: Remedy,
    },
    /// It needs what the recording does not have.
    #[error("{what} is not known: {remedy}")]
    Missing {
        /// What.
        what: &'static str,
        /// What to do.
        remedy: Remedy,
    },
}

/// What helps when a profile does not fit a target. The command line knows the flag for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Fewer rules of arguments.
    FewerArguments,
    /// Fewer rules of paths.
    FewerPaths,
    /// The container's name.
    NameContainer,
    /// A recording of a container.
    RecordContainer,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FewerArguments => {
                "each set of arguments is an entry of its own; restrict fewer arguments"
            }
            Self::FewerPaths => "each path is an entry of its own; generalise more paths",
            Self::NameContainer => {
                "the recording is not of a container in a pod; give the container's name"
            }
            Self::RecordContainer => {
                "record a container, or use the patch instead of a ProfileBinding"
            }
        })
    }
}

/// The largest object that is made: API servers take requests of up to 3 MiB and etcd values of 1.5
/// (kubernetes.io, "Large objects"; etcd, `--max-request-bytes`), managed fields included.
const MAX_OBJECT: usize = 1 << 20;

/// Checks the size of an object of Kubernetes.
pub(crate) fn object_fits(
    what: &'static str,
    text: &str,
    remedy: Remedy,
) -> Result<(), TargetError> {
    if text.len() <= MAX_OBJECT {
        return Ok(());
    }
    Err(TargetError::TooMuch {
        what,
        found: text.len(),
        unit: "bytes",
        limit: MAX_OBJECT,
        by: "that an object of Kubernetes should have",
        remedy,
    })
}
