//! Calls that deserve a second look when a profile allows them.

/// What a reviewer should know about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Risk {
    /// The call.
    pub name: &'static str,
    /// One sentence: what it gives to someone who has taken over the workload.
    pub sentence: &'static str,
}

/// All of them, by name.
pub const RISKS: &[Risk] = &[
    Risk {
        name: "acct",
        sentence: "Switches the kernel's process accounting on or off for the whole machine.",
    },
    Risk {
        name: "add_key",
        sentence: "Adds keys to the kernel's keyrings, which are not separated by container.",
    },
    Risk {
        name: "bpf",
        sentence: "Loads programs and maps into the kernel; a large attack surface, and with privileges a way to watch or change the whole machine.",
    },
    Risk {
        name: "chroot",
        sentence: "Changes the root directory; with privileges a known step out of a container.",
    },
    Risk {
        name: "clock_settime",
        sentence: "Sets the machine's clock.",
    },
    Risk {
        name: "create_module",
        sentence: "Loads code into the kernel.",
    },
    Risk {
        name: "delete_module",
        sentence: "Unloads kernel modules.",
    },
    Risk {
        name: "finit_module",
        sentence: "Loads code into the kernel.",
    },
    Risk {
        name: "fsmount",
        sentence: "Makes a mount by the new mount interface.",
    },
    Risk {
        name: "fsopen",
        sentence: "Begins a mount by the new mount interface; file system code parses what the caller gives it.",
    },
    Risk {
        name: "init_module",
        sentence: "Loads code into the kernel.",
    },
    Risk {
        name: "io_uring_enter",
        sentence: "Everything done through io_uring passes by this profile: no later operation is filtered, and none was recorded.",
    },
    Risk {
        name: "io_uring_register",
        sentence: "Everything done through io_uring passes by this profile: no later operation is filtered, and none was recorded.",
    },
    Risk {
        name: "io_uring_setup",
        sentence: "Everything done through io_uring passes by this profile: no later operation is filtered, and none was recorded.",
    },
    Risk {
        name: "ioperm",
        sentence: "Gives direct access to I/O ports.",
    },
    Risk {
        name: "iopl",
        sentence: "Gives direct access to all I/O ports.",
    },
    Risk {
        name: "kcmp",
        sentence: "Compares kernel objects of two processes; has leaked kernel addresses before.",
    },
    Risk {
        name: "kexec_file_load",
        sentence: "Loads another kernel to boot into.",
    },
    Risk {
        name: "kexec_load",
        sentence: "Loads another kernel to boot into.",
    },
    Risk {
        name: "keyctl",
        sentence: "Reads and changes the kernel's keyrings, which are not separated by container.",
    },
    Risk {
        name: "lookup_dcookie",
        sentence: "Tells the paths of files that other processes run.",
    },
    Risk {
        name: "mount",
        sentence: "Mounts file systems; with privileges a way to the host's files.",
    },
    Risk {
        name: "move_mount",
        sentence: "Moves mounts by the new mount interface.",
    },
    Risk {
        name: "name_to_handle_at",
        sentence: "Makes the file handles that open_by_handle_at opens.",
    },
    Risk {
        name: "nfsservctl",
        sentence: "Controls the kernel's NFS server on old kernels.",
    },
    Risk {
        name: "open_by_handle_at",
        sentence: "Opens any file of a file system by its handle, outside the container too (the Shocker exploit); needs CAP_DAC_READ_SEARCH.",
    },
    Risk {
        name: "open_tree",
        sentence: "Clones mounts by the new mount interface.",
    },
    Risk {
        name: "perf_event_open",
        sentence: "Measures other code; a large attack surface, and a side channel.",
    },
    Risk {
        name: "personality",
        sentence: "Can switch off address space randomisation and make memory executable.",
    },
    Risk {
        name: "pidfd_getfd",
        sentence: "Takes an open file out of another process.",
    },
    Risk {
        name: "pivot_root",
        sentence: "Changes the root of a mount namespace.",
    },
    Risk {
        name: "process_madvise",
        sentence: "Advises the kernel about another process's memory.",
    },
    Risk {
        name: "process_vm_readv",
        sentence: "Reads another process's memory.",
    },
    Risk {
        name: "process_vm_writev",
        sentence: "Writes another process's memory.",
    },
    Risk {
        name: "ptrace",
        sentence: "Reads and controls other processes; debuggers need it, servers do not.",
    },
    Risk {
        name: "quotactl",
        sentence: "Changes disk quotas.",
    },
    Risk {
        name: "reboot",
        sentence: "Restarts or halts the machine, or the container's init.",
    },
    Risk {
        name: "request_key",
        sentence: "Asks the kernel for keys, for which it may start a helper outside the container.",
    },
    Risk {
        name: "setns",
        sentence: "Enters another namespace; this profile does not show which one.",
    },
    Risk {
        name: "settimeofday",
        sentence: "Sets the machine's clock.",
    },
    Risk {
        name: "swapoff",
        sentence: "Switches the machine's swap off.",
    },
    Risk {
        name: "swapon",
        sentence: "Switches swap on, with a file of the caller's.",
    },
    Risk {
        name: "syslog",
        sentence: "Reads the kernel's log, addresses included.",
    },
    Risk {
        name: "umount",
        sentence: "Unmounts file systems, and so uncovers what they hide.",
    },
    Risk {
        name: "umount2",
        sentence: "Unmounts file systems, and so uncovers what they hide.",
    },
    Risk {
        name: "unshare",
        sentence: "Makes new namespaces; a user namespace opens most of the kernel's privileged code to an ordinary user.",
    },
    Risk {
        name: "userfaultfd",
        sentence: "Stops the kernel in the middle of an operation, which makes races easy to win.",
    },
    Risk {
        name: "vhangup",
        sentence: "Hangs up the terminal.",
    },
    Risk {
        name: "vmsplice",
        sentence: "Shares memory pages with pipes; has been part of several kernel exploits.",
    },
];

/// Calls that do very different things by an argument, which a profile by name leaves open.
pub const ALLOWED_BY_ARGUMENT: &[(&str, &str)] = &[
    ("clone", "may make new namespaces by its flags"),
    (
        "clone3",
        "may make new namespaces, by flags that no filter can see",
    ),
    ("ioctl", "any command to any device it has open"),
    ("prctl", "any operation"),
    ("socket", "any address family, raw and netlink sockets too"),
    ("socketcall", "any socket operation of the 32-bit ABI"),
];

/// What is known against a call, if anything is.
///
/// ```
/// use syscalls::risk::risk;
///
/// assert!(risk("bpf").is_some());
/// assert!(risk("read").is_none());
/// ```
pub fn risk(name: &str) -> Option<&'static Risk> {
    RISKS
        .binary_search_by_key(&name, |risk| risk.name)
        .ok()
        .and_then(|index| RISKS.get(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Abi;

    #[test]
    fn rows_are_sorted_and_exist() {
        assert!(RISKS.is_sorted_by(|a, b| a.name < b.name));
        assert!(ALLOWED_BY_ARGUMENT.is_sorted_by(|a, b| a.0 < b.0));
        for name in RISKS
            .iter()
            .map(|risk| risk.name)
            .chain(ALLOWED_BY_ARGUMENT.iter().map(|(name, _)| *name))
        {
            assert!(
                Abi::ALL
                    .iter()
                    .any(|abi| abi.syscall_number(name).is_some()),
                "{name}"
            );
        }
    }

    #[test]
    fn risk_is_found_by_name() {
        assert!(risk("ptrace").is_some());
        assert!(risk("read").is_none());
    }
}
