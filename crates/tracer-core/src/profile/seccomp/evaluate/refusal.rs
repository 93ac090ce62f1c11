//! Why a runtime starts no container with a profile.

use thiserror::Error;

use super::{super::oci::Action, OciRuntime, Verdict};

/// What a runtime or its libseccomp refuses. `entry` counts the entries of `syscalls` from 0.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are what the messages say")]
pub enum Refusal {
    /// A name that is none, or not in this spelling.
    #[error("architectures: {} does not know {name:?}; write it as SCMP_ARCH_X86_64", .runtime.as_str())]
    Architecture { name: String, runtime: OciRuntime },
    /// A filter cannot be for machines of both byte orders.
    #[error(
        "architectures: {name} is big-endian, so no filter for this machine can hold it; take it out"
    )]
    ByteOrder { name: String },
    /// A flag that the runtime does not know.
    #[error("flags: {} does not know {name:?}; take it out", .runtime.as_str())]
    Flag { name: String, runtime: OciRuntime },
    /// crun wants a number only where it is returned.
    #[error("defaultErrnoRet: crun refuses a number beside {action:?}; take it out")]
    DefaultNumber { action: Action },
    /// The same in an entry.
    #[error("syscalls[{entry}]: crun refuses errnoRet beside {action:?}; take it out")]
    Number { entry: usize, action: Action },
    /// No such error exists.
    #[error(
        "{place}: {number} is not an error that libseccomp lets a filter return; give one below 4095"
    )]
    Errno { place: String, number: u16 },
    /// runc itself makes calls after it has loaded the filter.
    #[error("defaultAction: runc refuses SCMP_ACT_NOTIFY for every call; name the calls")]
    NotifyByDefault,
    /// runc writes the listener's descriptor to its parent.
    #[error("syscalls[{entry}]: runc refuses SCMP_ACT_NOTIFY for write; take it out of names")]
    NotifyWrite { entry: usize },
    /// A name without a letter.
    #[error("syscalls[{entry}]: runc refuses an empty name; take it out of names")]
    EmptyName { entry: usize },
    /// A call has six arguments.
    #[error("syscalls[{entry}]: no argument {index}; a call has arguments 0 to 5")]
    Index { entry: usize, index: u32 },
    /// libseccomp returns EEXIST.
    #[error(
        "syscalls[{entry}] ({verdict}) and syscalls[{earlier}] ({before}) say different things of \
         the same calls to {name}, and libseccomp refuses the later one; keep one of them"
    )]
    Conflict {
        entry: usize,
        earlier: usize,
        name: String,
        verdict: Verdict,
        before: Verdict,
    },
}
