//! What the registers of a call hold, as far as filters ask for it: a number that the kernel cuts, or a
//! pointer to what a filter cannot see.
//!
//! From the kernel's definitions (`SYSCALL_DEFINEn`, Linux 6.18; the file of each beside it). A call
//! that takes an `int` or `unsigned int` gets the lower 32 bits of the register, whatever the upper
//! ones are (include/linux/syscalls.h, `__SC_LONG` and `__SC_CAST`); a filter sees all 64
//! (include/uapi/linux/seccomp.h, `struct seccomp_data`).

/// What an argument is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// It reads so many bits of it.
    Cut(u32),
    /// It leads to memory, which another thread can change after the filter has looked.
    Pointer,
}

use Register::{Cut, Pointer};

/// An argument of some calls.
type Row = (&'static [&'static str], &'static [(u32, Register)]);

const ROWS: &[Row] = &[
    // net/socket.c
    (
        &["socket", "socketpair"],
        &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32))],
    ),
    (
        &["setsockopt", "getsockopt"],
        &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32)), (3, Pointer)],
    ),
    (&["bind", "connect"], &[(0, Cut(32)), (1, Pointer)]),
    (&["accept4"], &[(3, Cut(32)), (1, Pointer)]),
    (
        &["sendto", "recvfrom"],
        &[(0, Cut(32)), (1, Pointer), (3, Cut(32)), (4, Pointer)],
    ),
    (
        &["sendmsg", "recvmsg"],
        &[(0, Cut(32)), (1, Pointer), (2, Cut(32))],
    ),
    (&["socketcall"], &[(0, Cut(32)), (1, Pointer)]),
    // kernel/fork.c: `lower_32_bits(clone_flags)`; clone3's are in memory.
    (&["clone"], &[(0, Cut(32)), (1, Pointer)]),
    (&["clone3"], &[(0, Pointer)]),
    // kernel/nsproxy.c, kernel/exec_domain.c, kernel/sys.c
    (&["setns"], &[(0, Cut(32)), (1, Cut(32))]),
    (&["personality"], &[(0, Cut(32))]),
    (&["prctl"], &[(0, Cut(32))]),
    (&["arch_prctl"], &[(0, Cut(32))]),
    (
        &["prlimit64"],
        &[(0, Cut(32)), (1, Cut(32)), (2, Pointer), (3, Pointer)],
    ),
    (&["setrlimit"], &[(0, Cut(32)), (1, Pointer)]),
    (
        &["setpriority"],
        &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32))],
    ),
    (
        &["setuid", "setgid", "setfsuid", "setfsgid"],
        &[(0, Cut(32))],
    ),
    (&["setreuid", "setregid"], &[(0, Cut(32)), (1, Cut(32))]),
    (
        &["setresuid", "setresgid"],
        &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32))],
    ),
    (
        &["reboot"],
        &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32)), (3, Pointer)],
    ),
    (&["syslog"], &[(0, Cut(32)), (1, Pointer)]),
    (
        &["sched_setscheduler"],
        &[(0, Cut(32)), (1, Cut(32)), (2, Pointer)],
    ),
    // fs/ioctl.c, fs/fcntl.c
    (&["ioctl"], &[(0, Cut(32)), (1, Cut(32))]),
    (&["fcntl", "fcntl64"], &[(0, Cut(32)), (1, Cut(32))]),
    // fs/open.c: umode_t has 16 bits.
    (&["open"], &[(0, Pointer), (1, Cut(32)), (2, Cut(16))]),
    (
        &["openat"],
        &[(0, Cut(32)), (1, Pointer), (2, Cut(32)), (3, Cut(16))],
    ),
    (&["openat2"], &[(0, Cut(32)), (1, Pointer), (2, Pointer)]),
    (&["creat", "mkdir", "chmod"], &[(0, Pointer), (1, Cut(16))]),
    (&["fchmod"], &[(0, Cut(32)), (1, Cut(16))]),
    (&["fchmodat"], &[(0, Cut(32)), (1, Pointer), (2, Cut(16))]),
    (
        &["fchmodat2"],
        &[(0, Cut(32)), (1, Pointer), (2, Cut(16)), (3, Cut(32))],
    ),
    (
        &["chown", "lchown"],
        &[(0, Pointer), (1, Cut(32)), (2, Cut(32))],
    ),
    (&["fchown"], &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32))]),
    (
        &["fchownat"],
        &[
            (0, Cut(32)),
            (1, Pointer),
            (2, Cut(32)),
            (3, Cut(32)),
            (4, Cut(32)),
        ],
    ),
    (
        &["access", "chdir", "chroot", "rmdir", "unlink"],
        &[(0, Pointer)],
    ),
    (
        &["faccessat", "faccessat2", "mkdirat", "unlinkat"],
        &[(0, Cut(32)), (1, Pointer)],
    ),
    (
        &["stat", "lstat", "readlink", "link", "symlink", "rename"],
        &[(0, Pointer), (1, Pointer)],
    ),
    (
        &["newfstatat"],
        &[(0, Cut(32)), (1, Pointer), (2, Pointer), (3, Cut(32))],
    ),
    (
        &["statx"],
        &[
            (0, Cut(32)),
            (1, Pointer),
            (2, Cut(32)),
            (3, Cut(32)),
            (4, Pointer),
        ],
    ),
    (
        &["renameat2"],
        &[
            (0, Cut(32)),
            (1, Pointer),
            (2, Cut(32)),
            (3, Pointer),
            (4, Cut(32)),
        ],
    ),
    // fs/namei.c: dev is unsigned int.
    (&["mknod"], &[(0, Pointer), (1, Cut(16)), (2, Cut(32))]),
    (
        &["mknodat"],
        &[(0, Cut(32)), (1, Pointer), (2, Cut(16)), (3, Cut(32))],
    ),
    (
        &["write", "read", "pwrite64", "pread64"],
        &[(0, Cut(32)), (1, Pointer)],
    ),
    (&["dup3"], &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32))]),
    // fs/exec.c
    (&["execve"], &[(0, Pointer), (1, Pointer), (2, Pointer)]),
    (
        &["execveat"],
        &[
            (0, Cut(32)),
            (1, Pointer),
            (2, Pointer),
            (3, Pointer),
            (4, Cut(32)),
        ],
    ),
    // fs/namespace.c; mount's flags are unsigned long.
    (
        &["mount"],
        &[(0, Pointer), (1, Pointer), (2, Pointer), (4, Pointer)],
    ),
    (&["umount2"], &[(0, Pointer), (1, Cut(32))]),
    (&["open_tree"], &[(0, Cut(32)), (1, Pointer), (2, Cut(32))]),
    (
        &["move_mount"],
        &[
            (0, Cut(32)),
            (1, Pointer),
            (2, Cut(32)),
            (3, Pointer),
            (4, Cut(32)),
        ],
    ),
    // kernel/bpf/syscall.c, kernel/events/core.c, security/keys/keyctl.c, kernel/seccomp.c
    (&["bpf"], &[(0, Cut(32)), (1, Pointer), (2, Cut(32))]),
    (
        &["perf_event_open"],
        &[(0, Pointer), (1, Cut(32)), (2, Cut(32)), (3, Cut(32))],
    ),
    (&["keyctl"], &[(0, Cut(32))]),
    (
        &["add_key"],
        &[(0, Pointer), (1, Pointer), (2, Pointer), (4, Cut(32))],
    ),
    (&["seccomp"], &[(0, Cut(32)), (1, Cut(32)), (2, Pointer)]),
    (&["memfd_create"], &[(0, Pointer), (1, Cut(32))]),
    (&["userfaultfd"], &[(0, Cut(32))]),
    (&["io_uring_setup"], &[(0, Cut(32)), (1, Pointer)]),
    // mm/madvise.c; mmap's and mprotect's protection is unsigned long.
    (&["madvise"], &[(2, Cut(32))]),
    // kernel/signal.c, kernel/futex/syscalls.c
    (&["kill", "tkill"], &[(0, Cut(32)), (1, Cut(32))]),
    (&["tgkill"], &[(0, Cut(32)), (1, Cut(32)), (2, Cut(32))]),
    (&["futex"], &[(0, Pointer), (1, Cut(32))]),
    // fs/quota/quota.c
    (&["quotactl"], &[(0, Cut(32)), (1, Pointer)]),
];

