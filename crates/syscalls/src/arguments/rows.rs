//! Of which calls the arguments are recorded, and what becomes of them: data, and nothing else.

use super::{Argument, Meaning, RecordedArguments, Rule};

/// The bits of an `int` or `unsigned int`.
const INT: u64 = 0xffff_ffff;

/// `SOCK_CLOEXEC` and `SOCK_NONBLOCK`, which say nothing of what a socket can do
/// (include/linux/net.h; the same on all architectures that tracer knows).
const SOCKET_FLAGS: u64 = 0x8_0000 | 0x800;

/// `PROT_EXEC` (include/uapi/asm-generic/mman-common.h).
const EXECUTABLE: u64 = 4;

/// glibc's `recv` is `recv`, musl's `recvfrom`; and each socket call that a profile names opens the same
/// one of `socketcall` for i386, whatever else is said of it (libseccomp, src/arch-x86.c).
const BY_LIBC: &str = "libcs differ in which of its calls they use for the same work";

const fn argument(index: u32, mask: u64, meaning: Meaning) -> Argument {
    Argument {
        index,
        mask,
        meaning,
    }
}

const fn recorded(
    names: &'static [&'static str],
    arguments: &'static [Argument],
    rule: Rule,
) -> RecordedArguments {
    RecordedArguments {
        names,
        arguments,
        behind_pointer: false,
        rule,
        varies: None,
        usual: &[],
    }
}

/// All of them.
pub const RECORDED_ARGUMENTS: &[RecordedArguments] = &[
    recorded(&["socket"], SOCKET, Rule::Sockets),
    recorded(&["socketpair"], SOCKET, Rule::Family),
    // The kernel reads 32 bits of clone's flags (kernel/fork.c, `lower_32_bits`).
    recorded(
        &["clone"],
        &[argument(0, INT, Meaning::CloneFlags)],
        Rule::Namespaces,
    ),
    RecordedArguments {
        behind_pointer: true,
        ..recorded(
            &["clone3"],
            &[argument(0, u64::MAX, Meaning::CloneFlags)],
            Rule::Never,
        )
    },
    recorded(
        &["unshare"],
        &[argument(0, u64::MAX, Meaning::CloneFlags)],
        Rule::Namespaces,
    ),
    recorded(
        &["setns"],
        &[argument(1, INT, Meaning::Namespace)],
        Rule::ZeroIsAny,
    ),
    RecordedArguments {
        // It asks and changes nothing (personality(2)).
        usual: &[&[0xffff_ffff]],
        ..recorded(
            &["personality"],
            &[argument(0, INT, Meaning::Personality)],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        // The names of threads, and of memory, by which people find their way in tools: libcs and
        // language runtimes set them, some only in threads that load brings (PR_SET_NAME,
        // PR_GET_NAME, PR_SET_VMA).
        usual: &[&[15], &[16], &[0x5356_4d41]],
        ..recorded(
            &["prctl"],
            &[argument(0, INT, Meaning::Prctl)],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        varies: Some(
            "which commands it is given depends on what its descriptors are: a terminal, a pipe, a file system",
        ),
        ..recorded(
            &["ioctl"],
            &[argument(1, INT, Meaning::Ioctl)],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        varies: Some("libcs differ in it, and locks are tried in other ways under load"),
        ..recorded(
            &["fcntl", "fcntl64"],
            &[argument(1, INT, Meaning::Fcntl)],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        varies: Some(
            "which options are set depends on configuration and on what the network is like",
        ),
        ..recorded(
            &["setsockopt"],
            &[
                argument(1, INT, Meaning::OptionLevel),
                argument(2, INT, Meaning::OptionName),
            ],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        varies: Some(
            "whether code is made at run time, or a library loaded, may depend on load; and a filter that looks at its arguments costs at each call",
        ),
        usual: &[&[0]],
        ..recorded(
            &["mmap", "mmap2", "mprotect", "pkey_mprotect"],
            &[argument(2, EXECUTABLE, Meaning::Protection)],
            Rule::Exactly,
        )
    },
    recorded(
        &["keyctl"],
        &[argument(0, INT, Meaning::Keyctl)],
        Rule::Exactly,
    ),
    recorded(&["bpf"], &[argument(0, INT, Meaning::Bpf)], Rule::Exactly),
    // A `long` (kernel/ptrace.c).
    recorded(
        &["ptrace"],
        &[argument(0, u64::MAX, Meaning::Ptrace)],
        Rule::Exactly,
    ),
    RecordedArguments {
        varies: Some(
            "what an allocator advises depends on the amount of data, on load and on huge pages",
        ),
        // How allocators give memory back: MADV_DONTNEED, MADV_FREE.
        usual: &[&[4], &[8]],
        ..recorded(
            &["madvise"],
            &[argument(2, INT, Meaning::Advice)],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        varies: Some("which features of the processor are asked for depends on the processor"),
        // ARCH_SET_FS, by which a thread gets its storage.
        usual: &[&[0x1002]],
        ..recorded(
            &["arch_prctl"],
            &[argument(0, INT, Meaning::ArchPrctl)],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        varies: Some(BY_LIBC),
        ..recorded(
            &["socketcall"],
            &[argument(0, INT, Meaning::Socketcall)],
            Rule::Exactly,
        )
    },
    RecordedArguments {
        varies: Some(BY_LIBC),
        // Above are a version's bits (ipc/syscall.c).
        ..recorded(
            &["ipc"],
            &[argument(0, 0xffff, Meaning::Ipc)],
            Rule::Exactly,
        )
    },
];

const SOCKET: &[Argument] = &[
    argument(0, INT, Meaning::Family),
    argument(1, INT & !SOCKET_FLAGS, Meaning::SocketType),
    argument(2, INT, Meaning::Protocol),
];
