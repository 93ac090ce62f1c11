//! With which kernel a call came.
//!
//! Up to Linux 5.14: syscalls(2) of man-pages 6.03. Since then each version has a source of its own, in
//! [`SOURCES`], and tests/e2e/kernel_versions.rs asks the kernel that it runs on. A call that an architecture got
//! later than others has the version of the first one.

use std::fmt;

/// A version of Linux: 6 and 6 of 6.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinuxVersion(pub u32, pub u32);

impl LinuxVersion {
    /// The version of a kernel release, as uname(2) has it: `6.1.0-18-amd64`.
    ///
    /// ```
    /// use syscalls::introduced::LinuxVersion;
    ///
    /// assert_eq!(LinuxVersion::from_release("6.18-rc2"), Some(LinuxVersion(6, 18)));
    /// assert_eq!(LinuxVersion::from_release("unknown"), None);
    /// ```
    pub fn from_release(release: &str) -> Option<Self> {
        let mut numbers = release.split(|it: char| !it.is_ascii_digit());
        let version = numbers.next()?.parse().ok()?;
        Some(Self(version, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for LinuxVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What came after 3.0, by version.
pub const INTRODUCED: &[(LinuxVersion, &[&str])] = &[
    (
        LinuxVersion(3, 2),
        &["process_vm_readv", "process_vm_writev"],
    ),
    (LinuxVersion(3, 5), &["kcmp"]),
    (LinuxVersion(3, 8), &["finit_module"]),
    (LinuxVersion(3, 14), &["sched_getattr", "sched_setattr"]),
    (LinuxVersion(3, 15), &["renameat2"]),
    (
        LinuxVersion(3, 17),
        &["getrandom", "kexec_file_load", "memfd_create", "seccomp"],
    ),
    (LinuxVersion(3, 18), &["bpf"]),
    (LinuxVersion(3, 19), &["execveat"]),
    (LinuxVersion(4, 3), &["membarrier", "userfaultfd"]),
    (LinuxVersion(4, 4), &["mlock2"]),
    (LinuxVersion(4, 5), &["copy_file_range"]),
    (LinuxVersion(4, 6), &["preadv2", "pwritev2"]),
    (
        LinuxVersion(4, 8),
        &["pkey_alloc", "pkey_free", "pkey_mprotect"],
    ),
    (LinuxVersion(4, 11), &["statx"]),
    (LinuxVersion(4, 15), &["riscv_flush_icache"]),
    (LinuxVersion(4, 18), &["io_pgetevents", "rseq"]),
    (
        LinuxVersion(5, 1),
        &[
            "clock_adjtime64",
            "clock_getres_time64",
            "clock_gettime64",
            "clock_nanosleep_time64",
            "clock_settime64",
            "futex_time64",
            "io_pgetevents_time64",
            "io_uring_enter",
            "io_uring_register",
            "io_uring_setup",
            "mq_timedreceive_time64",
            "mq_timedsend_time64",
            "pidfd_send_signal",
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
    ),
    (
        LinuxVersion(5, 2),
        &[
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "move_mount",
            "open_tree",
        ],
    ),
    (LinuxVersion(5, 3), &["clone3", "pidfd_open"]),
    (LinuxVersion(5, 6), &["openat2", "pidfd_getfd"]),
    (LinuxVersion(5, 8), &["faccessat2"]),
    (LinuxVersion(5, 9), &["close_range"]),
    (LinuxVersion(5, 10), &["process_madvise"]),
    (LinuxVersion(5, 11), &["epoll_pwait2"]),
    (LinuxVersion(5, 12), &["mount_setattr"]),
    (
        LinuxVersion(5, 13),
        &[
            "landlock_add_rule",
            "landlock_create_ruleset",
            "landlock_restrict_self",
        ],
    ),
    (LinuxVersion(5, 14), &["memfd_secret", "quotactl_fd"]),
    (LinuxVersion(5, 15), &["process_mrelease"]),
    (LinuxVersion(5, 16), &["futex_waitv"]),
    (LinuxVersion(5, 17), &["set_mempolicy_home_node"]),
    (LinuxVersion(6, 4), &["riscv_hwprobe"]),
    (LinuxVersion(6, 5), &["cachestat"]),
    (LinuxVersion(6, 6), &["fchmodat2", "map_shadow_stack"]),
    (
        LinuxVersion(6, 7),
        &["futex_requeue", "futex_wait", "futex_wake"],
    ),
    (
        LinuxVersion(6, 8),
        &[
            "listmount",
            "lsm_get_self_attr",
            "lsm_list_modules",
            "lsm_set_self_attr",
            "statmount",
        ],
    ),
    (LinuxVersion(6, 10), &["mseal"]),
    (LinuxVersion(6, 11), &["uretprobe"]),
    (
        LinuxVersion(6, 13),
        &["getxattrat", "listxattrat", "removexattrat", "setxattrat"],
    ),
    (LinuxVersion(6, 15), &["open_tree_attr"]),
    (LinuxVersion(6, 17), &["file_getattr", "file_setattr"]),
    (LinuxVersion(6, 18), &["uprobe"]),
    (LinuxVersion(6, 19), &["listns"]),
];

/// Where the versions after 5.14 are from. strace is released with each kernel, and its NEWS names the new
/// calls that it decodes; where it was late or does not decode one, the kernel's own files say.
pub const SOURCES: &[(LinuxVersion, &str)] = &[
    (LinuxVersion(5, 15), "strace NEWS, 5.15: process_mrelease"),
    (LinuxVersion(5, 16), "strace NEWS, 5.16: futex_waitv"),
    (
        LinuxVersion(5, 17),
        "strace NEWS, 5.17: set_mempolicy_home_node",
    ),
    (
        LinuxVersion(6, 4),
        "strace#321: riscv_hwprobe since v6.4-rc1",
    ),
    (LinuxVersion(6, 5), "strace NEWS, 6.5: cachestat"),
    (
        LinuxVersion(6, 6),
        "strace NEWS, 6.6: map_shadow_stack; fchmodat2: merged by the tag v6.6-vfs.fchmodat2",
    ),
    (
        LinuxVersion(6, 7),
        "strace NEWS, 6.7: futex_wake, futex_wait, futex_requeue",
    ),
    (
        LinuxVersion(6, 8),
        "strace NEWS, 6.8: statmount, listmount, lsm_get_self_attr, lsm_set_self_attr, lsm_list_modules",
    ),
    (LinuxVersion(6, 10), "strace NEWS, 6.10: mseal"),
    (LinuxVersion(6, 11), "strace NEWS, 6.11: uretprobe"),
    (
        LinuxVersion(6, 13),
        "strace NEWS, 6.13: getxattrat, setxattrat, listxattrat, removexattrat",
    ),
    (LinuxVersion(6, 15), "strace NEWS, 6.15: open_tree_attr"),
    (
        LinuxVersion(6, 17),
        "strace NEWS after 6.16: file_getattr, file_setattr",
    ),
    (
        LinuxVersion(6, 18),
        "arch/x86/entry/syscalls/syscall_64.tbl of 6.18: 336; tried on 6.18",
    ),
    (
        LinuxVersion(6, 19),
        "util-linux#4044: listns of 6.19; tried on 6.18, which has none",
    ),
];

/// The newest kernel whose calls are known here: a number without a name is no call of it, nor of an
/// older one.
pub fn newest_known() -> LinuxVersion {
    let versions = INTRODUCED.iter().map(|(version, _)| *version);
    versions.max().unwrap_or(LinuxVersion(3, 0))
}

/// The kernel that a call came with; `None` for what was there in 3.0, and for what is no call.
///
/// ```
/// use syscalls::introduced::{LinuxVersion, introduced_in};
///
/// assert_eq!(introduced_in("clone3"), Some(LinuxVersion(5, 3)));
/// assert_eq!(introduced_in("read"), None);
/// ```
pub fn introduced_in(name: &str) -> Option<LinuxVersion> {
    INTRODUCED
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Abi;

    #[test]
    fn rows_are_sorted_known_and_unique() {
        assert!(INTRODUCED.is_sorted_by(|a, b| a.0 < b.0));
        let mut seen = BTreeSet::new();
        for name in INTRODUCED.iter().flat_map(|(_, names)| *names) {
            assert!(seen.insert(name), "{name}");
            assert!(
                Abi::ALL
                    .iter()
                    .any(|abi| abi.syscall_number(name).is_some()),
                "{name}"
            );
        }
    }

    #[test]
    fn versions_after_the_manual_have_sources() {
        let after = INTRODUCED
            .iter()
            .filter(|(version, _)| *version > LinuxVersion(5, 14));
        let versions: Vec<_> = after.map(|(version, _)| *version).collect();
        let sources: Vec<_> = SOURCES.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, sources);
    }

    /// Of the machines' whole tables: what has no version is what 3.0 had, and nothing new is among it.
    #[test]
    fn calls_without_a_version_were_in_3_0() {
        for abi in [Abi::X86_64, Abi::Aarch64] {
            let old = abi
                .syscalls()
                .filter(|(_, name)| introduced_in(name).is_none());
            let old: Vec<_> = old.collect();
            // setns is the last one of 3.0 (x86-64: 308; asm-generic: 268), but for getcpu, which
            // x86-64 took in late, and for two of 3.1 and 2.6.39 that asm-generic numbers behind it.
            let last = old.iter().filter(|(_, name)| {
                !matches!(
                    *name,
                    "getcpu" | "sendmmsg" | "syncfs" | "name_to_handle_at"
                )
            });
            let last = last.map(|(nr, name)| (*nr, *name)).max();
            let expected = if abi == Abi::X86_64 { 308 } else { 268 };
            assert_eq!(last, Some((expected, "setns")), "{abi}");
        }
    }

    /// Numbers are given in the order in which calls come.
    #[test]
    fn late_numbers_have_a_version() {
        // 310 is process_vm_readv, 274 sched_setattr.
        for (abi, first) in [(Abi::X86_64, 310), (Abi::Aarch64, 274)] {
            for (nr, name) in abi.syscalls().filter(|(nr, _)| *nr >= first) {
                assert!(introduced_in(name).is_some(), "{abi} {nr} {name}");
            }
        }
    }

    #[test]
    fn version_is_found_by_name() {
        assert_eq!(introduced_in("fchmodat2"), Some(LinuxVersion(6, 6)));
        assert_eq!(introduced_in("chmod"), None);
        assert_eq!(LinuxVersion(6, 6).to_string(), "6.6");
    }
}
