//! Files and sockets by the ends of system calls: where no hook may be used.
//!
//! What a call opened, or was given open, is followed from its descriptor, so its path is the
//! kernel's own. Where there is only the text that the program gave, that text is told with the
//! directory it starts from, and user space puts them together: links in it are then not followed
//! by the kernel but by user space, a moment later. Both are read when the call has ended, and
//! another thread may have changed them by then.
//!
//! Only calls that succeeded are told: what failed needs no rule.

use tracer_abi::{
    AbiClass, AccessKind, FILTERED_BIT, Operation, UNRECORDED_ROW,
    access::{ACCESS_PATH_LEN, LONG_BYTES, flag, operation},
};

use super::{
    PathRef, Request, hooks, key, known_row, mounts, note, path,
    path::number,
    report, ring,
    sockets::{self, Address},
    text, was_reported,
};
use crate::{
    blocked, events,
    kernel::{field, low},
    maps::{self, config},
    platform::{
        helpers::{bpf_probe_read_user, generated},
        programs::BtfTracePointContext,
    },
    slots, syscalls, tasks,
};

/// `AT_FDCWD` (include/uapi/linux/fcntl.h).
const AT_FDCWD: u32 = (-100_i32).cast_unsigned();

/// Room for six, and a power of two for the verifier.
const ARGUMENTS: usize = 8;

/// A call that has ended.
#[derive(Clone, Copy)]
struct Ended {
    row: u32,
    returned: i64,
    args: [u64; ARGUMENTS],
}

/// `(struct pt_regs *regs, long ret)`. A program of its own, beside that of blocked calls: either may
/// be there without the other.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "sys_exit")
)]
pub(crate) fn sys_exit_accesses(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    let row = slots::row_of_current(regs);
    if row == UNRECORDED_ROW {
        return 0;
    }
    // SAFETY: `regs` is the tracepoint's typed argument.
    let nr = unsafe { field::<u32>(regs, config!(regs_nr)) };
    let returned = ctx.arg::<u64>(1).cast_signed();
    ended(regs, row, nr, returned);
    0
}

/// Reads what a call of the row did that has ended and returned a value.
#[inline(always)]
fn ended(regs: *const u8, row: u32, nr: u32, returned: i64) {
    let abi = syscalls::abi_of(regs, nr);
    let Some(index) = events::index_in_row(abi, nr) else {
        return;
    };
    let Some(operation) = maps::OPERATIONS.get(low(index as u64)) else {
        return;
    };
    // Errors are -4095 to -1 (IS_ERR_VALUE, include/linux/err.h).
    let is_error = (-4095..0).contains(&returned);
    if operation.how == 0 || is_error && returned != -i64::from(operation.despite) {
        return;
    }
    // The program of blocked calls ran before this one.
    if row & FILTERED_BIT != 0 && blocked::was_stopped() {
        return;
    }
    let Some(row) = known_row(row) else {
        return;
    };
    let ended = Ended {
        row,
        returned,
        args: arguments(regs, abi),
    };
    follow(operation, &ended);
}

#[inline(always)]
fn arguments(regs: *const u8, abi: AbiClass) -> [u64; ARGUMENTS] {
    macro_rules! read {
        ($offsets:ident, $mask:expr, $($n:literal)*) => {
            // SAFETY: `regs` is the tracepoint's typed argument.
            unsafe { [$(field::<u64>(regs, config!($offsets[$n])) & $mask,)* 0, 0] }
        };
    }
    match abi {
        AbiClass::Compat => read!(compat_args, 0xffff_ffff, 0 1 2 3 4 5),
        AbiClass::Native | AbiClass::X32 => read!(native_args, u64::MAX, 0 1 2 3 4 5),
    }
}

