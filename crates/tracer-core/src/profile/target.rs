//! Why a profile does not fit a target.

use std::fmt;

use thiserror::Error;

/// Why a profile does not fit a target, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The target refuses a name.
    #[error("{name:?} cannot be the name of {}: {}; give another name", kind.of(), kind.rule())]
    Name {
        /// The name.
        name: String,
        /// What it was to be the name of.
        kind: NameKind,
    },
    /// There is too much of something.
    #[error(
        "{limit} has {found} {}, and {} is the most {}: {remedy}",
        limit.unit(),
        limit.most(),
        limit.of()
    )]
    TooMuch {
        /// How much there is.
        found: usize,
        /// The limit.
        limit: Limit,
        /// What helps.
        remedy: Remedy,
    },
    /// The recording lacks a fact that the target needs.
    #[error("{fact} is not known: {}", fact.remedy())]
    Missing {
        /// The fact.
        fact: Fact,
    },
}

impl TargetError {
    /// What helps; `None` for another name.
    pub const fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Name { .. } => None,
            Self::TooMuch { remedy, .. } => Some(*remedy),
            Self::Missing { fact } => Some(fact.remedy()),
        }
    }
}

/// What a name is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameKind {
    /// An object of Kubernetes.
    KubernetesObject,
    /// An SELinux profile of the Security Profiles Operator.
    OperatorSelinux,
    /// A block of an SELinux policy.
    SelinuxBlock,
    /// A block or type of an SELinux policy.
    SelinuxIdentifier,
    /// A type of an SELinux policy.
    SelinuxType,
}

impl NameKind {
    pub(super) fn refuse(self, name: &str) -> TargetError {
        TargetError::Name {
            name: name.to_owned(),
            kind: self,
        }
    }

    const fn of(self) -> &'static str {
        match self {
            Self::KubernetesObject => "an object of Kubernetes",
            Self::OperatorSelinux => "an SELinux profile of the operator",
            Self::SelinuxBlock => "a block of an SELinux policy",
            Self::SelinuxIdentifier => "a block or type of an SELinux policy",
            Self::SelinuxType => "an SELinux type",
        }
    }

    const fn rule(self) -> &'static str {
        match self {
            Self::KubernetesObject => {
                "it has up to 253 small letters, digits, - and ., and begins and ends with a letter or digit"
            }
            Self::OperatorSelinux => "it begins with a letter, and has no two dashes in a row",
            Self::SelinuxBlock => "it has no dot, which separates blocks",
            Self::SelinuxIdentifier => "a letter, then letters, digits, _ and -",
            Self::SelinuxType => "it has up to 255 bytes",
        }
    }
}

/// A limit of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of an object of Kubernetes.
    ObjectBytes {
        /// The kind of object.
        kind: &'static str,
    },
    /// Entries of a seccomp profile in an artifact.
    ArtifactEntries,
    /// Bytes of a seccomp profile in an artifact.
    ArtifactBytes,
}

/// API servers take requests of up to 3 MiB and etcd values of 1.5 (kubernetes.io, "Large objects"; etcd,
/// `--max-request-bytes`), managed fields included.
const MAX_OBJECT: usize = 1 << 20;

/// KEP-6061.
const MAX_ARTIFACT_ENTRIES: usize = 128;
const MAX_ARTIFACT_BYTES: usize = 1 << 20;

impl Limit {
    /// Checks an amount against the limit.
    pub(super) fn check(self, found: usize, remedy: Remedy) -> Result<(), TargetError> {
        if found <= self.most() {
            return Ok(());
        }
        Err(TargetError::TooMuch {
            found,
            limit: self,
            remedy,
        })
    }

    const fn most(self) -> usize {
        match self {
            Self::ObjectBytes { .. } => MAX_OBJECT,
            Self::ArtifactEntries => MAX_ARTIFACT_ENTRIES,
            Self::ArtifactBytes => MAX_ARTIFACT_BYTES,
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::ObjectBytes { .. } | Self::ArtifactBytes => "bytes",
            Self::ArtifactEntries => "entries",
        }
    }

    const fn of(self) -> &'static str {
        match self {
            Self::ObjectBytes { .. } => "that an object of Kubernetes should have",
            Self::ArtifactEntries | Self::ArtifactBytes => {
                "that runtimes take from an artifact (KEP-6061)"
            }
        }
    }
}

impl fmt::Display for Limit {
    /// What is limited.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ObjectBytes { kind } => write!(f, "the {kind}"),
            Self::ArtifactEntries | Self::ArtifactBytes => f.write_str("the seccomp profile"),
        }
    }
}

/// A fact that a target needs of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fact {
    /// The container's name in its pod.
    ContainerName,
    /// The image of the workload's container.
    Image,
}

impl Fact {
    const fn remedy(self) -> Remedy {
        match self {
            Self::ContainerName => Remedy::NameContainer,
            Self::Image => Remedy::RecordContainer,
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContainerName => "the container's name in its pod",
            Self::Image => "the image of the workload's container",
        })
    }
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
