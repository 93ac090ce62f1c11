//! Processes: programs, namespaces, users, signals, memory.

use super::{Bits, END, End, Gain, Parameter, Step, WAY, Way, at, bits, call, memory, with};

const SIGCHLD: u64 = 17;
const INT: u64 = 0xffff_ffff;
const PROT_WRITE_EXEC: u64 = 6;
const MAP_LOCKED: u64 = 0x2000;
const PR_SET_SECCOMP: u64 = 22;
const PTRACE_ATTACH: u64 = 16;
const PTRACE_SEIZE: u64 = 0x4206;
const SHM_EXEC: u64 = 0o10_0000;

const fn new(bit: u64) -> Bits {
    bits(0, bit, bit)
}

/// clone(2) for each kind of namespace by itself: all other uses of clone stay. There is no
/// CLONE_NEWTIME, which clone takes for a part of the exit signal (include/uapi/linux/sched.h).
const CLONE: Step = Step {
    name: "clone",
    args: &[(0, SIGCHLD)],
    parameter: Parameter::Argument(0),
    deny: &[
        &[new(0x1000_0000)],
        &[new(0x0002_0000)],
        &[new(0x0200_0000)],
        &[new(0x0400_0000)],
        &[new(0x0800_0000)],
        &[new(0x2000_0000)],
        &[new(0x4000_0000)],
    ],
};