#[inline(never)]
fn follow(operation: &'static Operation, ended: &Ended) {
    let asked = low(argument(ended, operation.argument));
    let masked = asked & operation.mask != 0;
    let has_another = operation.how == operation::OF_PATH && operation.second_kind != 0;
    let is_both_ways = operation.how == operation::OF_TWO_PATHS && masked;
    let is_asked = operation.how != operation::OF_TWO_PATHS && !has_another;
    if operation.mask != 0 && !masked && is_asked {
        return;
    }
    if operation.set != 0 && (asked > 63 || operation.set >> (asked & 63) & 1 == 0) {
        return;
    }
    let kind = if masked && has_another {
        operation.second_kind
    } else {
        operation.kind
    };
    let Some(kind) = AccessKind::of(kind) else {
        return;
    };
    match operation.how {
        operation::OF_PATH | operation::OF_TWO_PATHS => {
            let mut giving = Giving {
                operation,
                ended,
                kind: kind as u32,
            };
            let paths = if operation.how == operation::OF_PATH {
                1
            } else if is_both_ways {
                4
            } else {
                2
            };
            // As in `path`: the verifier would follow each turn.
            // SAFETY: the callback takes what is handed to it.
            unsafe {
                generated::bpf_loop(paths, given_step as *mut _, (&raw mut giving).cast(), 0);
            }
        }
        operation::MAKES_SOCKET => sockets::made(
            ended.row,
            low(argument(ended, 0)),
            low(argument(ended, 1)),
            low(argument(ended, 2)),
        ),
        operation::OF_SOCKET => {
            let file = file_of(low(argument(ended, 0)));
            let socket = number!(u64, file, config!(file_private));
            if socket != 0 {
                let address = Address {
                    at: if operation.path == 0 {
                        0
                    } else {
                        argument(ended, operation.path)
                    },
                    len: low(argument(ended, 2)),
                    in_user: true,
                };
                sockets::used(ended.row, kind, socket, &address);
            }
        }
        operation::MOUNTS => mounted(ended),
        _ => open_file(operation, ended, kind),
    }
}

/// Not within [`follow`]: what it takes of the stack, the others would have to do without.
#[inline(never)]
fn mounted(ended: &Ended) {
    mounts::report_mount(&mounts::Mounting {
        row: ended.row,
        source: argument(ended, 0),
        filesystem: argument(ended, 2),
        target: argument(ended, 1),
        place: PathRef::working_directory(),
        from: None,
        flags: argument(ended, 3),
        in_user: true,
    });
}

/// An open file: one that the call returned, or that it was given.
#[inline(always)]
fn open_file(operation: &Operation, ended: &Ended, kind: AccessKind) {
    let is_new = operation.how == operation::RETURNS_FILE;
    let descriptor = if is_new {
        ended.returned.cast_unsigned()
    } else {
        argument(ended, operation.directory)
    };
    let file = file_of(low(descriptor));
    if file == 0 {
        return;
    }
    let mut request = Request::new(ended.row, kind, PathRef::of_file(file as *const u8));
    if is_new {
        let mut flags = argument(ended, operation.argument);
        if operation.behind_pointer != 0 {
            // openat2's are the first word there.
            // SAFETY: a checked read.
            match unsafe { bpf_probe_read_user(flags as *const u64) } {
                Ok(read) => flags = read,
                Err(_) => {
                    super::lost(ended.row);
                    return;
                }
            }
        }
        flags |= u64::from(operation.opens);
        let mode = number!(u32, file, config!(file_mode));
        request.values[0] = hooks::how_opened(mode, low(flags));
    } else if kind == AccessKind::Lock {
        request.values[0] = u64::from(locks_exclusively(operation, ended));
    } else if kind == AccessKind::MapExecutable && argument(ended, 3) & MAP_ANONYMOUS != 0 {
        // The descriptor is nobody's then.
        return;
    }
    report(&request);
}

/// `MAP_ANONYMOUS` (include/uapi/asm-generic/mman-common.h).
const MAP_ANONYMOUS: u64 = 0x20;
/// `LOCK_EX` (include/uapi/asm-generic/fcntl.h).
const LOCK_EX: u64 = 2;
/// `F_WRLCK`.
const F_WRLCK: u16 = 1;

/// Whether the lock is one that AppArmor asks the right to write for.
#[inline(always)]
fn locks_exclusively(operation: &Operation, ended: &Ended) -> bool {
    if operation.set == 0 {
        return argument(ended, 1) & LOCK_EX != 0;
    }
    // `l_type` is the first field of a `struct flock`, in all its forms.
    // SAFETY: a checked read.
    let kind = unsafe { bpf_probe_read_user(argument(ended, 2) as *const u16) };
    kind == Ok(F_WRLCK)
}

/// Paths that are to be told as a program gave them.
struct Giving<'a> {
    operation: &'static Operation,
    /// Where it is already: programs that call one another have 512 bytes together.
    ended: &'a Ended,
    kind: u32,
}

unsafe extern "C" fn given_step(index: u32, giving: *mut Giving<'_>) -> i64 {
    // SAFETY: `follow` hands over its own.
    let Giving {
        operation,
        ended,
        kind,
    } = unsafe { &*giving };
    // The third and fourth are the same two, exchanged.
    let kind = if index & 1 == 0 {
        *kind
    } else {
        operation.second_kind
    };
    let (directory, path) = if matches!(index, 0 | 3) {
        (operation.directory, operation.path)
    } else {
        (operation.second_directory, operation.second_path)
    };
    if let Some(kind) = AccessKind::of(kind) {
        as_given(ended, kind, directory, path);
    }
    0
}

