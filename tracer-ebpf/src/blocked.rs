//! Calls that a seccomp filter stops: they reach `sys_exit` and never `sys_enter`, so an exit without
//! an entry on the same thread is one (`syscall_trace_enter`, kernel/entry/common.c).
//!
//! For each thread under a filter a word says whether it is in a call that was seen to begin. What
//! would look like a blocked call and is none:
//!
//! | exit without an entry | what is done about it |
//! | --- | --- |
//! | the child's return from fork, vfork, clone | [`born`]: it begins its life in a call |
//! | a call in flight when the watching began, or when the thread came under the filter | a thread that is not known says nothing at its first exit |
//! | execve of a thread that takes over its leader's id | [`execed`]: the id is in a call |
//! | syscall user dispatch | none fires (`syscall_exit_work`) |
//!
//! A call that a supervisor (SECCOMP_RET_USER_NOTIF) or a tracer (SECCOMP_RET_TRACE) answers looks the same, and
//! is none that was stopped: it is told by who listens, and by the thread having waited.
//!
//! And what stops a thread without an exit: SECCOMP_RET_KILL_THREAD among several threads, and any
//! kill before Linux 5.16: [`exited`].

use tracer_abi::{FILTERED_BIT, INSIDE_SYSCALL, OUTSIDE_SYSCALL, STOPPED_SYSCALL, outcome};

use crate::{
    counters::count,
    events::{self, ObservedSyscall},
    kernel::{field, low},
    maps::{self, config},
    platform::{
        Shared as _, SharedMut as _,
        bindings::BPF_ANY,
        helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel},
        programs::BtfTracePointContext,
    },
    slots, syscalls, tasks,
};

/// SIGSYS, the signal of a filter's verdict.
const SIGSYS: u32 = 31;

/// `ENOSYS`, which x86's entry code leaves as the return value until there is one
/// (`PUSH_AND_CLEAR_REGS rax=$-ENOSYS`, arch/x86/entry/entry_64.S); arm64's leaves the first argument,
/// which is what a rollback gives (`syscall_rollback`, arch/arm64/include/asm/syscall.h).
const NOT_CALLED_YET: i64 = -38;

/// The tracepoint's arguments are `(struct pt_regs *regs, long ret)`.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "sys_exit")
)]
pub(crate) fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    // SAFETY: `regs` is the tracepoint's typed argument.
    let nr = unsafe { field::<u32>(regs, config!(regs_nr)) };
    let returned = ctx.arg::<u64>(1).cast_signed();
    if config!(exits_attached) != 0 && !slots::exits_are_watched() && !begins_to_watch(nr, returned)
    {
        return 0;
    }
    if slots::row_of_current(regs) & FILTERED_BIT == 0 {
        return 0;
    }
    if returned == 0 && syscalls::is_seccomp(nr) {
        // For all threads, perhaps (SECCOMP_FILTER_FLAG_TSYNC): slots say that others have no filter.
        slots::drop_all_slots();
    }
    let tid = low(bpf_get_current_pid_tgid());
    match maps::THREADS.get_ptr_mut(tid) {
        // SAFETY: only the thread itself writes its word.
        Some(state) if unsafe { state.load() } & INSIDE_SYSCALL == OUTSIDE_SYSCALL => {
            // SAFETY: as above.
            let waited = unsafe { state.load() } & !STOPPED_SYSCALL != outside();
            let abi = syscalls::abi_of(regs, nr);
            // SAFETY: `regs` is the tracepoint's typed argument.
            let rolled_back = unsafe { field::<u64>(regs, config!(regs_rolled_back)) };
            let outcome = outcome::blocked(returned, rolled_back.cast_signed());
            let is_answered = waited && outcome != outcome::SIGNAL && tasks::is_supervised();
            // What its own supervisor answers is what the workload does: a filter of others, whose verdict
            // comes first, has to let it through to there.
            let (row, outcome) = if is_answered {
                let row = tasks::look_up().row & !FILTERED_BIT;
                (row, outcome::EXECUTED_CHECK_AGAIN)
            } else {
                (tasks::row_of_blocked(), outcome)
            };
            let stopped = if is_answered { 0 } else { STOPPED_SYSCALL };
            // SAFETY: as above.
            unsafe { state.store(outside() | stopped) };
            let again = !is_answered && config!(report_every_blocked) != 0;
            events::observe(
                &ctx,
                regs,
                &ObservedSyscall {
                    row,
                    nr,
                    abi,
                    outcome,
                    again,
                    filters: if again { tasks::filters() } else { 0 },
                },
            );
        }
        // SAFETY: as above.
        Some(state) => unsafe { state.store(outside()) },
        None => set(tid, outside()),
    }
    0
}

/// The word of a thread that leaves a call. A verdict of the filter alone keeps no thread waiting; whoever is
/// asked to answer in the kernel's place does (`seccomp_do_user_notification`, kernel/seccomp.c;
/// `ptrace_stop`, kernel/signal.c).
#[inline(always)]
fn outside() -> u32 {
    OUTSIDE_SYSCALL | tasks::waits()
}

