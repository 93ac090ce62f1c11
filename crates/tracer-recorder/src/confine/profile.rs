//! The seccomp profiles of tracer itself.
//!
//! `x86_64.json` is what `tracer generate` made of recordings of tracer, as it is: the end-to-end test
//! `own_profile` records tracer again and compares. Recordings were begun after the recorded tracer had attached its
//! programs, so what it did before is not in it.

use syscalls::{Abi, Machine};
use tracer_core::profile::seccomp::{
    evaluate::{Filter, Host, Instruction, Libseccomp, OciRuntime},
    oci::{Action, Condition, Entry, OciSeccomp, Operator},
};

/// Made by tracer.
pub const X86_64: &str = include_str!("x86_64.json");

/// What a thread is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Record, and write.
    Record,
    /// The same, and ask the sockets of container runtimes meanwhile.
    RecordAndAsk,
}

/// What a thread may do to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Open them to be read.
    Read,
    /// The same, and resolve the names that a workload gave by `openat2`, whose flags no filter sees.
    Resolve,
    /// All that its profile allows.
    Write,
}

/// Calls that tell a process of itself, or work on what it has open already. Not every one is made in every recording,
/// some libraries take none of them to fail, and an attacker gains nothing by them.
const HARMLESS: [&str; 58] = [
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "getresuid",
    "getresgid",
    "getgroups",
    "getppid",
    "getpgid",
    "getpgrp",
    "getsid",
    "getpriority",
    "getrlimit",
    "getrusage",
    "sysinfo",
    "times",
    "umask",
    "getcwd",
    "sched_yield",
    "sched_getaffinity",
    "clock_gettime",
    "clock_nanosleep",
    "nanosleep",
    "dup",
    "dup2",
    "dup3",
    "pipe2",
    "eventfd2",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "timerfd_create",
    "timerfd_settime",
    "select",
    "pselect6",
    "fcntl",
    "ioctl",
    "fstat",
    "fstatfs",
    "statfs",
    "lstat",
    "stat",
    "access",
    "faccessat",
    "faccessat2",
    "readlinkat",
    "pread64",
    "preadv",
    "readv",
    "fdatasync",
    "ftruncate",
    "madvise",
    "mremap",
    "mincore",
    "sigaltstack",
    "rt_sigaction",
    "rt_sigtimedwait",
];

/// What replacing files takes in every case, not all of which occur in each recording: only the writer may do it.
const FILES: [&str; 11] = [
    "linkat",
    "fchmod",
    "fchown",
    "fchownat",
    "renameat",
    "renameat2",
    "mkdirat",
    "unlinkat",
    "flock",
    "fsync",
    "fallocate",
];

/// `BPF_RAW_TRACEPOINT_OPEN` and `BPF_LINK_CREATE` (include/uapi/linux/bpf.h): the program at the exits of calls is
/// loaded at the start, and attached when it is needed. No program can be loaded any more.
///
/// And `BPF_MAP_LOOKUP_AND_DELETE_ELEM`: a container that runs already and is recorded later takes a free row.
const ATTACH: [u64; 3] = [17, 28, 21];

/// What is said to processes that were started before, over sockets that are open. Without `socket` and `connect`
/// they reach nobody else.
const HELPERS: [&str; 6] = ["sendto", "recvfrom", "sendmsg", "recvmsg", "poll", "ppoll"];

/// Calls that a connection to a unix socket takes, besides `socket`.
const CONNECTION: [&str; 11] = [
    "connect",
    "getsockopt",
    "setsockopt",
    "getsockname",
    "getpeername",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "shutdown",
    "readv",
];

/// `AF_UNIX`.
const AF_UNIX: u64 = 1;

/// `O_ACCMODE`, `O_CREAT`, `O_TRUNC` (include/uapi/asm-generic/fcntl.h).
const O_ACCMODE: u64 = 0o3;
const O_CREAT: u64 = 0o100;
const O_TRUNC: u64 = 0o1000;

/// Calls that change files by their names. `rmdir` stays: cgroups are removed by it.
const CHANGES: [&str; 24] = [
    "creat",
    "truncate",
    "mknod",
    "mknodat",
    "mkdir",
    "mkdirat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "chmod",
    "fchmodat",
    "chown",
    "lchown",
    "fchownat",
    "setxattr",
    "lsetxattr",
    "utimensat",
    "open_by_handle_at",
];

/// What a command that reads files never needs.
const OUTSIDE: [&str; 50] = [
    "execve",
    "execveat",
    "fork",
    "vfork",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "pidfd_send_signal",
    "kill",
    "tkill",
    "socket",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "mount_setattr",
    "pivot_root",
    "chroot",
    "setns",
    "unshare",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "keyctl",
    "add_key",
    "request_key",
    "io_uring_setup",
    "setuid",
    "setresuid",
    "setgid",
    "setresgid",
    "open_by_handle_at",
    "mknod",
    "mknodat",
];

/// The filters of a thread, each as the kernel takes it. Of several, the strictest answer counts.
///
/// # Errors
/// What is wrong with them, or that there is none for this machine.
pub fn programs(calls: Calls, access: Access) -> Result<Vec<Vec<Instruction>>, String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err(format!(
            "there is no profile of tracer for {}",
            std::env::consts::ARCH
        ));
    }
    let native = Abi::X86_64;
    let own: OciSeccomp = serde_json::from_str(X86_64).map_err(|error| error.to_string())?;
    let mut profiles = Vec::new();
    if access != Access::Write {
        profiles.push(read_only(native, access));
    }
    // Last, since it does not allow another filter to be loaded.
    profiles.push(with(own, calls));
    compiled(&profiles, native)
}

