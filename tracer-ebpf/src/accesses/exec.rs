//! Programs: what is executed, and what the kernel maps for that.
//!
//! The kernel maps the new program and its interpreter before anyone hears that it is executed, and
//! so under the old program's row. A profile that is entered by this exec needs them: they are told
//! once more under the new row.

use tracer_abi::{
    AccessKind, FileSource, RESOLVED_LEN,
    access::{NAME_LEN, open},
};

use super::{
    PathRef, Request, exits,
    path::{self, number},
    recorded, report,
};
use crate::{
    accounts,
    kernel::{field, low},
    maps::{self, config},
    platform::{
        bindings::BPF_ANY,
        helpers::{bpf_get_current_pid_tgid, generated},
        programs::BtfTracePointContext,
    },
    tasks,
};

/// A program, its interpreter, and the one that a binfmt_misc puts before both; a power of two, for the
/// verifier.
const MOST: usize = 4;

/// What a process mapped since it began to execute a program. Filed under the process: a thread that
/// executes one becomes the first thread, and takes its id over (`de_thread`, fs/exec.c). What another
/// thread maps meanwhile is taken for its own, which allows no more than was seen.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Executing {
    count: u32,
    pad: u32,
    places: [PathRef; MOST],
}

/// The running thread begins to execute a file.
#[inline(always)]
pub(crate) fn begins(file: PathRef) {
    let Some(row) = recorded() else {
        return;
    };
    let executing = Executing {
        count: 0,
        pad: 0,
        places: [PathRef::NONE; MOST],
    };
    if maps::EXECUTING
        .insert(process(), executing, u64::from(BPF_ANY))
        .is_err()
    {
        super::lost(row);
    }
    report(&Request::new(row, AccessKind::Execute, file));
}

#[inline(always)]
fn process() -> u32 {
    low(bpf_get_current_pid_tgid() >> 32)
}

/// The running thread maps a file to be executed. A process whose exec failed is taken for one that is
/// still at it, which only makes it remember in vain.
#[inline(always)]
pub(crate) fn maps(file: PathRef) {
    if let Some(executing) = maps::EXECUTING.get_ptr_mut(process()) {
        // SAFETY: the index is below the array's length. Two threads that are at it at once may
        // overwrite one another's.
        unsafe {
            let count = (*executing).count as usize;
            if count < MOST {
                (&raw mut (*executing).places)
                    .cast::<PathRef>()
                    .add(count & (MOST - 1))
                    .write(file);
                (*executing).count += 1;
            }
        }
    }
}

/// `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`. Attached after the program that
/// gives the process its new row, and called after it: programs are called in the order in which they
/// were attached (`func_add`, kernel/tracepoint.c).
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "sched_process_exec")
)]
pub(crate) fn exec_accesses(ctx: BtfTracePointContext) -> i32 {
    let bprm: *const u8 = ctx.arg(2);
    // SAFETY: the tracepoint's typed argument.
    let file = unsafe { field::<*const u8>(bprm, config!(binprm_file)) };
    let Some(row) = recorded() else {
        let _ = maps::EXECUTING.remove(process());
        return 0;
    };
    let (interp, filename) = (
        number!(u64, bprm as u64, config!(binprm_interp)),
        number!(u64, bprm as u64, config!(binprm_filename)),
    );
    keep_path(if interp == filename {
        PathRef::of_file(file)
    } else {
        // Of a script only the name is left, which starts here when it is relative.
        PathRef::working_directory()
    });
    let gains = gains(file);
    if config!(files_by) == FileSource::Hooks as u32 {
        let Some(executing) = maps::EXECUTING.get_ptr_mut(process()) else {
            return 0;
        };
        let mut telling = Telling {
            row,
            gains,
            name: PathRef::of_file(file).name,
            executing,
        };
        // As in `path`: the verifier would follow each turn.
        // SAFETY: the callback takes what is handed to it.
        unsafe {
            generated::bpf_loop(
                low(MOST as u64),
                mapped_step as *mut _,
                (&raw mut telling).cast(),
                0,
            );
        }
        let _ = maps::EXECUTING.remove(process());
    } else {
        // What the kernel mapped, after all interpreters; those of ELF files user space looks up.
        if interp == filename {
            mapped(
                row,
                PathRef::of_file(file),
                open::READ | open::EXECUTED | gains,
            );
        } else {
            // A script: it is what the right to be executed was asked for, and only its name is left.
            mapped(row, PathRef::of_file(file), open::READ | gains);
            exits::executed(row, filename);
        }
    }
    0
}

