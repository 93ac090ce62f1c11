//! `sys_enter`: the hot path, and what a new observation does.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use tracer_ebpf::{
    ABI_SLOTS, AbiClass, AbiTest, Event, ExoticKey, NO_ROW, ROW_LEN, UNRECORDED_ROW, X32_BIT,
};

use crate::{
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    tasks,
};

/// `TS_COMPAT` in `thread_info.status` (arch/x86/include/asm/thread_info.h): the current system
/// call came by a 32-bit entry.
const TS_COMPAT: u32 = 0x2;

/// `PSR_MODE32_BIT` in `pt_regs.pstate` (arch/arm64/include/uapi/asm/ptrace.h).
const PSR_MODE32_BIT: u64 = 0x10;

/// The tracepoint's arguments are `(struct pt_regs *regs, long id)` (include/trace/events/syscalls.h).
/// It fires after seccomp: what a filter stopped is not seen here.
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn sys_enter(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    // An `int` for the kernel: negative numbers arrive sign-extended, and seccomp sees 32 bits.
    let nr = low(ctx.arg(1));

    let row = tasks::row_of_current(regs);
    if row == UNRECORDED_ROW {
        return 0;
    }
    count!(calls);
    if row == NO_ROW {
        return 0;
    }

    let abi = abi_of(regs, nr);
    let Some(index) = index_in_row(abi, nr) else {
        exotic(&ctx, regs, row, abi, nr);
        return 0;
    };
    let Some(marks) = maps::MARKS.get_ptr_mut(row) else {
        count!(calls_lost);
        return 0;
    };
    // SAFETY: `index` is below `ROW_LEN`.
    unsafe {
        let mark = marks.cast::<u8>().add(index);
        if mark.read_volatile() == 0 {
            // A plain store of one byte: it cannot undo what another CPU marks.
            mark.write_volatile(1);
            announce(&ctx, regs, row, abi, nr);
        }
    }
    0
}

#[inline(always)]
fn abi_of(regs: *const u8, nr: u32) -> AbiClass {
    let compat = match config!(abi_test) {
        x if x == AbiTest::X86 as u32 => !registers_of_syscall(regs) && in_compat_entry(),
        x if x == AbiTest::Arm64 as u32 => {
            // SAFETY: `regs` is the tracepoint's typed argument.
            (unsafe { field::<u64>(regs, config!(regs_abi_a)) }) & PSR_MODE32_BIT != 0
        }
        _ => false,
    };
    if compat {
        AbiClass::Compat
    } else if config!(abi_test) == AbiTest::X86 as u32 && nr & X32_BIT != 0 && nr.cast_signed() >= 0
    {
        AbiClass::X32
    } else {
        AbiClass::Native
    }
}

/// Whether the call came by the `syscall` instruction of 64-bit mode, as far as the registers tell.
///
/// That instruction puts the return address into rcx and the flags into r11, and the entry code
/// saves all four (`entry_SYSCALL_64`, arch/x86/entry/entry_64.S). No 32-bit entry does: `int
/// 0x80` leaves both as they were, and a 32-bit program has no r11. So this spares nearly every
/// call the question to the task, which costs a helper call. A debugger that changed the registers
/// only makes the task be asked. A 64-bit program that loads both registers by hand before an `int
/// 0x80` would pass for a native caller: docs/limits.md names it.
#[inline(always)]
fn registers_of_syscall(regs: *const u8) -> bool {
    // SAFETY: `regs` is the tracepoint's typed argument.
    unsafe {
        field::<u64>(regs, config!(regs_abi_a)) == field::<u64>(regs, config!(regs_abi_b))
            && field::<u64>(regs, config!(regs_abi_c)) == field::<u64>(regs, config!(regs_abi_d))
    }
}

#[inline(never)]
fn in_compat_entry() -> bool {
    // SAFETY: the offset of that field.
    let status = unsafe { tasks::of_current::<u32>(config!(task_status)) };
    status.is_ok_and(|status| status & TS_COMPAT != 0)
}

#[inline(always)]
fn index_in_row(abi: AbiClass, nr: u32) -> Option<usize> {
    let nr = nr as usize;
    if nr >= ABI_SLOTS {
        return None;
    }
    let index = match abi {
        AbiClass::Native => nr,
        AbiClass::Compat => ABI_SLOTS + nr,
        AbiClass::X32 => return None,
    };
    (index < ROW_LEN).then_some(index)
}

/// A number that no byte in a row stands for: unknown to every kernel so far, or x32.
#[inline(never)]
fn exotic(ctx: &BtfTracePointContext, regs: *const u8, row: u32, abi: AbiClass, nr: u32) {
    let key = ExoticKey {
        row,
        nr,
        abi: abi as u32,
        pad: 0,
    };
    // SAFETY: entries are never removed while programs run.
    if unsafe { maps::EXOTIC.get(key) }.is_some() {
        return;
    }
    if maps::EXOTIC.insert(key, 1, u64::from(BPF_NOEXIST)).is_ok() {
        announce(ctx, regs, row, abi, nr);
        // SAFETY: entries are never removed while programs run.
    } else if unsafe { maps::EXOTIC.get(key) }.is_none() {
        count!(exotic_full);
    }
}

/// Tells user space of a new observation. What does not fit into the ring is counted; the mark
/// stays.
#[inline(never)]
fn announce(ctx: &BtfTracePointContext, regs: *const u8, row: u32, abi: AbiClass, nr: u32) {
    if config!(ring) == 0 {
        return;
    }
    debug!(ctx, "new: row {} abi {} nr {}", row, abi as u32, nr);
    let Some(mut entry) = maps::EVENTS.reserve::<Event>(0) else {
        count!(events_dropped);
        return;
    };
    let pid_tgid = bpf_get_current_pid_tgid();
    entry.write(Event {
        // SAFETY: a helper without arguments.
        time: unsafe { bpf_ktime_get_ns() },
        args: arguments(regs, abi),
        row,
        nr,
        pid: low(pid_tgid >> 32),
        tid: low(pid_tgid),
        comm: bpf_get_current_comm().unwrap_or_default(),
        abi: abi as u32,
        pad: 0,
    });
    // A wake-up costs the workload several hundred nanoseconds; user space looks by itself often
    // enough, so it is woken only before the ring gets full.
    let waiting = maps::EVENTS.query(u64::from(BPF_RB_AVAIL_DATA));
    let wakeup = if waiting >= u64::from(config!(wakeup_bytes)) {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    entry.submit(u64::from(wakeup));
}

#[inline(always)]
fn arguments(regs: *const u8, abi: AbiClass) -> [u64; 6] {
    macro_rules! read {
        ($offsets:ident, $($n:literal)*) => {
            // SAFETY: `regs` is the tracepoint's typed argument.
            unsafe { [$(field::<u64>(regs, config!($offsets[$n]))),*] }
        };
    }
    match abi {
        AbiClass::Compat => read!(compat_args, 0 1 2 3 4 5),
        AbiClass::Native | AbiClass::X32 => read!(native_args, 0 1 2 3 4 5),
    }
}