/// The filter of a command that only reads files of others: all but what reaches other processes, other hosts or the
/// kernel's own tables.
///
/// # Errors
/// As [`programs`].
pub fn reader() -> Result<Vec<Vec<Instruction>>, String> {
    let native = Machine::this()
        .ok_or("this machine is none that tracer knows")?
        .native;
    without(native, &[])
}

/// What a client of the network needs of [`OUTSIDE`]. musl's resolver binds its socket.
const CLIENT: [&str; 3] = ["socket", "connect", "bind"];

/// The filter of a process that reads files and connects to other hosts: that of [`reader`], but for sockets. It waits
/// for no connection.
///
/// # Errors
/// As [`programs`].
pub fn client() -> Result<Vec<Vec<Instruction>>, String> {
    let native = Machine::this()
        .ok_or("this machine is none that tracer knows")?
        .native;
    let denied = |family: &u64| entry(&["socket"], Action::Errno, vec![is_family(*family)]);
    let families = LOCAL.iter().map(denied).collect();
    compiled(
        &[denies(families, native), outside(native, &CLIENT)],
        native,
    )
}

/// Families of sockets that reach what is on this host and not other hosts: `AF_UNIX`, `AF_PACKET`, `AF_ALG`,
/// `AF_VSOCK`, `AF_XDP` (include/linux/socket.h). Whoever may connect to a container runtime's socket is root.
const LOCAL: [u64; 5] = [AF_UNIX, 17, 38, 40, 44];

/// `socket` with this family.
fn is_family(family: u64) -> Condition {
    Condition {
        index: 0,
        value: family,
        value_two: 0,
        op: Operator::Eq,
    }
}

/// A filter of all of [`OUTSIDE`] but `allowed`.
fn without(native: Abi, allowed: &[&str]) -> Result<Vec<Vec<Instruction>>, String> {
    compiled(&[outside(native, allowed)], native)
}

fn outside(native: Abi, allowed: &[&str]) -> OciSeccomp {
    let is_denied =
        |name: &&&str| native.syscall_number(name).is_some() && !allowed.contains(*name);
    let denied: Vec<&str> = OUTSIDE.iter().filter(is_denied).copied().collect();
    denies(vec![entry(&denied, Action::Errno, Vec::new())], native)
}

fn compiled(profiles: &[OciSeccomp], native: Abi) -> Result<Vec<Vec<Instruction>>, String> {
    let host = Host {
        native,
        // It adds nothing of its own.
        runtime: OciRuntime::Crun,
        libseccomp: Libseccomp::Newest,
    };
    let program = |profile: &OciSeccomp| {
        let filter = Filter::new(profile, host).map_err(|error| error.to_string())?;
        filter.program().map_err(|error| error.to_string())
    };
    profiles.iter().map(program).collect()
}

/// A profile that allows everything else.
fn denies(syscalls: Vec<Entry>, native: Abi) -> OciSeccomp {
    OciSeccomp {
        default_action: Action::Allow,
        default_errno_ret: None,
        architectures: vec![native.scmp_arch().to_owned()],
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls,
    }
}

fn entry(names: &[&str], action: Action, args: Vec<Condition>) -> Entry {
    Entry {
        names: names.iter().copied().map(str::to_owned).collect(),
        action,
        errno_ret: (action == Action::Errno).then_some(libc::EACCES.unsigned_abs()),
        args,
    }
}

/// A profile with what these calls need besides.
fn with(mut profile: OciSeccomp, calls: Calls) -> OciSeccomp {
    allow(&mut profile, &HARMLESS, Vec::new());
    allow(&mut profile, &FILES, Vec::new());
    allow(&mut profile, &HELPERS, Vec::new());
    for operation in ATTACH {
        let is_this = Condition {
            index: 0,
            value: 0xffff_ffff,
            value_two: operation,
            op: Operator::MaskedEq,
        };
        profile
            .syscalls
            .push(entry(&["bpf"], Action::Allow, vec![is_this]));
    }
    if calls == Calls::RecordAndAsk {
        allow(&mut profile, &CONNECTION, Vec::new());
        allow(&mut profile, &["socket"], vec![is_family(AF_UNIX)]);
    }
    profile
}

/// Adds a rule, and takes out those that say something else of these calls.
fn allow(profile: &mut OciSeccomp, names: &[&str], args: Vec<Condition>) {
    for other in &mut profile.syscalls {
        other.names.retain(|name| !names.contains(&name.as_str()));
    }
    profile.syscalls.retain(|entry| !entry.names.is_empty());
    profile.syscalls.push(entry(names, Action::Allow, args));
}

/// Allows all but what opens files to be written, makes or removes them.
fn read_only(native: Abi, access: Access) -> OciSeccomp {
    let mut syscalls = vec![entry(&CHANGES, Action::Errno, Vec::new())];
    for (call, index) in [("open", 1), ("openat", 2)] {
        for (mask, value) in [
            (O_ACCMODE, 1),
            (O_ACCMODE, 2),
            (O_ACCMODE, 3),
            (O_CREAT, O_CREAT),
            (O_TRUNC, O_TRUNC),
        ] {
            let is_set = Condition {
                index,
                value: mask,
                value_two: value,
                op: Operator::MaskedEq,
            };
            syscalls.push(entry(&[call], Action::Errno, vec![is_set]));
        }
    }
    // Its flags are in memory, which no filter sees. Whoever tries it has another way then.
    if access == Access::Read {
        let mut openat2 = entry(&["openat2"], Action::Errno, Vec::new());
        openat2.errno_ret = Some(libc::ENOSYS.unsigned_abs());
        syscalls.push(openat2);
    }
    denies(syscalls, native)
}
