//! Which calls the kernel lets only the holder of a capability make, and when.
//!
//! From capabilities(7) and the manual page of each call (Linux man-pages 6.03), and where they are silent
//! from the kernel's own `capable` and `ns_capable` calls. What every file operation may need
//! (`CAP_DAC_OVERRIDE`) is not here: it depends on the file, and says nothing of the call.

/// A call that takes a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gate {
    /// The call.
    pub call: &'static str,
    /// The capability, as `CAP_SYS_ADMIN`.
    pub capability: &'static str,
    /// When it takes it, to be read after the capability; `None`: always.
    pub when: Option<&'static str>,
}

/// A gate that stands always.
const fn always(call: &'static str, capability: &'static str) -> Gate {
    Gate {
        call,
        capability,
        when: None,
    }
}

/// A gate that stands for some purposes.
const fn gate(call: &'static str, capability: &'static str, when: &'static str) -> Gate {
    Gate {
        call,
        capability,
        when: Some(when),
    }
}

/// All of them, by call.
pub const GATES: &[Gate] = &[
    always("acct", "CAP_SYS_PACCT"),
    gate(
        "adjtimex",
        "CAP_SYS_TIME",
        "to change the clock; reading it takes none",
    ),
    gate(
        "bind",
        "CAP_NET_BIND_SERVICE",
        "to a port below net.ipv4.ip_unprivileged_port_start",
    ),
    gate(
        "bpf",
        "CAP_BPF",
        "for most of its operations; before Linux 5.8, and for some still, CAP_SYS_ADMIN",
    ),
    gate(
        "chmod",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    gate(
        "chown",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    gate(
        "chown32",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    always("chroot", "CAP_SYS_CHROOT"),
    gate(
        "clock_adjtime",
        "CAP_SYS_TIME",
        "to change a clock; reading it takes none",
    ),
    always("clock_settime", "CAP_SYS_TIME"),
    gate(
        "clone",
        "CAP_SYS_ADMIN",
        "to make any namespace but a user namespace",
    ),
    gate(
        "clone3",
        "CAP_SYS_ADMIN",
        "to make any namespace but a user namespace",
    ),
    always("create_module", "CAP_SYS_MODULE"),
    always("delete_module", "CAP_SYS_MODULE"),
    gate(
        "fanotify_init",
        "CAP_SYS_ADMIN",
        "since Linux 5.13 for some kinds of group only",
    ),
    gate(
        "fchmod",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    gate(
        "fchmodat",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    gate(
        "fchmodat2",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    gate(
        "fchown",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    gate(
        "fchown32",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    gate(
        "fchownat",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    always("finit_module", "CAP_SYS_MODULE"),
    gate(
        "fsconfig",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "fsmount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "fsopen",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "fspick",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "get_robust_list",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    always("init_module", "CAP_SYS_MODULE"),
    always("ioperm", "CAP_SYS_RAWIO"),
    always("iopl", "CAP_SYS_RAWIO"),
    gate(
        "ioprio_set",
        "CAP_SYS_NICE",
        "of another user's process; the real-time class takes it, or CAP_SYS_ADMIN, too",
    ),
    gate(
        "kcmp",
        "CAP_SYS_PTRACE",
        "of processes with other credentials",
    ),
    always("kexec_file_load", "CAP_SYS_BOOT"),
    always("kexec_load", "CAP_SYS_BOOT"),
    gate("kill", "CAP_KILL", "to a process of another user"),
    gate(
        "lchown",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    gate(
        "lchown32",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    always("lookup_dcookie", "CAP_SYS_ADMIN"),
    gate("migrate_pages", "CAP_SYS_NICE", "of another user's process"),
    gate("mknod", "CAP_MKNOD", "of a device"),
    gate("mknodat", "CAP_MKNOD", "of a device"),
    gate("mlock", "CAP_IPC_LOCK", "beyond the limit RLIMIT_MEMLOCK"),
    gate("mlock2", "CAP_IPC_LOCK", "beyond the limit RLIMIT_MEMLOCK"),
    gate(
        "mlockall",
        "CAP_IPC_LOCK",
        "beyond the limit RLIMIT_MEMLOCK",
    ),
    gate(
        "mount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "mount_setattr",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "move_mount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate("move_pages", "CAP_SYS_NICE", "of another user's process"),
    gate(
        "nice",
        "CAP_SYS_NICE",
        "to a higher priority than RLIMIT_NICE allows",
    ),
    always("open_by_handle_at", "CAP_DAC_READ_SEARCH"),
    gate(
        "open_tree",
        "CAP_SYS_ADMIN",
        "to copy a mount (OPEN_TREE_CLONE)",
    ),
    gate(
        "perf_event_open",
        "CAP_PERFMON",
        "for what kernel.perf_event_paranoid forbids; before Linux 5.8 CAP_SYS_ADMIN",
    ),
    gate(
        "pidfd_getfd",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    gate(
        "pidfd_send_signal",
        "CAP_KILL",
        "to a process of another user",
    ),
    gate(
        "pivot_root",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "prctl",
        "CAP_SETPCAP",
        "to drop from the bounding set (PR_CAPBSET_DROP), and to set securebits",
    ),
    gate(
        "prctl",
        "CAP_SYS_RESOURCE",
        "to change the memory map (PR_SET_MM)",
    ),
    gate(
        "prlimit64",
        "CAP_SYS_RESOURCE",
        "to raise a hard limit, or that of another user's process",
    ),
    gate(
        "process_madvise",
        "CAP_SYS_PTRACE",
        "of a process with other credentials; CAP_SYS_NICE too",
    ),
    gate(
        "process_vm_readv",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    gate(
        "process_vm_writev",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    gate(
        "ptrace",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    gate("quotactl", "CAP_SYS_ADMIN", "to change quotas"),
    gate("quotactl_fd", "CAP_SYS_ADMIN", "to change quotas"),
    always("reboot", "CAP_SYS_BOOT"),
    gate(
        "rt_sigqueueinfo",
        "CAP_KILL",
        "to a process of another user",
    ),
    gate(
        "sched_setaffinity",
        "CAP_SYS_NICE",
        "of another user's process",
    ),
    gate(
        "sched_setattr",
        "CAP_SYS_NICE",
        "to real-time scheduling or a higher priority than limits allow",
    ),
    gate(
        "sched_setparam",
        "CAP_SYS_NICE",
        "to real-time scheduling or a higher priority than limits allow",
    ),
    gate(
        "sched_setscheduler",
        "CAP_SYS_NICE",
        "to real-time scheduling or a higher priority than limits allow",
    ),
    gate(
        "seccomp",
        "CAP_SYS_ADMIN",
        "to load a filter without no_new_privs",
    ),
    always("setdomainname", "CAP_SYS_ADMIN"),
    gate(
        "setfsgid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    gate(
        "setfsuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    gate(
        "setgid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    gate(
        "setgid32",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    always("setgroups", "CAP_SETGID"),
    always("setgroups32", "CAP_SETGID"),
    always("sethostname", "CAP_SYS_ADMIN"),
    always("setns", "CAP_SYS_ADMIN"),
    gate(
        "setpriority",
        "CAP_SYS_NICE",
        "to a higher priority than RLIMIT_NICE allows, or of another user's process",
    ),
    gate(
        "setregid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    gate(
        "setresgid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    gate(
        "setresuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    gate(
        "setreuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    gate("setrlimit", "CAP_SYS_RESOURCE", "to raise a hard limit"),
    gate(
        "setsockopt",
        "CAP_NET_ADMIN",
        "for some options, such as SO_MARK",
    ),
    always("settimeofday", "CAP_SYS_TIME"),
    gate(
        "setuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    gate(
        "setuid32",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    gate(
        "setxattr",
        "CAP_SYS_ADMIN",
        "for attributes of the class trusted; file capabilities take CAP_SETFCAP",
    ),
    gate(
        "socket",
        "CAP_NET_RAW",
        "for raw sockets and those of packets (SOCK_RAW, AF_PACKET)",
    ),
    always("stime", "CAP_SYS_TIME"),
    always("swapoff", "CAP_SYS_ADMIN"),
    always("swapon", "CAP_SYS_ADMIN"),
    gate(
        "syslog",
        "CAP_SYSLOG",
        "for all but what kernel.dmesg_restrict leaves open",
    ),
    gate("tgkill", "CAP_KILL", "to a process of another user"),
    gate("tkill", "CAP_KILL", "to a process of another user"),
    gate(
        "umount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "umount2",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    gate(
        "unshare",
        "CAP_SYS_ADMIN",
        "to make any namespace but a user namespace",
    ),
    gate(
        "userfaultfd",
        "CAP_SYS_PTRACE",
        "to handle faults of the kernel, where vm.unprivileged_userfaultfd is 0",
    ),
    always("vhangup", "CAP_SYS_TTY_CONFIG"),
];

/// The gates of a call.
pub fn gates(call: &str) -> impl Iterator<Item = &'static Gate> {
    GATES.iter().filter(move |gate| gate.call == call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Abi;

    #[test]
    fn sorted_and_existing() {
        assert!(GATES.is_sorted_by(|a, b| (a.call, a.capability) < (b.call, b.capability)));
        for gate in GATES {
            let exists = Abi::ALL
                .into_iter()
                .any(|abi| abi.syscall_number(gate.call).is_some());
            assert!(exists, "{}", gate.call);
            assert!(gate.capability.starts_with("CAP_"), "{}", gate.capability);
        }
        assert_eq!(gates("prctl").count(), 2);
        assert_eq!(gates("read").count(), 0);
    }
}
