//! What a check of a capability means: whether the kernel refuses something without it, or goes on.
//!
//! The kernel says so itself where it asks with `CAP_OPT_NOAUDIT`: "do not audit the request" is for what
//! is tried and not insisted on (include/linux/security.h). Where a provider does not see that option,
//! the functions that asked tell it: the kernel has it in their names. Some functions ask loudly and go
//! on all the same, and some ask quietly and insist; these are listed, each with its source. The
//! calls of a program are not looked at: one call may ask for both reasons.

use super::Capability;

/// What is known of a check that was answered with yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check<'a> {
    /// The kernel's functions, the one that asked first.
    pub callers: &'a [&'a str],
    /// Whether it was asked with `CAP_OPT_NOAUDIT`; `None` when the provider does not see that.
    pub unaudited: Option<bool>,
    /// What the arguments of the call say.
    pub arguments: ArgumentHints,
}

/// What the arguments of the call say of a need.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own, of another capability"
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArgumentHints {
    /// The id that is asked for is the real or the saved one.
    pub own_id: bool,
    /// The mode has `S_ISGID`.
    pub set_group_id: bool,
    /// The file is opened to be written.
    pub writes: bool,
    /// The task acts as root.
    pub root: bool,
    /// The call reads a setting of a network interface.
    pub reads_interface: bool,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The kernel would have refused something.
    Required,
    /// The kernel would have gone on, and the program would not have noticed an error.
    NotRequired,
    /// It cannot be told.
    Unknown,
}

/// The kernel's own interface to capabilities (kernel/capability.c, security/security.c,
/// security/commoncap.c, net/core/sock.c, net/netlink/af_netlink.c, include/linux/capability.h,
/// kernel/bpf/token.c): whoever called the last of them asked.
const LAYER: [&str; 26] = [
    "apparmor_capable",
    "bpf_lsm_capable",
    "bpf_ns_capable",
    "bpf_token_capable",
    "cap_capable",
    "capable",
    "capable_wrt_inode_uidgid",
    "checkpoint_restore_ns_capable",
    "file_ns_capable",
    "has_capability",
    "has_capability_noaudit",
    "has_ns_capability",
    "has_ns_capability_noaudit",
    "netlink_capable",
    "netlink_net_capable",
    "netlink_ns_capable",
    "ns_capable",
    "ns_capable_common",
    "ns_capable_noaudit",
    "ns_capable_setid",
    "privileged_wrt_inode_uidgid",
    "ptracer_capable",
    "security_capable",
    "sk_net_capable",
    "sk_ns_capable",
    "sockopt_ns_capable",
];

/// What BPF and the tracepoint put on top of the stack.
fn is_tracing(function: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "__bpf_",
        "__traceiter_",
        "bpf_get_stack",
        "bpf_lsm_",
        "bpf_prog_",
        "bpf_trace_run",
        "bpf_trampoline_",
        "0x",
    ];
    PREFIXES.iter().any(|prefix| function.starts_with(prefix))
}

/// Functions that ask without `CAP_OPT_NOAUDIT` in their own name, and with it in their text.
const QUIET: [&str; 5] = [
    // security/commoncap.c: whether the last pages may be used, which are kept for root. It never
    // refuses by itself (`__vm_enough_memory`, mm/util.c). One is compiled into the other.
    "cap_vm_enough_memory",
    "security_vm_enough_memory_mm",
    "__vm_enough_memory",
    // kernel/ksyms_common.c: whether addresses are shown or 0.
    "kallsyms_show_value",
    // kernel/capability.c: of whoever traces the task.
    "ptracer_capable",
];

/// What a function that asks does with the answer.
type Rule = fn(ArgumentHints) -> bool;

