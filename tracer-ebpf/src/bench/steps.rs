//! The tracer's own hot path, one step more in each program, so that each step has a price.
//!
//! A copy of `syscalls.rs` and `tasks.rs` without what happens on a miss and at a new mark: here a
//! task is recorded when its cgroup is [`STEPS_CGROUP`].

use core::{arch::asm, cell::UnsafeCell};

use aya_ebpf::{
    helpers::bpf_get_current_cgroup_id,
    macros::{btf_tracepoint, map},
    maps::{Array, PerCpuArray},
    programs::BtfTracePointContext,
};
use tracer_ebpf::{Control, Counters, FIRST_ROW, Row, UNRECORDED_ROW, slot};

use crate::{frozen, kernel::field, mark};

/// The recorded cgroup.
#[unsafe(no_mangle)]
static STEPS_CGROUP: u64 = 0;

/// `pt_regs.cx`, `.ip`, `.r11`, `.flags`.
#[unsafe(no_mangle)]
static STEPS_REGS: [u32; 4] = [0; 4];

#[repr(transparent)]
struct Words<const N: usize>(UnsafeCell<[u64; N]>);

// SAFETY: read and written as whole words, by volatile accesses only.
unsafe impl<const N: usize> Sync for Words<N> {}

#[unsafe(no_mangle)]
static STEPS_SLOTS: Words<{ slot::SLOTS }> = Words(UnsafeCell::new([0; slot::SLOTS]));

#[unsafe(no_mangle)]
static STEPS_EPOCH: Words<8> = Words(UnsafeCell::new([0; 8]));

#[unsafe(no_mangle)]
static STEPS_CALLS: Words<1024> = Words(UnsafeCell::new([0; 1024]));

#[unsafe(no_mangle)]
static STEPS_ROWS: Words<{ 8 * 128 }> = Words(UnsafeCell::new([0; 8 * 128]));

#[map]
static STEPS_CONTROL: Array<Control> = Array::with_max_entries(1, 0);

#[map]
static STEPS_COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

#[map]
static STEPS_MARKS: Array<Row> = Array::with_max_entries(1024, 0);

#[inline(always)]
fn row_of_current(regs: *const u8, epoch: u64) -> u32 {
    let slots = STEPS_SLOTS.0.get().cast::<u64>();
    let mut offset = regs as u64;
    // SAFETY: arithmetic on a register.
    unsafe {
        asm!(
            "{offset} -= {slots}",
            offset = inout(reg) offset,
            slots = in(reg) slots,
            options(pure, nomem, nostack),
        );
    }
    let place = slot::place(offset, epoch);
    // SAFETY: `place.index` is below the number of slots.
    let word = unsafe { slots.add(place.index).read_volatile() };
    match slot::row(word, place.stamp) {
        Some(row) => row,
        None => look_up_and_keep(place.index, place.stamp),
    }
}

#[inline(never)]
fn look_up_and_keep(index: usize, stamp: u64) -> u32 {
    // SAFETY: a helper without arguments.
    let row = if unsafe { bpf_get_current_cgroup_id() } == frozen(&STEPS_CGROUP) {
        FIRST_ROW
    } else {
        UNRECORDED_ROW
    };
    let slots = STEPS_SLOTS.0.get().cast::<u64>();
    // SAFETY: the index is below the number of slots.
    unsafe {
        slots
            .add(index & (slot::SLOTS - 1))
            .write_volatile(slot::word(stamp, row));
    }
    row
}

#[inline(always)]
fn epoch_in_map() -> u64 {
    match STEPS_CONTROL.get_ptr(0) {
        // SAFETY: an aligned word in a map.
        Some(control) => unsafe { (&raw const (*control).epoch).read_volatile() },
        None => 0,
    }
}

#[inline(always)]
fn epoch_in_global() -> u64 {
    // SAFETY: an aligned word.
    unsafe { STEPS_EPOCH.0.get().cast::<u64>().read_volatile() }
}

#[inline(always)]
fn count_in_map() {
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

#[inline(always)]
fn mark_in_map(row: u32, nr: u64) {
    if let Some(marks) = STEPS_MARKS.get_ptr_mut(row) {
        mark(marks.cast(), nr);
    }
}

#[inline(always)]
fn mark_in_global(row: u32, nr: u64) {
    let row = (row & 7) as usize;
    // SAFETY: within the rows.
    mark(
        unsafe { STEPS_ROWS.0.get().cast::<u8>().add(row * 1024) },
        nr,
    );
}

macro_rules! step {
    ($name:ident, |$regs:ident, $nr:ident| $body:block) => {
        #[btf_tracepoint(function = "sys_enter")]
        pub(crate) fn $name(ctx: BtfTracePointContext) -> i32 {
            let $regs: *const u8 = ctx.arg(0);
            let $nr = ctx.arg::<u64>(1);
            let _ = $nr;
            $body;
            0
        }
    };
}

step!(step_slot, |regs, nr| {
    if row_of_current(regs, 0) == UNRECORDED_ROW {
        return 0;
    }
});
step!(step_epoch_map, |regs, nr| {
    if row_of_current(regs, epoch_in_map()) == UNRECORDED_ROW {
        return 0;
    }
});
step!(step_epoch_global, |regs, nr| {
    if row_of_current(regs, epoch_in_global()) == UNRECORDED_ROW {
        return 0;
    }
});
step!(step_m_count, |regs, nr| {
    if row_of_current(regs, epoch_in_map()) == UNRECORDED_ROW {
        return 0;
    }
    count_in_map();
});
step!(step_m_count_abi, |regs, nr| {
    if row_of_current(regs, epoch_in_map()) == UNRECORDED_ROW {
        return 0;
    }
    count_in_map();
    if !registers_of_syscall(regs) {
        return 1;
    }
});
step!(step_m_abi_marks, |regs, nr| {
    let row = row_of_current(regs, epoch_in_map());
    if row == UNRECORDED_ROW {
        return 0;
    }
    if !registers_of_syscall(regs) {
        return 1;
    }
    mark_in_map(row, nr);
});
step!(step_m_all, |regs, nr| {
    let row = row_of_current(regs, epoch_in_map());
    if row == UNRECORDED_ROW {
        return 0;
    }
    count_in_map();
    if !registers_of_syscall(regs) {
        return 1;
    }
    mark_in_map(row, nr);
});
step!(step_g_count, |regs, nr| {
    if row_of_current(regs, epoch_in_global()) == UNRECORDED_ROW {
        return 0;
    }
    count_in_map();
});
step!(step_g_all, |regs, nr| {
    let row = row_of_current(regs, epoch_in_global());
    if row == UNRECORDED_ROW {
        return 0;
    }
    count_in_map();
    if !registers_of_syscall(regs) {
        return 1;
    }
    mark_in_map(row, nr);
});
step!(step_g_marks_global, |regs, nr| {
    let row = row_of_current(regs, epoch_in_global());
    if row == UNRECORDED_ROW {
        return 0;
    }
    count_in_map();
    if !registers_of_syscall(regs) {
        return 1;
    }
    mark_in_global(row, nr);
});
