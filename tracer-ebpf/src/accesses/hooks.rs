//! Files and sockets by the hooks of the kernel's security modules: the places where AppArmor
//! itself decides, with what it decides by.
//!
//! Each hook has two programs with one body. BPF LSM programs are called after the modules that come
//! before `bpf` in the list (`lsm=`), and only for what those let through. Where `bpf` is not in the
//! list, the ends of the functions that call the hooks say the same.

use tracer_abi::{AccessKind, UNRECORDED_ROW, access::open};

use super::{
    PathRef, Request, exec, path, path::number, recorded_by_itself, report, report_pair, sockets,
    sockets::Address,
};
use crate::{
    maps::config,
    platform::programs::{FExitContext, LsmContext},
    slots,
};

/// `FMODE_READ`, `FMODE_WRITE` (include/linux/fs.h).
const FMODE_READ: u32 = 1;
const FMODE_WRITE: u32 = 2;
/// `__FMODE_EXEC` in `f_flags`: the kernel opens what is to be executed, which AppArmor does not ask
/// about here (`apparmor_file_open`).
const FMODE_EXEC: u32 = 0x20;
/// `FMODE_CREATED` in `f_mode`: this open made the file. It is there when `file_open` is called, and
/// stays (`lookup_open`, fs/namei.c; since Linux 4.19).
const FMODE_CREATED: u32 = 0x10_0000;
/// The same on x86 and arm64 (include/uapi/asm-generic/fcntl.h).
const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_APPEND: u32 = 0o2000;
/// `__O_TMPFILE`.
const O_TMPFILE: u32 = 0o20_000_000;
/// `PROT_EXEC`.
const PROT_EXEC: u64 = 4;

/// A hook's two programs. `$n` is the number of its arguments, after which comes what was returned.
macro_rules! hook {
    ($lsm:ident, $hook:literal; $exit:ident, $function:literal; $n:literal; |$ctx:ident| $body:expr) => {
        #[cfg_attr(target_arch = "bpf", aya_ebpf::macros::lsm(hook = $hook))]
        pub(crate) fn $lsm($ctx: LsmContext) -> i32 {
            if $ctx.arg::<i32>($n) == 0 {
                $body;
            }
            0
        }

        #[cfg_attr(target_arch = "bpf", aya_ebpf::macros::fexit(function = $function))]
        pub(crate) fn $exit($ctx: FExitContext) -> i32 {
            if $ctx.arg::<i32>($n) == 0 {
                $body;
            }
            0
        }
    };
}
pub(super) use hook;

