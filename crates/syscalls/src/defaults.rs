//! What the default profiles of Docker and containerd block, why, and which capability opens it.
//!
//! The list of Docker's manual ("Seccomp security profiles for Docker", which Azure's page on AKS
//! repeats) and what its profile has taken in since (moby, profiles/seccomp/default_linux.go;
//! containerd, contrib/seccomp/seccomp_default.go is the same list in Go). Why is [`super::risk`]'s
//! sentence where that has one. Which capability the kernel itself asks for is the table's other half:
//! the engines open a call with the capability that gates it.

use super::{Abi, risk};

/// A call that the defaults block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockedSyscall {
    /// The call.
    pub name: &'static str,
    /// With any of these in the container the defaults let it through, `CAP_…`.
    pub allowed_with: &'static [&'static str],
    /// Why it is blocked, when [`risk`] does not say it.
    reason: &'static str,
}

impl BlockedSyscall {
    /// One sentence.
    pub fn why(&self) -> &'static str {
        risk::risk(self.name).map_or(self.reason, |risk| risk.sentence)
    }
}

const fn blocked(
    name: &'static str,
    allowed_with: &'static [&'static str],
    reason: &'static str,
) -> BlockedSyscall {
    BlockedSyscall {
        name,
        allowed_with,
        reason,
    }
}

const ADMIN: &[&str] = &["CAP_SYS_ADMIN"];
const BOOT: &[&str] = &["CAP_SYS_BOOT"];
const MODULE: &[&str] = &["CAP_SYS_MODULE"];
const NICE: &[&str] = &["CAP_SYS_NICE"];
const PTRACE: &[&str] = &["CAP_SYS_PTRACE"];
const RAWIO: &[&str] = &["CAP_SYS_RAWIO"];
const TIME: &[&str] = &["CAP_SYS_TIME"];
const NUMA: &str =
    "Moves memory between nodes of the machine, which the container's neighbours feel.";
const OLD: &str = "Obsolete; current programs do not need it, and bugs hide in old code.";

/// All of them, by name.
pub const BLOCKED_SYSCALLS: &[BlockedSyscall] = &[
    blocked("_sysctl", &[], OLD),
    blocked("acct", &["CAP_SYS_PACCT"], ""),
    blocked("add_key", &[], ""),
    blocked("bpf", &["CAP_BPF", "CAP_SYS_ADMIN"], ""),
    blocked("clock_settime", TIME, ""),
    blocked("clock_settime64", TIME, "Sets the machine's clock."),
    blocked("create_module", &[], ""),
    blocked("delete_module", MODULE, ""),
    blocked(
        "fanotify_init",
        ADMIN,
        "Watches all accesses to files of a mount, the host's too.",
    ),
    blocked("finit_module", MODULE, ""),
    blocked("fsconfig", ADMIN, "Part of the new mount interface."),
    blocked("fsmount", ADMIN, ""),
    blocked("fsopen", ADMIN, ""),
    blocked("fspick", ADMIN, "Part of the new mount interface."),
    blocked("get_kernel_syms", &[], OLD),
    blocked("init_module", MODULE, ""),
    blocked("io_uring_enter", &[], ""),
    blocked("io_uring_register", &[], ""),
    blocked("io_uring_setup", &[], ""),
    blocked("ioperm", RAWIO, ""),
    blocked("iopl", RAWIO, ""),
    blocked("kcmp", PTRACE, ""),
    blocked("kexec_file_load", &[], ""),
    blocked("kexec_load", &[], ""),
    blocked("keyctl", &[], ""),
    blocked("lookup_dcookie", ADMIN, ""),
    blocked("mbind", NICE, NUMA),
    blocked("mount", ADMIN, ""),
    blocked("mount_setattr", ADMIN, "Changes the flags of mounts."),
    blocked("move_mount", ADMIN, ""),
    blocked("move_pages", &[], NUMA),
    blocked("nfsservctl", &[], ""),
    blocked("open_by_handle_at", &["CAP_DAC_READ_SEARCH"], ""),
    blocked("open_tree", ADMIN, ""),
    blocked("perf_event_open", &["CAP_PERFMON", "CAP_SYS_ADMIN"], ""),
    blocked("pidfd_getfd", PTRACE, ""),
    blocked("pivot_root", &[], ""),
    blocked("process_madvise", PTRACE, ""),
    blocked("query_module", &[], OLD),
    blocked("quotactl", ADMIN, ""),
    blocked("quotactl_fd", ADMIN, "Changes disk quotas."),
    blocked("reboot", BOOT, ""),
    blocked("request_key", &[], ""),
    blocked("set_mempolicy", NICE, NUMA),
    blocked("set_mempolicy_home_node", NICE, NUMA),
    blocked(
        "setdomainname",
        ADMIN,
        "Changes the NIS domain name of its namespace.",
    ),
    blocked(
        "sethostname",
        ADMIN,
        "Changes the host's name in its namespace.",
    ),
    blocked("setns", ADMIN, ""),
    blocked("settimeofday", TIME, ""),
    blocked("stime", TIME, "Sets the machine's clock."),
    blocked("swapoff", &[], ""),
    blocked("swapon", &[], ""),
    blocked("sysfs", &[], OLD),
    blocked("syslog", &["CAP_SYSLOG", "CAP_SYS_ADMIN"], ""),
    blocked("umount", ADMIN, ""),
    blocked("umount2", ADMIN, ""),
    blocked("unshare", ADMIN, ""),
    blocked("uselib", &[], OLD),
    blocked("userfaultfd", &[], ""),
    blocked("ustat", &[], OLD),
    blocked("vhangup", &["CAP_SYS_TTY_CONFIG"], ""),
    blocked(
        "vm86",
        &[],
        "A mode of old processors, with a history of holes in the kernel.",
    ),
    blocked(
        "vm86old",
        &[],
        "A mode of old processors, with a history of holes in the kernel.",
    ),
];

