//! Calls by which the same thing can be done: who denies one of them and not the others denies
//! nothing.
//!
//! Wider than [`super::fallbacks`], which may only add what grants nothing new. Here the question is
//! the attacker's: with the one denied, what is left to reach the same end? So a member is named for
//! what it *can* do, with any arguments. Each of the ends was reached by each of its members in a test
//! (tests/seccomp/bypass.rs), as far as a machine survives that.

/// Calls that lead to one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquivalentGroup {
    /// Short, for evidence and tests.
    pub name: &'static str,
    /// What a program does by any of them, to follow "a program can still".
    pub end: &'static str,
    /// Whether that end is one which profiles are written against.
    pub serious: bool,
    /// The calls, of any ABI.
    pub members: &'static [&'static str],
    /// How the others stand in, where that is not plain, with the source.
    pub how: &'static str,
}

const fn family(
    name: &'static str,
    end: &'static str,
    serious: bool,
    members: &'static [&'static str],
    how: &'static str,
) -> EquivalentGroup {
    EquivalentGroup {
        name,
        end,
        serious,
        members,
        how,
    }
}

/// All of them.
pub const EQUIVALENT_GROUPS: &[EquivalentGroup] = &[
    family(
        "chmod",
        "change a file's mode",
        true,
        &["chmod", "fchmod", "fchmodat", "fchmodat2"],
        "fchmod takes an open descriptor, fchmodat2 is fchmodat with flags (fs/open.c)",
    ),
    family(
        "chown",
        "change a file's owner",
        true,
        &[
            "chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32",
        ],
        "fchown takes an open descriptor, lchown and fchownat a path (fs/open.c)",
    ),
    family(
        "open",
        "open a file",
        true,
        &["creat", "open", "open_by_handle_at", "openat", "openat2"],
        "open_by_handle_at needs CAP_DAC_READ_SEARCH; creat opens for writing only (fs/open.c, fs/fhandle.c)",
    ),
    family(
        "exec",
        "execute another program",
        true,
        &["execve", "execveat"],
        "execveat with AT_FDCWD is execve (fs/exec.c)",
    ),
    family(
        "mount",
        "mount a file system",
        true,
        &[
            "fsmount",
            "fsopen",
            "mount",
            "move_mount",
            "open_tree",
            "open_tree_attr",
        ],
        "fsopen, fsmount and move_mount together are mount; open_tree and move_mount are a bind mount (fs/namespace.c)",
    ),
    family(
        "remount",
        "change the flags of a mount",
        true,
        &["mount", "mount_setattr", "open_tree_attr"],
        "mount_setattr is mount with MS_REMOUNT|MS_BIND (fs/namespace.c)",
    ),
    family(
        "umount",
        "unmount a file system",
        true,
        &["umount", "umount2"],
        "umount is umount2 without flags (fs/namespace.c)",
    ),
    family(
        "root",
        "change the root directory",
        true,
        &["chroot", "pivot_root"],
        "both end with another root for the process; pivot_root needs a mount namespace (fs/open.c, fs/namespace.c)",
    ),
    family(
        "namespaces",
        "make a new namespace",
        true,
        &["clone", "clone3", "unshare"],
        "the flags of clone and clone3 make the namespaces that unshare makes (kernel/fork.c)",
    ),
    family(
        "processes",
        "make a new process",
        false,
        &["clone", "clone3", "fork", "vfork"],
        "all are kernel_clone (kernel/fork.c)",
    ),
    family(
        "memory",
        "read or change another process's memory",
        true,
        &["process_vm_readv", "process_vm_writev", "ptrace"],
        "process_vm_readv and process_vm_writev do what PTRACE_PEEKDATA and PTRACE_POKEDATA do, under the same check (mm/process_vm_access.c)",
    ),
    family(
        "modules",
        "load code into the kernel",
        true,
        &["finit_module", "init_module"],
        "init_module takes the module from memory, finit_module from a file (kernel/module/main.c)",
    ),
    family(
        "kexec",
        "load another kernel",
        true,
        &["kexec_file_load", "kexec_load"],
        "kexec_file_load takes descriptors, kexec_load memory (kernel/kexec.c, kexec_file.c)",
    ),
    family(
        "keys",
        "use the kernel's keyrings",
        true,
        &["add_key", "keyctl", "request_key"],
        "all three reach the same keyrings (security/keys/keyctl.c)",
    ),
    family(
        "clock",
        "set the machine's clock",
        true,
        &[
            "adjtimex",
            "clock_adjtime",
            "clock_adjtime64",
            "clock_settime",
            "clock_settime64",
            "settimeofday",
            "stime",
        ],
        "all of them end in do_settimeofday64 or do_adjtimex (kernel/time/)",
    ),
    family(
        "ports",
        "use I/O ports",
        true,
        &["ioperm", "iopl"],
        "iopl(3) opens all ports, ioperm those named (arch/x86/kernel/ioport.c)",
    ),
    family(
        "unlink",
        "remove a file",
        true,
        &["rename", "renameat", "renameat2", "unlink", "unlinkat"],
        "a rename onto a file removes it (fs/namei.c)",
    ),
    family(
        "rmdir",
        "remove a directory",
        false,
        &["rmdir", "unlinkat"],
        "unlinkat with AT_REMOVEDIR is rmdir (fs/namei.c)",
    ),
    family(
        "rename",
        "rename a file",
        true,
        &["rename", "renameat", "renameat2"],
        "each is renameat2 without something (fs/namei.c)",
    ),
    family(
        "link",
        "make a hard link",
        true,
        &["link", "linkat"],
        "link is linkat from the working directory (fs/namei.c)",
    ),
    family(
        "symlink",
        "make a symbolic link",
        true,
        &["symlink", "symlinkat"],
        "symlink is symlinkat from the working directory (fs/namei.c)",
    ),
    family(
        "mkdir",
        "make a directory",
        false,
        &["mkdir", "mkdirat"],
        "mkdir is mkdirat from the working directory (fs/namei.c)",
    ),
    family(
        "mknod",
        "make a device or another special file",
        true,
        &["mknod", "mknodat"],
        "mknod is mknodat from the working directory (fs/namei.c)",
    ),
    family(
        "truncate",
        "cut a file",
        false,
        &["ftruncate", "ftruncate64", "truncate", "truncate64"],
        "ftruncate takes an open descriptor (fs/open.c)",
    ),
    family(
        "times",
        "change a file's times",
        false,
        &[
            "futimesat",
            "utime",
            "utimensat",
            "utimensat_time64",
            "utimes",
        ],
        "all of them end in do_utimes (fs/utimes.c)",
    ),
    family(
        "set attributes",
        "set an extended attribute",
        true,
        &["fsetxattr", "lsetxattr", "setxattr", "setxattrat"],
        "they differ in how the file is named (fs/xattr.c)",
    ),
    family(
        "remove attributes",
        "remove an extended attribute",
        false,
        &[
            "fremovexattr",
            "lremovexattr",
            "removexattr",
            "removexattrat",
        ],
        "they differ in how the file is named (fs/xattr.c)",
    ),
    family(
        "user",
        "change its user id",
        true,
        &[
            "setfsuid",
            "setfsuid32",
            "setresuid",
            "setresuid32",
            "setreuid",
            "setreuid32",
            "setuid",
            "setuid32",
        ],
        "they set different ones of the four ids, each enough to act as another user (kernel/sys.c)",
    ),
    family(
        "group",
        "change its group id",
        true,
        &[
            "setfsgid",
            "setfsgid32",
            "setgid",
            "setgid32",
            "setregid",
            "setregid32",
            "setresgid",
            "setresgid32",
        ],
        "they set different ones of the four ids (kernel/sys.c)",
    ),
    family(
        "names",
        "change the host's name",
        false,
        &["setdomainname", "sethostname"],
        "the one sets the NIS domain name, the other the host's name (kernel/sys.c)",
    ),
    family(
        "kill",
        "send a signal",
        true,
        &[
            "kill",
            "pidfd_send_signal",
            "rt_sigqueueinfo",
            "rt_tgsigqueueinfo",
            "tgkill",
            "tkill",
        ],
        "all of them end in do_send_sig_info (kernel/signal.c)",
    ),
    family(
        "quota",
        "change disk quotas",
        false,
        &["quotactl", "quotactl_fd"],
        "quotactl_fd names the file system by a descriptor (fs/quota/quota.c)",
    ),
    family(
        "scheduling",
        "change how it is scheduled",
        false,
        &[
            "sched_setattr",
            "sched_setparam",
            "sched_setscheduler",
            "setpriority",
            "nice",
        ],
        "sched_setattr can do what the others do (kernel/sched/syscalls.c)",
    ),
    family(
        "limits",
        "raise a resource limit",
        false,
        &["prlimit64", "setrlimit"],
        "prlimit64 on itself is setrlimit (kernel/sys.c)",
    ),
    family(
        "socket",
        "open a socket",
        true,
        &["socket", "socketcall"],
        "on 32-bit x86, socketcall(SYS_SOCKET) is socket (net/socket.c)",
    ),
    family(
        "send",
        "send to a socket",
        false,
        &["sendmmsg", "sendmsg", "sendto"],
        "all of them end in sock_sendmsg; send is sendto (net/socket.c)",
    ),
    family(
        "receive",
        "receive from a socket",
        false,
        &["recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg"],
        "all of them end in sock_recvmsg; recv is recvfrom (net/socket.c)",
    ),
    family(
        "accept",
        "accept a connection",
        false,
        &["accept", "accept4"],
        "accept is accept4 without flags (net/socket.c)",
    ),
    family(
        "anonymous files",
        "make a file in memory that can be executed",
        false,
        &["memfd_create", "memfd_secret"],
        "both make a file without a path (mm/memfd.c, mm/secretmem.c)",
    ),
    family(
        "list a directory",
        "list a directory",
        false,
        &["getdents", "getdents64", "readdir"],
        "they differ in the layout of the answer (fs/readdir.c)",
    ),
    family(
        "write",
        "write to a file",
        false,
        &["pwrite64", "pwritev", "pwritev2", "write", "writev"],
        "all of them end in vfs_write or vfs_writev (fs/read_write.c)",
    ),
    family(
        "read",
        "read a file",
        false,
        &["pread64", "preadv", "preadv2", "read", "readv"],
        "all of them end in vfs_read or vfs_readv (fs/read_write.c)",
    ),
    family(
        "metadata",
        "read a file's metadata",
        false,
        &[
            "fstatat64",
            "lstat",
            "lstat64",
            "newfstatat",
            "stat",
            "stat64",
            "statx",
        ],
        "statx tells all that the others tell (fs/stat.c)",
    ),
    family(
        "swap",
        "change what the machine swaps to",
        false,
        &["swapoff", "swapon"],
        "the one switches on what the other switches off (mm/swapfile.c)",
    ),
];

/// The group of that name.
///
/// ```
/// use syscalls::equivalents::equivalent_group;
///
/// // Who may not call chmod(2) but may call fchmodat(2) changes the mode all the same.
/// let group = equivalent_group("chmod").unwrap();
/// assert!(group.members.contains(&"fchmodat"));
/// assert!(equivalent_group("no such group").is_none());
/// ```
pub fn equivalent_group(name: &str) -> Option<&'static EquivalentGroup> {
    EQUIVALENT_GROUPS.iter().find(|family| family.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Abi;

    #[test]
    fn groups_have_several_existing_members() {
        let mut names = BTreeSet::new();
        for family in EQUIVALENT_GROUPS {
            assert!(names.insert(family.name), "{}", family.name);
            let members: BTreeSet<_> = family.members.iter().collect();
            assert!(members.len() == family.members.len() && members.len() > 1);
            assert!(
                family.how.contains(".c)")
                    || family.how.contains("/)")
                    || family.how.contains(".c,")
            );
            for name in family.members {
                assert!(
                    Abi::ALL
                        .iter()
                        .any(|abi| abi.syscall_number(name).is_some()),
                    "{name}"
                );
            }
        }
    }
}
