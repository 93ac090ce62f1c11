//! The rows: data, and nothing else.
//!
//! From the kernel's tables of Linux 6.18 (arch/*/entry/syscalls, scripts/syscall.tbl), and from what
//! glibc 2.36 and musl 1.2.5 call where an ABI lacks the older call.

use super::{
    super::{
        Abi,
        condition::{
            ALARM, ArgumentConstraint, FOLLOWING, FORK, LINK_ITSELF, LSTAT, OWN_GROUP, PIPE,
            REMOVE_DIRECTORY, STAT, UNFLAGGED_LINK, UNFLAGGED_OWNER, UNFLAGGED_RENAME, UNLINK,
            VFORK,
        },
    },
    Missing, OlderForm, Wide,
};

const fn any(older: &'static str, general: &'static [&'static str]) -> OlderForm {
    OlderForm {
        older,
        general,
        only: None,
    }
}

const fn only(
    older: &'static str,
    general: &'static [&'static str],
    only: &'static ArgumentConstraint,
) -> OlderForm {
    OlderForm {
        older,
        general,
        only: Some(only),
    }
}

/// Older calls and the more general ones, by name.
pub const FORMS: &[OlderForm] = &[
    any("access", &["faccessat"]),
    only("alarm", &["setitimer"], &ALARM),
    any("chmod", &["fchmodat"]),
    only("chown", &["fchownat"], &UNFLAGGED_OWNER),
    any("creat", &["openat"]),
    any("dup2", &["dup3"]),
    any("epoll_create", &["epoll_create1"]),
    any("epoll_wait", &["epoll_pwait"]),
    any("eventfd", &["eventfd2"]),
    // As musl and today's glibc make them: fork's flags for either.
    only("fork", &["clone"], &FORK),
    only("futimesat", &["utimensat"], &FOLLOWING),
    any("getdents", &["getdents64"]),
    only("getpgrp", &["getpgid"], &OWN_GROUP),
    any("inotify_init", &["inotify_init1"]),
    only("lchown", &["fchownat"], &LINK_ITSELF),
    only("link", &["linkat"], &UNFLAGGED_LINK),
    only("lstat", &["newfstatat", "fstatat64"], &LSTAT),
    any("mkdir", &["mkdirat"]),
    any("mknod", &["mknodat"]),
    any("open", &["openat"]),
    any("pause", &["ppoll"]),
    only("pipe", &["pipe2"], &PIPE),
    any("poll", &["ppoll"]),
    any("readlink", &["readlinkat"]),
    any("rename", &["renameat"]),
    only("rename", &["renameat2"], &UNFLAGGED_RENAME),
    only("renameat", &["renameat2"], &UNFLAGGED_RENAME),
    only("rmdir", &["unlinkat"], &REMOVE_DIRECTORY),
    any("select", &["pselect6"]),
    any("signalfd", &["signalfd4"]),
    only("stat", &["newfstatat", "fstatat64"], &STAT),
    any("symlink", &["symlinkat"]),
    any("time", &["clock_gettime"]),
    only("unlink", &["unlinkat"], &UNLINK),
    only("utime", &["utimensat"], &FOLLOWING),
    only("utimes", &["utimensat"], &FOLLOWING),
    only("vfork", &["clone"], &FORK),
    only("vfork", &["clone"], &VFORK),
];

