//! Of which calls the arguments are recorded: data, and nothing else.

use super::{Argument, Meaning, Recorded};

/// The bits of an `int` or `unsigned int`.
const INT: u64 = 0xffff_ffff;

/// `SOCK_CLOEXEC` and `SOCK_NONBLOCK`, which say nothing of what a socket can do
/// (include/linux/net.h; the same on all architectures that tracer knows).
const SOCKET_FLAGS: u64 = 0x8_0000 | 0x800;

/// `PROT_EXEC` (include/uapi/asm-generic/mman-common.h).
const EXECUTABLE: u64 = 4;

const fn argument(index: u32, mask: u64, meaning: Meaning) -> Argument {
    Argument {
        index,
        mask,
        meaning,
    }
}

const fn recorded(names: &'static [&'static str], arguments: &'static [Argument]) -> Recorded {
    Recorded {
        names,
        arguments,
        behind_pointer: false,
    }
}

/// All of them.
pub const RECORDED: &[Recorded] = &[
    recorded(
        &["socket", "socketpair"],
        &[
            argument(0, INT, Meaning::Family),
            argument(1, INT & !SOCKET_FLAGS, Meaning::SocketType),
            argument(2, INT, Meaning::Protocol),
        ],
    ),
    // The kernel reads 32 bits of clone's flags (kernel/fork.c, `lower_32_bits`).
    recorded(&["clone"], &[argument(0, INT, Meaning::CloneFlags)]),
    Recorded {
        names: &["clone3"],
        arguments: &[argument(0, u64::MAX, Meaning::CloneFlags)],
        behind_pointer: true,
    },
    recorded(&["unshare"], &[argument(0, u64::MAX, Meaning::CloneFlags)]),
    recorded(&["setns"], &[argument(1, INT, Meaning::Namespace)]),
    recorded(&["personality"], &[argument(0, INT, Meaning::Personality)]),
    recorded(&["prctl"], &[argument(0, INT, Meaning::Prctl)]),
    recorded(&["ioctl"], &[argument(1, INT, Meaning::Ioctl)]),
    recorded(&["fcntl", "fcntl64"], &[argument(1, INT, Meaning::Fcntl)]),
    recorded(
        &["setsockopt"],
        &[
            argument(1, INT, Meaning::OptionLevel),
            argument(2, INT, Meaning::OptionName),
        ],
    ),
    recorded(
        &["mmap", "mmap2", "mprotect", "pkey_mprotect"],
        &[argument(2, EXECUTABLE, Meaning::Protection)],
    ),
    recorded(&["keyctl"], &[argument(0, INT, Meaning::Keyctl)]),
    recorded(&["bpf"], &[argument(0, INT, Meaning::Bpf)]),
    // A `long` (kernel/ptrace.c).
    recorded(&["ptrace"], &[argument(0, u64::MAX, Meaning::Ptrace)]),
    recorded(&["madvise"], &[argument(2, INT, Meaning::Advice)]),
    recorded(&["arch_prctl"], &[argument(0, INT, Meaning::ArchPrctl)]),
    recorded(&["socketcall"], &[argument(0, INT, Meaning::Socketcall)]),
    // Above are a version's bits (ipc/syscall.c).
    recorded(&["ipc"], &[argument(0, 0xffff, Meaning::Ipc)]),
];
