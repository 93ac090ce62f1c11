//! Landlock (landlock(7)): rules about files for the calling thread and those that it starts.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

/// `LANDLOCK_ACCESS_FS_*` (include/uapi/linux/landlock.h). Reading is not restricted.
mod fs {
    pub(super) const EXECUTE: u64 = 1 << 0;
    /// `WRITE_FILE`, and `REMOVE_DIR` to `MAKE_SYM`.
    pub(super) const CHANGE: u64 = 1 << 1 | 0x1ff0;
    /// From the second version on. Without it nothing can be moved to another directory.
    pub(super) const REFER: u64 = 1 << 13;
    /// From the third.
    pub(super) const TRUNCATE: u64 = 1 << 14;
}

/// `LANDLOCK_ACCESS_NET_BIND_TCP` and `_CONNECT_TCP`, from the fourth version on.
const NET: u64 = 0b11;

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`, from the sixth version on.
const SCOPE: u64 = 1;

/// The oldest version that is used: an older one keeps files from being moved between directories, which the exchange
/// of a workload's directory needs.
const OLDEST: u32 = 2;

/// `struct landlock_ruleset_attr`. A kernel that knows less takes it when the rest is zero.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const ASK_VERSION: u32 = 1;

/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: u32 = 1;

/// The version of Landlock that the kernel has.
///
/// # Errors
/// When it has none (ENOSYS), or none that is turned on (EOPNOTSUPP).
pub fn abi() -> io::Result<u32> {
    // SAFETY: with this flag the kernel reads nothing.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<Ruleset>(),
            0_usize,
            ASK_VERSION,
        )
    };
    u32::try_from(version).map_err(|_| io::Error::last_os_error())
}

/// From now on the calling thread changes files only in and below these directories, starts no program outside of
/// them, and makes no connection.
pub(super) fn write_below(directories: &[BorrowedFd<'_>]) -> io::Result<()> {
    restrict(directories, NET)
}

/// From now on the calling thread changes no file and starts no program.
pub(super) fn write_nothing() -> io::Result<()> {
    restrict(&[], 0)
}

fn restrict(directories: &[BorrowedFd<'_>], net: u64) -> io::Result<()> {
    let abi = abi()?;
    if abi < OLDEST {
        return Err(io::Error::other(format!(
            "this kernel has version {abi} of Landlock, and it takes {OLDEST} (Linux 5.19)"
        )));
    }
    let since = |version, rights| if abi >= version { rights } else { 0 };
    let changes = fs::CHANGE | fs::REFER | since(3, fs::TRUNCATE);
    let ruleset = Ruleset {
        handled_access_fs: changes | fs::EXECUTE,
        handled_access_net: since(4, net),
        scoped: since(6, SCOPE),
    };
    // SAFETY: the struct outlives the call, which reads its size of it.
    let created = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const ruleset,
            size_of::<Ruleset>(),
            0_u32,
        )
    };
    let created = i32::try_from(done(created)?).unwrap_or(-1);
    // SAFETY: the kernel has just opened it for us.
    let created = unsafe { OwnedFd::from_raw_fd(created) };
    for directory in directories {
        let rule = Beneath {
            allowed_access: changes,
            parent_fd: directory.as_raw_fd(),
        };
        // SAFETY: as above.
        done(unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                created.as_raw_fd(),
                PATH_BENEATH,
                &raw const rule,
                0_u32,
            )
        })?;
    }
    // SAFETY: a system call without pointers.
    done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, created.as_raw_fd(), 0_u32) })?;
    Ok(())
}

fn done(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
