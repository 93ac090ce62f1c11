//! What a systemd service cannot express.

use super::Words;

/// Something that a systemd service cannot express.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ServiceOmission {
    /// Conditions on arguments of calls that are allowed without them.
    Arguments {
        /// The calls.
        calls: Vec<String>,
    },
    /// Headroom that is harmless with some arguments only.
    Headroom {
        /// The calls.
        calls: Vec<String>,
    },
    /// A different error for different calls.
    ErrorForEachCall,
    /// A socket family without a name.
    UnnamedSocketFamily,
    /// The recording is incomplete.
    Incomplete,
}

impl ServiceOmission {
    pub(super) fn words(&self) -> Words<'_> {
        let (what, instead) = match self {
            Self::Arguments { calls } => {
                let what = format!("the arguments of {}", calls.join(", "));
                return (what.into(), "these calls are allowed with any".into());
            }
            Self::Headroom { calls } => {
                return (
                    format!("the headroom of {}", calls.join(", ")).into(),
                    "they are harmless with some arguments only, and are left out".into(),
                );
            }
            Self::ErrorForEachCall => (
                "an error for each call",
                "old calls return ENOSYS too, where seccomp.json has EPERM",
            ),
            Self::UnnamedSocketFamily => (
                "a family of sockets without a name",
                "families are not restricted",
            ),
            Self::Incomplete => (
                "that the recording is not complete",
                "what it did not see may need more; REVIEW.md has the reasons",
            ),
        };
        (what.into(), instead.into())
    }
}
