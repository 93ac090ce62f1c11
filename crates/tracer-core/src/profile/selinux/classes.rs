//! Object classes and their permissions, in the kernel's order.
//!
//! The kernel counts permissions in the order of its own table, whatever the policy's is
//! (`secclass_map`, security/selinux/include/classmap.h; `selinux_set_mapping`, security/selinux/ss/services.c). The
//! table is of Linux 5.8 and later. New permissions are added at the end of a class, with one exception: those
//! of all files, where 6.15 added `watch_mountns` before what files and directories have of their own.

const IO: &[&str] = &[
    "ioctl",
    "read",
    "write",
    "create",
    "getattr",
    "setattr",
    "lock",
    "relabelfrom",
    "relabelto",
    "append",
    "map",
];
const FILE: &[&str] = &[
    "unlink",
    "link",
    "rename",
    "execute",
    "quotaon",
    "mounton",
    "audit_access",
    "open",
    "execmod",
    "watch",
    "watch_mount",
    "watch_sb",
    "watch_with_perm",
    "watch_reads",
];
const SOCKET: &[&str] = &[
    "bind",
    "connect",
    "listen",
    "accept",
    "getopt",
    "setopt",
    "shutdown",
    "recvfrom",
    "sendto",
    "name_bind",
];
const IPC: &[&str] = &[
    "create",
    "destroy",
    "getattr",
    "setattr",
    "read",
    "write",
    "associate",
    "unix_read",
    "unix_write",
];
const CAPABILITY: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
];
const CAPABILITY2: &[&str] = &[
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];
const NETLINK: &[&str] = &["nlmsg_read", "nlmsg_write", "nlmsg"];

/// What a class has besides the permissions of its kind.
enum Kind {
    File,
    Socket,
    Ipc,
    Other,
}

/// Each class, its kind, and its own permissions.
const CLASSES: &[(&str, Kind, &[&str])] = &[
    (
        "security",
        Kind::Other,
        &[
            "compute_av",
            "compute_create",
            "compute_member",
            "check_context",
            "load_policy",
            "compute_relabel",
            "compute_user",
            "setenforce",
            "setbool",
            "setsecparam",
            "setcheckreqprot",
            "read_policy",
            "validate_trans",
        ],
    ),
    (
        "process",
        Kind::Other,
        &[
            "fork",
            "transition",
            "sigchld",
            "sigkill",
            "sigstop",
            "signull",
            "signal",
            "ptrace",
            "getsched",
            "setsched",
            "getsession",
            "getpgid",
            "setpgid",
            "getcap",
            "setcap",
            "share",
            "getattr",
            "setexec",
            "setfscreate",
            "noatsecure",
            "siginh",
            "setrlimit",
            "rlimitinh",
            "dyntransition",
            "setcurrent",
            "execmem",
            "execstack",
            "execheap",
            "setkeycreate",
            "setsockcreate",
            "getrlimit",
        ],
    ),
    (
        "process2",
        Kind::Other,
        &["nnp_transition", "nosuid_transition"],
    ),
    (
        "system",
        Kind::Other,
        &[
            "ipc_info",
            "syslog_read",
            "syslog_mod",
            "syslog_console",
            "module_request",
            "module_load",
            "firmware_load",
            "kexec_image_load",
            "kexec_initramfs_load",
            "policy_load",
            "x509_certificate_load",
        ],
    ),
    ("capability", Kind::Other, CAPABILITY),
    (
        "filesystem",
        Kind::Other,
        &[
            "mount",
            "remount",
            "unmount",
            "getattr",
            "relabelfrom",
            "relabelto",
            "associate",
            "quotamod",
            "quotaget",
            "watch",
        ],
    ),
    ("file", Kind::File, &["execute_no_trans", "entrypoint"]),
    (
        "memfd_file",
        Kind::File,
        &["execute_no_trans", "entrypoint"],
    ),
    (
        "dir",
        Kind::File,
        &["add_name", "remove_name", "reparent", "search", "rmdir"],
    ),
    ("fd", Kind::Other, &["use"]),
    ("lnk_file", Kind::File, &[]),
    ("chr_file", Kind::File, &[]),
    ("blk_file", Kind::File, &[]),
    ("sock_file", Kind::File, &[]),
    ("fifo_file", Kind::File, &[]),
    ("anon_inode", Kind::File, &[]),
    ("tcp_socket", Kind::Socket, &["node_bind", "name_connect"]),
    ("udp_socket", Kind::Socket, &["node_bind"]),
    ("rawip_socket", Kind::Socket, &["node_bind"]),
    ("dccp_socket", Kind::Socket, &["node_bind", "name_connect"]),
    ("icmp_socket", Kind::Socket, &["node_bind"]),
    (
        "sctp_socket",
        Kind::Socket,
        &["node_bind", "name_connect", "association"],
    ),
    ("unix_stream_socket", Kind::Socket, &["connectto"]),
    ("netlink_route_socket", Kind::Socket, NETLINK),
    ("netlink_tcpdiag_socket", Kind::Socket, NETLINK),
    ("netlink_xfrm_socket", Kind::Socket, NETLINK),
    (
        "netlink_audit_socket",
        Kind::Socket,
        &[
            "nlmsg_read",
            "nlmsg_write",
            "nlmsg_relay",
            "nlmsg_readpriv",
            "nlmsg_tty_audit",
            "nlmsg",
        ],
    ),
    ("tun_socket", Kind::Socket, &["attach_queue"]),
    ("node", Kind::Other, &["recvfrom", "sendto"]),
    ("netif", Kind::Other, &["ingress", "egress"]),
    ("sem", Kind::Ipc, &[]),
    ("msg", Kind::Other, &["send", "receive"]),
    ("msgq", Kind::Ipc, &["enqueue"]),
    ("shm", Kind::Ipc, &["lock"]),
    ("ipc", Kind::Ipc, &[]),
    (
        "association",
        Kind::Other,
        &["sendto", "recvfrom", "setcontext", "polmatch"],
    ),
    (
        "packet",
        Kind::Other,
        &["send", "recv", "relabelto", "forward_in", "forward_out"],
    ),
    (
        "key",
        Kind::Other,
        &[
            "view", "read", "write", "search", "link", "setattr", "create",
        ],
    ),
    ("memprotect", Kind::Other, &["mmap_zero"]),
    ("peer", Kind::Other, &["recv"]),
    ("capability2", Kind::Other, CAPABILITY2),
    (
        "kernel_service",
        Kind::Other,
        &["use_as_override", "create_files_as"],
    ),
    (
        "binder",
        Kind::Other,
        &["impersonate", "call", "set_context_mgr", "transfer"],
    ),
    ("cap_userns", Kind::Other, CAPABILITY),
    ("cap2_userns", Kind::Other, CAPABILITY2),
    ("infiniband_pkey", Kind::Other, &["access"]),
    ("infiniband_endport", Kind::Other, &["manage_subnet"]),
    (
        "bpf",
        Kind::Other,
        &[
            "map_create",
            "map_read",
            "map_write",
            "prog_load",
            "prog_run",
            "map_create_as",
            "prog_load_as",
        ],
    ),
    (
        "perf_event",
        Kind::Other,
        &["open", "cpu", "kernel", "tracepoint", "read", "write"],
    ),
    (
        "io_uring",
        Kind::Other,
        &["override_creds", "sqpoll", "cmd", "allowed"],
    ),
    ("user_namespace", Kind::Other, &["create"]),
    ("lockdown", Kind::Other, &["integrity", "confidentiality"]),
];

