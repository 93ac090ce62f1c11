//! Signals, and what needs a debugger's rights: each seen from both ends.

use tracer_abi::{AccessKind, access::flag};

use super::{PathRef, Request, key, known_row, path::number, recorded, ring, was_reported};
use crate::{
    maps::config,
    platform::programs::{BtfTracePointContext, FExitContext, LsmContext},
    tasks::{self, RowLookup},
};

/// `PTRACE_MODE_READ` (include/linux/ptrace.h).
const MODE_READ: u32 = 1;

/// Signals that processes send have a code of 0 and less (`SI_FROMUSER`,
/// include/uapi/asm-generic/siginfo.h), but for timers, message queues and the like.
const FIRST_OF_KERNEL: i32 = 1;
const SI_TIMER: i32 = -2;
const SI_MESGQ: i32 = -3;
const SI_ASYNCIO: i32 = -4;
const SI_SIGIO: i32 = -5;

/// Two special addresses stand for signals without more to say: sent by a process, and by the
/// kernel (`SEND_SIG_NOINFO`, `SEND_SIG_PRIV`, include/linux/sched/signal.h).
const NO_INFO: u64 = 0;
const OF_KERNEL: u64 = 1;

/// `(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`:
/// `check_kill_permission` (kernel/signal.c) calls it for signals of processes only.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::lsm(hook = "task_kill"))]
pub(crate) fn task_kill(ctx: LsmContext) -> i32 {
    let (task, signal, returned): (*const u8, u32, i32) = (ctx.arg(0), ctx.arg(2), ctx.arg(4));
    if returned == 0 {
        sent(task, signal);
    }
    0
}

/// The end of the same hook.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::fexit(function = "security_task_kill")
)]
pub(crate) fn task_kill_exit(ctx: FExitContext) -> i32 {
    let (task, signal, returned): (*const u8, u32, i32) = (ctx.arg(0), ctx.arg(2), ctx.arg(4));
    if returned == 0 {
        sent(task, signal);
    }
    0
}

/// `(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)`, in the
/// context of whoever sends, which for a timer is any task at all. Signal 0 does not come here.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "signal_generate")
)]
pub(crate) fn signal_generate(ctx: BtfTracePointContext) -> i32 {
    let (signal, info, task): (u32, *const u8, *const u8) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let info = info as u64;
    let of_process = info == NO_INFO
        || info != OF_KERNEL && is_of_process(number!(i32, info, config!(siginfo_code)));
    if of_process {
        sent(task, signal);
    }
    0
}

const fn is_of_process(code: i32) -> bool {
    code < FIRST_OF_KERNEL && !matches!(code, SI_TIMER | SI_MESGQ | SI_ASYNCIO | SI_SIGIO)
}

/// `(struct task_struct *child, unsigned int mode)`.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::lsm(hook = "ptrace_access_check")
)]
pub(crate) fn ptrace_access_check(ctx: LsmContext) -> i32 {
    let (task, mode, returned): (*const u8, u32, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    if returned == 0 {
        traced(task, mode);
    }
    0
}

/// The end of the same hook.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::fexit(function = "security_ptrace_access_check")
)]
pub(crate) fn ptrace_access_check_exit(ctx: FExitContext) -> i32 {
    let (task, mode, returned): (*const u8, u32, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    if returned == 0 {
        traced(task, mode);
    }
    0
}

/// `(struct task_struct *parent)`: the running task lets its parent trace it (PTRACE_TRACEME).
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::lsm(hook = "ptrace_traceme"))]
pub(crate) fn ptrace_traceme(ctx: LsmContext) -> i32 {
    if ctx.arg::<i32>(1) == 0 {
        traced_by(ctx.arg(0));
    }
    0
}

/// The end of the same hook.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::fexit(function = "security_ptrace_traceme")
)]
pub(crate) fn ptrace_traceme_exit(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(1) == 0 {
        traced_by(ctx.arg(0));
    }
    0
}

#[inline(never)]
fn traced_by(task: *const u8) {
    both_ends(task, 0, AccessKind::Traced, AccessKind::Trace);
}

#[inline(never)]
fn sent(task: *const u8, signal: u32) {
    both_ends(
        task,
        u64::from(signal),
        AccessKind::SignalSend,
        AccessKind::SignalReceive,
    );
}

#[inline(never)]
fn traced(task: *const u8, mode: u32) {
    both_ends(
        task,
        u64::from(mode & MODE_READ),
        AccessKind::Trace,
        AccessKind::Traced,
    );
}

#[inline(always)]
fn both_ends(task: *const u8, value: u64, by: AccessKind, on: AccessKind) {
    let sender = recorded();
    let RowLookup { row, .. } = tasks::look_up_other(task);
    let receiver = known_row(row);
    if sender.is_none() && receiver.is_none() {
        return;
    }
    let mut flags = 0;
    if sender.is_some()
        && receiver.is_some()
        && tasks::instance_of_current() == tasks::instance_of(task)
    {
        flags |= flag::PEER_IS_OWN;
    }
    if let Some(row) = sender {
        one_end(row, by, value, flags);
    }
    if let Some(row) = receiver {
        one_end(row, on, value, flags);
    }
}

#[inline(always)]
fn one_end(row: u32, kind: AccessKind, value: u64, flags: u32) {
    let mut request = Request::new(row, kind, PathRef::NONE);
    request.values[0] = value;
    request.flags = flags;
    let key = key(&request, request.flags, 0);
    if !was_reported(key) {
        ring::send_bytes::<0>(&request, key, |_| 0);
    }
}
