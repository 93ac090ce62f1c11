//! For each family, members by which its end is reached: data, and nothing else.

/// What shows that a call did what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// The file's mode is another.
    Mode,
    /// The file's owner is another.
    Owner,
    /// The file is gone, or another in its place.
    Gone,
    /// The file has another name.
    Renamed,
    /// Something new is there.
    New,
    /// The folder is gone.
    NoFolder,
    /// The file is shorter.
    Cut,
    /// The file has other times.
    Times,
    /// The last call succeeded.
    Returned,
    /// Another program runs.
    Executed,
    /// The kernel answered, and not the filter: what the call does to a whole machine is not tried.
    Reached,
}

/// Calls by which an end is reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) family: &'static str,
    /// What is not denied.
    pub(super) members: &'static [&'static str],
    pub(super) effect: Effect,
    /// Namespaces of its own to be in.
    pub(super) namespaces: u32,
    /// In the words of tests/programs/bypass.c; `@NAME` is a number, `DIR` a folder.
    pub(super) calls: &'static str,
}

use Effect::{Cut, Executed, Gone, Mode, New, NoFolder, Owner, Reached, Renamed, Returned, Times};

/// CLONE_NEWNS, CLONE_NEWUTS.
const MOUNTS: u32 = 0x2_0000;
const NAMES: u32 = 0x400_0000;

const fn case(
    family: &'static str,
    members: &'static [&'static str],
    effect: Effect,
    calls: &'static str,
) -> Case {
    Case {
        family,
        members,
        effect,
        namespaces: 0,
        calls,
    }
}

const fn apart(namespaces: u32, case: Case) -> Case {
    Case { namespaces, ..case }
}