/// An argument, by its number.
#[inline(always)]
fn argument(ended: &Ended, number: u32) -> u64 {
    let args = ended.args.as_ptr();
    // SAFETY: below the array's length.
    unsafe { args.add(number as usize & (ARGUMENTS - 1)).read_volatile() }
}

/// The `struct file *` of a descriptor of the running task; 0 for none.
#[inline(always)]
fn file_of(descriptor: u32) -> u64 {
    let files = number!(u64, tasks::current(), config!(task_files));
    let table = number!(u64, files, config!(files_fdt));
    let most = number!(u32, table, config!(fdt_max));
    if descriptor >= most {
        return 0;
    }
    let list = number!(u64, table, config!(fdt_fd));
    number!(u64, list.wrapping_add(u64::from(descriptor) * 8), 0)
}

/// Where a relative path starts.
#[inline(always)]
fn start(ended: &Ended, directory: u32) -> PathRef {
    let descriptor = if directory == operation::CURRENT {
        AT_FDCWD
    } else {
        low(argument(ended, directory))
    };
    if descriptor == AT_FDCWD {
        return PathRef::working_directory();
    }
    PathRef::of_file(file_of(descriptor) as *const u8)
}

/// Tells of a path as the program gave it.
#[inline(never)]
fn as_given(ended: &Ended, kind: AccessKind, directory: u32, path: u32) {
    report_text(ended.row, kind, argument(ended, path), true, || {
        start(ended, directory)
    });
}

/// Tells of what is executed, by the name that execve(2) was given, which the kernel has a copy of.
#[inline(never)]
pub(super) fn executed(row: u32, name: u64) {
    report_text(
        row,
        AccessKind::Execute,
        name,
        false,
        PathRef::working_directory,
    );
}

#[inline(always)]
fn report_text(
    row: u32,
    kind: AccessKind,
    text: u64,
    in_user: bool,
    start: impl FnOnce() -> PathRef,
) {
    let Some(event) = maps::TEXT_SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's scratch element: tracepoints of system calls run with preemption off, see
    // `counters`.
    let bytes = unsafe { (&raw mut (*event).bytes).cast::<u8>() };
    // SAFETY: the element has more bytes than that; a checked read.
    let len = unsafe {
        let (into, room) = (bytes.cast(), low(ACCESS_PATH_LEN as u64));
        if in_user {
            generated::bpf_probe_read_user_str(into, room, text as *const _)
        } else {
            generated::bpf_probe_read_kernel_str(into, room, text as *const _)
        }
    };
    // With its NUL. Without a name faccessat2(2) asks about the descriptor (AT_EMPTY_PATH).
    if len < 2 {
        if kind != AccessKind::CheckWritable || len < 1 {
            super::lost(row);
        }
        return;
    }
    let len = (low(len.cast_unsigned()) as usize - 1) & (ACCESS_PATH_LEN - 1);
    // SAFETY: as above.
    let is_absolute = unsafe { bytes.read() } == b'/';
    let start = if is_absolute { PathRef::NONE } else { start() };
    let mut flags = flag::AS_GIVEN;
    let of_start = if is_absolute {
        0
    } else {
        let Some(measured) = path::hash_path(start) else {
            super::lost(row);
            return;
        };
        flags |= measured.flags();
        measured.hash
    };
    // SAFETY: as above.
    let of_text = unsafe { text::hash(bytes, len, of_start) };
    let mut request = Request::new(row, kind, PathRef::NONE);
    request.flags = flags;
    let mut key = key(&request, request.flags, of_text.hash);
    if was_reported(key) {
        return;
    }
    let mut kept = len;
    if super::too_many(&request, request.flags, of_text.hash_of_parent) {
        request.flags |= flag::MORE;
        key = super::key(&request, request.flags, of_text.hash_of_parent);
        if was_reported(key) {
            return;
        }
        kept = low(of_text.parent_len) as usize & (ACCESS_PATH_LEN - 1);
    }
    if !super::has_room(&request, key) {
        return;
    }
    // SAFETY: the element; what is written of it is what the head counts.
    unsafe {
        let mut end = kept;
        if !is_absolute {
            end = path::write::<LONG_BYTES>(start, bytes, kept, kept + ACCESS_PATH_LEN);
        }
        let access = &raw mut (*event).access;
        ring::head(access, &request, request.flags, key);
        (&raw mut (*access).first_len).write(low(kept as u64));
        (&raw mut (*access).second_len).write(low((end - kept) as u64));
        note(&request, key, ring::output(event, end));
    }
}