/// The 64-bit calls of x86 that Docker's default lets through, for some arguments at least, in a container
/// that has Docker's default capabilities.
pub fn allowed_by_default() -> impl Iterator<Item = &'static str> {
    let has = |capability: &str| DEFAULT_CAPABILITIES.contains(&capability);
    let calls = Abi::X86_64.syscalls().map(|(_, name)| name);
    calls.filter(move |name| by_default(name, has) != DefaultDecision::Denied)
}

/// What is known of a call that the defaults block; `None` for others.
///
/// ```
/// use syscalls::defaults::blocked_by_default;
///
/// assert!(blocked_by_default("bpf").is_some());
/// assert!(blocked_by_default("read").is_none());
/// ```
pub fn blocked_by_default(name: &str) -> Option<&'static BlockedSyscall> {
    BLOCKED_SYSCALLS
        .binary_search_by_key(&name, |blocked| blocked.name)
        .ok()
        .and_then(|at| BLOCKED_SYSCALLS.get(at))
}

/// What else the default profiles do not let through. Of these nobody has to be warned: they are new, were
/// never there, or give nothing away.
const OTHERWISE_DENIED: &[BlockedSyscall] = &[
    blocked("afs_syscall", &[], UNUSED),
    blocked("chroot", &["CAP_SYS_CHROOT"], "Changes the root directory."),
    blocked(
        "clone3",
        ADMIN,
        "No filter can see its flags; callers use clone.",
    ),
    blocked("file_getattr", &[], NEW),
    blocked("file_setattr", &[], NEW),
    blocked("get_mempolicy", NICE, NUMA),
    blocked("getpmsg", &[], UNUSED),
    blocked("listns", &[], NEW),
    blocked("lsm_get_self_attr", ADMIN, NEW),
    blocked("lsm_list_modules", ADMIN, NEW),
    blocked("lsm_set_self_attr", ADMIN, NEW),
    blocked("migrate_pages", &[], NUMA),
    blocked("open_tree_attr", &[], NEW),
    blocked("putpmsg", &[], UNUSED),
    blocked("security", &[], UNUSED),
    blocked("tuxcall", &[], UNUSED),
    blocked("uprobe", &[], NEW),
    blocked("vserver", &[], UNUSED),
];
const NEW: &str = "Too new for the defaults to know it.";
const UNUSED: &str = "No current kernel has it.";

/// What Podman's and CRI-O's default lets through beyond Docker's, so that rootless containers can make
/// containers (containers/common, pkg/seccomp/seccomp.json). By name.
pub const PODMAN_OPENS: &[&str] = &[
    "clone3",
    "fanotify_init",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_mempolicy",
    "keyctl",
    "mbind",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pidfd_getfd",
    "pivot_root",
    "reboot",
    "set_mempolicy",
    "setns",
    "syslog",
    "umount",
    "umount2",
    "unshare",
];

/// What the defaults let through by its arguments only.
const SOME: &[&str] = &["clone", "personality", "socket"];

/// What Docker's and containerd's default profiles, which Kubernetes calls RuntimeDefault, do to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultDecision {
    /// It is made.
    Allowed,
    /// It depends on its arguments.
    Conditional,
    /// It is not.
    Denied,
}