/// What an argument of a call is on a 64-bit ABI; `None` when it is read whole, or is not known here.
pub fn register(name: &str, index: u32) -> Option<Register> {
    ROWS.iter()
        .filter(|(names, _)| names.contains(&name))
        .flat_map(|(_, arguments)| *arguments)
        .find(|(at, _)| *at == index)
        .map(|(_, register)| *register)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Abi, arguments::RECORDED_ARGUMENTS};

    #[test]
    fn names_exist_once() {
        let mut seen = BTreeSet::new();
        for name in ROWS.iter().flat_map(|(names, _)| *names) {
            assert!(seen.insert(name), "{name}");
            assert!(
                Abi::ALL
                    .iter()
                    .any(|abi| abi.syscall_number(name).is_some()),
                "{name}"
            );
        }
        for (_, arguments) in ROWS {
            assert!(arguments.iter().all(|(index, _)| *index < 6));
        }
    }

    /// Two tables say how many bits of an argument the kernel reads.
    #[test]
    fn agrees_with_recorded_arguments() {
        for recorded in RECORDED_ARGUMENTS
            .iter()
            .filter(|recorded| !recorded.behind_pointer)
        {
            for name in recorded.names {
                for argument in recorded.arguments {
                    if argument.mask == 0xffff_ffff {
                        let known = register(name, argument.index);
                        assert!(matches!(known, Some(Cut(32)) | None), "{name}");
                    }
                }
            }
        }
        assert_eq!(register("socket", 0), Some(Cut(32)));
        assert_eq!(register("openat2", 2), Some(Pointer));
        assert_eq!(register("unshare", 0), None);
    }
}
