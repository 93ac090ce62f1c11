//! Calls that look harmless and are not headroom.

/// Calls that were weighed and left out for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Names in any ABI.
    pub calls: &'static [&'static str],
    /// Why, after "not headroom:".
    pub reason: &'static str,
}

/// All of them.
pub const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        calls: &["io_uring_enter", "io_uring_register", "io_uring_setup"],
        reason: "it makes other calls past every filter, and has a long history of exploited flaws",
    },
    LeftOut {
        calls: &["userfaultfd"],
        reason: "it stops the kernel in the middle of an operation, which makes races easy to win",
    },
    LeftOut {
        calls: &["add_key", "keyctl", "request_key"],
        reason: "keyrings are shared between containers, and have a history of exploited flaws (CVE-2016-0728)",
    },
    LeftOut {
        calls: &["bpf", "perf_event_open"],
        reason: "it reaches large parts of the kernel, with a long history of exploited flaws",
    },
    LeftOut {
        // CVE-2018-18281, CVE-2020-10757. malloc/malloc.c (`mremap_chunk`), musl
        // src/malloc/mallocng/realloc.c: both go on by copying.
        calls: &["mremap"],
        reason: "moving page tables has a history of exploited flaws (CVE-2018-18281), and the realloc of glibc and musl copies instead when it is denied",
    },
    LeftOut {
        // CVE-2022-0847 (Dirty Pipe) came by splice.
        calls: &["sendfile", "sendfile64", "splice", "tee", "vmsplice"],
        reason: "sharing pages between files and pipes has a history of exploited flaws (CVE-2022-0847)",
    },
    LeftOut {
        calls: &["timer_create"],
        reason: "POSIX timers have a history of exploited flaws (CVE-2017-18344, CVE-2025-38352)",
    },
    LeftOut {
        calls: &["timerfd_create"],
        reason: "timer descriptors have a history of exploited flaws (CVE-2017-10661)",
    },
    LeftOut {
        calls: &["epoll_create", "epoll_create1"],
        reason: "it makes a kernel object with a complex lifetime; it is allowed only where the workload uses it",
    },
    LeftOut {
        calls: &["waitid"],
        reason: "it has a history of exploited flaws (CVE-2017-5123); wait4 collects the same children",
    },
    LeftOut {
        calls: &["recvmmsg", "recvmmsg_time64"],
        reason: "it has a history of exploited flaws (CVE-2014-0038)",
    },
    LeftOut {
        calls: &["setsockopt"],
        reason: "it reaches the code of every protocol, with a history of exploited flaws (CVE-2021-22555)",
    },
    LeftOut {
        calls: &["recvmsg", "sendmsg"],
        reason: "it passes descriptors to and from other processes",
    },
    LeftOut {
        calls: &["mincore"],
        reason: "it told which files other processes had read (CVE-2019-5489)",
    },
    LeftOut {
        calls: &["membarrier"],
        reason: "it can interrupt every processor of the machine",
    },
    LeftOut {
        calls: &["remap_file_pages"],
        reason: "it changes mappings in a way that no program uses any more, with a history of flaws",
    },
    LeftOut {
        calls: &["modify_ldt"],
        reason: "it changes the processor's descriptor table, with a history of exploited flaws (CVE-2015-3290, CVE-2017-17053)",
    },
    LeftOut {
        calls: &["memfd_create", "memfd_secret"],
        reason: "a file in memory can be executed",
    },
    LeftOut {
        calls: &["mlock", "mlock2", "mlockall"],
        reason: "it takes memory that the machine cannot reclaim",
    },
    LeftOut {
        calls: &["flock"],
        reason: "a lock stops other processes that use the file",
    },
    LeftOut {
        calls: &["sync", "syncfs"],
        reason: "it makes the machine write out what others have changed",
    },
    LeftOut {
        calls: &[
            "nice",
            "sched_setaffinity",
            "sched_setattr",
            "sched_setparam",
            "sched_setscheduler",
            "setpriority",
        ],
        reason: "it takes processor time from others",
    },
    LeftOut {
        calls: &["setrlimit"],
        reason: "with CAP_SYS_RESOURCE it lifts limits",
    },
    LeftOut {
        calls: &["setpgid", "setsid"],
        reason: "it takes a process out of the group that signals are sent to",
    },
    LeftOut {
        calls: &["pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo"],
        reason: "it signals other processes, with values that the caller makes up",
    },
    LeftOut {
        calls: &["personality"],
        reason: "it can switch off address space randomisation",
    },
    LeftOut {
        calls: &["getdents", "getdents64"],
        reason: "it tells what files there are",
    },
    // Each is added beside one that does the same.
    LeftOut {
        calls: &[
            "mkdir",
            "mkdirat",
            "rename",
            "renameat",
            "renameat2",
            "rmdir",
            "unlink",
            "unlinkat",
        ],
        reason: "it changes what names there are, for other processes too, and the right to write in the directory is enough for it; it is allowed only where the workload does the same by another call",
    },
    LeftOut {
        // The garbage collector of descriptors in flight (CVE-2021-0920), MSG_OOB (CVE-2025-38236).
        calls: &["socket", "socketpair"],
        reason: "each family has a history of exploited flaws, AF_UNIX too (CVE-2021-0920)",
    },
];
