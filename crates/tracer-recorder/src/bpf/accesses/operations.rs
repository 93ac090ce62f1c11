//! What system calls do to files and sockets, for the kernel side to read when they end.

use anyhow::Context as _;
use aya::{Ebpf, maps::Array};
use tracer_abi::{ABI_SLOTS, AccessKind, Operation, access::operation as how, maps as names};

use crate::bpf::{ProbeError, pod::Plain};
use syscalls::{Abi, Machine};

/// `O_CREAT | O_TRUNC`, which creat(2) stands for.
const CREAT: u32 = 0o1100;

/// `AT_REMOVEDIR`.
const REMOVEDIR: u32 = 0x200;

/// fcntl(2)'s commands that lock: F_SETLK and F_SETLKW, those of 32-bit calls for 64-bit offsets, and
/// those of open file descriptions. To look at locks (F_GETLK) asks nobody.
const LOCKS: u64 = 0b11 << 6 | 0b11 << 13 | 0b11 << 37;

/// `EAGAIN` (include/uapi/asm-generic/errno-base.h): somebody else has the lock.
const EAGAIN: u32 = 11;
/// `EINPROGRESS` (include/uapi/asm-generic/errno.h): the connection is being made.
const EINPROGRESS: u32 = 115;
/// `RENAME_EXCHANGE`.
const EXCHANGE: u32 = 2;
/// Which argument is none: 0, always.
const NO_ARGUMENT: u32 = 7;

/// `W_OK` (unistd.h), the kernel's `MAY_WRITE`.
const W_OK: u32 = 2;

/// `PROT_EXEC`.
const PROT_EXEC: u32 = 4;

const NONE: Operation = Operation {
    how: 0,
    kind: 0,
    directory: 0,
    path: 0,
    second_directory: 0,
    second_path: 0,
    second_kind: 0,
    opens: 0,
    argument: 0,
    mask: 0,
    behind_pointer: 0,
    despite: 0,
    set: 0,
};

/// It returns an open file; `argument` holds the flags.
const fn opens(argument: u32) -> Operation {
    Operation {
        how: how::RETURNS_FILE,
        kind: AccessKind::Open as u32,
        argument,
        ..NONE
    }
}

/// An argument is an open file.
const fn of_file(kind: AccessKind, directory: u32) -> Operation {
    Operation {
        how: how::OF_FILE,
        kind: kind as u32,
        directory,
        ..NONE
    }
}

/// An argument is a path that starts from `directory`.
const fn of_path(kind: AccessKind, directory: u32, path: u32) -> Operation {
    Operation {
        how: how::OF_PATH,
        kind: kind as u32,
        directory,
        path,
        ..NONE
    }
}

const fn renames(directory: u32, path: u32, second_directory: u32, second_path: u32) -> Operation {
    Operation {
        how: how::OF_TWO_PATHS,
        kind: AccessKind::RenameFrom as u32,
        directory,
        path,
        second_directory,
        second_path,
        second_kind: AccessKind::RenameTo as u32,
        ..NONE
    }
}

/// An argument is a socket; an address is at `path`, 0 for none.
const fn of_socket(kind: AccessKind, path: u32) -> Operation {
    Operation {
        how: how::OF_SOCKET,
        kind: kind as u32,
        path,
        ..NONE
    }
}

const MAKES_SOCKET: Operation = Operation {
    how: how::MAKES_SOCKET,
    kind: AccessKind::SocketCreate as u32,
    ..NONE
};

const fn only_if(operation: Operation, argument: u32, mask: u32) -> Operation {
    Operation {
        argument,
        mask,
        ..operation
    }
}

const LOCKS_BY_FCNTL: Operation = Operation {
    argument: 1,
    set: LOCKS,
    despite: EAGAIN,
    ..of_file(AccessKind::Lock, 0)
};

const HERE: u32 = how::CURRENT;

