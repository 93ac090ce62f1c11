//! Programs: what is executed, and what the kernel maps for that.
//!
//! The kernel maps the new program and its interpreter before anyone hears that it is executed, and
//! so under the old program's row. A profile that is entered by this exec needs them: they are told
//! once more under the new row.

use tracer_abi::{AccessKind, FileSource, access::open};

use super::{PathRef, Request, exits, path::number, recorded, report};
use crate::{
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    platform::{
        bindings::BPF_ANY,
        helpers::{bpf_get_current_pid_tgid, generated},
        programs::BtfTracePointContext,
    },
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
        count!(accesses_lost);
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
    if config!(files_by) == FileSource::Hooks as u32 {
        let Some(executing) = maps::EXECUTING.get_ptr_mut(process()) else {
            return 0;
        };
        let mut telling = Telling { row, executing };
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
        let (interp, filename) = (
            number!(u64, bprm as u64, config!(binprm_interp)),
            number!(u64, bprm as u64, config!(binprm_filename)),
        );
        if interp == filename {
            mapped(row, PathRef::of_file(file), open::READ | open::EXECUTED);
        } else {
            // A script: it is what the right to be executed was asked for, and only its name is left.
            mapped(row, PathRef::of_file(file), open::READ);
            exits::executed(row, filename);
        }
    }
    0
}

/// What is told of, and under which row.
struct Telling {
    row: u32,
    executing: *mut Executing,
}

unsafe extern "C" fn mapped_step(index: u32, telling: *mut Telling) -> i64 {
    // SAFETY: `exec_accesses` hands over its own; the index is below the array's length.
    unsafe {
        let Telling { row, executing } = telling.read();
        let places = (&raw const (*executing).places).cast::<PathRef>();
        let place = places.add(index as usize & (MOST - 1)).read();
        if place.name != 0 {
            mapped(row, place, open::READ);
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
