//! Fork, exec and exit: they give each process the executable its calls are filed under, and take
//! away the slots that no longer hold.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel_str_bytes},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use tracer_ebpf::PATH_LEN;

use crate::{
    cgroups,
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    tasks,
};

/// `(struct task_struct *parent, struct task_struct *child)` (include/trace/events/sched.h).
/// `kernel_clone` calls it before it wakes the child, for threads and kernel threads too.
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn fork(ctx: BtfTracePointContext) -> i32 {
    let child: *const u8 = ctx.arg(1);
    // SAFETY: the tracepoint's typed argument.
    let (stack, child_tgid) = unsafe {
        (
            field::<u64>(child, config!(task_stack)),
            field::<u32>(child, config!(task_tgid)),
        )
    };
    tasks::drop_slot(stack);

    let parent_tgid = low(bpf_get_current_pid_tgid() >> 32);
    if child_tgid == parent_tgid {
        return 0;
    }
    // SAFETY: the entry of the running process stays.
    let Some(&exe) = (unsafe { maps::PROCESSES.get(parent_tgid) }) else {
        return 0;
    };
    remember(child_tgid, exe);
    // `clone3(CLONE_INTO_CGROUP)` puts a child elsewhere without any move.
    // SAFETY: pointer fields of the tracepoint's typed argument.
    let cgroup = unsafe {
        let set = field::<*const u8>(child, config!(task_cgroups));
        field::<*const u8>(set, config!(css_set_dfl_cgrp))
    };
    // SAFETY: what it points to is a cgroup.
    if !unsafe { cgroups::is_recorded(cgroup) } {
        count!(left);
    }
    0
}

/// `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`; runs in the task that
/// execs, when nothing can fail any more.
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn exec(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    let bprm: *const u8 = ctx.arg(2);
    // SAFETY: the tracepoint's typed arguments.
    let (stack, filename) = unsafe {
        (
            field::<u64>(task, config!(task_stack)),
            field::<u64>(bprm, config!(binprm_filename)) as *const u8,
        )
    };
    let tgid = low(bpf_get_current_pid_tgid() >> 32);
    if tasks::entry_of_current().is_none() {
        // It may carry an executable from a parent in a recorded cgroup; its own is another one.
        let _ = maps::PROCESSES.remove(tgid);
        return 0;
    }
    tasks::drop_slot(stack);
    if let Some(exe) = intern(filename) {
        remember(tgid, exe);
        debug!(&ctx, "exec: pid {} exe {:x}", tgid, exe);
    }
    0
}

/// `(struct task_struct *p, …)`: `do_exit` has already counted the thread off `signal->live`.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    // SAFETY: the tracepoint's typed argument, and a pointer field of it.
    let (tgid, live) = unsafe {
        let signal = field::<*const u8>(task, config!(task_signal));
        (
            field::<u32>(task, config!(task_tgid)),
            field::<u32>(signal, config!(signal_live)),
        )
    };
    if live == 0 {
        let _ = maps::PROCESSES.remove(tgid);
    }
    0
}

#[inline(always)]
fn remember(tgid: u32, exe: u64) {
    if maps::PROCESSES
        .insert(tgid, exe, u64::from(BPF_ANY))
        .is_err()
    {
        count!(processes_full);
    }
}

/// The id of an executable's path, which is kept with it.
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, a path would take half of the program's stack"
)]
#[inline(always)]
fn intern(filename: *const u8) -> Option<u64> {
    let path = maps::SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's scratch element, see `counters`.
    let path = unsafe { &mut *path };
    // SAFETY: a checked read of a string in kernel memory.
    let len = unsafe { bpf_probe_read_kernel_str_bytes(filename, &mut path.bytes) }
        .map_or(0, <[u8]>::len);
    path.len = low(len as u64);
    // The helper stops one byte short for the NUL: a full buffer means that there may be more.
    path.truncated = u32::from(len == PATH_LEN - 1);
    let exe = path.id();
    // SAFETY: entries are never removed while programs run.
    if unsafe { maps::EXECUTABLES.get(exe) }.is_none()
        && maps::EXECUTABLES
            .insert(exe, &*path, u64::from(BPF_NOEXIST))
            .is_err()
        // SAFETY: as above; another CPU may have been first.
        && unsafe { maps::EXECUTABLES.get(exe) }.is_none()
    {
        count!(executables_full);
    }
    Some(exe)
}
