//! From the running task to its row of marks.
//!
//! The answer costs a few helper calls, so it is kept in a slot that the address of the task's
//! registers names ([`tracer_ebpf::slot`]). What a slot says is right because everything that
//! changes a task's row takes the slot away first:
//!
//! | what changes the row | what drops the slot |
//! | --- | --- |
//! | the stack gets a new owner | fork: the child's slot is cleared before the child can run |
//! | another executable | exec: the task clears its own slot |
//! | another cgroup, by a write to `cgroup.procs` | `cgroup_attach_task`: a new epoch, for all threads |
//! | another cgroup, by `clone3(CLONE_INTO_CGROUP)` | fork, as above: there is no attach |
//! | user space begins or ends a recording | a new epoch |
//!
//! Only the task itself writes a word with its tag, and never after its last system call, so
//! clearing needs no lock. The epoch is read before the row is looked up: when the task is moved in
//! between, the slot is written with an epoch that is already over.

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    helpers::{
        bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_task,
        bpf_probe_read_kernel,
    },
};
use tracer_ebpf::{
    CgroupEntry, Control, EXE_OVERFLOW, FIRST_ROW, MAX_ROWS, NO_ROW, Phase, RowKey, UNRECORDED_ROW,
    slot,
};

use crate::{
    counters::count,
    kernel::low,
    maps::{self, Geometry, config},
};

/// `SECCOMP_MODE_FILTER` (include/uapi/linux/seccomp.h).
const SECCOMP_MODE_FILTER: u32 = 2;

/// The row of the running task, whose registers are at `regs`; [`UNRECORDED_ROW`] when nobody
/// asked about it, [`NO_ROW`] when there is none to be had.
#[inline(always)]
pub(crate) fn row_of_current(regs: *const u8) -> u32 {
    if config!(slot_cache) == 0 {
        return look_up();
    }
    let Some(control) = maps::CONTROL.get_ptr_mut(0) else {
        return UNRECORDED_ROW;
    };
    let offset = relative(regs, control);
    let place = slot::place(offset, epoch(control));
    // SAFETY: `place.index` is below the number of slots.
    let word = unsafe { slot_at(control, place.index).read_volatile() };
    match slot::row(word, place.stamp) {
        Some(row) => row,
        None => look_up_and_keep(offset, place.index, place.stamp),
    }
}

/// The address of the registers as a number, relative to that of the control element.
///
/// The verifier lets no arithmetic touch the address of a typed pointer, except one: the
/// difference of two pointers is a number (`adjust_reg_min_max_vals`, kernel/bpf/verifier.c). In
/// assembly, so that the compiler does not turn the difference into the sum with a negated base.
#[inline(always)]
fn relative(regs: *const u8, control: *mut Control) -> u64 {
    let mut offset = regs as u64;
    let control = control as u64;
    // SAFETY: arithmetic on registers.
    unsafe {
        core::arch::asm!(
            "{offset} -= {control}",
            offset = inout(reg) offset,
            control = in(reg) control,
            options(pure, nomem, nostack),
        );
    }
    offset
}

#[inline(always)]
fn epoch(control: *const Control) -> u64 {
    // SAFETY: an aligned word in a map, which others only ever add to.
    unsafe { (&raw const (*control).epoch).read_volatile() }
}

/// # Safety
/// `index` must be below the number of slots.
#[inline(always)]
unsafe fn slot_at(control: *mut Control, index: usize) -> *mut u64 {
    // SAFETY: as the caller says.
    unsafe { (&raw mut (*control).slots).cast::<u64>().add(index) }
}

/// Out of line: the hot path is then short enough to stay in a few cache lines.
#[inline(never)]
fn look_up_and_keep(offset: u64, index: usize, stamp: u64) -> u32 {
    count!(misses);
    let row = look_up();
    let Some(control) = maps::CONTROL.get_ptr_mut(0) else {
        return row;
    };
    if registers_are_at_the_usual_place(offset, control) {
        // SAFETY: the index is below the number of slots.
        unsafe {
            slot_at(control, index & (slot::SLOTS - 1)).write_volatile(slot::word(stamp, row))
        };
    } else {
        count!(slots_refused);
    }
    row
}

/// Fork and exec find a task's slot from `task_struct.stack`, so a slot may only be used when the
/// registers lie at the same distance from it for every task. Learned at the first miss, checked at
/// each.
#[inline(always)]
fn registers_are_at_the_usual_place(offset: u64, control: *mut Control) -> bool {
    let Some(geometry) = maps::GEOMETRY.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: a checked read of the running task.
    let Ok(stack) = (unsafe { of_current::<u64>(config!(task_stack)) }) else {
        return false;
    };
    // SAFETY: aligned words in a map; every writer writes the same values.
    unsafe {
        // The verifier keeps a pointer's value from arithmetic, but not from being stored in a map
        // by a privileged program; what is read back is a number.
        (&raw mut (*geometry).control).write_volatile(control as u64);
        let control = (&raw const (*geometry).control).read_volatile();
        let regs_offset = offset.wrapping_add(control).wrapping_sub(stack);
        let known = (&raw const (*geometry).regs_offset).read_volatile();
        if known == 0 {
            (&raw mut (*geometry).regs_offset).write_volatile(regs_offset);
        }
        known == 0 || known == regs_offset
    }
}