/// `S_ISUID`, and `S_ISGID` with `S_IXGRP` (`bprm_fill_uid`, fs/exec.c).
const SET_USER_ID: u16 = 0o4000;
const SET_GROUP_ID: u16 = 0o2010;

/// What the running task, which has its new credentials already, may have gained from its program.
#[inline(always)]
fn gains(file: *const u8) -> u64 {
    let inode = number!(u64, file as u64, config!(file_inode));
    let mode = number!(u16, inode, config!(inode_mode));
    let cred = number!(u64, tasks::current(), config!(task_cred));
    // uid, gid, suid, sgid, euid, egid (include/linux/cred.h).
    // SAFETY: any bytes are numbers.
    let [uid, gid, _, _, euid, egid] = unsafe { path::read::<[u32; 6]>(cred, config!(cred_uid)) };
    let by_user = mode & SET_USER_ID != 0 && euid != uid;
    let by_group = mode & SET_GROUP_ID == SET_GROUP_ID && egid != gid;
    let mut gains = 0;
    if by_user || by_group {
        gains |= open::SET_ID;
    }
    if uid != 0 {
        gains |= open::NOT_ROOT;
    }
    gains
}

/// Keeps where the executable of the running process lies, once.
#[inline(never)]
fn keep_path(place: PathRef) {
    // SAFETY: an entry is removed when its process is gone.
    let Some((exe, instance)) =
        (unsafe { maps::PROCESSES.get(process()) }).map(|it| (it.exe, it.instance))
    else {
        return;
    };
    // SAFETY: as in `processes::keep`.
    if unsafe { maps::RESOLVED_PATHS.get(exe) }.is_some() {
        return;
    }
    let Some(resolved) = maps::RESOLVED_SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // A memfd's name is its own root (`d_alloc_pseudo`, fs/dcache.c).
    let own_name = number!(u64, place.name, config!(dentry_parent) + 16);
    // SAFETY: this CPU's scratch element, see `counters`; it has as many bytes as that.
    let resolved = unsafe {
        let bytes = (&raw mut (*resolved).bytes).cast::<u8>();
        let mut len = path::write::<RESOLVED_LEN>(place, bytes, 0, RESOLVED_LEN);
        if len == 0 {
            let room = low(NAME_LEN as u64);
            let read =
                generated::bpf_probe_read_kernel_str(bytes.cast(), room, own_name as *const _);
            // An error is negative, and leaves nothing.
            len = low(read.max(0).cast_unsigned().min(NAME_LEN as u64)) as usize;
        }
        (&raw mut (*resolved).len).write(low(len as u64));
        (&raw mut (*resolved).truncated).write(u32::from(len > RESOLVED_LEN - NAME_LEN));
        &*resolved
    };
    if maps::RESOLVED_PATHS
        .insert(exe, resolved, u64::from(BPF_ANY))
        .is_err()
    {
        accounts::lost_executable(instance);
    }
}

/// What is told of, and under which row.
struct Telling {
    row: u32,
    gains: u64,
    /// `struct dentry *` of the program, which is what gains.
    name: u64,
    executing: *mut Executing,
}

unsafe extern "C" fn mapped_step(index: u32, telling: *mut Telling) -> i64 {
    // SAFETY: `exec_accesses` hands over its own; the index is below the array's length.
    unsafe {
        let Telling {
            row,
            gains,
            name,
            executing,
        } = telling.read();
        let places = (&raw const (*executing).places).cast::<PathRef>();
        let place = places.add(index as usize & (MOST - 1)).read();
        if place.name != 0 {
            let gains = if place.name == name { gains } else { 0 };
            mapped(row, place, open::READ | gains);
        }
    }
    0
}

/// `how` tells what else the kernel did with it.
#[inline(always)]
fn mapped(row: u32, place: PathRef, how: u64) {
    let mut request = Request::new(row, AccessKind::MapExecutable, place);
    request.values[0] = how;
    report(&request);
}
