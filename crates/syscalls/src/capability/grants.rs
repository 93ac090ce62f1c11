//! What each capability opens (capabilities(7) of man-pages 6.03; include/uapi/linux/capability.h,
//! Linux 6.18).

use super::Capability;

/// By number, as that of [`super::NAMES`].
const GRANTS: [&str; 41] = [
    "give any file any owner, and so take any file",
    "read, write and execute any file, whatever its mode",
    "read any file and search any directory; open files by handle, which leads out of a container",
    "change mode, times and attributes of any file as if it were one's own",
    "keep set-user-ID and set-group-ID bits when a file is changed",
    "send signals to any process",
    "take any group",
    "take any user, root included",
    "give away and drop capabilities; without it a process cannot lower its bounding set",
    "change files that are marked immutable or append-only",
    "listen on ports below 1024",
    "reserved for broadcasts; the kernel does not ask for it",
    "configure the network: addresses, routes, firewall, interfaces",
    "raw and packet sockets: forge and overhear packets",
    "lock memory in RAM beyond the limit",
    "use System V IPC objects of anyone",
    "load and unload kernel modules: all of the kernel",
    "access to ports, kernel memory and disks past the kernel's checks: all of the machine",
    "change the root directory, and enter mount namespaces",
    "trace, read and change any process, and so take what it may do",
    "switch process accounting on and off",
    "mount, namespaces, quotas, device control and much else: close to all of root's power",
    "reboot, and load another kernel",
    "raise priority, and set scheduling of any process",
    "go beyond limits: disk reserve, quotas, processes, open files",
    "set the clock",
    "configure terminals, hang them up",
    "make device files: with one, any device that the cgroup allows",
    "set leases on any file",
    "write to the kernel's audit log",
    "configure the kernel's auditing, and switch it off",
    "give files capabilities",
    "override the rules of a security module (Smack)",
    "configure a security module: load AppArmor profiles, change Smack's rules",
    "read and configure the kernel's log, and see kernel addresses",
    "wake the machine from sleep",
    "keep the machine from sleeping",
    "read the audit log",
    "observe the machine's performance: perf events, and what they tell of others",
    "load BPF programs",
    "checkpoint and restore processes; choose the ids of new ones",
];

impl Capability {
    /// What it opens, for a reviewer; `None` when it has no name here.
    pub fn grants(self) -> Option<&'static str> {
        GRANTS.get(usize::from(self.number())).copied()
    }

    /// Whether a process that has it can take over the machine or another user with little effort.
    pub fn is_nearly_root(self) -> bool {
        matches!(
            self.name(),
            Some(
                "DAC_OVERRIDE"
                    | "DAC_READ_SEARCH"
                    | "CHOWN"
                    | "SETUID"
                    | "SETFCAP"
                    | "SYS_ADMIN"
                    | "SYS_MODULE"
                    | "SYS_PTRACE"
                    | "SYS_RAWIO"
                    | "SYS_BOOT"
                    | "MKNOD"
                    | "MAC_ADMIN"
                    | "BPF"
            )
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_its_own_description() {
        let all: std::collections::BTreeSet<_> =
            Capability::all().map(Capability::grants).collect();
        assert_eq!(all.len(), 41);
        assert!(!all.contains(&None));
        let opens = |name: &str| name.parse::<Capability>().unwrap().grants();
        assert_eq!(
            opens("CAP_NET_BIND_SERVICE"),
            Some("listen on ports below 1024")
        );
        assert_eq!(opens("CAP_BPF"), Some("load BPF programs"));
        assert_eq!(Capability::from_number(41).grants(), None);
    }
}
