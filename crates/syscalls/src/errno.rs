//! What a denied call returns: ENOSYS where callers probe, EPERM where they expect a refusal.
//!
//! A caller reads EPERM as "you may not" and gives up, and ENOSYS as "this kernel does not have it"
//! and falls back. So a call that is younger than the oldest kernels its callers support must
//! return ENOSYS: glibc 2.34 could start no thread under filters that answered clone3 with EPERM
//! (moby/moby#42680). An old call was always there: its callers handle a refusal and do not expect
//! it to be missing.
//!
//! In a profile ENOSYS is the default, so that numbers nobody has a name for yet get it too, and
//! the old calls that are not allowed are listed with EPERM.

mod names;

pub use names::error_name;

use super::Abi;

/// The error of a denied old call (asm-generic/errno-base.h).
pub const EPERM: u32 = 1;

/// The error of a denied call that callers probe for (asm-generic/errno.h).
pub const ENOSYS: u32 = 38;

/// Calls whose callers take ENOSYS for "not there" and go on, and why they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbedSyscalls {
    /// Who probes, and what happens on ENOSYS and on EPERM.
    pub reason: &'static str,
    /// Names in any ABI.
    pub calls: &'static [&'static str],
}

/// All calls that return ENOSYS when they are not allowed.
pub const PROBED: &[ProbedSyscalls] = &[
    ProbedSyscalls {
        reason: "libc and language runtimes try the new form first and fall back to the old one on ENOSYS only",
        calls: &[
            "cachestat",
            "clone3",
            "close_range",
            "epoll_pwait2",
            "faccessat2",
            "fchmodat2",
            "file_getattr",
            "file_setattr",
            "futex_requeue",
            "futex_wait",
            "futex_waitv",
            "futex_wake",
            "getxattrat",
            "listmount",
            "listxattrat",
            "map_shadow_stack",
            "mseal",
            "open_tree_attr",
            "openat2",
            "pidfd_getfd",
            "pidfd_open",
            "pidfd_send_signal",
            "process_madvise",
            "removexattrat",
            "rseq",
            "setxattrat",
            "statmount",
            "statx",
        ],
    },
    ProbedSyscalls {
        // Linux 5.1, include/uapi/asm-generic/unistd.h 403 to 423.
        reason: "a 32-bit libc with 64-bit time tries these first and falls back to the 32-bit form on ENOSYS only",
        calls: &[
            "clock_adjtime64",
            "clock_getres_time64",
            "clock_gettime64",
            "clock_nanosleep_time64",
            "clock_settime64",
            "futex_time64",
            "io_pgetevents_time64",
            "mq_timedreceive_time64",
            "mq_timedsend_time64",
            "ppoll_time64",
            "pselect6_time64",
            "recvmmsg_time64",
            "rt_sigtimedwait_time64",
            "sched_rr_get_interval_time64",
            "semtimedop_time64",
            "timer_gettime64",
            "timer_settime64",
            "timerfd_gettime64",
            "timerfd_settime64",
            "utimensat_time64",
        ],
    },
    ProbedSyscalls {
        // Each came with Linux 5.1 or later, so each of its callers has run on a kernel without it.
        // libmount goes back to mount(2) on ENOSYS (which is then refused with EPERM, the truth);
        // libuv and others go back from io_uring to threads; a landlock user goes on without a
        // sandbox on ENOSYS by landlock's own documentation, and stops on EPERM; libapparmor and
        // libselinux go back from lsm_* to /proc.
        reason: "younger than the kernels its callers support: they go on without it when it is missing, and some give up when it is refused",
        calls: &[
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "io_uring_enter",
            "io_uring_register",
            "io_uring_setup",
            "landlock_add_rule",
            "landlock_create_ruleset",
            "landlock_restrict_self",
            "listns",
            "lsm_get_self_attr",
            "lsm_list_modules",
            "lsm_set_self_attr",
            "memfd_secret",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "process_mrelease",
            "quotactl_fd",
            "riscv_hwprobe",
            "set_mempolicy_home_node",
            "uprobe",
            "uretprobe",
        ],
    },
    ProbedSyscalls {
        // renameat2 (3.15): gnulib's renameatu, so mv and others. execveat (3.19): glibc's fexecve.
        // copy_file_range (4.5): glibc 2.27 to 2.29. preadv2, pwritev2 (4.6): glibc's wrappers of
        // the same name. Each tests for ENOSYS and returns any other error to its caller.
        reason: "older, but libc or gnulib still falls back on ENOSYS only: with EPERM, mv fails",
        calls: &[
            "copy_file_range",
            "execveat",
            "preadv2",
            "pwritev2",
            "renameat2",
        ],
    },
];