pub(super) const CASES: &[Case] = &[
    case("chmod", &["chmod"], Mode, "64 @chmod s:DIR/file n:0601"),
    case("chmod", &["fchmod"], Mode, "64 @fchmod f:0:DIR/file n:0601"),
    case(
        "chmod",
        &["fchmodat"],
        Mode,
        "64 @fchmodat n:-100 s:DIR/file n:0601",
    ),
    case(
        "chmod",
        &["fchmodat2"],
        Mode,
        "64 @fchmodat2 n:-100 s:DIR/file n:0601 n:0",
    ),
    case(
        "chown",
        &["chown"],
        Owner,
        "64 @chown s:DIR/file n:1234 n:0",
    ),
    case(
        "chown",
        &["fchown"],
        Owner,
        "64 @fchown f:0:DIR/file n:1234 n:0",
    ),
    case(
        "chown",
        &["lchown"],
        Owner,
        "64 @lchown s:DIR/file n:1234 n:0",
    ),
    case(
        "chown",
        &["fchownat"],
        Owner,
        "64 @fchownat n:-100 s:DIR/file n:1234 n:0 n:0",
    ),
    case("open", &["open"], Returned, "64 @open s:DIR/file n:0"),
    case(
        "open",
        &["openat"],
        Returned,
        "64 @openat n:-100 s:DIR/file n:0",
    ),
    case(
        "open",
        &["openat2"],
        Returned,
        "64 @openat2 n:-100 s:DIR/file w:0,0,0 n:24",
    ),
    case("open", &["creat"], New, "64 @creat s:DIR/new n:0600"),
    case(
        "open",
        &["open_by_handle_at"],
        Reached,
        "64 @open_by_handle_at n:-1 z:64 n:0",
    ),
    case(
        "exec",
        &["execve"],
        Executed,
        "64 @execve s:/bin/true n:0 n:0",
    ),
    case(
        "exec",
        &["execveat"],
        Executed,
        "64 @execveat n:-100 s:/bin/true n:0 n:0 n:0",
    ),
    apart(
        MOUNTS,
        case(
            "mount",
            &["mount"],
            Returned,
            "64 @mount s:none s:DIR/dir s:tmpfs n:0 n:0",
        ),
    ),
    apart(
        MOUNTS,
        case(
            "mount",
            &["fsopen", "fsmount", "move_mount"],
            Returned,
            "64 @fsopen s:tmpfs n:0 + 64 @fsconfig r:0 n:6 n:0 n:0 n:0 + 64 @fsmount r:0 n:0 n:0 + 64 @move_mount r:2 s: n:-100 s:DIR/dir n:4",
        ),
    ),
    apart(
        MOUNTS,
        case(
            "mount",
            &["open_tree", "move_mount"],
            Returned,
            "64 @open_tree n:-100 s:DIR n:1 + 64 @move_mount r:0 s: n:-100 s:DIR/dir n:4",
        ),
    ),
    apart(
        MOUNTS,
        case(
            "remount",
            &["mount_setattr"],
            Returned,
            "64 @mount_setattr n:-100 s:/ n:0 w:1,0,0,0 n:32",
        ),
    ),
    case("root", &["chroot"], Returned, "64 @chroot s:DIR/dir"),
    case(
        "root",
        &["pivot_root"],
        Reached,
        "64 @pivot_root s:DIR/dir s:DIR/dir",
    ),
    case(
        "namespaces",
        &["unshare"],
        Returned,
        "64 @unshare n:0x4000000",
    ),
    case(
        "namespaces",
        &["clone"],
        Returned,
        "64 @clone n:0x4000011 n:0 n:0 n:0 n:0",
    ),
    case(
        "namespaces",
        &["clone3"],
        Returned,
        "64 @clone3 w:0x4000000,0,0,0,17,0,0,0 n:64",
    ),
    case("processes", &["fork"], Returned, "64 @fork n:0"),
    case(
        "processes",
        &["clone"],
        Returned,
        "64 @clone n:17 n:0 n:0 n:0 n:0",
    ),
    case(
        "processes",
        &["clone3"],
        Returned,
        "64 @clone3 w:0,0,0,0,17,0,0,0 n:64",
    ),
    case(
        "memory",
        &["process_vm_writev"],
        Returned,
        "64 @process_vm_writev me v n:1 v n:1 n:0",
    ),
    case(
        "memory",
        &["process_vm_readv"],
        Returned,
        "64 @process_vm_readv me v n:1 v n:1 n:0",
    ),
    case(
        "memory",
        &["ptrace"],
        Returned,
        "64 @ptrace n:0 n:0 n:0 n:0",
    ),
    case(
        "modules",
        &["init_module"],
        Reached,
        "64 @init_module n:0 n:0 s:",
    ),
    case(
        "modules",
        &["finit_module"],
        Reached,
        "64 @finit_module n:-1 s: n:0",
    ),
    case(
        "kexec",
        &["kexec_load"],
        Reached,
        "64 @kexec_load n:0 n:99 n:0 n:0",
    ),
    case(
        "kexec",
        &["kexec_file_load"],
        Reached,
        "64 @kexec_file_load n:-1 n:-1 n:0 n:0 n:0",
    ),
    case(
        "keys",
        &["add_key"],
        Reached,
        "64 @add_key s:user s:tracer s:x n:1 n:-2",
    ),
    case("keys", &["keyctl"], Reached, "64 @keyctl n:0 n:-2 n:1"),
    case(
        "keys",
        &["request_key"],
        Reached,
        "64 @request_key s:user s:tracer n:0 n:0",
    ),
    case("clock", &["adjtimex"], Returned, "64 @adjtimex z:256"),
    case(
        "clock",
        &["clock_adjtime"],
        Returned,
        "64 @clock_adjtime n:0 z:256",
    ),
    case(
        "clock",
        &["clock_settime"],
        Reached,
        "64 @clock_settime n:999 z:16",
    ),
    case(
        "clock",
        &["settimeofday"],
        Reached,
        "64 @settimeofday w:0,9999999999 n:0",
    ),
    case("ports", &["ioperm"], Reached, "64 @ioperm n:0 n:0 n:0"),
    case("ports", &["iopl"], Reached, "64 @iopl n:0"),
    case("unlink", &["unlink"], Gone, "64 @unlink s:DIR/file"),
    case(
        "unlink",
        &["unlinkat"],
        Gone,
        "64 @unlinkat n:-100 s:DIR/file n:0",
    ),
    case(
        "unlink",
        &["rename"],
        Gone,
        "64 @rename s:DIR/other s:DIR/file",
    ),
    case(
        "unlink",
        &["renameat"],
        Gone,
        "64 @renameat n:-100 s:DIR/other n:-100 s:DIR/file",
    ),
    case(
        "unlink",
        &["renameat2"],
        Gone,
        "64 @renameat2 n:-100 s:DIR/other n:-100 s:DIR/file n:0",
    ),
    case("rmdir", &["rmdir"], NoFolder, "64 @rmdir s:DIR/dir"),
    case(
        "rmdir",
        &["unlinkat"],
        NoFolder,
        "64 @unlinkat n:-100 s:DIR/dir n:0x200",
    ),
    case(
        "rename",
        &["rename"],
        Renamed,
        "64 @rename s:DIR/file s:DIR/new",
    ),
    case(
        "rename",
        &["renameat"],
        Renamed,
        "64 @renameat n:-100 s:DIR/file n:-100 s:DIR/new",
    ),
    case(
        "rename",
        &["renameat2"],
        Renamed,
        "64 @renameat2 n:-100 s:DIR/file n:-100 s:DIR/new n:0",
    ),
    case("link", &["link"], New, "64 @link s:DIR/file s:DIR/new"),
    case(
        "link",
        &["linkat"],
        New,
        "64 @linkat n:-100 s:DIR/file n:-100 s:DIR/new n:0",
    ),
    case("symlink", &["symlink"], New, "64 @symlink s:x s:DIR/new"),
    case(
        "symlink",
        &["symlinkat"],
        New,
        "64 @symlinkat s:x n:-100 s:DIR/new",
    ),
    case("mkdir", &["mkdir"], New, "64 @mkdir s:DIR/new n:0700"),
    case(
        "mkdir",
        &["mkdirat"],
        New,
        "64 @mkdirat n:-100 s:DIR/new n:0700",
    ),
    case("mknod", &["mknod"], New, "64 @mknod s:DIR/new n:010600 n:0"),
    case(
        "mknod",
        &["mknodat"],
        New,
        "64 @mknodat n:-100 s:DIR/new n:010600 n:0",
    ),
    case(
        "truncate",
        &["truncate"],
        Cut,
        "64 @truncate s:DIR/file n:1",
    ),
    case(
        "truncate",
        &["ftruncate"],
        Cut,
        "64 @ftruncate f:1:DIR/file n:1",
    ),
    case("times", &["utime"], Times, "64 @utime s:DIR/file w:1,1"),
    case(
        "times",
        &["utimes"],
        Times,
        "64 @utimes s:DIR/file w:1,0,1,0",
    ),
    case(
        "times",
        &["futimesat"],
        Times,
        "64 @futimesat n:-100 s:DIR/file w:1,0,1,0",
    ),
    case(
        "times",
        &["utimensat"],
        Times,
        "64 @utimensat n:-100 s:DIR/file w:1,0,1,0 n:0",
    ),
    case(
        "set attributes",
        &["setxattr"],
        Reached,
        "64 @setxattr s:DIR/file s:user.a s:x n:1 n:0",
    ),
    case(
        "set attributes",
        &["lsetxattr"],
        Reached,
        "64 @lsetxattr s:DIR/file s:user.a s:x n:1 n:0",
    ),
    case(
        "set attributes",
        &["fsetxattr"],
        Reached,
        "64 @fsetxattr f:0:DIR/file s:user.a s:x n:1 n:0",
    ),
    case(
        "remove attributes",
        &["removexattr"],
        Reached,
        "64 @removexattr s:DIR/file s:user.a",
    ),
    case(
        "remove attributes",
        &["lremovexattr"],
        Reached,
        "64 @lremovexattr s:DIR/file s:user.a",
    ),
    case(
        "remove attributes",
        &["fremovexattr"],
        Reached,
        "64 @fremovexattr f:0:DIR/file s:user.a",
    ),
    case("user", &["setuid"], Returned, "64 @setuid n:1234"),
    case(
        "user",
        &["setreuid"],
        Returned,
        "64 @setreuid n:1234 n:1234",
    ),
    case(
        "user",
        &["setresuid"],
        Returned,
        "64 @setresuid n:1234 n:1234 n:1234",
    ),
    case("user", &["setfsuid"], Returned, "64 @setfsuid n:1234"),
    case("group", &["setgid"], Returned, "64 @setgid n:1234"),
    case(
        "group",
        &["setregid"],
        Returned,
        "64 @setregid n:1234 n:1234",
    ),
    case(
        "group",
        &["setresgid"],
        Returned,
        "64 @setresgid n:1234 n:1234 n:1234",
    ),
    case("group", &["setfsgid"], Returned, "64 @setfsgid n:1234"),
    apart(
        NAMES,
        case(
            "names",
            &["sethostname"],
            Returned,
            "64 @sethostname s:x n:1",
        ),
    ),
    apart(
        NAMES,
        case(
            "names",
            &["setdomainname"],
            Returned,
            "64 @setdomainname s:x n:1",
        ),
    ),
    case("kill", &["kill"], Returned, "64 @kill me n:0"),
    case("kill", &["tkill"], Returned, "64 @tkill me n:0"),
    case("kill", &["tgkill"], Returned, "64 @tgkill me me n:0"),
    case(
        "kill",
        &["rt_sigqueueinfo"],
        Returned,
        "64 @rt_sigqueueinfo me n:0 z:128",
    ),
    case(
        "kill",
        &["pidfd_send_signal"],
        Returned,
        "64 @pidfd_open me n:0 + 64 @pidfd_send_signal r:0 n:0 n:0 n:0",
    ),
    case(
        "quota",
        &["quotactl"],
        Reached,
        "64 @quotactl n:-1 n:0 n:0 n:0",
    ),
    case(
        "quota",
        &["quotactl_fd"],
        Reached,
        "64 @quotactl_fd n:-1 n:0 n:0 n:0",
    ),
    case(
        "scheduling",
        &["sched_setparam"],
        Returned,
        "64 @sched_setparam n:0 z:8",
    ),
    case(
        "scheduling",
        &["sched_setscheduler"],
        Returned,
        "64 @sched_setscheduler n:0 n:3 z:8",
    ),
    case(
        "scheduling",
        &["sched_setattr"],
        Returned,
        "64 @sched_setattr n:0 d:48,3,0,0,0,0,0,0,0,0,0,0 n:0",
    ),
    case(
        "scheduling",
        &["setpriority"],
        Returned,
        "64 @setpriority n:0 n:0 n:1",
    ),
    case(
        "limits",
        &["setrlimit"],
        Returned,
        "64 @setrlimit n:4 w:0,0",
    ),
    case(
        "limits",
        &["prlimit64"],
        Returned,
        "64 @prlimit64 n:0 n:4 w:0,0 n:0",
    ),
    case(
        "send",
        &["sendto"],
        Reached,
        "64 @sendto n:-1 z:8 n:1 n:0 n:0 n:0",
    ),
    case("send", &["sendmsg"], Reached, "64 @sendmsg n:-1 z:64 n:0"),
    case(
        "send",
        &["sendmmsg"],
        Reached,
        "64 @sendmmsg n:-1 z:64 n:1 n:0",
    ),
    case(
        "receive",
        &["recvfrom"],
        Reached,
        "64 @recvfrom n:-1 z:8 n:1 n:0 n:0 n:0",
    ),
    case(
        "receive",
        &["recvmsg"],
        Reached,
        "64 @recvmsg n:-1 z:64 n:0",
    ),
    case(
        "receive",
        &["recvmmsg"],
        Reached,
        "64 @recvmmsg n:-1 z:64 n:1 n:0 n:0",
    ),
    case("accept", &["accept"], Reached, "64 @accept n:-1 n:0 n:0"),
    case(
        "accept",
        &["accept4"],
        Reached,
        "64 @accept4 n:-1 n:0 n:0 n:0",
    ),
    case(
        "anonymous files",
        &["memfd_create"],
        Returned,
        "64 @memfd_create s:x n:0",
    ),
    case(
        "anonymous files",
        &["memfd_secret"],
        Reached,
        "64 @memfd_secret n:0",
    ),
    case(
        "list a directory",
        &["getdents"],
        Returned,
        "64 @getdents f:0:DIR z:1024 n:1024",
    ),
    case(
        "list a directory",
        &["getdents64"],
        Returned,
        "64 @getdents64 f:0:DIR z:1024 n:1024",
    ),
    case(
        "write",
        &["write"],
        Returned,
        "64 @write f:1:DIR/file s:x n:1",
    ),
    case(
        "write",
        &["writev"],
        Returned,
        "64 @writev f:1:DIR/file v n:1",
    ),
    case(
        "write",
        &["pwrite64"],
        Returned,
        "64 @pwrite64 f:1:DIR/file s:x n:1 n:0",
    ),
    case(
        "write",
        &["pwritev"],
        Returned,
        "64 @pwritev f:1:DIR/file v n:1 n:0",
    ),
    case(
        "write",
        &["pwritev2"],
        Returned,
        "64 @pwritev2 f:1:DIR/file v n:1 n:0 n:0 n:0",
    ),
    case("read", &["read"], Returned, "64 @read f:0:DIR/file z:8 n:8"),
    case("read", &["readv"], Returned, "64 @readv f:0:DIR/file v n:1"),
    case(
        "read",
        &["pread64"],
        Returned,
        "64 @pread64 f:0:DIR/file z:8 n:8 n:0",
    ),
    case(
        "read",
        &["preadv"],
        Returned,
        "64 @preadv f:0:DIR/file v n:1 n:0",
    ),
    case(
        "read",
        &["preadv2"],
        Returned,
        "64 @preadv2 f:0:DIR/file v n:1 n:0 n:0 n:0",
    ),
    case("metadata", &["stat"], Returned, "64 @stat s:DIR/file z:256"),
    case(
        "metadata",
        &["lstat"],
        Returned,
        "64 @lstat s:DIR/file z:256",
    ),
    case(
        "metadata",
        &["newfstatat"],
        Returned,
        "64 @newfstatat n:-100 s:DIR/file z:256 n:0",
    ),
    case(
        "metadata",
        &["statx"],
        Returned,
        "64 @statx n:-100 s:DIR/file n:0 n:0xfff z:256",
    ),
    case("swap", &["swapon"], Reached, "64 @swapon s:DIR/none n:0"),
    case("swap", &["swapoff"], Reached, "64 @swapoff s:DIR/none"),
];
