//! Accesses to files, capabilities, sockets and the like, as the kernel side tells of them.
//!
//! Unlike system calls there is no end of different ones, so they are not marks in a row but events,
//! one for each different (row, thing, access). Which were told already is in
//! [`maps::REPORTED`](crate::maps::REPORTED), by a hash of all that makes them different: two that collide, one
//! chance in 2^64 for a pair, would be taken for one.

use crate::COMM_LEN;

/// What kind of access it is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// A file was opened: `values[0]` holds bits of [`open`].
    Open = 1,
    /// A regular file, device, fifo or socket was made.
    Create = 2,
    /// A directory was made.
    MakeDirectory = 3,
    /// A symbolic link was made.
    Symlink = 4,
    /// Another name was made: the first path, of the file at the second.
    Link = 5,
    /// A file was removed.
    Remove = 6,
    /// A directory was removed.
    RemoveDirectory = 7,
    /// It was given another name.
    RenameFrom = 8,
    /// The mode was changed.
    ChangeMode = 9,
    /// The owner was changed.
    ChangeOwner = 10,
    /// It was cut or extended.
    Truncate = 11,
    /// It was locked.
    Lock = 12,
    /// It was executed.
    Execute = 13,
    /// It was mapped to be executed: by an exec when `values[0]` holds bits of [`open`].
    MapExecutable = 14,
    /// A capability was granted: its number is `values[0]`, and `values[1]` holds bits of [`argument`]. The
    /// bytes are the names of the functions that asked, the innermost first.
    Capability = 15,
    /// A socket was made: family, type and protocol are the values.
    SocketCreate = 16,
    /// The same, and it got an address: the bytes are a `sockaddr`.
    SocketBind = 17,
    /// It was connected to an address.
    SocketConnect = 18,
    /// It was made to accept connections.
    SocketListen = 19,
    /// It accepted a connection.
    SocketAccept = 20,
    /// A signal was sent: its number is `values[0]`; of a peer, [`flag::PEER_IS_OWN`].
    SignalSend = 21,
    /// A signal was received.
    SignalReceive = 22,
    /// A debugger's rights were used: `values[0]` is 1 when only to read.
    Trace = 23,
    /// They were used on a process of the row.
    Traced = 24,
    /// Something was mounted: `values[0]` are its flags. First come its source and its type, each with
    /// a NUL, and the path where, with [`flag::AS_GIVEN`], or else, as a path, the directory that the
    /// source starts from; then, as a path, the directory that both start from, or where.
    Mount = 25,
    /// The first path was unmounted.
    Unmount = 26,
    /// The first path became the root, the second is where the old one went.
    PivotRoot = 27,
    /// The name that a file was given.
    RenameTo = 28,
    /// A mount was moved to the first path from the second, which is detached when it was not mounted
    /// anywhere: `values[0]` is `MS_MOVE`.
    MoveMount = 29,
    /// The SELinux policy did not allow something: `values[0]` are the two security ids, `values[1]` the
    /// permissions as bits, `values[2]` the class's number times two, and one when it was refused. The bytes are
    /// the two contexts and the class, each ended by a NUL, at [`SELINUX_TARGET_AT`] and
    /// [`SELINUX_CLASS_AT`].
    Selinux = 30,
}

impl AccessKind {
    /// The kind of that number.
    pub fn of(number: u32) -> Option<Self> {
        const ALL: [AccessKind; 30] = {
            use AccessKind::{
                Capability, ChangeMode, ChangeOwner, Create, Execute, Link, Lock, MakeDirectory,
                MapExecutable, Mount, MoveMount, Open, PivotRoot, Remove, RemoveDirectory,
                RenameFrom, RenameTo, Selinux, SignalReceive, SignalSend, SocketAccept, SocketBind,
                SocketConnect, SocketCreate, SocketListen, Symlink, Trace, Traced, Truncate,
                Unmount,
            };
            [
                Open,
                Create,
                MakeDirectory,
                Symlink,
                Link,
                Remove,
                RemoveDirectory,
                RenameFrom,
                ChangeMode,
                ChangeOwner,
                Truncate,
                Lock,
                Execute,
                MapExecutable,
                Capability,
                SocketCreate,
                SocketBind,
                SocketConnect,
                SocketListen,
                SocketAccept,
                SignalSend,
                SignalReceive,
                Trace,
                Traced,
                Mount,
                Unmount,
                PivotRoot,
                RenameTo,
                MoveMount,
                Selinux,
            ]
        };
        // Not by index: the check of it would be a call that the verifier does not know.
        ALL.get((number as usize).wrapping_sub(1)).copied()
    }
}