/// The version of Linux, as in `uname -r`: its first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelOrder(u32, u32);

impl KernelOrder {
    /// The order of a release's permissions; that of 5.8 when the release has no numbers.
    pub fn of_release(release: &str) -> Self {
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse().unwrap_or(0));
        Self(numbers.next().unwrap_or(5), numbers.next().unwrap_or(8))
    }
}

/// The permissions of a class, in the kernel's order; `None` when the class is not known. All classes whose
/// names end in `socket` have those of sockets.
pub fn permissions(class: &str, kernel: KernelOrder) -> Option<Vec<&'static str>> {
    let known = CLASSES.iter().find(|(name, ..)| *name == class);
    let (kind, own) = match known {
        Some((_, kind, own)) => (kind, *own),
        None if class == "socket" || class.ends_with("_socket") => (&Kind::Socket, &[][..]),
        None => return None,
    };
    let newer: &[&str] = if kernel >= KernelOrder(6, 15) {
        &["watch_mountns"]
    } else {
        &[]
    };
    let common: &[&[&str]] = match kind {
        Kind::File => &[IO, FILE, newer],
        Kind::Socket => &[IO, SOCKET],
        Kind::Ipc => &[IPC],
        Kind::Other => &[],
    };
    Some([common.concat(), own.to_vec()].concat())
}

/// The names of the permissions in a set of bits, and how many bits have none.
///
/// ```
/// use tracer_core::profile::selinux::classes::{KernelOrder, names};
///
/// let order = KernelOrder::of_release("6.1.0-50-amd64");
/// assert_eq!(names("fd", 1, order), (vec!["use"], 0));
/// assert_eq!(names("file", 1 << 25, order), (vec!["execute_no_trans"], 0));
/// let newer = KernelOrder::of_release("6.18.1");
/// assert_eq!(names("file", 1 << 26, newer), (vec!["execute_no_trans"], 0));
/// ```
pub fn names(class: &str, bits: u32, kernel: KernelOrder) -> (Vec<&'static str>, u32) {
    let all = permissions(class, kernel).unwrap_or_default();
    let set = (0..32).filter(|bit| bits >> bit & 1 == 1);
    let names: Vec<_> = set.filter_map(|bit| all.get(bit).copied()).collect();
    let named = u32::try_from(names.len()).unwrap_or(u32::MAX);
    (names, bits.count_ones().saturating_sub(named))
}

/// Every class that is known by name.
pub fn known_classes() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(name, ..)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_class_has_more_permissions_than_bits_or_one_twice() {
        for class in known_classes() {
            for release in ["5.10.0", "6.18.1"] {
                let all = permissions(class, KernelOrder::of_release(release)).unwrap();
                let distinct: BTreeSet<_> = all.iter().collect();
                assert_eq!(distinct.len(), all.len(), "{class}");
                assert!((1..=32).contains(&all.len()), "{class}");
            }
        }
    }

    #[test]
    fn unknown_bits_are_counted() {
        let order = KernelOrder::of_release("6.1");
        assert_eq!(names("fd", 0b101, order), (vec!["use"], 1));
        assert_eq!(names("no_such_class", 0b11, order), (vec![], 2));
        assert_eq!(
            names("vsock_socket", 1 << 20, order),
            (vec!["name_bind"], 0)
        );
    }
}
