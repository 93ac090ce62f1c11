//! The rows: data, and nothing else.

use super::{
    Row,
    Runtime::{Crun, Runc},
    Source, Version, VersionRange,
};

/// By `cargo xtask measure-runtime`, which prints such rows: run, create and start, and exec.
const MEASURED: Source =
    Source::Measured("Debian's packages (12, 13 and sid) on Linux 6.18, x86-64");

/// What the runtime of Go does on any thread at a moment of its own choice, or by the version of Go
/// that it was built with. Measuring shows some of it some of the time.
const GO: Source = Source::Possible("Go's own runtime, src/runtime and src/syscall");

/// Every row.
pub const ROWS: &[Row] = &[
    Row {
        runtime: Runc,
        versions: VersionRange::Exactly(Version(1, 1, 5)),
        no_new_privs: Some(true),
        source: MEASURED,
        calls: &[
            "close",
            "epoll_ctl",
            "execve",
            "fstatfs",
            "futex",
            "getdents64",
            "getpid",
            "openat",
            "rt_sigreturn",
            "write",
        ],
        values: &[],
    },
    Row {
        runtime: Runc,
        versions: VersionRange::Exactly(Version(1, 1, 5)),
        no_new_privs: Some(false),
        source: MEASURED,
        calls: &[
            "capget",
            "capset",
            "chdir",
            "close",
            "epoll_ctl",
            "execve",
            "faccessat2",
            "fchown",
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
            "rt_sigreturn",
            "setgid",
            "setgroups",
            "setuid",
            "write",
        ],
        values: &[
            ("fcntl", 0x2),
            ("prctl", 0x8),
            ("prctl", 0x18),
            ("prctl", 0x2f),
        ],
    },
    Row {
        runtime: Runc,
        versions: VersionRange::Exactly(Version(1, 1, 15)),
        no_new_privs: Some(true),
        source: MEASURED,
        calls: &[
            "close",
            "epoll_ctl",
            "execve",
            "fcntl",
            "fstatfs",
            "futex",
            "getdents64",
            "getpid",
            "openat",
            "prlimit64",
            "rt_sigreturn",
            "write",
        ],
        values: &[("fcntl", 0x3), ("fcntl", 0x4)],
    },
    Row {
        runtime: Runc,
        versions: VersionRange::Exactly(Version(1, 1, 15)),
        no_new_privs: Some(false),
        source: MEASURED,
        calls: &[
            "capget",
            "capset",
            "chdir",
            "close",
            "epoll_ctl",
            "execve",
            "faccessat2",
            "fchown",
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
            "prlimit64",
            "read",
            "rt_sigreturn",
            "setgid",
            "setgroups",
            "setuid",
            "write",
        ],
        values: &[
            ("fcntl", 0x2),
            ("fcntl", 0x3),
            ("fcntl", 0x4),
            ("prctl", 0x8),
            ("prctl", 0x18),
            ("prctl", 0x2f),
        ],
    },
    Row {
        runtime: Runc,
        versions: VersionRange::Exactly(Version(1, 3, 6)),
        no_new_privs: Some(true),
        source: MEASURED,
        calls: &[
            "close",
            "execve",
            "fcntl",
            "fstat",
            "fstatfs",
            "futex",
            "getdents64",
            "mmap",
            "openat",
            "openat2",
            "prlimit64",
            "rt_sigreturn",
            "statx",
            "write",
        ],
        values: &[("fcntl", 0x3), ("mmap", 0x0)],
    },
    Row {
        runtime: Runc,
        versions: VersionRange::Exactly(Version(1, 3, 6)),
        no_new_privs: Some(false),
        source: MEASURED,
        calls: &[
            "capget",
            "capset",
            "chdir",
            "close",
            "close_range",
            "epoll_ctl",
            "execve",
            "faccessat",
            "faccessat2",
            "fchown",
            "fcntl",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fstat",
            "fstatfs",
            "futex",
            "getcwd",
            "getdents64",
            "getpid",
            "getppid",
            "mmap",
            "newfstatat",
            "open_tree",
            "openat",
            "openat2",
            "prctl",
            "prlimit64",
            "read",
            "rt_sigreturn",
            "sched_yield",
            "setgid",
            "setgroups",
            "setuid",
            "statx",
            "tgkill",
            "uname",
            "write",
        ],
        values: &[
            ("fcntl", 0x2),
            ("fcntl", 0x3),
            ("fcntl", 0x4),
            ("fcntl", 0x406),
            ("mmap", 0x0),
            ("prctl", 0x8),
            ("prctl", 0x18),
            ("prctl", 0x2f),
        ],
    },
    Row {
        runtime: Crun,
        versions: VersionRange::Exactly(Version(1, 8, 1)),
        no_new_privs: Some(true),
        source: MEASURED,
        calls: &["close", "execve", "umask", "write"],
        values: &[],
    },
    Row {
        runtime: Crun,
        versions: VersionRange::Exactly(Version(1, 8, 1)),
        no_new_privs: Some(false),
        source: MEASURED,
        calls: &[
            "capset",
            "close",
            "execve",
            "fchown",
            "ioctl",
            "openat",
            "prctl",
            "pselect6",
            "read",
            "rt_sigaction",
            "rt_sigprocmask",
            "setgroups",
            "setresgid",
            "setresuid",
            "statx",
            "umask",
            "write",
        ],
        values: &[
            ("ioctl", 0x5401),
            ("prctl", 0x8),
            ("prctl", 0x18),
            ("prctl", 0x2f),
        ],
    },
    Row {
        runtime: Crun,
        versions: VersionRange::Exactly(Version(1, 21, 0)),
        no_new_privs: Some(true),
        source: MEASURED,
        calls: &[
            "close",
            "close_range",
            "execve",
            "fcntl",
            "fstat",
            "fstatfs",
            "getdents64",
            "openat",
            "umask",
            "write",
        ],
        values: &[("fcntl", 0x2), ("fcntl", 0x3)],
    },
    Row {
        runtime: Crun,
        versions: VersionRange::Exactly(Version(1, 21, 0)),
        no_new_privs: Some(false),
        source: MEASURED,
        calls: &[
            "capset",
            "close",
            "close_range",
            "execve",
            "fchown",
            "fcntl",
            "fstat",
            "fstatfs",
            "getdents64",
            "ioctl",
            "openat",
            "prctl",
            "pselect6",
            "read",
            "rt_sigaction",
            "rt_sigprocmask",
            "setgroups",
            "setresgid",
            "setresuid",
            "statx",
            "umask",
            "write",
        ],
        values: &[
            ("fcntl", 0x2),
            ("fcntl", 0x3),
            ("ioctl", 0x5401),
            ("prctl", 0x8),
            ("prctl", 0x18),
            ("prctl", 0x2f),
        ],
    },
    Row {
        runtime: Crun,
        versions: VersionRange::Exactly(Version(1, 28, 0)),
        no_new_privs: Some(true),
        source: MEASURED,
        calls: &[
            "close",
            "close_range",
            "execve",
            "fcntl",
            "fstat",
            "fstatfs",
            "getdents64",
            "openat",
            "umask",
            "write",
        ],
        values: &[("fcntl", 0x2), ("fcntl", 0x3)],
    },
    Row {
        runtime: Crun,
        versions: VersionRange::Exactly(Version(1, 28, 0)),
        no_new_privs: Some(false),
        source: MEASURED,
        calls: &[
            "capset",
            "close",
            "close_range",
            "execve",
            "fchown",
            "fcntl",
            "fstat",
            "fstatfs",
            "getdents64",
            "ioctl",
            "openat",
            "prctl",
            "pselect6",
            "read",
            "rt_sigaction",
            "rt_sigprocmask",
            "setgroups",
            "setresgid",
            "setresuid",
            "statx",
            "umask",
            "write",
        ],
        values: &[
            ("fcntl", 0x2),
            ("fcntl", 0x3),
            ("ioctl", 0x802c_542a),
            ("prctl", 0x8),
            ("prctl", 0x18),
            ("prctl", 0x2f),
        ],
    },
    Row {
        runtime: Runc,
        versions: VersionRange::Any,
        no_new_privs: None,
        source: GO,
        calls: &[
            // Where the vDSO cannot read the clock.
            "clock_gettime",
            // The network poller is asked once more when the world starts again after a garbage
            // collector's step (startTheWorldWithSema).
            "epoll_pwait",
            // Locks, and waking another thread.
            "futex",
            // With tgkill.
            "getpid",
            // Memory that is given back while the heap grows (scavenging, huge pages).
            "madvise",
            // The heap grows.
            "mmap",
            // A reservation that was not aligned is given back.
            "munmap",
            // Backs off (usleep).
            "nanosleep",
            // Names its mappings, since Go 1.25 (PR_SET_VMA, set_vma_name_linux.go).
            "prctl",
            // Sets the soft limit of open files back before it executes, since Go 1.19.9 and 1.20.4,
            // if it had raised it: the soft limit was below the hard one (rlimit.go).
            "prlimit64",
            // Returns from SIGURG, by which goroutines are preempted.
            "rt_sigreturn",
            // Backs off while another thread holds a lock (osyield).
            "sched_yield",
            // Preempts other threads (signalM), and has them make a call too (AllThreadsSyscall).
            "tgkill",
            // Wakes the network poller (netpollBreak).
            "write",
        ],
        values: &[
            // MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE; MADV_DONTNEED and MADV_FREE are libc's too.
            ("madvise", 0x4),
            ("madvise", 0x8),
            ("madvise", 0xe),
            ("madvise", 0xf),
            ("madvise", 0x19),
            ("mmap", 0x0),
            ("prctl", 0x5356_4d41),
        ],
    },
    // The fixes of November 2025 (CVE-2025-31133 and others) check each handle to /proc while they
    // close descriptors, after the load: two release branches got them.
    Row {
        runtime: Runc,
        versions: VersionRange::Range(Version(1, 2, 8), Version(1, 3, 0)),
        no_new_privs: None,
        source: Source::Reported("kubernetes-sigs/security-profiles-operator#3041"),
        calls: &["openat2", "statx"],
        values: &[],
    },
    Row {
        runtime: Runc,
        versions: VersionRange::Range(Version(1, 3, 3), Version(1, 3, 6)),
        no_new_privs: None,
        source: Source::Reported("kubernetes-sigs/security-profiles-operator#3041"),
        calls: &["openat2", "statx"],
        values: &[],
    },
    // "container: attempt to close all the files before execv(2)", crun's NEWS for 1.14.1;
    // mark_or_close_fds_ge_than after libcrun_apply_seccomp in src/libcrun/container.c.
    Row {
        runtime: Crun,
        versions: VersionRange::Range(Version(1, 14, 1), Version(1, 21, 0)),
        no_new_privs: None,
        source: Source::Reported("containers/crun, src/libcrun/container.c"),
        calls: &["close_range"],
        values: &[],
    },
];