/// How a file was opened.
pub mod open {
    /// To be read.
    pub const READ: u64 = 1;
    /// To be written.
    pub const WRITE: u64 = 2;
    /// Whatever is written goes to its end.
    pub const APPEND: u64 = 4;
    /// It was to be made if it was not there (`O_CREAT`).
    pub const CREATED: u64 = 8;
    /// It is the program that was executed.
    pub const EXECUTED: u64 = 16;
    /// The name was not there before: this access made it. Of a rename too, for the new name.
    pub const NEW: u64 = 32;
    /// It would have failed had the name been there (`O_EXCL`).
    pub const EXCLUSIVE: u64 = 64;
    /// The file has no name (`O_TMPFILE`): the kernel calls it `#` and the number of its inode.
    pub const UNNAMED: u64 = 128;
    /// Executing it gave the process another user or group.
    pub const SET_ID: u64 = 256;
    /// Whoever executed it was not root: its capabilities, when it has some, were a gain.
    pub const NOT_ROOT: u64 = 512;
}

/// What else is said of an access, as bits of [`Access::flags`].
pub mod flag {
    /// The file belongs to the user who accessed it.
    pub const OWNED: u32 = 1;
    /// It is a directory.
    pub const DIRECTORY: u32 = 2;
    /// The path is the directory of more files than are told apart.
    pub const MORE: u32 = 4;
    /// The first path has no beginning: it was too long.
    pub const TRUNCATED: u32 = 8;
    /// The path ends at the root of a mount that is in no namespace.
    pub const DETACHED: u32 = 16;
    /// The second path has no beginning.
    pub const SECOND_TRUNCATED: u32 = 32;
    /// The second path ends at the root of a mount that is in no namespace.
    pub const SECOND_DETACHED: u32 = 4096;
    /// The kernel asked for the capability only to see (`CAP_OPT_NOAUDIT`).
    pub const UNAUDITED: u32 = 64;
    /// Whether it is audited is known.
    pub const AUDIT_KNOWN: u32 = 128;
    /// The capability was asked for in another user namespace than the first.
    pub const OWN_NAMESPACE: u32 = 256;
    /// The process at the other end is of the same instance.
    pub const PEER_IS_OWN: u32 = 512;
    /// The first path is a program's words, as they were given, and the second the directory that they
    /// start from. User space puts them together.
    pub const AS_GIVEN: u32 = 1024;
    /// How many bits they take, with room for more.
    pub const BITS: u32 = 16;
}

/// What the arguments of a call say of a capability that it was asked for, as bits of
/// [`Access::values`]. Each is told of those capabilities only that it matters for.
pub mod argument {
    /// The first one is the real or the saved id of the task (`CAP_SETUID`, `CAP_SETGID`).
    pub const OWN_ID: u64 = 1;
    /// The second one has `S_ISGID` (`CAP_FSETID`).
    pub const SECOND_SET_GROUP_ID: u64 = 2;
    /// The third one has `S_ISGID`.
    pub const THIRD_SET_GROUP_ID: u64 = 4;
    /// The second one, as flags of open(2), asks to write (sysctl files).
    pub const SECOND_WRITES: u64 = 8;
    /// The third one does.
    pub const THIRD_WRITES: u64 = 16;
    /// The task acts as root.
    pub const ROOT: u64 = 32;
    /// The second one, as a command of ioctl(2), reads a setting of an interface.
    pub const READS_INTERFACE: u64 = 64;
}

/// How many return addresses are told of who asked for a capability: BPF's own, and those from
/// `cap_capable` to what asked.
pub const CAPABILITY_CALLERS: usize = 10;

/// Room for an SELinux context and its NUL.
pub const SELINUX_CONTEXT_LEN: usize = 224;

/// Where the target's context begins.
pub const SELINUX_TARGET_AT: usize = SELINUX_CONTEXT_LEN;

