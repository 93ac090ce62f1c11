//! The kinds of thing that are seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilePath;
use syscalls::capability::Capability;

/// An access to a file.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct FileUse {
    /// The file, by the name that the access went by.
    pub path: FilePath,
    /// What was done with it.
    pub access: FileAccess,
    /// What [`FileAccess::Link`] gave another name to; absent elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<FilePath>,
    /// Whether the file belonged to the user who accessed it (or was made by this access).
    pub owned: bool,
    /// True when `path` is a directory in which more files were accessed this way than are listed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
    /// True with `more` when the files lie anywhere below `path`: a recorder that has to keep too many of
    /// a workload keeps whole directories.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tree: bool,
    /// True when the path was too long to be kept: its beginning is missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// True when the path leads to no root: the file is in a mount that this namespace does not have
    /// (any more).
    #[serde(default, skip_serializing_if = "is_false")]
    pub detached: bool,
    /// Who chose the name, where the access tells: of [`FileAccess::Create`], [`FileAccess::RenameTo`]
    /// and what was opened without a name. Absent elsewhere, and in recordings of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// True when executing it gave the process another user or group, or capabilities, which it does not
    /// under `no_new_privs`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gains_privileges: bool,
}

/// Who chose a name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// It was there before: the image, a configuration or an earlier run has it.
    Given,
    /// This access made it.
    Made,
    /// This access made it, and would have failed had it been there (`O_EXCL`): whoever asks for that
    /// looks for a name that nobody has.
    MadeExclusively,
    /// The kernel made it up for a file without a name (`O_TMPFILE`): `#` and the number of the inode.
    Unnamed,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What is done with a file. The comments name the hook of the kernel that AppArmor mediates it by.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FileAccess {
    /// Opened to be read (`file_open`).
    Read,
    /// Opened to be written anywhere (`file_open`).
    Write,
    /// Opened to be written at its end only, without `O_CREAT` (`file_open`).
    Append,
    /// Made: a regular file, device, fifo or socket (`path_mknod`); or opened with `O_CREAT`, where
    /// AppArmor asks for the right to make it even when it is there (`file_open`; tried on 6.1).
    Create,
    /// Made: a directory (`path_mkdir`).
    MakeDirectory,
    /// Made: a symbolic link (`path_symlink`).
    Symlink,
    /// Made: another name of `target` (`path_link`).
    Link,
    /// Removed (`path_unlink`).
    Remove,
    /// A directory, removed (`path_rmdir`).
    RemoveDirectory,
    /// Given another name (`path_rename`).
    RenameFrom,
    /// The name it was given (`path_rename`).
    RenameTo,
    /// Its mode changed (`path_chmod`).
    ChangeMode,
    /// Its owner changed (`path_chown`).
    ChangeOwner,
    /// Cut or extended (`path_truncate`, `file_truncate`).
    Truncate,
    /// Locked, for reading (`file_lock`).
    Lock,
    /// Locked exclusively, for which the right to write is asked (`file_lock` with `F_WRLCK`).
    LockExclusive,
    /// Executed (`bprm_creds_for_exec`).
    Execute,
    /// Mapped to be executed (`mmap_file`, `file_mprotect`): a library, an interpreter.
    MapExecutable,
    /// A socket, connected to by its path.
    Connect,
    /// The program asked whether it may be written, and the answer was yes (access(2) with `W_OK`). No security
    /// module is asked; on a read-only file system the answer is no.
    CheckWritable,
}

/// A capability that was asked for and granted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct CapabilityUse {
    /// Which.
    pub capability: Capability,
    /// False when the kernel only probed for it (`CAP_OPT_NOAUDIT`): it would have gone on without.
    /// `null` when the provider cannot tell.
    pub audited: Option<bool>,
    /// True when it was asked for in a user namespace of the workload's own, and not in the host's.
    pub own_namespace: bool,
    /// True when nothing asked for it: a file that was executed is permitted it and has the effective bit, so
    /// execve(2) fails with `EPERM` where the bounding set lacks it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_exec: bool,
}

/// What was done with a socket.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct SocketUse {
    /// The family, `AF_…`, by number.
    pub family: u16,
    /// The type, `SOCK_…`, by number and without flags.
    pub kind: u16,
    /// The protocol, by number.
    pub protocol: u16,
    /// What was done.
    pub operation: SocketOperation,
    /// With which address: `ADDRESS:PORT`, the path of a unix socket, `@NAME` of an abstract one;
    /// absent when there is none, or it is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<FilePath>,
    /// True when it was done with more addresses than are listed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

/// What is done with a socket.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SocketOperation {
    /// Made: `socket`, `socketpair`.
    Create,
    /// Given an address of its own.
    Bind,
    /// Connected to another.
    Connect,
    /// Made to accept connections.
    Listen,
    /// A connection was accepted.
    Accept,
}

/// A signal.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct SignalUse {
    /// Whether the workload sent or received it.
    pub direction: SignalDirection,
    /// Its number; 0 asks only whether the process is there.
    pub signal: u8,
    /// Who is at the other end.
    pub peer: Peer,
}

/// Which way a signal went.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SignalDirection {
    /// The workload sent it.
    Send,
    /// The workload received it.
    Receive,
}

/// Who is at the other end.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Another process of the same instance.
    Own,
    /// A process outside of it: the runtime, another container, the host.
    Outside,
}

/// What a task did to another with the rights of a debugger.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct TraceUse {
    /// What, and which way.
    pub direction: TraceDirection,
    /// Who is at the other end.
    pub peer: Peer,
}

/// What a debugger's rights were used for, in AppArmor's words.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TraceDirection {
    /// The workload traced, or wrote to another's memory.
    Trace,
    /// The workload was traced.
    TracedBy,
    /// The workload read what only a debugger may: `/proc/PID/environ` and the like.
    Read,
    /// The workload was read.
    ReadBy,
}

/// A change of the mount tree.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct MountUse {
    /// What was done.
    pub operation: MountOperation,
    /// What was mounted, or where it was before; absent when there is no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<FilePath>,
    /// Where.
    pub target: FilePath,
    /// The file system's type; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<String>,
    /// `MS_…` flags (mount(2)); 0 for the others.
    pub flags: u64,
    /// True when `target` is the directory of more of them than are told apart.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

/// What is done with the mount tree.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MountOperation {
    /// mount(2), in all its forms: the flags say which.
    Mount,
    /// umount2(2).
    Unmount,
    /// pivot_root(2): `target` is the new root, `source` where the old one goes.
    PivotRoot,
}