const fn wide(call: &'static str, also: &'static [&'static str]) -> Wide {
    Wide {
        call,
        also,
        same_arguments: false,
    }
}

/// With the same arguments, one by one.
const fn alike(call: &'static str, also: &'static [&'static str]) -> Wide {
    Wide {
        call,
        also,
        same_arguments: true,
    }
}

/// By name.
pub const WIDE: &[Wide] = &[
    // glibc for i386 that is built for kernels before 4.3 too makes every socket call by socketcall
    // (sysdeps/unix/sysv/linux/i386/kernel-features.h), and musl where the others are refused.
    wide("accept", &["accept4", "socketcall"]),
    wide("accept4", &["socketcall"]),
    wide("bind", &["socketcall"]),
    wide("chown", &["chown32"]),
    wide("clock_adjtime", &["clock_adjtime64"]),
    wide("clock_getres", &["clock_getres_time64"]),
    wide("clock_gettime", &["clock_gettime64"]),
    wide("clock_nanosleep", &["clock_nanosleep_time64"]),
    wide("clock_settime", &["clock_settime64"]),
    wide("connect", &["socketcall"]),
    wide("fadvise64", &["fadvise64_64", "arm_fadvise64_64"]),
    wide("fchown", &["fchown32"]),
    wide("fcntl", &["fcntl64"]),
    wide("fstat", &["fstat64"]),
    wide("fstatfs", &["fstatfs64"]),
    wide("ftruncate", &["ftruncate64"]),
    wide("futex", &["futex_time64"]),
    wide("getegid", &["getegid32"]),
    wide("geteuid", &["geteuid32"]),
    wide("getgid", &["getgid32"]),
    wide("getgroups", &["getgroups32"]),
    wide("getpeername", &["socketcall"]),
    wide("getresgid", &["getresgid32"]),
    wide("getresuid", &["getresuid32"]),
    wide("getrlimit", &["ugetrlimit"]),
    wide("getsockname", &["socketcall"]),
    wide("getsockopt", &["socketcall"]),
    wide("getuid", &["getuid32"]),
    wide("io_pgetevents", &["io_pgetevents_time64"]),
    wide("lchown", &["lchown32"]),
    wide("listen", &["socketcall"]),
    wide("lseek", &["_llseek"]),
    wide("lstat", &["lstat64"]),
    alike("mmap", &["mmap2"]),
    wide("mq_timedreceive", &["mq_timedreceive_time64"]),
    wide("mq_timedsend", &["mq_timedsend_time64"]),
    // glibc for kernels before 5.1 makes the System V calls of i386 by ipc.
    wide("msgctl", &["ipc"]),
    wide("msgget", &["ipc"]),
    wide("msgrcv", &["ipc"]),
    wide("msgsnd", &["ipc"]),
    wide("newfstatat", &["fstatat64"]),
    wide("ppoll", &["ppoll_time64"]),
    wide("pselect6", &["pselect6_time64"]),
    wide("recvfrom", &["recv", "socketcall"]),
    wide("recvmmsg", &["recvmmsg_time64", "socketcall"]),
    wide("recvmsg", &["socketcall"]),
    wide("rt_sigreturn", &["sigreturn"]),
    wide("rt_sigtimedwait", &["rt_sigtimedwait_time64"]),
    wide("sched_rr_get_interval", &["sched_rr_get_interval_time64"]),
    wide("select", &["_newselect"]),
    wide("semctl", &["ipc"]),
    wide("semget", &["ipc"]),
    wide("semop", &["semtimedop_time64", "ipc"]),
    wide("semtimedop", &["semtimedop_time64", "ipc"]),
    wide("sendfile", &["sendfile64"]),
    wide("sendmmsg", &["socketcall"]),
    wide("sendmsg", &["socketcall"]),
    wide("sendto", &["send", "socketcall"]),
    wide("setfsgid", &["setfsgid32"]),
    wide("setfsuid", &["setfsuid32"]),
    wide("setgid", &["setgid32"]),
    wide("setgroups", &["setgroups32"]),
    wide("setregid", &["setregid32"]),
    wide("setresgid", &["setresgid32"]),
    wide("setresuid", &["setresuid32"]),
    wide("setreuid", &["setreuid32"]),
    wide("setsockopt", &["socketcall"]),
    wide("setuid", &["setuid32"]),
    wide("shmat", &["ipc"]),
    wide("shmctl", &["ipc"]),
    wide("shmdt", &["ipc"]),
    wide("shmget", &["ipc"]),
    wide("shutdown", &["socketcall"]),
    wide("socket", &["socketcall"]),
    wide("socketpair", &["socketcall"]),
    wide("stat", &["stat64"]),
    wide("statfs", &["statfs64"]),
    wide("sync_file_range", &["arm_sync_file_range"]),
    wide("timer_gettime", &["timer_gettime64"]),
    wide("timer_settime", &["timer_settime64"]),
    wide("timerfd_gettime", &["timerfd_gettime64"]),
    wide("timerfd_settime", &["timerfd_settime64"]),
    wide("truncate", &["truncate64"]),
    wide("utimensat", &["utimensat_time64"]),
];

/// What the programs of an ABI call when they start, in the libc or its loader, and why.
pub const START_UP_CALLS: &[(Abi, &str, &str)] = &[
    (
        Abi::X86_64,
        "arch_prctl",
        "sets the thread pointer, which other machines keep in a register of their own",
    ),
    (
        Abi::I386,
        "set_thread_area",
        "sets the thread pointer, which other machines keep in a register of their own",
    ),
    (
        Abi::Arm,
        "set_tls",
        "sets the thread pointer, which other machines keep in a register of their own",
    ),
];

/// What has no equivalent.
pub const MISSING: &[Missing] = &[
    Missing {
        calls: &[
            "arch_prctl",
            "get_thread_area",
            "ioperm",
            "iopl",
            "modify_ldt",
            "set_thread_area",
        ],
        why: "it is about what only x86 processors have",
    },
    Missing {
        calls: &["uprobe", "uretprobe"],
        why: "only the kernel's own probes make it, on x86-64",
    },
    Missing {
        calls: &["riscv_flush_icache", "riscv_hwprobe"],
        why: "it is about what only RISC-V processors have",
    },
    Missing {
        calls: &[
            "_sysctl",
            "afs_syscall",
            "create_module",
            "epoll_ctl_old",
            "epoll_wait_old",
            "get_kernel_syms",
            "getpmsg",
            "putpmsg",
            "query_module",
            "security",
            "tuxcall",
            "uselib",
            "vserver",
        ],
        why: "no current kernel has it on any machine",
    },
    Missing {
        calls: &["sysfs", "ustat"],
        why: "it is kept for old programs, and newer machines never had it; statfs tells the same",
    },
    Missing {
        calls: &["kexec_file_load", "memfd_secret"],
        why: "the kernel does not offer it on that machine",
    },
];