/// Where the class's name begins.
pub const SELINUX_CLASS_AT: usize = 2 * SELINUX_CONTEXT_LEN;

/// Longest path that is kept, in bytes, as the kernel's own PATH_MAX.
pub const ACCESS_PATH_LEN: usize = 4096;

/// Bytes behind the head of a short event: paths up to 256 bytes together, and room for the last
/// name to be read without a check of its length.
pub const SHORT_BYTES: usize = 512;

/// Bytes behind the head of a long event: two paths.
pub const LONG_BYTES: usize = 2 * ACCESS_PATH_LEN + 512;

/// Longest name in a path (`NAME_MAX`), and one.
pub const NAME_LEN: usize = 256;

/// One access that was not told before: the head of an event, followed by its bytes.
///
/// Paths are told name by name, the last one first, each ended by a NUL: as they are found from a
/// `struct dentry` upwards.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Nanoseconds on the monotonic clock (`bpf_ktime_get_ns`).
    pub time: u64,
    /// Its hash, as in [`maps::REPORTED`](crate::maps::REPORTED).
    pub key: u64,
    /// What depends on the kind.
    pub values: [u64; 3],
    /// The row of marks of the task: instance, phase and executable.
    pub row: u32,
    /// An [`AccessKind`].
    pub kind: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Process id (tgid) in the initial pid namespace.
    pub pid: u32,
    /// The system call that the task is in; `u32::MAX` when it is not known.
    pub nr: u32,
    /// An [`crate::AbiClass`].
    pub abi: u32,
    /// Bytes of the first path.
    pub first_len: u32,
    /// Bytes of the second path, or of what else follows.
    pub second_len: u32,
    /// The thread's command name, padded with NULs.
    pub comm: [u8; COMM_LEN],
}

/// A whole event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AccessEvent<const N: usize> {
    /// Its head.
    pub access: Access,
    /// Paths, or other bytes.
    pub bytes: [u8; N],
}

/// How an ended call is read, where no hook tells: one for each byte in a row of marks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// One of [`operation`], 0 for none.
    pub how: u32,
    /// The [`AccessKind`] that it is told as.
    pub kind: u32,
    /// Which argument holds the descriptor of the directory that the path starts from;
    /// [`operation::CURRENT`] for the working directory. Or the descriptor itself.
    pub directory: u32,
    /// Which argument holds the address of the path.
    pub path: u32,
    /// The same for the second path, when there is one.
    pub second_directory: u32,
    /// As above.
    pub second_path: u32,
    /// The kind that the second path is told as; of [`operation::OF_PATH`], that of the path when the
    /// bits of `mask` are there.
    pub second_kind: u32,
    /// Bits of open(2)'s flags that the call stands for by itself.
    pub opens: u32,
    /// An argument that decides whether it counts, or holds the flags of an open file.
    pub argument: u32,
    /// The bits of it that must not all be 0; 0 when nothing is asked.
    pub mask: u32,
    /// 1 when `argument` is the address of the flags.
    pub behind_pointer: u32,
    /// An errno with which it counts all the same: what was asked for was granted, and did not happen.
    pub despite: u32,
    /// It counts only when bit N is set, N being the value of `argument`; 0 when that is not asked.
    pub set: u64,
}

/// How an operation is read.
pub mod operation {
    /// It returns the descriptor of an open file.
    pub const RETURNS_FILE: u32 = 1;
    /// An argument is the descriptor of an open file.
    pub const OF_FILE: u32 = 2;
    /// An argument is a path.
    pub const OF_PATH: u32 = 3;
    /// Two arguments are paths: the second one is told as the kind that follows in `second_kind`.
    pub const OF_TWO_PATHS: u32 = 4;
    /// It makes a socket.
    pub const MAKES_SOCKET: u32 = 5;
    /// An argument is the descriptor of a socket, and an address may follow.
    pub const OF_SOCKET: u32 = 6;
    /// It mounts something, as mount(2) does.
    pub const MOUNTS: u32 = 7;
    /// In the place of an argument: the working directory.
    pub const CURRENT: u32 = 6;
}

/// Siblings of one directory that are told apart in one row and by one kind of access.
pub const MAX_FILES_PER_DIRECTORY: u32 = 256;