/// All of them.
pub(super) const ENDS: &[End] = &[
    End {
        name: "execute",
        words: "execute another program",
        group: &[call("execve"), call("execveat")],
        instead: "restrict what can be executed with AppArmor, Landlock or noexec mounts",
        source: "fs/exec.c, do_execveat_common",
        ..END
    },
    End {
        name: "namespaces",
        words: "make a new namespace",
        group: &[at("unshare", 0), CLONE, memory("clone3")],
        values: &[
            0x1000_0000,
            0x0002_0000,
            0x0200_0000,
            0x0400_0000,
            0x0800_0000,
            0x2000_0000,
            0x4000_0000,
        ],
        instead: "set user.max_user_namespaces to 0, or drop CAP_SYS_ADMIN",
        source: "kernel/fork.c, copy_process and ksys_unshare: the same flags",
        ..END
    },
    End {
        name: "processes",
        words: "make a new process",
        gain: Gain::Nothing,
        group: &[call("fork"), call("vfork"), with("clone", &[(0, SIGCHLD)])],
        ways: &[Way {
            calls: &[memory("clone3")],
            ..WAY
        }],
        instead: "limit processes with the pids cgroup or RLIMIT_NPROC",
        source: "kernel/fork.c, kernel_clone",
        ..END
    },
    End {
        name: "memory",
        words: "read or change another process's memory",
        group: &[
            with("ptrace", &[(0, PTRACE_ATTACH)]),
            call("process_vm_readv"),
            call("process_vm_writev"),
        ],
        ways: &[
            Way {
                calls: &[Step {
                    deny: &[&[bits(0, u64::MAX, PTRACE_SEIZE)]],
                    ..with("ptrace", &[(0, PTRACE_SEIZE)])
                }],
                label: "ptrace (PTRACE_SEIZE)",
                ..WAY
            },
            Way {
                calls: &[call("openat"), call("pwrite64")],
                needs: PROC_MEM,
                keep: true,
                ..WAY
            },
            Way {
                calls: &[call("open"), call("pread64")],
                needs: PROC_MEM,
                keep: true,
                ..WAY
            },
        ],
        instead: PROC_MEM_INSTEAD,
        source: "mm/process_vm_access.c; fs/proc/base.c, mem_open: the same check as ptrace",
        ..END
    },
    End {
        name: "signals",
        words: "send a signal",
        group: &[
            at("kill", 1),
            at("tkill", 1),
            at("tgkill", 2),
            at("rt_sigqueueinfo", 1),
            at("rt_tgsigqueueinfo", 2),
            at("pidfd_send_signal", 1),
        ],
        values: &[10],
        mask: 127,
        instead: "separate processes by PID namespaces, or use AppArmor's signal rules",
        source: "kernel/signal.c, do_send_sig_info",
        ..END
    },
    End {
        name: "user",
        words: "change its user ID",
        group: &[
            at("setuid", 0),
            at("setreuid", 1),
            at("setresuid", 1),
            at("setfsuid", 0),
            at("setuid32", 0),
            at("setreuid32", 1),
            at("setresuid32", 1),
            at("setfsuid32", 0),
        ],
        values: &[1234],
        mask: INT,
        instead: "drop CAP_SETUID",
        source: "kernel/sys.c: each sets the effective or the file system's user ID",
        ..END
    },
    End {
        name: "group",
        words: "act as a member of another group",
        group: &[
            at("setgid", 0),
            at("setregid", 1),
            at("setresgid", 1),
            at("setfsgid", 0),
            at("setgid32", 0),
            at("setregid32", 1),
            at("setresgid32", 1),
            at("setfsgid32", 0),
        ],
        ways: &[
            Way {
                calls: &[memory("setgroups")],
                ..WAY
            },
            Way {
                calls: &[memory("setgroups32")],
                ..WAY
            },
        ],
        values: &[1234],
        mask: INT,
        instead: "drop CAP_SETGID",
        source: "kernel/sys.c; kernel/groups.c: permission checks ask for any of these groups",
        ..END
    },
    End {
        name: "writable code",
        words: "make memory both writable and executable",
        group: &[
            at("mprotect", 2),
            at("pkey_mprotect", 2),
            Step {
                name: "mmap",
                args: &[(1, 4096), (3, 0x22), (4, INT)],
                parameter: Parameter::Argument(2),
                deny: &[&[bits(2, PROT_WRITE_EXEC, PROT_WRITE_EXEC)]],
            },
        ],
        ways: &[Way {
            calls: &[Step {
                deny: &[&[bits(2, SHM_EXEC, SHM_EXEC)]],
                ..with("shmat", &[(2, SHM_EXEC)])
            }],
            needs: "a System V segment that it may execute (shmget with 0700)",
            ..WAY
        }],
        values: &[PROT_WRITE_EXEC, PROT_WRITE_EXEC | 1],
        only_conditional: true,
        source: "mm/mprotect.c, do_mprotect_pkey; mm/mmap.c; ipc/shm.c, do_shmat: SHM_EXEC adds PROT_EXEC",
        ..END
    },
    End {
        name: "scheduling policy",
        words: "change its scheduling policy",
        gain: Gain::Some,
        group: &[at("sched_setscheduler", 1), memory("sched_setattr")],
        values: &[3],
        mask: 7,
        instead: "drop CAP_SYS_NICE",
        source: "kernel/sched/syscalls.c",
        ..END
    },
    End {
        name: "priority",
        words: "change its priority",
        gain: Gain::Some,
        group: &[call("setpriority")],
        ways: &[Way {
            calls: &[memory("sched_setattr")],
            ..WAY
        }],
        instead: "drop CAP_SYS_NICE",
        source: "kernel/sched/syscalls.c: sched_setattr sets the nice value",
        ..END
    },
    End {
        name: "limits",
        words: "change a resource limit",
        gain: Gain::Some,
        group: &[at("setrlimit", 0), at("prlimit64", 1)],
        values: &[4],
        mask: 15,
        instead: "set hard limits, and drop CAP_SYS_RESOURCE",
        source: "kernel/sys.c, do_prlimit",
        ..END
    },
    End {
        name: "locked memory",
        words: "lock memory",
        gain: Gain::Some,
        group: &[call("mlock"), call("mlock2"), with("mlockall", &[(0, 1)])],
        ways: &[Way {
            calls: &[Step {
                deny: &[&[bits(3, MAP_LOCKED, MAP_LOCKED)]],
                ..with(
                    "mmap",
                    &[(1, 4096), (2, 3), (3, MAP_LOCKED | 0x22), (4, INT)],
                )
            }],
            ..WAY
        }],
        instead: "set RLIMIT_MEMLOCK",
        source: "mm/mlock.c; mm/mmap.c, MAP_LOCKED",
        ..END
    },
    End {
        name: "filters",
        words: "load a seccomp filter",
        gain: Gain::Some,
        group: &[
            with("seccomp", &[(0, 1)]),
            Step {
                deny: &[&[bits(0, INT, PR_SET_SECCOMP)]],
                ..with("prctl", &[(0, PR_SET_SECCOMP), (1, 2)])
            },
        ],
        source: "kernel/seccomp.c, prctl_set_seccomp",
        ..END
    },
    End {
        name: "userfaultfd",
        words: "handle page faults of the kernel",
        group: &[call("userfaultfd")],
        ways: &[Way {
            calls: &[Step {
                deny: &[&[bits(1, INT, 0xaa00)]],
                ..with("ioctl", &[(1, 0xaa00)])
            }],
            needs: "/dev/userfaultfd (USERFAULTFD_IOC_NEW)",
            since: Some(super::LinuxVersion(6, 1)),
            ..WAY
        }],
        source: "fs/userfaultfd.c, userfaultfd_dev_ioctl",
        ..END
    },
];

const PROC_MEM: &str = "/proc/PID/mem of a process that it may trace";
const PROC_MEM_INSTEAD: &str = "deny /proc/*/mem with AppArmor, set kernel.yama.ptrace_scope to 2, or give each process a user of its own";
