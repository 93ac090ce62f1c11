//! `sys_enter`: the hot path.

use tracer_abi::{AbiClass, AbiTest, FILTERED_BIT, NO_ROW, UNRECORDED_ROW, X32_BIT, outcome};

use crate::{
    arguments, blocked,
    counters::count,
    events::{self, ObservedSyscall},
    kernel::{field, low},
    maps::{self, config},
    platform::{
        Shared as _, SharedMut as _, helpers::bpf_probe_read_kernel, mutated,
        programs::BtfTracePointContext,
    },
    slots, tasks,
};

/// `TS_COMPAT` in `thread_info.status` (arch/x86/include/asm/thread_info.h): the current system
/// call came by a 32-bit entry.
const TS_COMPAT: u32 = 0x2;

/// `PSR_MODE32_BIT` in `pt_regs.pstate` (arch/arm64/include/uapi/asm/ptrace.h).
const PSR_MODE32_BIT: u64 = 0x10;

/// The tracepoint's arguments are `(struct pt_regs *regs, long id)` (include/trace/events/syscalls.h).
/// It fires after seccomp: what a filter stopped is not seen here.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "sys_enter")
)]
pub(crate) fn sys_enter(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    // An `int` for the kernel: negative numbers arrive sign-extended, and seccomp sees 32 bits.
    let nr = low(ctx.arg(1));

    let row = slots::row_of_current(regs);
    if row == UNRECORDED_ROW {
        return 0;
    }
    count!(calls);
    let row = if row & FILTERED_BIT == 0 {
        row
    } else {
        blocked::entered();
        row & !FILTERED_BIT
    };
    if row == NO_ROW {
        return 0;
    }

    let abi = abi_of(regs, nr);
    let Some(index) = events::index_in_row(abi, nr) else {
        without_a_byte(&ctx, regs, row, nr, abi);
        return 0;
    };
    let Some(marks) = maps::MARKS.get_ptr_mut(row) else {
        count!(calls_lost);
        return 0;
    };
    // SAFETY: `index` is below `ROW_LEN`.
    unsafe {
        let mark = marks.cast::<u8>().add(index);
        match mark.load() {
            outcome::EXECUTED => {}
            seen => {
                let watch = arguments::watch(index);
                let loads = may_load_a_filter(nr);
                if loads {
                    slots::drop_own_slot(regs);
                }
                let outcome = if loads || watch.is_some() {
                    outcome::EXECUTED_CHECK_AGAIN
                } else {
                    outcome::EXECUTED
                };
                if seen == 0 {
                    // A plain store of one byte: it cannot undo what another CPU marks.
                    if !mutated!(EventWithoutMark) {
                        mark.store(outcome);
                    }
                    events::announce(
                        &ctx,
                        regs,
                        &ObservedSyscall {
                            row,
                            nr,
                            abi,
                            outcome,
                            again: false,
                            filters: 0,
                        },
                    );
                }
                // After the mark: whoever reads a mark without values takes them for not recorded.
                if let Some(watch) = watch {
                    arguments::record(regs, row, abi, index, watch);
                }
            }
        }
    }
    0
}

/// A call whose number no byte in a row stands for.
#[inline(always)]
fn without_a_byte(ctx: &BtfTracePointContext, regs: *const u8, row: u32, nr: u32, abi: AbiClass) {
    if abi == AbiClass::X32 && may_load_a_filter(nr & !X32_BIT) {
        slots::drop_own_slot(regs);
    }
    events::unindexed(
        ctx,
        regs,
        &ObservedSyscall {
            row,
            nr,
            abi,
            outcome: outcome::EXECUTED,
            again: false,
            filters: 0,
        },
    );
}

/// Whether it is `prctl` or `seccomp`, in either ABI: after it, the thread may be under a filter.
#[inline(always)]
pub(crate) fn may_load_a_filter(nr: u32) -> bool {
    nr == config!(filter_calls[0]) || nr == config!(filter_calls[2]) || is_seccomp(nr)
}

/// Whether it is `seccomp`, in either ABI: after it, all threads of the process may be under a
/// filter. x32 has native numbers for both.
#[inline(always)]
pub(crate) fn is_seccomp(nr: u32) -> bool {
    let nr = nr & !X32_BIT;
    nr == config!(filter_calls[1]) || nr == config!(filter_calls[3])
}

#[inline(always)]
pub(crate) fn abi_of(regs: *const u8, nr: u32) -> AbiClass {
    let compat = match config!(abi_test) {
        x if x == AbiTest::X86 as u32 => !registers_of_syscall(regs) && in_compat_entry(),
        x if x == AbiTest::Arm64 as u32 => {
            // SAFETY: `regs` is the tracepoint's typed argument.
            (unsafe { field::<u64>(regs, config!(regs_abi_a)) }) & PSR_MODE32_BIT != 0
        }
        _ => false,
    };
    class(compat, nr)
}

/// The same for the running task at its end, whose registers the verifier does not know.
#[inline(always)]
pub(crate) fn abi_at_the_end(regs: *const u8, nr: u32) -> AbiClass {
    let compat = match config!(abi_test) {
        x if x == AbiTest::X86 as u32 => in_compat_entry(),
        x if x == AbiTest::Arm64 as u32 => {
            let pstate = regs.wrapping_add(config!(regs_abi_a) as usize);
            // SAFETY: a checked read.
            let pstate = unsafe { bpf_probe_read_kernel(pstate.cast::<u64>()) };
            pstate.is_ok_and(|pstate| pstate & PSR_MODE32_BIT != 0)
        }
        _ => false,
    };
    class(compat, nr)
}

#[inline(always)]
fn class(compat: bool, nr: u32) -> AbiClass {
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