/// Whether a call returns ENOSYS when it is not allowed, because its callers probe for it.
///
/// Every other name is an old call and gets an explicit EPERM.
///
/// ```
/// use syscalls::errno::is_probed;
///
/// // libc tries clone3 first, and takes clone when the answer is ENOSYS.
/// assert!(is_probed("clone3"));
/// assert!(!is_probed("clone"));
/// ```
pub fn is_probed(name: &str) -> bool {
    PROBED.iter().any(|group| group.calls.contains(&name))
}

/// The old calls of `abi`: those that get EPERM when they are not allowed.
pub fn long_established_syscalls(abi: Abi) -> impl Iterator<Item = &'static str> {
    abi.syscalls()
        .map(|(_, name)| name)
        .filter(|name| !is_probed(name))
}

/// The calls of `abi` that callers probe for: those that get ENOSYS when they are not allowed.
pub fn probed_syscalls(abi: Abi) -> impl Iterator<Item = &'static str> {
    abi.syscalls()
        .map(|(_, name)| name)
        .filter(|name| is_probed(name))
}

/// Whether `name` is younger than what libseccomp 2.5.4 knows (Linux 5.17; April 2022).
///
/// A runtime leaves out a rule whose name its libseccomp does not know: runc in silence, crun with
/// a warning (libcontainer/seccomp/seccomp_linux.go, `matchCall`; src/libcrun/seccomp.c). The call
/// then gets the default, ENOSYS, and its callers fall back.
pub fn is_newer_than_libseccomp_2_5_4(name: &str) -> bool {
    // From 424 on, the number is the same in every ABI (include/uapi/asm-generic/unistd.h);
    // 450 is set_mempolicy_home_node.
    const LAST_KNOWN: u32 = 450;
    const UNIFIED: std::ops::Range<u32> = LAST_KNOWN + 1..512;
    matches!(name, "uprobe" | "uretprobe" | "riscv_hwprobe")
        || [Abi::X86_64, Abi::Aarch64]
            .iter()
            .filter_map(|abi| abi.syscall_number(name))
            .any(|nr| UNIFIED.contains(&nr))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn calls_since_linux_5_1_are_probed() {
        for abi in Abi::ALL {
            for (nr, name) in abi.syscalls() {
                // Since 403 (Linux 5.1) the number is the same in every ABI; x32's own begin at 512.
                if (403..512).contains(&(nr & !(1 << 30))) {
                    assert!(
                        is_probed(name),
                        "{abi} {nr} {name}: judge it and add it to PROBED"
                    );
                }
            }
        }
    }

    #[test]
    fn each_name_exists_in_one_group() {
        let names: Vec<_> = PROBED.iter().flat_map(|group| group.calls).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
        for name in names {
            assert!(
                Abi::ALL
                    .iter()
                    .any(|abi| abi.syscall_number(name).is_some()),
                "{name}"
            );
        }
    }

    #[test]
    fn old_calls_are_not_probed() {
        for name in [
            "mount",
            "ptrace",
            "bpf",
            "keyctl",
            "open",
            "init_module",
            "setns",
            "reboot",
        ] {
            assert!(!is_probed(name), "{name}");
        }
        assert!(long_established_syscalls(Abi::I386).any(|name| name == "socketcall"));
        assert!(
            long_established_syscalls(Abi::Aarch64).all(|name| name != "clone3" && name != "open")
        );
    }

    #[test]
    fn libseccomp_2_5_4_knows_every_old_call() {
        // Compared with seccomp_syscall_resolve_name of libseccomp 2.5.4 for each ABI.
        for abi in Abi::ALL {
            for name in long_established_syscalls(abi) {
                assert!(!is_newer_than_libseccomp_2_5_4(name), "{abi} {name}");
            }
        }
        for (name, newer) in [
            ("mseal", true),
            ("cachestat", true),
            ("clone3", false),
            ("read", false),
        ] {
            assert_eq!(is_newer_than_libseccomp_2_5_4(name), newer, "{name}");
        }
    }
}