/// Functions that ask quietly and insist: when they do.
const INSISTING: [(&str, Rule); 7] = [
    // kernel/seccomp.c: EACCES without no_new_privs. The parts are compiled into one another.
    ("seccomp_prepare_filter", |_| true),
    ("seccomp_prepare_user_filter", |_| true),
    ("seccomp_set_mode_filter", |_| true),
    ("do_seccomp", |_| true),
    // kernel/ucount.c, `set_permissions`: others than its holder may only read.
    ("set_permissions", |it| it.writes),
    // net/sysctl_net.c, `net_ctl_permissions`: its holder may do what root may; root need not be it.
    ("net_ctl_permissions", |it| it.writes && !it.root),
    // ipc/ipc_sysctl.c, `ipc_permissions`: likewise.
    ("ipc_permissions", |it| it.writes && !it.root),
];

/// The same in whole: `__do_sys_landlock_restrict_self`, `__x64_sys_…` (security/landlock/syscalls.c).
const INSISTING_CALL: &str = "landlock_restrict_self";

/// Functions that ask aloud and go on without: when they do, by capability.
const GOING_ON: [(&str, &str, Rule); 40] = [
    // fs/ext4/xattr_trusted.c and the like: whether names in `trusted.` are listed.
    ("ext4_xattr_trusted_list", "SYS_ADMIN", |_| true),
    ("ext4_xattr_list_entries", "SYS_ADMIN", |_| true),
    ("ext4_listxattr", "SYS_ADMIN", |_| true),
    ("simple_xattr_list", "SYS_ADMIN", |_| true),
    ("xfs_xattr_put_listent", "SYS_ADMIN", |_| true),
    ("btrfs_listxattr", "SYS_ADMIN", |_| true),
    ("f2fs_xattr_trusted_list", "SYS_ADMIN", |_| true),
    ("f2fs_listxattr", "SYS_ADMIN", |_| true),
    ("erofs_xattr_trusted_list", "SYS_ADMIN", |_| true),
    ("squashfs_trusted_xattr_handler_list", "SYS_ADMIN", |_| true),
    ("ovl_can_list", "SYS_ADMIN", |_| true),
    ("ovl_listxattr", "SYS_ADMIN", |_| true),
    // kernel/sys.c: the holder may take any id, others one of their own.
    ("__sys_setuid", "SETUID", |it| it.own_id),
    ("__sys_setgid", "SETGID", |it| it.own_id),
    ("__do_sys_setuid", "SETUID", |it| it.own_id),
    ("__do_sys_setgid", "SETGID", |it| it.own_id),
    // security/commoncap.c, `cap_inh_is_capped`: only what is made inheritable beyond what was permitted
    // takes it.
    ("cap_capset", "SETPCAP", |_| true),
    ("cap_inh_is_capped", "SETPCAP", |_| true),
    ("security_capset", "SETPCAP", |_| true),
    // fs/attr.c and fs/inode.c: whether S_ISGID of a new mode is kept.
    ("setattr_prepare", "FSETID", |it| !it.set_group_id),
    ("setattr_copy", "FSETID", |it| !it.set_group_id),
    ("setattr_copy_mgtime", "FSETID", |it| !it.set_group_id),
    ("in_group_or_capable", "FSETID", |it| !it.set_group_id),
    // net/core/dev_ioctl.c, `dev_load`: whether a module is looked for when no interface has a name.
    ("dev_load", "NET_ADMIN", |_| true),
    ("dev_load", "SYS_MODULE", |_| true),
    // The same compiled into its caller, which asks for itself before it changes something.
    ("dev_ioctl", "NET_ADMIN", |it| it.reads_interface),
    ("dev_ioctl", "SYS_MODULE", |_| true),
    // net/ipv4/inet_diag.c: whether marks of sockets are shown.
    ("inet_diag_dump_icsk", "NET_ADMIN", |_| true),
    ("inet_diag_dump_one_icsk", "NET_ADMIN", |_| true),
    ("udp_dump", "NET_ADMIN", |_| true),
    ("tcp_diag_dump_one", "NET_ADMIN", |_| true),
    // net/core/sock_diag.c and its families: likewise.
    ("packet_diag_dump", "NET_ADMIN", |_| true),
    ("raw_diag_dump", "NET_ADMIN", |_| true),
    // ipc/mqueue.c: which limits apply to a queue.
    ("mq_attr_ok", "SYS_RESOURCE", |_| true),
    ("mqueue_get_inode", "SYS_RESOURCE", |_| true),
    // io_uring/io_uring.c: whether the memory of the rings is counted.
    ("io_uring_create", "IPC_LOCK", |_| true),
    // block/scsi_ioctl.c, drivers/scsi/scsi_ioctl.c: all commands, or those that read.
    ("scsi_cmd_allowed", "SYS_RAWIO", |_| true),
    // drivers/tty/vt/vt_ioctl.c: whether what changes a console may be asked of another one.
    ("vt_ioctl", "SYS_TTY_CONFIG", |_| true),
    // kernel/bpf/verifier.c: what a program of BPF is let do with pointers.
    ("bpf_check", "PERFMON", |_| true),
    ("bpf_prog_load", "PERFMON", |_| true),
];