/// Whether this is the exit of the call that put a recorded thread under a filter: from it on, exits are watched.
#[inline(always)]
fn begins_to_watch(nr: u32, returned: i64) -> bool {
    if !syscalls::may_load_a_filter(nr) || returned < 0 {
        return false;
    }
    // SAFETY: the offset of that field.
    let filter = unsafe { tasks::of_current::<u64>(config!(task_seccomp_filter)) };
    if filter.unwrap_or(0) == 0 || tasks::entry_of_current().is_none() {
        return false;
    }
    slots::watch_exits();
    true
}

/// Whether a filter stopped the call that the running thread leaves. A call that a filter traps leaves its own
/// number behind, which would look like a result.
#[inline(never)]
pub(crate) fn was_stopped() -> bool {
    let tid = low(bpf_get_current_pid_tgid());
    maps::THREADS.get_ptr(tid).is_some_and(|state| {
        // SAFETY: only the thread itself writes its word.
        let state = unsafe { state.load() };
        state & (INSIDE_SYSCALL | STOPPED_SYSCALL) == OUTSIDE_SYSCALL | STOPPED_SYSCALL
    })
}

/// The running thread, which is under a filter, begins a call.
#[inline(always)]
pub(crate) fn entered() {
    if !slots::exits_are_watched() {
        return;
    }
    let tid = low(bpf_get_current_pid_tgid());
    match maps::THREADS.get_ptr_mut(tid) {
        // SAFETY: only the thread itself writes its word.
        Some(state) => unsafe { state.store(INSIDE_SYSCALL) },
        None => set(tid, INSIDE_SYSCALL),
    }
}

/// A thread is made under a filter: the first that is seen of it is its return from the call that
/// made it.
#[inline(always)]
pub(crate) fn born(tid: u32) {
    if slots::exits_are_watched() {
        set(tid, INSIDE_SYSCALL);
    }
}

/// The running thread executed a program, perhaps taking over the id of its thread group's leader
/// (`exchange_tids`, kernel/pid.c).
#[inline(always)]
pub(crate) fn execed(tid: u32, old_tid: u32) {
    if slots::exits_are_watched() {
        set(tid, INSIDE_SYSCALL);
        if old_tid != tid {
            let _ = maps::THREADS.remove(old_tid);
        }
    }
}

/// A process went where its calls are not seen to begin. Its threads but the leader are not told of;
/// one that comes back in the middle of a call may make that look blocked (docs/limits.md).
#[inline(always)]
pub(crate) fn escaped(leader: u32) {
    let _ = maps::THREADS.remove(leader);
}

/// A thread ends, and with it what is known of it. When a filter's verdict ended it on its way into
/// a call, that call was blocked, and there is no exit to tell.
#[inline(always)]
pub(crate) fn exited(ctx: &BtfTracePointContext, tid: u32, stack: u64, code: u32) {
    if !slots::exits_are_watched() {
        return;
    }
    // Its filter does not tell that it had one: that is released first (`do_exit`, Linux 6.11).
    let Some(state) = maps::THREADS.get_ptr(tid) else {
        return;
    };
    // SAFETY: only the thread itself writes its word.
    let out = unsafe { state.load() } & INSIDE_SYSCALL == OUTSIDE_SYSCALL;
    let _ = maps::THREADS.remove(tid);
    if !out || code & 0x7f != SIGSYS {
        return;
    }
    let Some(regs) = slots::registers(stack) else {
        return;
    };
    // SAFETY: checked reads.
    let read = |offset: u32| unsafe {
        bpf_probe_read_kernel(regs.wrapping_add(offset as usize).cast::<i64>())
    };
    let (Ok(nr), Ok(returned), Ok(rolled_back)) = (
        read(config!(regs_nr)),
        read(config!(regs_return)),
        read(config!(regs_rolled_back)),
    ) else {
        return;
    };
    let nr = low(nr.cast_unsigned());
    // Other threads of the process end with the same code, from wherever they were: in user mode
    // (the number is then negative), or after a call that has returned something.
    let stopped = returned == NOT_CALLED_YET || returned == rolled_back;
    if nr.cast_signed() >= 0 && stopped {
        let abi = syscalls::abi_at_the_end(regs, nr);
        let seen = ObservedSyscall {
            row: tasks::row_of_blocked(),
            nr,
            abi,
            outcome: outcome::SIGNAL,
            again: config!(report_every_blocked) != 0,
            // They are released by now.
            filters: 0,
        };
        events::observe(ctx, core::ptr::null(), &seen);
    }
}

#[inline(always)]
fn set(tid: u32, state: u32) {
    if maps::THREADS
        .insert(tid, state, u64::from(BPF_ANY))
        .is_err()
    {
        count!(threads_full);
    }
}
