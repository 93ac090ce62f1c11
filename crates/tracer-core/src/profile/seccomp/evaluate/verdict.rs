//! What a filter returns for a call.

use std::fmt;

use super::super::oci::Action;
use syscalls::errno;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is made.
    Allow,
    /// It is made, and logged.
    Log,
    /// It is not made, and returns this error; with 0 it seems to succeed.
    Errno(u16),
    /// A tracer decides, and gets this number; without one the call returns ENOSYS.
    Trace(u16),
    /// It is not made, and raises SIGSYS.
    Trap,
    /// Its thread dies: `SCMP_ACT_KILL_THREAD`, and `SCMP_ACT_KILL`.
    KillThread,
    /// Its process dies.
    KillProcess,
    /// The process at `listenerPath` decides.
    Notify,
}

impl Verdict {
    /// The meaning of an action, with the number that goes with it where one does. Without one it is
    /// EPERM (runtime-spec, config-linux.md, `errnoRet`; runc and crun do so for TRACE, too). Of the
    /// number a filter has 16 bits (include/uapi/linux/seccomp.h, SECCOMP_RET_DATA).
    pub(super) fn new(action: Action, number: Option<u32>) -> Self {
        let number = number.unwrap_or(errno::EPERM) & 0xffff;
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        match action {
            Action::Allow => Self::Allow,
            Action::Log => Self::Log,
            Action::Errno => Self::Errno(number),
            Action::Trace => Self::Trace(number),
            Action::Trap => Self::Trap,
            // include/seccomp.h: SCMP_ACT_KILL is SCMP_ACT_KILL_THREAD.
            Action::Kill | Action::KillThread => Self::KillThread,
            Action::KillProcess => Self::KillProcess,
            Action::Notify => Self::Notify,
        }
    }

    /// Whether the call is made, whatever anybody else may do.
    pub const fn allows(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("SCMP_ACT_ALLOW"),
            Self::Log => f.write_str("SCMP_ACT_LOG"),
            Self::Errno(number) => write!(f, "SCMP_ACT_ERRNO({number})"),
            Self::Trace(number) => write!(f, "SCMP_ACT_TRACE({number})"),
            Self::Trap => f.write_str("SCMP_ACT_TRAP"),
            Self::KillThread => f.write_str("SCMP_ACT_KILL_THREAD"),
            Self::KillProcess => f.write_str("SCMP_ACT_KILL_PROCESS"),
            Self::Notify => f.write_str("SCMP_ACT_NOTIFY"),
        }
    }
}