/// What the defaults do to a call of a 64-bit ABI in a container with these capabilities, `CAP_…`.
pub fn by_default(name: &str, has: impl Fn(&str) -> bool) -> DefaultDecision {
    let unnamed = || OTHERWISE_DENIED.iter().find(|blocked| blocked.name == name);
    match blocked_by_default(name).or_else(unnamed) {
        Some(blocked) if !blocked.allowed_with.iter().any(|it| has(it)) => DefaultDecision::Denied,
        // With CAP_SYS_ADMIN clone is open for all flags.
        _ if SOME.contains(&name) && !(name == "clone" && has("CAP_SYS_ADMIN")) => {
            DefaultDecision::Conditional
        }
        _ => DefaultDecision::Allowed,
    }
}

/// The calls that a capability is of use for and that the kernel refuses without it, so that a profile
/// which denies them makes the capability useless: capabilities(7).
pub const SYSCALLS_BY_CAPABILITY: &[(&str, &[&str])] = &[
    ("CAP_BPF", &["bpf"]),
    ("CAP_CHOWN", &["chown", "fchown", "fchownat", "lchown"]),
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    ("CAP_MKNOD", &["mknod", "mknodat"]),
    ("CAP_PERFMON", &["perf_event_open"]),
    (
        "CAP_SETGID",
        &["setgid", "setgroups", "setregid", "setresgid"],
    ),
    ("CAP_SETUID", &["setreuid", "setresuid", "setuid"]),
    (
        "CAP_SYS_ADMIN",
        &["mount", "move_mount", "setns", "umount2", "unshare"],
    ),
    ("CAP_SYS_BOOT", &["kexec_file_load", "kexec_load", "reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    (
        "CAP_SYS_MODULE",
        &["delete_module", "finit_module", "init_module"],
    ),
    ("CAP_SYS_PACCT", &["acct"]),
    (
        "CAP_SYS_PTRACE",
        &["process_vm_readv", "process_vm_writev", "ptrace"],
    ),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    (
        "CAP_SYS_TIME",
        &["adjtimex", "clock_adjtime", "clock_settime", "settimeofday"],
    ),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
    ("CAP_SYSLOG", &["syslog"]),
];

/// What Docker gives a container unless told otherwise, `CAP_…` (moby, oci/caps/defaults.go).
pub const DEFAULT_CAPABILITIES: &[&str] = &[
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::Capability;

    #[test]
    fn rows_are_sorted_known_and_explained() {
        assert!(BLOCKED_SYSCALLS.is_sorted_by(|a, b| a.name < b.name));
        assert!(BLOCKED_SYSCALLS.len() >= 50);
        assert!(OTHERWISE_DENIED.is_sorted_by(|a, b| a.name < b.name));
        assert!(
            OTHERWISE_DENIED
                .iter()
                .all(|it| blocked_by_default(it.name).is_none())
        );
        for blocked in BLOCKED_SYSCALLS.iter().chain(OTHERWISE_DENIED) {
            assert!(
                Abi::ALL
                    .iter()
                    .any(|abi| abi.syscall_number(blocked.name).is_some()),
                "{}",
                blocked.name
            );
            assert!(blocked.why().ends_with('.'), "{}", blocked.name);
        }
    }

    #[test]
    fn granted_calls_exclude_blocked_ones() {
        let allowed_by_default: Vec<_> = allowed_by_default().collect();
        for name in ["read", "clone", "ptrace", "chroot", "socket"] {
            assert!(allowed_by_default.contains(&name), "{name}");
        }
        for name in ["mount", "clone3", "bpf", "unshare"] {
            assert!(!allowed_by_default.contains(&name), "{name}");
        }
        assert!(OTHERWISE_DENIED.is_sorted_by(|a, b| a.name < b.name));
        for blocked in OTHERWISE_DENIED {
            let name = blocked.name;
            assert!(Abi::X86_64.syscall_number(name).is_some(), "{name}");
            assert!(blocked_by_default(name).is_none(), "{name}");
        }
    }

    #[test]
    fn capabilities_and_their_calls_exist() {
        let opened = BLOCKED_SYSCALLS
            .iter()
            .flat_map(|blocked| blocked.allowed_with);
        let capability_requirements = SYSCALLS_BY_CAPABILITY.iter().map(|(name, _)| name);
        for name in opened
            .chain(capability_requirements)
            .chain(DEFAULT_CAPABILITIES)
        {
            assert!(name.parse::<Capability>().is_ok(), "{name}");
        }
        for name in SYSCALLS_BY_CAPABILITY.iter().flat_map(|(_, calls)| *calls) {
            assert!(Abi::X86_64.syscall_number(name).is_some(), "{name}");
        }
    }
}
