//! What served each kind of observation, and what it cannot see.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What served a kind of observation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The kind.
    pub kind: ObservationKind,
    /// The mechanism.
    pub provider: Mechanism,
    /// What it cannot see by its nature.
    pub cannot_see: Vec<BlindSpot>,
}

/// A kind of observation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ObservationKind {
    /// Arguments of system calls.
    Arguments,
    /// Capabilities.
    Capabilities,
    /// Accesses to files.
    Files,
    /// Changes of the mount tree.
    Mounts,
    /// What the SELinux policy did not allow.
    Selinux,
    /// Signals.
    Signals,
    /// Sockets.
    Sockets,
    /// System calls.
    Syscalls,
    /// Accesses that need a debugger's rights (ptrace).
    Traces,
}

impl ObservationKind {
    /// The name in recordings.
    ///
    /// ```
    /// use tracer_core::recording::ObservationKind;
    ///
    /// assert_eq!(ObservationKind::Files.as_str(), "files");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Capabilities => "capabilities",
            Self::Files => "files",
            Self::Mounts => "mounts",
            Self::Selinux => "selinux",
            Self::Signals => "signals",
            Self::Sockets => "sockets",
            Self::Syscalls => "syscalls",
            Self::Traces => "traces",
        }
    }
}

impl fmt::Display for ObservationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A way of observing.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// BPF programs on the hooks of the security modules.
    BpfLsm,
    /// A BTF tracepoint of the kind itself: `cap_capable`, `signal_generate`.
    Tracepoint,
    /// The BTF tracepoint `sys_exit`.
    SysExit,
    /// The BTF tracepoints `sys_enter` and `sys_exit`.
    SysEnterAndExit,
    /// BPF programs at the ends of the kernel's security functions (fexit).
    Fexit,
    /// The registers at the BTF tracepoint `sys_enter`.
    SysEnterRegisters,
    /// gVisor's runtime monitoring: the sandbox itself reports the calls of its guest.
    Gvisor,
    /// Another one, in words: from a recording of schema v1.
    Other(String),
}

impl Mechanism {
    /// Whether it sees files only where system calls end, and so not which process executed which
    /// program.
    pub fn is_syscall_exit(&self) -> bool {
        match self {
            Self::SysExit => true,
            Self::Other(text) => text.contains("sys_exit"),
            _ => false,
        }
    }
}

/// What a mechanism cannot see by its nature.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum BlindSpot {
    /// What io_uring does.
    IoUring,
    /// That a call was 32-bit, when a 64-bit program forges the registers of a 64-bit one.
    ForgedAbi,
    /// Arguments of calls that a filter stopped.
    BlockedCallArguments,
    /// The memory that pointers lead to.
    PointedToMemory,
    /// The owner of a file, in calls that name it by a path and do not open it.
    OwnerOfUnopenedFile,
    /// What a link was made of.
    LinkSource,
    /// What was mapped before `mprotect` made it executable.
    MappedBeforeMprotect,
    /// POSIX message queues, and the terminals that `TIOCGPTPEER` opens.
    MessageQueuesAndPeerTerminals,
    /// Which file a path named, when another thread changed the path or one of its directories
    /// during the call.
    PathRace,
    /// Memory of huge pages that is shared, which AppArmor asks about by the path `/`.
    SharedHugePages,
    /// Whether a file was said to be writable (access(2)).
    WriteChecks,
    /// Calls by i386's `socketcall`.
    Socketcall,
    /// `pivot_root`.
    PivotRoot,
    /// `move_mount` and the other calls of the newer mount interface.
    NewMountInterface,
    /// What a link led to that was changed since.
    ChangedLink,
    /// Whether the kernel only probed for a capability.
    CapabilityProbe,
    /// Signal 0, which only asks whether a process exists.
    SignalZero,
    /// Calls of numbers that gVisor has no monitoring point for.
    UnmonitoredNumbers {
        /// The first of them; all that are larger are unseen too.
        first: u32,
    },
    /// Calls of a 64-bit gVisor guest by `int 0x80`: reported as the 64-bit call of that number on
    /// the ptrace platform, and not at all on systrap.
    GvisorInt80,
    /// Calls that a seccomp filter inside the guest stopped.
    FilteredInGuest,
    /// What the SELinux policy allows the domain already.
    AllowedBySelinux,
    /// What SELinux asks of network packets (SECMARK, labelled networking): the kernel asks whenever a
    /// packet comes, in no process of the workload's.
    SelinuxPackets,
    /// What goes through a hook of the kernel that could not be used.
    UnusableHook {
        /// The hook.
        hook: String,
        /// Why it could not be used.
        error: String,
    },
    /// Another one, in words: from a recording of schema v1.
    Other(String),
}
