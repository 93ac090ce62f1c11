//! The groups: data, and nothing else.

use super::{
    super::condition::{
        ALARM, ArgumentConstraint, CLOSE_AT_EXEC, DESCRIPTOR_FLAGS, DUPLICATE, FORK, LINK_ITSELF,
        NO_DESCRIPTORS, NO_OTHER_GROUP, NO_POLLED, NONBLOCKING, OF_CALLER, OWN_CLOCK, OWN_LIMIT,
        OWN_PRIORITY, PLAIN_ALLOCATION, PLAIN_PIPE, PLAIN_RECEIVE, PLAIN_SEND, REMOVE_DIRECTORY,
        SOCKET_LEVEL, STATUS_FLAGS, THREAD, UNFLAGGED_LINK, UNFLAGGED_OWNER, UNFLAGGED_RENAME,
        UNLINK, VFORK,
    },
    HeadroomGroup, HeadroomRule,
};

const fn always(adds: &'static [&'static str]) -> HeadroomRule {
    HeadroomRule {
        beside: &[],
        adds,
        only: None,
        harmless_with_any: true,
    }
}

const fn always_if(
    adds: &'static [&'static str],
    only: &'static ArgumentConstraint,
) -> HeadroomRule {
    HeadroomRule {
        beside: &[],
        adds,
        only: Some(only),
        harmless_with_any: false,
    }
}

/// The same, where any other arguments would do no harm either: a format without conditions takes it.
const fn preferably_if(
    adds: &'static [&'static str],
    only: &'static ArgumentConstraint,
) -> HeadroomRule {
    HeadroomRule {
        beside: &[],
        adds,
        only: Some(only),
        harmless_with_any: true,
    }
}

const fn beside(beside: &'static [&'static str], adds: &'static [&'static str]) -> HeadroomRule {
    HeadroomRule {
        beside,
        adds,
        only: None,
        harmless_with_any: true,
    }
}

const fn beside_if(
    beside: &'static [&'static str],
    adds: &'static [&'static str],
    only: &'static ArgumentConstraint,
) -> HeadroomRule {
    HeadroomRule {
        beside,
        adds,
        only: Some(only),
        harmless_with_any: false,
    }
}

/// The calls that write to an open file.
const WRITES: &[&str] = &["write", "writev", "pwrite64", "pwritev", "pwritev2"];

/// The calls that read an open file.
const READS: &[&str] = &["read", "readv", "pread64", "preadv", "preadv2"];

/// The calls that wait for several descriptors.
const POLLS: &[&str] = &[
    "poll",
    "ppoll",
    "ppoll_time64",
    "select",
    "_newselect",
    "pselect6",
    "pselect6_time64",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
];

/// The calls that make a child, or a thread.
const FORKS: &[&str] = &["fork", "vfork", "clone", "clone3"];

/// The calls that open a file by its name.
const OPENS: &[&str] = &["open", "openat", "openat2"];

/// The calls that make a socket, or a connection of one.
const SOCKETS: &[&str] = &["socket", "socketpair", "accept", "accept4", "connect"];

/// Calls that do another's work. For one that takes a directory's descriptor and flags, the one without
/// them; the other way round only with the flags that do the same.
const SIBLINGS: &[HeadroomRule] = &[
    beside(&["unlinkat"], &["rmdir", "unlink"]),
    beside_if(&["unlink"], &["unlinkat"], &UNLINK),
    beside_if(&["rmdir"], &["unlinkat"], &REMOVE_DIRECTORY),
    beside(&["mkdir", "mkdirat"], &["mkdir", "mkdirat"]),
    beside(
        &["rename", "renameat", "renameat2"],
        &["rename", "renameat"],
    ),
    beside_if(&["rename", "renameat"], &["renameat2"], &UNFLAGGED_RENAME),
    beside(&["symlink", "symlinkat"], &["symlink", "symlinkat"]),
    beside(&["linkat"], &["link"]),
    beside_if(&["link"], &["linkat"], &UNFLAGGED_LINK),
    beside(
        &["chmod", "fchmodat", "fchmodat2"],
        &["chmod", "fchmod", "fchmodat"],
    ),
    beside(&["chown", "fchownat"], &["chown", "fchown"]),
    beside(&["fchownat"], &["lchown"]),
    beside_if(&["chown"], &["fchownat"], &UNFLAGGED_OWNER),
    beside_if(&["lchown"], &["fchownat"], &LINK_ITSELF),
    beside(&["accept", "accept4"], &["accept", "accept4"]),
    beside_if(SOCKETS, &["sendto"], &PLAIN_SEND),
    beside_if(SOCKETS, &["recvfrom"], &PLAIN_RECEIVE),
];