/// By name.
const OPERATIONS: [(&str, Operation); 41] = [
    ("open", opens(1)),
    ("openat", opens(2)),
    ("open_by_handle_at", opens(2)),
    (
        "openat2",
        Operation {
            behind_pointer: 1,
            ..opens(2)
        },
    ),
    (
        "creat",
        Operation {
            opens: CREAT,
            ..opens(NO_ARGUMENT)
        },
    ),
    ("mkdir", of_path(AccessKind::MakeDirectory, HERE, 0)),
    ("mkdirat", of_path(AccessKind::MakeDirectory, 0, 1)),
    ("mknod", of_path(AccessKind::Create, HERE, 0)),
    ("mknodat", of_path(AccessKind::Create, 0, 1)),
    ("symlink", of_path(AccessKind::Symlink, HERE, 1)),
    ("symlinkat", of_path(AccessKind::Symlink, 1, 2)),
    ("link", of_path(AccessKind::Link, HERE, 1)),
    ("linkat", of_path(AccessKind::Link, 2, 3)),
    ("unlink", of_path(AccessKind::Remove, HERE, 0)),
    (
        "unlinkat",
        Operation {
            second_kind: AccessKind::RemoveDirectory as u32,
            argument: 2,
            mask: REMOVEDIR,
            ..of_path(AccessKind::Remove, 0, 1)
        },
    ),
    ("rmdir", of_path(AccessKind::RemoveDirectory, HERE, 0)),
    ("rename", renames(HERE, 0, HERE, 1)),
    ("renameat", renames(0, 1, 2, 3)),
    ("renameat2", only_if(renames(0, 1, 2, 3), 4, EXCHANGE)),
    ("chmod", of_path(AccessKind::ChangeMode, HERE, 0)),
    ("fchmodat", of_path(AccessKind::ChangeMode, 0, 1)),
    ("fchmodat2", of_path(AccessKind::ChangeMode, 0, 1)),
    ("fchmod", of_file(AccessKind::ChangeMode, 0)),
    ("chown", of_path(AccessKind::ChangeOwner, HERE, 0)),
    ("chown32", of_path(AccessKind::ChangeOwner, HERE, 0)),
    ("lchown", of_path(AccessKind::ChangeOwner, HERE, 0)),
    ("lchown32", of_path(AccessKind::ChangeOwner, HERE, 0)),
    ("fchownat", of_path(AccessKind::ChangeOwner, 0, 1)),
    ("fchown", of_file(AccessKind::ChangeOwner, 0)),
    ("fchown32", of_file(AccessKind::ChangeOwner, 0)),
    ("truncate", of_path(AccessKind::Truncate, HERE, 0)),
    ("truncate64", of_path(AccessKind::Truncate, HERE, 0)),
    ("ftruncate", of_file(AccessKind::Truncate, 0)),
    ("ftruncate64", of_file(AccessKind::Truncate, 0)),
    (
        "flock",
        Operation {
            argument: 1,
            despite: EAGAIN,
            ..of_file(AccessKind::Lock, 0)
        },
    ),
    ("socket", MAKES_SOCKET),
    ("socketpair", MAKES_SOCKET),
    ("bind", of_socket(AccessKind::SocketBind, 1)),
    (
        "connect",
        Operation {
            despite: EINPROGRESS,
            ..of_socket(AccessKind::SocketConnect, 1)
        },
    ),
    ("listen", of_socket(AccessKind::SocketListen, 0)),
    ("accept", of_socket(AccessKind::SocketAccept, 0)),
];

/// The rest, which have conditions or other names.
const MORE: [(&str, Operation); 12] = [
    (
        "mount",
        Operation {
            how: how::MOUNTS,
            kind: AccessKind::Mount as u32,
            ..NONE
        },
    ),
    ("umount", of_path(AccessKind::Unmount, HERE, 0)),
    ("umount2", of_path(AccessKind::Unmount, HERE, 0)),
    ("accept4", of_socket(AccessKind::SocketAccept, 0)),
    (
        "mmap",
        only_if(of_file(AccessKind::MapExecutable, 4), 2, PROT_EXEC),
    ),
    (
        "mmap2",
        only_if(of_file(AccessKind::MapExecutable, 4), 2, PROT_EXEC),
    ),
    ("fcntl", LOCKS_BY_FCNTL),
    ("fcntl64", LOCKS_BY_FCNTL),
    ("uselib", of_path(AccessKind::MapExecutable, HERE, 0)),
    (
        "access",
        only_if(of_path(AccessKind::CheckWritable, HERE, 0), 1, W_OK),
    ),
    (
        "faccessat",
        only_if(of_path(AccessKind::CheckWritable, 0, 1), 2, W_OK),
    ),
    (
        "faccessat2",
        only_if(of_path(AccessKind::CheckWritable, 0, 1), 2, W_OK),
    ),
];

/// By the byte of a row that the call is marked at.
pub(in crate::bpf) fn of(machine: Machine) -> impl Iterator<Item = (u32, Operation)> {
    let abis = [
        Some((machine.native, 0)),
        machine.compat.map(|abi| (abi, ABI_SLOTS)),
    ];
    abis.into_iter().flatten().flat_map(|(abi, first)| {
        OPERATIONS
            .iter()
            .chain(&MORE)
            .filter_map(move |(name, operation)| {
                // The old call has one argument, the address of all of them (`sys_ia32_mmap`,
                // arch/x86/kernel/sys_ia32.c); no libc of today makes it.
                if *name == "mmap" && abi == Abi::I386 {
                    return None;
                }
                let index = first + abi.syscall_number(name)? as usize;
                Some((u32::try_from(index).ok()?, *operation))
            })
    })
}

/// Tells the kernel side.
///
/// # Errors
/// [`ProbeError::Map`] when the kernel refuses.
pub(in crate::bpf) fn fill(ebpf: &mut Ebpf, machine: Machine) -> Result<(), ProbeError> {
    let mut fill = || -> anyhow::Result<()> {
        let map = ebpf
            .map_mut(names::OPERATIONS)
            .context("it is not in the object")?;
        let mut operations: Array<_, Plain<Operation>> = Array::try_from(map)?;
        for (index, operation) in of(machine) {
            operations.set(index, Plain(operation), 0)?;
        }
        Ok(())
    };
    fill().map_err(ProbeError::map("fill", names::OPERATIONS))
}