/// How far from the first function that is not of [`LAYER`] the listed ones are looked for: some are
/// compiled into their callers.
const REACH: usize = 3;

/// What a check means.
///
/// ```
/// use syscalls::capability::{Capability, checks::{Check, Meaning, meaning}};
///
/// let admin = Capability::from_number(21);
/// let check = |callers| Check { callers, ..Check::default() };
/// let memory = check(&["cap_capable", "security_vm_enough_memory_mm", "__mmap_region"]);
/// assert_eq!(meaning(admin, &memory), Meaning::NotRequired);
/// let mount = check(&["cap_capable", "security_capable", "ns_capable", "may_mount"]);
/// assert_eq!(meaning(admin, &mount), Meaning::Required);
/// assert_eq!(meaning(admin, &check(&[])), Meaning::Unknown);
/// ```
pub fn meaning(capability: Capability, check: &Check<'_>) -> Meaning {
    let mut callers = check
        .callers
        .iter()
        .copied()
        .skip_while(|it| is_tracing(it));
    let mut layer = Vec::new();
    let mut asking = Vec::new();
    for function in callers.by_ref() {
        if asking.is_empty() && LAYER.contains(&function) {
            layer.push(function);
        } else if asking.len() < REACH {
            asking.push(function);
        }
    }
    let of_asking = |name: &str| asking.contains(&name);
    let is_quiet = match check.unaudited {
        Some(unaudited) => unaudited,
        None if asking.is_empty() => return Meaning::Unknown,
        None => {
            let first = asking.first().copied().unwrap_or_default();
            layer
                .iter()
                .any(|it| it.contains("noaudit") || QUIET.contains(it))
                || QUIET.contains(&first)
        }
    };
    if is_quiet {
        let insists = INSISTING
            .iter()
            .any(|(name, rule)| of_asking(name) && rule(check.arguments))
            || asking.iter().any(|it| it.ends_with(INSISTING_CALL));
        return if insists {
            Meaning::Required
        } else {
            Meaning::NotRequired
        };
    }
    let goes_on = GOING_ON.iter().any(|(name, of, rule)| {
        capability.name() == Some(of) && of_asking(name) && rule(check.arguments)
    });
    if goes_on {
        Meaning::NotRequired
    } else {
        Meaning::Required
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, callers: &[&str], arguments: ArgumentHints) -> Meaning {
        let check = Check {
            callers,
            unaudited: None,
            arguments,
        };
        meaning(name.parse().unwrap(), &check)
    }

    const NONE: ArgumentHints = ArgumentHints {
        own_id: false,
        set_group_id: false,
        writes: false,
        root: false,
        reads_interface: false,
    };

    #[test]
    fn functions_that_ask_quietly_need_nothing() {
        let quiet: [&[&str]; 5] = [
            &[
                "bpf_prog_1_cap_capable",
                "bpf_trace_run5",
                "cap_capable",
                "security_vm_enough_memory_mm",
                "dup_mmap",
            ],
            &[
                "cap_capable",
                "security_capable",
                "ns_capable_noaudit",
                "net_ctl_permissions",
            ],
            &[
                "cap_capable",
                "security_capable",
                "has_capability_noaudit",
                "restricted_pointer",
            ],
            &[
                "cap_capable",
                "security_capable",
                "kallsyms_show_value",
                "kallsyms_open",
            ],
            &[
                "cap_capable",
                "security_capable",
                "ptracer_capable",
                "cap_bprm_creds_from_file",
            ],
        ];
        for callers in quiet {
            assert_eq!(
                of("SYS_ADMIN", callers, NONE),
                Meaning::NotRequired,
                "{callers:?}"
            );
        }
    }

    #[test]
    fn quiet_functions_that_insist_are_needs() {
        let asked = |function| {
            [
                "cap_capable",
                "security_capable",
                "ns_capable_noaudit",
                function,
            ]
        };
        let writes = ArgumentHints {
            writes: true,
            ..NONE
        };
        let root = ArgumentHints {
            root: true,
            ..writes
        };
        for (name, function, hints, expected) in [
            ("SYS_ADMIN", "do_seccomp", NONE, Meaning::Required),
            (
                "SYS_ADMIN",
                "__do_sys_landlock_restrict_self",
                NONE,
                Meaning::Required,
            ),
            (
                "NET_ADMIN",
                "net_ctl_permissions",
                NONE,
                Meaning::NotRequired,
            ),
            (
                "NET_ADMIN",
                "net_ctl_permissions",
                writes,
                Meaning::Required,
            ),
            (
                "NET_ADMIN",
                "net_ctl_permissions",
                root,
                Meaning::NotRequired,
            ),
            ("SYS_RESOURCE", "set_permissions", root, Meaning::Required),
            (
                "SYS_RESOURCE",
                "set_permissions",
                NONE,
                Meaning::NotRequired,
            ),
        ] {
            assert_eq!(of(name, &asked(function), hints), expected, "{function}");
        }
    }

    #[test]
    fn loud_functions_that_go_on_are_no_needs() {
        let asked = |function| ["cap_capable", "security_capable", "capable", function];
        let own = ArgumentHints {
            own_id: true,
            ..NONE
        };
        let sgid = ArgumentHints {
            set_group_id: true,
            ..NONE
        };
        let reads = ArgumentHints {
            reads_interface: true,
            ..NONE
        };
        for (name, function, hints, expected) in [
            (
                "SYS_ADMIN",
                "ext4_xattr_trusted_list",
                NONE,
                Meaning::NotRequired,
            ),
            ("SETUID", "__sys_setuid", own, Meaning::NotRequired),
            ("SETUID", "__sys_setuid", NONE, Meaning::Required),
            ("FSETID", "setattr_prepare", NONE, Meaning::NotRequired),
            ("FSETID", "setattr_prepare", sgid, Meaning::Required),
            ("CHOWN", "setattr_prepare", NONE, Meaning::Required),
            ("SYS_MODULE", "dev_load", NONE, Meaning::NotRequired),
            ("SYS_MODULE", "dev_ioctl", NONE, Meaning::NotRequired),
            ("NET_ADMIN", "dev_ioctl", NONE, Meaning::Required),
            ("NET_ADMIN", "dev_ioctl", reads, Meaning::NotRequired),
            (
                "SYS_MODULE",
                "__do_sys_finit_module",
                NONE,
                Meaning::Required,
            ),
        ] {
            assert_eq!(
                of(name, &asked(function), hints),
                expected,
                "{name} {function}"
            );
        }
    }

    #[test]
    fn kernels_own_word_comes_first() {
        let check = |unaudited| Check {
            callers: &[],
            unaudited: Some(unaudited),
            arguments: NONE,
        };
        let admin = Capability::from_number(21);
        assert_eq!(meaning(admin, &check(true)), Meaning::NotRequired);
        assert_eq!(meaning(admin, &check(false)), Meaning::Required);
        assert_eq!(of("SYS_ADMIN", &[], NONE), Meaning::Unknown);
        // A stack that ends within the layer names nobody.
        assert_eq!(
            of("SYS_ADMIN", &["cap_capable", "capable"], NONE),
            Meaning::Unknown
        );
    }

    #[test]
    fn every_listed_capability_exists() {
        for (function, capability, _) in GOING_ON {
            assert!(capability.parse::<Capability>().is_ok(), "{function}");
        }
    }
}