/// Calls that were measured and that a runtime does without when they fail, so that no profile allows
/// them for its sake.
///
/// runc makes itself a /proc that nobody can have mounted over, and if it cannot, takes the
/// container's and checks each handle to it with statx (`runc exec` without no_new_privs, 1.3.6). The
/// mount API is too much to leave to a workload for that. Proven in tests/e2e/runtime_init.rs.
pub const OPTIONAL_SYSCALLS: [&str; 4] = ["fsconfig", "fsmount", "fsopen", "open_tree"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Abi, arguments::recorded};

    #[test]
    fn rows_are_sorted_and_their_names_exist() {
        for row in ROWS {
            assert!(row.calls.is_sorted_by(|a, b| a < b), "{row:?}");
            let measured = matches!(row.source, Source::Measured(_));
            assert_eq!(row.calls.contains(&"execve"), measured, "{row:?}");
            for call in row.calls {
                assert!(Abi::X86_64.syscall_number(call).is_some(), "{call}");
            }
            assert!(row.values.is_sorted_by(|a, b| a < b), "{row:?}");
            for (call, _) in row.values {
                assert!(row.calls.contains(call), "{row:?}");
                let recorded = recorded(Abi::X86_64, call);
                assert_eq!(recorded.map(|it| it.arguments.len()), Some(1), "{call}");
            }
            // Where values are recorded, a row has to know them.
            for call in row.calls {
                let known = row.values.iter().any(|(of, _)| of == call);
                assert_eq!(
                    recorded(Abi::X86_64, call).is_some(),
                    known,
                    "{row:?} {call}"
                );
            }
        }
    }

    #[test]
    fn measured_rows_cover_both_no_new_privs_settings() {
        for row in ROWS {
            if !matches!(row.source, Source::Measured(_)) {
                continue;
            }
            assert!(matches!(row.versions, VersionRange::Exactly(_)), "{row:?}");
            let of_both = ROWS.iter().filter(|other| {
                (other.runtime, other.versions) == (row.runtime, row.versions)
                    && other.no_new_privs.is_some()
            });
            assert_eq!(of_both.count(), 2, "{row:?}");
        }
    }
}