/// Reads a field of the running task, by a helper.
///
/// # Safety
/// `offset` must be that of a `T` in `task_struct`; a wrong one reads other bytes of the kernel.
#[inline(always)]
pub(crate) unsafe fn of_current<T>(offset: u32) -> Result<T, i32> {
    // SAFETY: the address of the running task, and a checked read.
    unsafe {
        let task = bpf_get_current_task() as *const u8;
        bpf_probe_read_kernel(task.wrapping_add(offset as usize).cast::<T>())
    }
}

/// Clears the slot of the task whose kernel stack begins at `stack`.
#[inline(always)]
pub(crate) fn drop_slot(stack: u64) {
    if config!(slot_cache) == 0 {
        return;
    }
    let (Some(geometry), Some(control)) = (maps::GEOMETRY.get_ptr(0), maps::CONTROL.get_ptr_mut(0))
    else {
        return;
    };
    // SAFETY: a map element.
    let Geometry {
        control: base,
        regs_offset,
    } = unsafe { geometry.read_volatile() };
    if regs_offset == 0 {
        // Nothing was ever kept.
        return;
    }
    let offset = stack.wrapping_add(regs_offset).wrapping_sub(base);
    let place = slot::place(offset, 0);
    // SAFETY: `place.index` is below the number of slots.
    unsafe { slot_at(control, place.index).write_volatile(0) };
}

/// Begins a new epoch: no slot written before is believed.
#[inline(always)]
pub(crate) fn drop_all_slots() {
    if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
        // The plain atomic add, which every supported kernel has; Rust's atomics have no
        // read-modify-write on this target.
        // SAFETY: an aligned word in a map.
        unsafe {
            core::arch::asm!(
                "lock *(u64 *)({epoch} + 0) += {one}",
                epoch = in(reg) &raw mut (*control).epoch,
                one = in(reg) 1_u64,
                options(nostack),
            );
        }
    }
}

/// The entry of the running task's cgroup, if it is recorded.
#[inline(always)]
pub(crate) fn entry_of_current() -> Option<CgroupEntry> {
    // SAFETY: a helper without arguments.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    // SAFETY: entries are removed only when their cgroup is gone, so no task can be reading one.
    unsafe { maps::CGROUPS.get(cgroup) }.copied()
}

/// The row of the running task, from the maps.
#[inline(always)]
fn look_up() -> u32 {
    let Some(entry) = entry_of_current() else {
        return UNRECORDED_ROW;
    };
    let tgid = low(bpf_get_current_pid_tgid() >> 32);
    // SAFETY: an entry is removed when its process is gone.
    let exe = unsafe { maps::PROCESSES.get(tgid) }
        .copied()
        .unwrap_or(entry.first_exe);
    let mut key = RowKey {
        instance: entry.instance,
        exe,
        phase: Phase::Run as u32,
        pad: 0,
    };
    // SAFETY: the offset of that field.
    if unsafe { of_current::<u32>(config!(task_seccomp_mode)) } == Ok(SECCOMP_MODE_FILTER) {
        count!(filtered);
    }
    if let Some(row) = existing_or_new(&key) {
        return row;
    }
    count!(rows_full);
    key.exe = EXE_OVERFLOW;
    // SAFETY: rows are never removed while programs run.
    match unsafe { maps::ROWS.get(key) } {
        Some(&row) => row,
        None => {
            count!(calls_lost);
            NO_ROW
        }
    }
}

#[inline(always)]
fn existing_or_new(key: &RowKey) -> Option<u32> {
    // SAFETY: rows are never removed while programs run.
    if let Some(&row) = unsafe { maps::ROWS.get(key) } {
        return Some(row);
    }
    let row = maps::FREE_ROWS.pop().ok().flatten()?;
    if !(FIRST_ROW..MAX_ROWS).contains(&row) {
        return None;
    }
    if maps::ROWS.insert(key, row, u64::from(BPF_NOEXIST)).is_ok() {
        return Some(row);
    }
    // Another CPU was first, or the map is full: either way this row is not needed.
    let _ = maps::FREE_ROWS.push(row, u64::from(BPF_ANY));
    // SAFETY: rows are never removed while programs run.
    unsafe { maps::ROWS.get(key) }.copied()
}
