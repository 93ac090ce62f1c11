//! What an operator's object for seccomp cannot express.

use super::Words;

/// Something of a seccomp profile that an operator's object cannot express.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SyscallOmission {
    /// `defaultErrnoRet`.
    DefaultError,
    /// ENOSYS for a call whose arguments match no rule.
    ErrorForOtherArguments {
        /// The calls.
        calls: Vec<String>,
    },
    /// EPERM for multiplexed calls, where the default is ENOSYS.
    ErrorForMultiplexed {
        /// The calls.
        calls: Vec<String>,
    },
    /// A condition on the highest bit of an argument.
    HighestBit {
        /// The argument's index.
        argument: u32,
        /// The calls.
        calls: Vec<String>,
    },
}

impl SyscallOmission {
    pub(super) fn words(&self) -> Words<'_> {
        let (what, instead) = match self {
            Self::DefaultError => (
                "defaultErrnoRet, ENOSYS".into(),
                "what no entry names returns EPERM (runc still answers ENOSYS to numbers above all that are named), so the calls that libraries probe for are named",
            ),
            Self::ErrorForOtherArguments { calls } => (
                format!("ENOSYS for other arguments of {}", calls.join(", ")),
                "they return EPERM",
            ),
            Self::ErrorForMultiplexed { calls } => (
                format!("EPERM for {}", calls.join(", ")),
                "they return ENOSYS: runtimes leave out an entry that says what the default says, and libseccomp would then allow by them the calls that they stand for",
            ),
            Self::HighestBit { argument, calls } => (
                format!(
                    "the highest bit of argument {argument} of {}",
                    calls.join(", ")
                ),
                "values of 2^63 and more have no place, so it is not looked at",
            ),
        };
        (what.into(), instead.into())
    }
}