// (struct file *file)
hook!(file_open, "file_open"; file_open_exit, "security_file_open"; 1; |ctx| opened(ctx.arg(0)));
// (struct path *dir, struct dentry *dentry, …)
hook!(path_mknod, "path_mknod"; path_mknod_exit, "security_path_mknod"; 4; |ctx| {
    in_directory(ctx.arg(0), ctx.arg(1), AccessKind::Create)
});
hook!(path_mkdir, "path_mkdir"; path_mkdir_exit, "security_path_mkdir"; 3; |ctx| {
    in_directory(ctx.arg(0), ctx.arg(1), AccessKind::MakeDirectory)
});
hook!(path_rmdir, "path_rmdir"; path_rmdir_exit, "security_path_rmdir"; 2; |ctx| {
    in_directory(ctx.arg(0), ctx.arg(1), AccessKind::RemoveDirectory)
});
hook!(path_unlink, "path_unlink"; path_unlink_exit, "security_path_unlink"; 2; |ctx| {
    in_directory(ctx.arg(0), ctx.arg(1), AccessKind::Remove)
});
hook!(path_symlink, "path_symlink"; path_symlink_exit, "security_path_symlink"; 3; |ctx| {
    in_directory(ctx.arg(0), ctx.arg(1), AccessKind::Symlink)
});
// (struct dentry *old_dentry, struct path *new_dir, struct dentry *new_dentry)
hook!(path_link, "path_link"; path_link_exit, "security_path_link"; 3; |ctx| {
    linked(ctx.arg(0), ctx.arg(1), ctx.arg(2))
});
// (struct path *old_dir, struct dentry *old_dentry, struct path *new_dir, struct dentry *new_dentry,
// unsigned int flags): the flags are there since Linux 5.19 for the hook. What the function was
// called with is what its end is asked for, so the returned value is not where it was.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::lsm(hook = "path_rename"))]
pub(crate) fn path_rename(ctx: LsmContext) -> i32 {
    // Before Linux 5.19 the hook is called for each way, and this is what it returned so far: 0.
    renamed_by(
        &[ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3)],
        ctx.arg(4),
    );
    0
}
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::fexit(function = "security_path_rename")
)]
pub(crate) fn path_rename_exit(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(5) == 0 {
        renamed_by(
            &[ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3)],
            ctx.arg(4),
        );
    }
    0
}
// (const struct path *path, …)
hook!(path_chmod, "path_chmod"; path_chmod_exit, "security_path_chmod"; 2; |ctx| {
    of_path(ctx.arg(0), AccessKind::ChangeMode)
});
hook!(path_chown, "path_chown"; path_chown_exit, "security_path_chown"; 3; |ctx| {
    of_path(ctx.arg(0), AccessKind::ChangeOwner)
});
hook!(path_truncate, "path_truncate"; path_truncate_exit, "security_path_truncate"; 1; |ctx| {
    of_path(ctx.arg(0), AccessKind::Truncate)
});
// (struct file *file): since Linux 6.2, for ftruncate(2); before that it is path_truncate too.
hook!(file_truncate, "file_truncate"; file_truncate_exit, "security_file_truncate"; 1; |ctx| {
    of_file(ctx.arg(0), AccessKind::Truncate)
});
// (struct file *file, unsigned int cmd)
hook!(file_lock, "file_lock"; file_lock_exit, "security_file_lock"; 2; |ctx| {
    locked(ctx.arg(0), ctx.arg(1))
});
// (struct linux_binprm *bprm)
hook!(bprm_creds_for_exec, "bprm_creds_for_exec"; bprm_creds_for_exec_exit, "security_bprm_creds_for_exec"; 1; |ctx| {
    executed(ctx.arg(0))
});
// (struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
hook!(file_mprotect, "file_mprotect"; file_mprotect_exit, "security_file_mprotect"; 3; |ctx| {
    protected(ctx.arg(0), ctx.arg(2))
});
// (struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::lsm(hook = "mmap_file"))]
pub(crate) fn mmap_file(ctx: LsmContext) -> i32 {
    if ctx.arg::<i32>(4) == 0 {
        mapped(ctx.arg(0), ctx.arg(2), ctx.arg(3));
    }
    0
}
// (struct file *file, unsigned long prot, unsigned long flags)
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::fexit(function = "security_mmap_file")
)]
pub(crate) fn mmap_file_exit(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(3) == 0 {
        mapped(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    }
    0
}
// (int family, int type, int protocol, int kern)
hook!(socket_create, "socket_create"; socket_create_exit, "security_socket_create"; 4; |ctx| {
    if ctx.arg::<u32>(3) == 0
        && let Some(row) = recorded_by_itself()
    {
        sockets::made(row, ctx.arg(0), ctx.arg(1), ctx.arg(2));
    }
});
// (struct socket *sock, struct sockaddr *address, int addrlen)
hook!(socket_bind, "socket_bind"; socket_bind_exit, "security_socket_bind"; 3; |ctx| {
    addressed(ctx.arg(0), AccessKind::SocketBind, ctx.arg(1), ctx.arg(2))
});
hook!(socket_connect, "socket_connect"; socket_connect_exit, "security_socket_connect"; 3; |ctx| {
    addressed(ctx.arg(0), AccessKind::SocketConnect, ctx.arg(1), ctx.arg(2))
});
// (struct socket *sock, int backlog)
hook!(socket_listen, "socket_listen"; socket_listen_exit, "security_socket_listen"; 2; |ctx| {
    addressed(ctx.arg(0), AccessKind::SocketListen, core::ptr::null(), 0)
});
// (struct socket *sock, struct socket *newsock)
hook!(socket_accept, "socket_accept"; socket_accept_exit, "security_socket_accept"; 2; |ctx| {
    addressed(ctx.arg(0), AccessKind::SocketAccept, core::ptr::null(), 0)
});

#[inline(always)]
fn opened(file: *const u8) {
    let Some(row) = recorded_by_itself() else {
        return;
    };
    let file = file as u64;
    let flags = number!(u32, file, config!(file_flags));
    let mode = number!(u32, file, config!(file_mode));
    if flags & FMODE_EXEC != 0 {
        return;
    }
    let place = PathRef::of_file(file as *const u8);
    let mut request = Request::new(row, AccessKind::Open, place);
    request.values[0] = how_opened(mode, flags);
    report(&request);
}

/// Bits of [`open`]. `flags` are those of open(2).
#[inline(always)]
pub(super) const fn how_opened(mode: u32, flags: u32) -> u64 {
    let mut how = 0;
    if mode & FMODE_READ != 0 {
        how |= open::READ;
    }
    if mode & FMODE_WRITE != 0 {
        how |= if flags & O_APPEND != 0 {
            open::APPEND
        } else {
            open::WRITE
        };
    }
    // As `aa_map_file_to_perms` (security/apparmor/include/file.h) has it.
    if flags & O_TRUNC != 0 {
        how |= open::WRITE;
    }
    if flags & O_CREAT != 0 {
        how |= open::CREATED;
        // Taken out of `f_flags` only after the hook (`do_dentry_open`, fs/open.c).
        if flags & O_EXCL != 0 {
            how |= open::EXCLUSIVE;
        }
    }
    if mode & FMODE_CREATED != 0 {
        how |= open::NEW;
    }
    // With it, `O_EXCL` says that no name can be given later.
    if flags & O_TMPFILE != 0 {
        how |= open::UNNAMED;
    }
    how
}

#[inline(always)]
fn in_directory(directory: *const u8, name: *const u8, kind: AccessKind) {
    if let Some(row) = recorded_by_itself() {
        let place = PathRef::at(directory).beside(name as u64);
        report(&Request::new(row, kind, place));
    }
}

/// `F_WRLCK` (include/uapi/asm-generic/fcntl.h), which flock(2) stands for with `LOCK_EX`. AppArmor asks
/// for the right to write then, however the file was opened (`apparmor_file_lock`).
const EXCLUSIVELY: u32 = 1;

#[inline(always)]
fn locked(file: *const u8, command: u32) {
    if let Some(row) = recorded_by_itself() {
        let mut request = Request::new(row, AccessKind::Lock, PathRef::of_file(file));
        request.values[0] = u64::from(command == EXCLUSIVELY);
        report(&request);
    }
}

#[inline(always)]
fn linked(old: *const u8, directory: *const u8, new: *const u8) {
    if let Some(row) = recorded_by_itself() {
        let directory = PathRef::at(directory);
        let new = directory.beside(new as u64);
        let request = Request::new(row, AccessKind::Link, new);
        report_pair(&request, directory.beside(old as u64));
    }
}

/// `RENAME_EXCHANGE` (include/uapi/linux/fs.h): AppArmor asks for both ways.
const EXCHANGE: u32 = 2;

#[inline(always)]
fn renamed_by([from, old, to, new]: &[*const u8; 4], flags: u32) {
    renamed(*from, *old, *to, *new);
    if flags & EXCHANGE != 0 {
        renamed(*to, *new, *from, *old);
    }
}

#[inline(never)]
fn renamed(from: *const u8, old: *const u8, to: *const u8, new: *const u8) {
    if let Some(row) = recorded_by_itself() {
        let old = PathRef::at(from).beside(old as u64);
        let new = PathRef::at(to).beside(new as u64);
        report(&Request::new(row, AccessKind::RenameFrom, old));
        let mut request = Request::new(row, AccessKind::RenameTo, new);
        // The new name is of the same file, and AppArmor asks for its owner (`apparmor_path_rename`,
        // security/apparmor/lsm.c): there is none behind the name yet, or another.
        request.flags = path::flags(old, AccessKind::RenameFrom);
        request.values[0] = if path::is_negative(new) { open::NEW } else { 0 };
        report(&request);
    }
}

#[inline(always)]
fn of_path(path: *const u8, kind: AccessKind) {
    if let Some(row) = recorded_by_itself() {
        report(&Request::new(row, kind, PathRef::at(path)));
    }
}

#[inline(always)]
fn of_file(file: *const u8, kind: AccessKind) {
    if let Some(row) = recorded_by_itself() {
        report(&Request::new(row, kind, PathRef::of_file(file)));
    }
}

#[inline(always)]
fn executed(bprm: *const u8) {
    let file = number!(u64, bprm as u64, config!(binprm_file));
    exec::begins(PathRef::of_file(file as *const u8));
}

#[inline(always)]
fn mapped(file: *const u8, protection: u64, flags: u64) {
    if file.is_null() {
        return;
    }
    if protection & PROT_EXEC == 0 {
        return shared(file, protection, flags);
    }
    if let Some(row) = recorded_by_itself() {
        let place = PathRef::of_file(file);
        exec::maps(place);
        report(&Request::new(row, AccessKind::MapExecutable, place));
    }
}

/// `PROT_READ` and `PROT_WRITE`.
const PROT_READ: u64 = 1;
const PROT_WRITE: u64 = 2;
/// `MAP_PRIVATE` (include/uapi/linux/mman.h): what is written does not reach the file.
const MAP_PRIVATE: u64 = 2;

/// A mapping of a file that nobody opened: the kernel makes one for shared memory of huge pages
/// (`hugetlb_file_setup`, fs/hugetlbfs/inode.c). For other files AppArmor goes by what it allowed when
/// they were opened; of this one it asks for the path, which is `/` (`common_mmap`,
/// security/apparmor/lsm.c).
#[inline(always)]
fn shared(file: *const u8, protection: u64, flags: u64) {
    // Most mappings are of other files: a task without a row is no loss before that is known.
    if slots::row_of_task() == UNRECORDED_ROW {
        return;
    }
    let place = PathRef::of_file(file);
    if !path::is_own_root(place) {
        return;
    }
    if let Some(row) = recorded_by_itself() {
        let mut how = 0;
        if protection & PROT_READ != 0 {
            how |= open::READ;
        }
        if protection & PROT_WRITE != 0 && flags & MAP_PRIVATE == 0 {
            how |= open::WRITE;
        }
        let mut request = Request::new(row, AccessKind::Open, place);
        request.values[0] = how;
        report(&request);
    }
}

#[inline(always)]
fn protected(vma: *const u8, protection: u64) {
    if protection & PROT_EXEC == 0 {
        return;
    }
    let file = number!(u64, vma as u64, config!(vma_file));
    if file != 0
        && let Some(row) = recorded_by_itself()
    {
        let place = PathRef::of_file(file as *const u8);
        report(&Request::new(row, AccessKind::MapExecutable, place));
    }
}

#[inline(always)]
fn addressed(socket: *const u8, kind: AccessKind, address: *const u8, len: u32) {
    if let Some(row) = recorded_by_itself() {
        let address = Address {
            at: address as u64,
            len,
            in_user: false,
        };
        sockets::used(row, kind, socket as u64, &address);
    }
}
