//! The rows: data, and nothing else.

use super::{
    Row,
    Runtime::{Crun, Runc},
    Source, Version, Versions,
};

const DEBIAN_12: Source = Source::Measured("Debian 12's package on Linux 6.18, x86-64");

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        runtime: Runc,
        versions: Versions::Exactly(Version(1, 1, 5)),
        no_new_privs: Some(true),
        source: DEBIAN_12,
        calls: &[
            "close",
            "epoll_ctl",
            "execve",
            "fstatfs",
            "futex",
            "getdents64",
            "getpid",
            "openat",
            "write",
        ],
    },
    Row {
        runtime: Runc,
        versions: Versions::Exactly(Version(1, 1, 5)),
        no_new_privs: Some(false),
        source: DEBIAN_12,
        calls: &[
            "capget",
            "capset",
            "chdir",
            "close",
            "epoll_ctl",
            "execve",
            "faccessat2",
            "fcntl",
            "fstat",
            "fstatfs",
            "futex",
            "getcwd",
            "getdents64",
            "getpid",
            "getppid",
            "newfstatat",
            "openat",
            "prctl",
            "read",
            "setgid",
            "setgroups",
            "setuid",
            "write",
        ],
    },
    Row {
        runtime: Crun,
        versions: Versions::Exactly(Version(1, 8, 1)),
        no_new_privs: Some(true),
        source: DEBIAN_12,
        calls: &[
            "close",
            "connect",
            "execve",
            "getcwd",
            "geteuid",
            "newfstatat",
            "openat",
            "read",
            "socket",
        ],
    },
    Row {
        runtime: Crun,
        versions: Versions::Exactly(Version(1, 8, 1)),
        no_new_privs: Some(false),
        source: DEBIAN_12,
        calls: &[
            "capset",
            "close",
            "execve",
            "prctl",
            "rt_sigaction",
            "rt_sigprocmask",
            "setresgid",
            "setresuid",
            "write",
        ],
    },
    // The fixes of November 2025 (CVE-2025-31133 and others) check each handle to /proc while they
    // close descriptors, after the load: two release branches got them.
    Row {
        runtime: Runc,
        versions: Versions::Range(Version(1, 2, 8), Version(1, 3, 0)),
        no_new_privs: None,
        source: Source::Reported("kubernetes-sigs/security-profiles-operator#3041"),
        calls: &["openat2", "statx"],
    },
    Row {
        runtime: Runc,
        versions: Versions::Since(Version(1, 3, 3)),
        no_new_privs: None,
        source: Source::Reported("kubernetes-sigs/security-profiles-operator#3041"),
        calls: &["openat2", "statx"],
    },
    // "container: attempt to close all the files before execv(2)", crun's NEWS for 1.14.1;
    // mark_or_close_fds_ge_than after libcrun_apply_seccomp in src/libcrun/container.c.
    Row {
        runtime: Crun,
        versions: Versions::Since(Version(1, 14, 1)),
        no_new_privs: None,
        source: Source::Reported("containers/crun, src/libcrun/container.c"),
        calls: &["close_range"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::Abi;

    #[test]
    fn rows_are_sorted_and_their_names_exist() {
        for row in ROWS {
            assert!(row.calls.is_sorted_by(|a, b| a < b), "{row:?}");
            assert!(row.calls.contains(&"execve") || matches!(row.source, Source::Reported(_)));
            for call in row.calls {
                assert!(Abi::X86_64.syscall_number(call).is_some(), "{call}");
            }
        }
    }

    #[test]
    fn what_is_measured_is_measured_with_and_without_no_new_privs() {
        for row in ROWS {
            if !matches!(row.source, Source::Measured(_)) {
                continue;
            }
            assert!(matches!(row.versions, Versions::Exactly(_)), "{row:?}");
            let of_both = ROWS.iter().filter(|other| {
                (other.runtime, other.versions) == (row.runtime, row.versions)
                    && other.no_new_privs.is_some()
            });
            assert_eq!(of_both.count(), 2, "{row:?}");
        }
    }
}