/// All of them, in the order of output.
pub const HEADROOM_GROUPS: &[HeadroomGroup] = &[
    HeadroomGroup {
        title: "cannot fail",
        // The manual pages say "These functions are always successful", or the like.
        need: "by their contract they cannot fail, so no caller checks: when they are denied, the error is taken for a user id, a process id or a mask, and the program decides wrongly",
        grants: "they tell the caller its own ids, set its own mask for new files, set its own alarm, or give up its turn",
        surface: "reads of the caller's own task and credentials: kernel/sys.c, kernel/uid16.c, kernel/time/itimer.c (alarm), kernel/sched/syscalls.c (sched_yield)",
        rules: &[always(&[
            "alarm",
            "getegid",
            "getegid32",
            "geteuid",
            "geteuid32",
            "getgid",
            "getgid32",
            "getpgrp",
            "getpid",
            "getppid",
            "gettid",
            "getuid",
            "getuid32",
            "sched_yield",
            "set_tid_address",
            "sgetmask",
            "ssetmask",
            "umask",
        ])],
    },
    HeadroomGroup {
        title: "own ids",
        need: "id, shells, and servers that drop privileges read them; they fail only for a bad address, so few callers check",
        grants: "they tell the caller its own ids, groups, session and directory",
        surface: "reads of the caller's own credentials and pids: kernel/sys.c, kernel/groups.c, fs/d_path.c (getcwd)",
        rules: &[
            always(&[
                "getcwd",
                "getgroups",
                "getgroups32",
                "getresgid",
                "getresgid32",
                "getresuid",
                "getresuid32",
            ]),
            preferably_if(&["getpgid", "getsid"], &OF_CALLER),
        ],
    },
    HeadroomGroup {
        title: "sleep",
        need: "retries, back-off, reload loops and every script with a sleep; when they are denied, a loop that should wait spins",
        grants: "the caller waits; a clock that would wake a sleeping machine is left out",
        surface: "one timer on the caller's stack: kernel/time/hrtimer.c, kernel/time/posix-timers.c; select and poll of no descriptor: fs/select.c",
        rules: &[
            always(&["nanosleep", "pause"]),
            preferably_if(&["clock_nanosleep", "clock_nanosleep_time64"], &OWN_CLOCK),
            preferably_if(
                &["select", "_newselect", "pselect6", "pselect6_time64"],
                &NO_DESCRIPTORS,
            ),
            preferably_if(&["poll", "ppoll", "ppoll_time64"], &NO_POLLED),
        ],
    },
    HeadroomGroup {
        title: "timers",
        need: "time-outs are set where something takes long, which a test run seldom shows",
        grants: "the caller is sent SIGALRM; and timers that the workload makes can be set, read and deleted",
        surface: "the process's own timers: kernel/time/itimer.c, kernel/time/posix-timers.c, fs/timerfd.c",
        rules: &[
            always(&["getitimer"]),
            always_if(&["setitimer"], &ALARM),
            beside(
                &["timer_create"],
                &[
                    "timer_delete",
                    "timer_getoverrun",
                    "timer_gettime",
                    "timer_gettime64",
                    "timer_settime",
                    "timer_settime64",
                ],
            ),
            beside(
                &["timerfd_create"],
                &[
                    "timerfd_gettime",
                    "timerfd_gettime64",
                    "timerfd_settime",
                    "timerfd_settime64",
                ],
            ),
        ],
    },
    HeadroomGroup {
        title: "own limits and usage",
        need: "runtimes size pools and heaps by them, servers report them, and error messages have them",
        grants: "they read the caller's own limits, usage, priority and processors, and the machine's name and load, which /proc tells too; no other process is asked about, and nothing is set",
        surface: "reads of the caller's task and of global counters: kernel/sys.c, kernel/sched/syscalls.c",
        rules: &[
            always(&[
                "getrlimit",
                "getrusage",
                "sched_get_priority_max",
                "sched_get_priority_min",
                "sysinfo",
                "times",
                "ugetrlimit",
                "uname",
            ]),
            always_if(&["prlimit64"], &OWN_LIMIT),
            preferably_if(&["getpriority"], &OWN_PRIORITY),
            preferably_if(
                &[
                    "sched_getaffinity",
                    "sched_getparam",
                    "sched_getscheduler",
                    "sched_rr_get_interval",
                    "sched_rr_get_interval_time64",
                ],
                &OF_CALLER,
            ),
        ],
    },
    HeadroomGroup {
        title: "own signals",
        need: "a handler is set, or a signal is waited for, at reload and at shutdown",
        grants: "the caller says what happens to signals that it is sent; none is sent",
        surface: "the process's own signal table: kernel/signal.c",
        rules: &[always(&[
            "rt_sigaction",
            "rt_sigpending",
            "rt_sigsuspend",
            "rt_sigtimedwait",
            "rt_sigtimedwait_time64",
            "sigaction",
            "signal",
            "sigpending",
            "sigprocmask",
            "sigsuspend",
        ])],
    },
    HeadroomGroup {
        title: "own descriptors",
        need: "redirections, daemons that close what they inherit, libraries that look at what they were given",
        grants: "they copy, close, move or describe descriptors that the caller has; nothing is opened. fcntl only for flags and copies, not for locks, leases or owners; ioctl only for flags of the descriptor",
        surface: "the process's own descriptor table, and the VFS before any driver: fs/file.c, fs/fcntl.c, fs/ioctl.c, fs/stat.c, fs/read_write.c (lseek)",
        rules: &[
            always(&[
                "_llseek", "close", "dup", "dup2", "dup3", "fstat", "fstat64", "lseek",
            ]),
            always_if(&["fcntl", "fcntl64"], &DESCRIPTOR_FLAGS),
            always_if(&["fcntl", "fcntl64"], &STATUS_FLAGS),
            always_if(&["fcntl", "fcntl64"], &DUPLICATE),
            always_if(&["ioctl"], &CLOSE_AT_EXEC),
            always_if(&["ioctl"], &NONBLOCKING),
        ],
    },
    HeadroomGroup {
        title: "read and write in other forms",
        need: "how much is read or written, and from where, decides which form a library takes",
        grants: "the same open files under the same checks, with a position or with several buffers",
        surface: "the read and write operations that are reached already: fs/read_write.c, mm/fadvise.c",
        rules: &[
            beside(
                READS,
                &[
                    "fadvise64",
                    "fadvise64_64",
                    "arm_fadvise64_64",
                    "pread64",
                    "preadv",
                    "read",
                    "readv",
                ],
            ),
            beside(WRITES, &["pwrite64", "pwritev", "write", "writev"]),
        ],
    },
    HeadroomGroup {
        title: "write out",
        need: "a backup, a rotation, a checkpoint and a clean shutdown flush what was written; a database takes a refusal for a broken disk",
        grants: "files that the caller may write anyway reach the disk, get room, or are cut off, which a write and an open with O_TRUNC do too; fallocate only in its plain form",
        surface: "the file system's own write-out, which the kernel does by itself for each file: fs/sync.c, fs/open.c, mm/msync.c",
        rules: &[
            beside(
                WRITES,
                &[
                    "fdatasync",
                    "fsync",
                    "ftruncate",
                    "ftruncate64",
                    "msync",
                    "sync_file_range",
                    "arm_sync_file_range",
                ],
            ),
            beside_if(WRITES, &["fallocate"], &PLAIN_ALLOCATION),
        ],
    },
    HeadroomGroup {
        title: "polling",
        need: "which of them is called depends on the library, on time-outs and on the number of descriptors",
        grants: "the caller waits for descriptors that it has, as it does already; epoll only where the workload uses epoll. eventfd makes a counter, by which one thread wakes another that waits",
        surface: "the poll operations that are reached already: fs/select.c, fs/eventpoll.c; the counter: fs/eventfd.c",
        rules: &[
            beside(
                POLLS,
                &[
                    "_newselect",
                    "poll",
                    "ppoll",
                    "ppoll_time64",
                    "pselect6",
                    "pselect6_time64",
                    "select",
                ],
            ),
            beside(
                &[
                    "epoll_create",
                    "epoll_create1",
                    "epoll_pwait",
                    "epoll_pwait2",
                    "epoll_wait",
                ],
                &["epoll_ctl", "epoll_pwait", "epoll_wait"],
            ),
            beside(POLLS, &["eventfd", "eventfd2"]),
        ],
    },
    HeadroomGroup {
        title: "own children",
        need: "whether a child is started by fork, vfork or clone depends on the library and on what is done before it executes; libraries start threads for work that takes long; a child that ends early is collected in another way than one that is waited for, and one that is not stays a zombie",
        grants: "nothing new: where a child or a thread was started, clone is allowed with all flags but those that make namespaces. clone is added with the flags of fork, vfork and pthread_create only. The caller waits for its own children",
        surface: "the copy of a task that is reached already, without the code of namespaces: kernel/fork.c; the caller's own children: kernel/exit.c (wait4)",
        rules: &[
            beside(FORKS, &["fork", "vfork", "wait4", "waitpid"]),
            beside_if(FORKS, &["clone"], &FORK),
            beside_if(FORKS, &["clone"], &VFORK),
            beside_if(FORKS, &["clone"], &THREAD),
        ],
    },
    HeadroomGroup {
        title: "pipes to children",
        // CVE-2015-1805 was in the copy loops of fs/pipe.c, which Linux 3.16 replaced (iov_iter).
        need: "shells, make and every library that reads what a child prints make a pipe first",
        grants: "a buffer between two descriptors of the caller; only beside a call that makes children, who get one end",
        surface: "making, reading and writing an ordinary pipe: fs/pipe.c. The flaws that pipes were exploited by need splice or vmsplice (CVE-2022-0847) or notification pipes (CVE-2022-0995), which are not added, or ended with Linux 3.16 (CVE-2015-1805)",
        rules: &[
            beside(FORKS, &["pipe"]),
            beside_if(FORKS, &["pipe2"], &PLAIN_PIPE),
        ],
    },
    HeadroomGroup {
        title: "signals to one process",
        need: "shells, supervisors and runtimes signal themselves and their children by kill, at reload and at the end",
        grants: "tgkill, which an abort needs, reaches the same processes under the same check, one thread at a time; other groups and all processes at once are not added",
        surface: "the permission check and the queue that tgkill reaches: kernel/signal.c",
        rules: &[beside_if(&["tgkill", "tkill"], &["kill"], &NO_OTHER_GROUP)],
    },
    HeadroomGroup {
        title: "look at a file",
        need: "libraries look whether a file is there before they open it, and error paths say where a link leads",
        grants: "open with O_PATH and fstat tell the same of each path under the same checks, and opening a link shows where it leads; chdir begins relative paths elsewhere, as openat does",
        surface: "the walk of a path that an open makes, then reads of one inode: fs/namei.c, fs/stat.c, fs/statfs.c, fs/open.c (faccessat, chdir)",
        rules: &[beside(
            OPENS,
            &[
                "access",
                "chdir",
                "faccessat",
                "faccessat2",
                "fchdir",
                "fstatat64",
                "fstatfs",
                "fstatfs64",
                "lstat",
                "lstat64",
                "newfstatat",
                "readlink",
                "readlinkat",
                "stat",
                "stat64",
                "statfs",
                "statfs64",
                "statx",
            ],
        )],
    },
    HeadroomGroup {
        title: "the same by another call",
        need: "one library removes a file by unlink and the next by unlinkat, a loop accepts by accept and its time-out by accept4, a runtime sends by write and its error path by sendto",
        grants: "the work of a call that the workload makes, under the same checks: from the working directory or from an open one, by the path or by a descriptor, and with no flag that would do more",
        surface: "the same functions of the kernel behind another number: fs/namei.c, fs/open.c, net/socket.c",
        rules: SIBLINGS,
    },
    HeadroomGroup {
        title: "own sockets",
        need: "error paths ask a socket for its error and its ends, and shut it down; the resolver of glibc sends two questions in one call",
        grants: "they describe or close connections that the caller has; getsockopt only of the socket itself. sendmmsg sends several messages where one could be sent before; over a unix socket they may carry descriptors",
        surface: "the socket layer before any protocol's own options: net/socket.c, net/core/sock.c",
        rules: &[
            beside(SOCKETS, &["getpeername", "getsockname", "shutdown"]),
            beside_if(SOCKETS, &["getsockopt"], &SOCKET_LEVEL),
            beside(&["sendto", "sendmsg"], &["sendmmsg"]),
        ],
    },
    HeadroomGroup {
        title: "own locks in memory",
        need: "a lock on memory is given back at the end",
        grants: "memory that the caller locked becomes ordinary memory again",
        surface: "the caller's own address space: mm/mlock.c",
        rules: &[beside(
            &["mlock", "mlock2", "mlockall"],
            &["munlock", "munlockall"],
        )],
    },
];
