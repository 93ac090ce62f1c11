//! Which calls the kernel lets only the holder of a capability make, and when.
//!
//! From capabilities(7) and the manual page of each call (Linux man-pages 6.03), and where they are silent
//! from the kernel's own `capable` and `ns_capable` calls. What every file operation may need
//! (`CAP_DAC_OVERRIDE`) is not here: it depends on the file, and says nothing of the call.

/// A call that takes a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CapabilityRequirement {
    /// The call.
    pub call: &'static str,
    /// The capability, as `CAP_SYS_ADMIN`.
    pub capability: &'static str,
    /// When it takes it, to be read after the capability; `None`: always.
    pub when: Option<&'static str>,
}

/// A gate that stands always.
const fn always(call: &'static str, capability: &'static str) -> CapabilityRequirement {
    CapabilityRequirement {
        call,
        capability,
        when: None,
    }
}

/// A gate that stands for some purposes.
const fn requirement(
    call: &'static str,
    capability: &'static str,
    when: &'static str,
) -> CapabilityRequirement {
    CapabilityRequirement {
        call,
        capability,
        when: Some(when),
    }
}

/// All of them, by call.
pub const CAPABILITY_REQUIREMENTS: &[CapabilityRequirement] = &[
    always("acct", "CAP_SYS_PACCT"),
    requirement(
        "adjtimex",
        "CAP_SYS_TIME",
        "to change the clock; reading it takes none",
    ),
    requirement(
        "bind",
        "CAP_NET_BIND_SERVICE",
        "to a port below net.ipv4.ip_unprivileged_port_start",
    ),
    requirement(
        "bpf",
        "CAP_BPF",
        "for most of its operations; before Linux 5.8, and for some still, CAP_SYS_ADMIN",
    ),
    requirement(
        "chmod",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    requirement(
        "chown",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    requirement(
        "chown32",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    always("chroot", "CAP_SYS_CHROOT"),
    requirement(
        "clock_adjtime",
        "CAP_SYS_TIME",
        "to change a clock; reading it takes none",
    ),
    always("clock_settime", "CAP_SYS_TIME"),
    requirement(
        "clone",
        "CAP_SYS_ADMIN",
        "to make any namespace but a user namespace",
    ),
    requirement(
        "clone3",
        "CAP_SYS_ADMIN",
        "to make any namespace but a user namespace",
    ),
    always("create_module", "CAP_SYS_MODULE"),
    always("delete_module", "CAP_SYS_MODULE"),
    requirement(
        "fanotify_init",
        "CAP_SYS_ADMIN",
        "since Linux 5.13 for some kinds of group only",
    ),
    requirement(
        "fchmod",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    requirement(
        "fchmodat",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    requirement(
        "fchmodat2",
        "CAP_FOWNER",
        "of a file that belongs to another user",
    ),
    requirement(
        "fchown",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    requirement(
        "fchown32",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    requirement(
        "fchownat",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    always("finit_module", "CAP_SYS_MODULE"),
    requirement(
        "fsconfig",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "fsmount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "fsopen",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "fspick",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "get_robust_list",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    always("init_module", "CAP_SYS_MODULE"),
    always("ioperm", "CAP_SYS_RAWIO"),
    always("iopl", "CAP_SYS_RAWIO"),
    requirement(
        "ioprio_set",
        "CAP_SYS_NICE",
        "of another user's process; the real-time class takes it, or CAP_SYS_ADMIN, too",
    ),
    requirement(
        "kcmp",
        "CAP_SYS_PTRACE",
        "of processes with other credentials",
    ),
    always("kexec_file_load", "CAP_SYS_BOOT"),
    always("kexec_load", "CAP_SYS_BOOT"),
    requirement("kill", "CAP_KILL", "to a process of another user"),
    requirement(
        "lchown",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    requirement(
        "lchown32",
        "CAP_CHOWN",
        "to give a file to another user, or to a group that the process is not in",
    ),
    always("lookup_dcookie", "CAP_SYS_ADMIN"),
    requirement("migrate_pages", "CAP_SYS_NICE", "of another user's process"),
    requirement("mknod", "CAP_MKNOD", "of a device"),
    requirement("mknodat", "CAP_MKNOD", "of a device"),
    requirement("mlock", "CAP_IPC_LOCK", "beyond the limit RLIMIT_MEMLOCK"),
    requirement("mlock2", "CAP_IPC_LOCK", "beyond the limit RLIMIT_MEMLOCK"),
    requirement(
        "mlockall",
        "CAP_IPC_LOCK",
        "beyond the limit RLIMIT_MEMLOCK",
    ),
    requirement(
        "mount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "mount_setattr",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "move_mount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement("move_pages", "CAP_SYS_NICE", "of another user's process"),
    requirement(
        "nice",
        "CAP_SYS_NICE",
        "to a higher priority than RLIMIT_NICE allows",
    ),
    always("open_by_handle_at", "CAP_DAC_READ_SEARCH"),
    requirement(
        "open_tree",
        "CAP_SYS_ADMIN",
        "to copy a mount (OPEN_TREE_CLONE)",
    ),
    requirement(
        "perf_event_open",
        "CAP_PERFMON",
        "for what kernel.perf_event_paranoid forbids; before Linux 5.8 CAP_SYS_ADMIN",
    ),
    requirement(
        "pidfd_getfd",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    requirement(
        "pidfd_send_signal",
        "CAP_KILL",
        "to a process of another user",
    ),
    requirement(
        "pivot_root",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "prctl",
        "CAP_SETPCAP",
        "to drop from the bounding set (PR_CAPBSET_DROP), and to set securebits",
    ),
    requirement(
        "prctl",
        "CAP_SYS_RESOURCE",
        "to change the memory map (PR_SET_MM)",
    ),
    requirement(
        "prlimit64",
        "CAP_SYS_RESOURCE",
        "to raise a hard limit, or that of another user's process",
    ),
    requirement(
        "process_madvise",
        "CAP_SYS_PTRACE",
        "of a process with other credentials; CAP_SYS_NICE too",
    ),
    requirement(
        "process_vm_readv",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    requirement(
        "process_vm_writev",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    requirement(
        "ptrace",
        "CAP_SYS_PTRACE",
        "of a process with other credentials",
    ),
    requirement("quotactl", "CAP_SYS_ADMIN", "to change quotas"),
    requirement("quotactl_fd", "CAP_SYS_ADMIN", "to change quotas"),
    always("reboot", "CAP_SYS_BOOT"),
    requirement(
        "rt_sigqueueinfo",
        "CAP_KILL",
        "to a process of another user",
    ),
    requirement(
        "sched_setaffinity",
        "CAP_SYS_NICE",
        "of another user's process",
    ),
    requirement(
        "sched_setattr",
        "CAP_SYS_NICE",
        "to real-time scheduling or a higher priority than limits allow",
    ),
    requirement(
        "sched_setparam",
        "CAP_SYS_NICE",
        "to real-time scheduling or a higher priority than limits allow",
    ),
    requirement(
        "sched_setscheduler",
        "CAP_SYS_NICE",
        "to real-time scheduling or a higher priority than limits allow",
    ),
    requirement(
        "seccomp",
        "CAP_SYS_ADMIN",
        "to load a filter without no_new_privs",
    ),
    always("setdomainname", "CAP_SYS_ADMIN"),
    requirement(
        "setfsgid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    requirement(
        "setfsuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    requirement(
        "setgid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    requirement(
        "setgid32",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    always("setgroups", "CAP_SETGID"),
    always("setgroups32", "CAP_SETGID"),
    always("sethostname", "CAP_SYS_ADMIN"),
    always("setns", "CAP_SYS_ADMIN"),
    requirement(
        "setpriority",
        "CAP_SYS_NICE",
        "to a higher priority than RLIMIT_NICE allows, or of another user's process",
    ),
    requirement(
        "setregid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    requirement(
        "setresgid",
        "CAP_SETGID",
        "to a group that is not one of the process' own",
    ),
    requirement(
        "setresuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    requirement(
        "setreuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    requirement("setrlimit", "CAP_SYS_RESOURCE", "to raise a hard limit"),
    requirement(
        "setsockopt",
        "CAP_NET_ADMIN",
        "for some options, such as SO_MARK",
    ),
    always("settimeofday", "CAP_SYS_TIME"),
    requirement(
        "setuid",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    requirement(
        "setuid32",
        "CAP_SETUID",
        "to a user that is not one of the process' own",
    ),
    requirement(
        "setxattr",
        "CAP_SYS_ADMIN",
        "for attributes of the class trusted; file capabilities take CAP_SETFCAP",
    ),
    requirement(
        "socket",
        "CAP_NET_RAW",
        "for raw sockets and those of packets (SOCK_RAW, AF_PACKET)",
    ),
    always("stime", "CAP_SYS_TIME"),
    always("swapoff", "CAP_SYS_ADMIN"),
    always("swapon", "CAP_SYS_ADMIN"),
    requirement(
        "syslog",
        "CAP_SYSLOG",
        "for all but what kernel.dmesg_restrict leaves open",
    ),
    requirement("tgkill", "CAP_KILL", "to a process of another user"),
    requirement("tkill", "CAP_KILL", "to a process of another user"),
    requirement(
        "umount",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "umount2",
        "CAP_SYS_ADMIN",
        "in the user namespace of the mount namespace",
    ),
    requirement(
        "unshare",
        "CAP_SYS_ADMIN",
        "to make any namespace but a user namespace",
    ),
    requirement(
        "userfaultfd",
        "CAP_SYS_PTRACE",
        "to handle faults of the kernel, where vm.unprivileged_userfaultfd is 0",
    ),
    always("vhangup", "CAP_SYS_TTY_CONFIG"),
];

/// The gates of a call.
///
/// ```
/// use syscalls::capability_requirements::capability_requirements;
///
/// let chroot = capability_requirements("chroot").next().unwrap();
/// assert_eq!(chroot.capability, "CAP_SYS_CHROOT");
/// ```
pub fn capability_requirements(call: &str) -> impl Iterator<Item = &'static CapabilityRequirement> {
    CAPABILITY_REQUIREMENTS
        .iter()
        .filter(move |requirement| requirement.call == call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Abi;

    #[test]
    fn rows_are_sorted_and_exist() {
        assert!(
            CAPABILITY_REQUIREMENTS
                .is_sorted_by(|a, b| (a.call, a.capability) < (b.call, b.capability))
        );
        for requirement in CAPABILITY_REQUIREMENTS {
            let exists = Abi::ALL
                .into_iter()
                .any(|abi| abi.syscall_number(requirement.call).is_some());
            assert!(exists, "{}", requirement.call);
            assert!(
                requirement.capability.starts_with("CAP_"),
                "{}",
                requirement.capability
            );
        }
        assert_eq!(capability_requirements("prctl").count(), 2);
        assert_eq!(capability_requirements("read").count(), 0);
    }
}
