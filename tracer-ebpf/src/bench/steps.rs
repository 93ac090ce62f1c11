//! The tracer's own hot path, one step more in each program, so that each step has a price.
//!
//! A copy of `syscalls.rs` and `tasks.rs` without what happens on a miss, at a new mark and
//! at a fork: here a task is recorded when its cgroup is [`STEPS_CGROUP`], and user space empties
//! the slots before each sample.

use core::arch::asm;

use aya_ebpf::{
    helpers::bpf_get_current_cgroup_id,
    macros::{btf_tracepoint, map},
    maps::{Array, PerCpuArray},
    programs::BtfTracePointContext,
};
use tracer_abi::{Control, Counters, FIRST_ROW, Row, UNRECORDED_ROW, slot};

use crate::{frozen, kernel::field, mark};

/// The recorded cgroup.
#[unsafe(no_mangle)]
static STEPS_CGROUP: u64 = 0;

/// `pt_regs.cx`, `.ip`, `.r11`, `.flags`.
#[unsafe(no_mangle)]
static STEPS_REGS: [u32; 4] = [0; 4];

#[map]
static STEPS_CONTROL: Array<Control> = Array::with_max_entries(1, 0);

#[map]
static STEPS_COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

#[map]
static STEPS_MARKS: Array<Row> = Array::with_max_entries(16, 0);

#[inline(always)]
fn row_of_current(regs: *const u8) -> u32 {
    let Some(control) = STEPS_CONTROL.get_ptr_mut(0) else {
        return UNRECORDED_ROW;
    };
    let mut offset = regs as u64;
    // SAFETY: arithmetic on a register, and an aligned word in a map.
    let epoch = unsafe {
        asm!(
            "{offset} -= {control}",
            offset = inout(reg) offset,
            control = in(reg) control as u64,
            options(pure, nomem, nostack),
        );
        (&raw const (*control).epoch).read_volatile()
    };
    let place = slot::place(offset, epoch);
    // SAFETY: `place.index` is below the number of slots.
    let word = unsafe { slot_at(control, place.index).read_volatile() };
    match slot::row(word, place.stamp) {
        Some(row) => row,
        None => look_up_and_keep(place.index, place.stamp),
    }
}

/// # Safety
/// `index` must be below the number of slots.
#[inline(always)]
unsafe fn slot_at(control: *mut Control, index: usize) -> *mut u64 {
    // SAFETY: as the caller says.
    unsafe { (&raw mut (*control).slots).cast::<u64>().add(index) }
}

#[inline(never)]
fn look_up_and_keep(index: usize, stamp: u64) -> u32 {
    // SAFETY: a helper without arguments.
    let row = if unsafe { bpf_get_current_cgroup_id() } == frozen(&STEPS_CGROUP) {
        FIRST_ROW
    } else {
        UNRECORDED_ROW
    };
    if let Some(control) = STEPS_CONTROL.get_ptr_mut(0) {
        // SAFETY: the index is below the number of slots.
        unsafe {
            slot_at(control, index & (slot::SLOTS - 1)).write_volatile(slot::word(stamp, row))
        };
    }
    row
}

#[inline(always)]
fn count() {
    if let Some(counters) = STEPS_COUNTERS.get_ptr_mut(0) {
        // SAFETY: this CPU's element.
        unsafe { (*counters).calls += 1 }
    }
}

#[inline(always)]
fn registers_of_syscall(regs: *const u8) -> bool {
    // SAFETY: `regs` is the tracepoint's typed argument.
    unsafe {
        field::<u64>(regs, frozen(&STEPS_REGS[0])) == field::<u64>(regs, frozen(&STEPS_REGS[1]))
            && field::<u64>(regs, frozen(&STEPS_REGS[2]))
                == field::<u64>(regs, frozen(&STEPS_REGS[3]))
    }
}

/// The task's row, from its slot: all that a task which is not recorded pays.
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn step_1_slot(ctx: BtfTracePointContext) -> i32 {
    i32::from(row_of_current(ctx.arg(0)) != UNRECORDED_ROW)
}

/// And the counter of calls.
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn step_2_count(ctx: BtfTracePointContext) -> i32 {
    if row_of_current(ctx.arg(0)) != UNRECORDED_ROW {
        count();
    }
    0
}

/// And the question whether the call is a 64-bit one.
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn step_3_abi(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    if row_of_current(regs) == UNRECORDED_ROW {
        return 0;
    }
    count();
    i32::from(registers_of_syscall(regs))
}

/// And the mark: all that a task which is recorded pays.
#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn step_4_mark(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    let row = row_of_current(regs);
    if row == UNRECORDED_ROW {
        return 0;
    }
    count();
    if registers_of_syscall(regs)
        && let Some(marks) = STEPS_MARKS.get_ptr_mut(row)
    {
        mark(marks.cast(), ctx.arg(1));
    }
    0
}
