//! The per-task cache: a task's row, kept in a slot that the address of its registers names
//! ([`tracer_abi::slot`]).
//!
//! To find a task's row costs a few helper calls, a slot none. What a slot says is right because
//! everything that changes a task's row takes the slot away first:
//!
//! | what changes the row | what drops the slot |
//! | --- | --- |
//! | the stack gets a new owner | exit: the task's slot is cleared after its last call; and fork: the child's is, before the child can run |
//! | another executable, another phase by exec | exec: the task clears its own slot |
//! | another phase without exec | nothing: while a runtime is at work, no slot is kept |
//! | a filter that the task may load | the task clears its own slot before the call |
//! | a filter from another thread | the first thread that is seen under it: a new epoch |
//! | another cgroup, by a write to `cgroup.procs` | `cgroup_attach_task`: a new epoch, for all threads |
//! | another cgroup, by `clone3(CLONE_INTO_CGROUP)` | fork, as above: there is no attach |
//! | user space begins or ends a recording | a new epoch |
//!
//! Only the task itself writes a word with its tag, and never after its last system call, so
//! clearing needs no lock. The epoch is read before the row is looked up: when the task is moved in
//! between, the slot is written with an epoch that is already over. So an epoch ends after all that a
//! look-up reads was changed.

use tracer_abi::{Control, UNRECORDED_ROW, slot};

use crate::{
    counters::count,
    maps::{self, Geometry, config},
    platform::{self, Shared as _, SharedMut as _, mutated},
    tasks::{self, RowLookup},
};

/// What is known of the running task, whose registers are at `regs`: its row, with
/// [`tracer_abi::FILTERED_BIT`] beside it; [`UNRECORDED_ROW`] when nobody asked about it,
/// [`tracer_abi::NO_ROW`] when there is none to be had.
#[inline(always)]
pub(crate) fn row_of_current(regs: *const u8) -> u32 {
    if config!(slot_cache) == 0 {
        return tasks::look_up().row;
    }
    let Some(control) = maps::CONTROL.get_ptr_mut(0) else {
        return UNRECORDED_ROW;
    };
    let offset = platform::relative(regs, control);
    let place = slot::place(offset, epoch(control));
    // SAFETY: `place.index` is below the number of slots.
    let word = unsafe { slot_at(control, place.index).load() };
    match slot::row(word, place.stamp) {
        Some(row) => row,
        None => look_up_and_keep(offset, place.index, place.stamp),
    }
}

/// The same, in a program that is not given the registers. A look-up is not kept: another one may
/// hold the task's place in the table.
#[inline(never)]
pub(crate) fn row_of_task() -> u32 {
    match kept_row_of_task() {
        Some(row) => row,
        None => tasks::look_up().row,
    }
}

#[inline(always)]
fn kept_row_of_task() -> Option<u32> {
    if config!(slot_cache) == 0 {
        return None;
    }
    let (geometry, control) = (maps::GEOMETRY.get_ptr(0)?, maps::CONTROL.get_ptr_mut(0)?);
    // SAFETY: a map element.
    let Geometry {
        control: base,
        regs_offset,
    } = unsafe { geometry.load() };
    if regs_offset == 0 {
        return None;
    }
    // SAFETY: the offset of that field.
    let stack = unsafe { tasks::of_current::<u64>(config!(task_stack)) }.ok()?;
    let offset = stack.wrapping_add(regs_offset).wrapping_sub(base);
    let place = slot::place(offset, epoch(control));
    // SAFETY: `place.index` is below the number of slots.
    slot::row(unsafe { slot_at(control, place.index).load() }, place.stamp)
}

#[inline(always)]
fn epoch(control: *const Control) -> u64 {
    // SAFETY: an aligned word in a map, which others only ever add to.
    unsafe { (&raw const (*control).epoch).load() }
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
    let RowLookup { row, lasts } = tasks::look_up();
    let Some(control) = maps::CONTROL.get_ptr_mut(0) else {
        return row;
    };
    if !lasts {
        return row;
    }
    if registers_are_at_the_usual_place(offset, control) {
        let stamp = if mutated!(EpochAfterLookUp) {
            slot::place(offset, epoch(control)).stamp
        } else {
            stamp
        };
        // SAFETY: the index is below the number of slots.
        unsafe { slot_at(control, index & (slot::SLOTS - 1)).store(slot::word(stamp, row)) };
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
    let Ok(stack) = (unsafe { tasks::of_current::<u64>(config!(task_stack)) }) else {
        return false;
    };
    // SAFETY: aligned words in a map; every writer writes the same values.
    unsafe {
        // The verifier keeps a pointer's value from arithmetic, but not from being stored in a map
        // by a privileged program; what is read back is a number.
        (&raw mut (*geometry).control).store(platform::address(control));
        let control = (&raw const (*geometry).control).load();
        let regs_offset = offset.wrapping_add(control).wrapping_sub(stack);
        let known = (&raw const (*geometry).regs_offset).load();
        if known == 0 {
            (&raw mut (*geometry).regs_offset).store(regs_offset);
        }
        known == 0 || known == regs_offset
    }
}

/// Where the registers of the task lie whose kernel stack begins at `stack`; `None` before that is
/// known.
#[inline(always)]
pub(crate) fn registers(stack: u64) -> Option<*const u8> {
    let geometry = maps::GEOMETRY.get_ptr(0)?;
    // SAFETY: a map element.
    let offset = unsafe { (&raw const (*geometry).regs_offset).load() };
    (offset != 0).then(|| stack.wrapping_add(offset) as *const u8)
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
    } = unsafe { geometry.load() };
    if regs_offset == 0 {
        // Nothing was ever kept.
        return;
    }
    let offset = stack.wrapping_add(regs_offset).wrapping_sub(base);
    let place = slot::place(offset, 0);
    // SAFETY: `place.index` is below the number of slots.
    unsafe { slot_at(control, place.index).store(0) };
}

/// Clears the slot of the running task, whose registers are at `regs`.
#[inline(always)]
pub(crate) fn drop_own_slot(regs: *const u8) {
    if config!(slot_cache) == 0 {
        return;
    }
    if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
        let place = slot::place(platform::relative(regs, control), 0);
        // SAFETY: `place.index` is below the number of slots.
        unsafe { slot_at(control, place.index).store(0) };
    }
}

/// Begins a new epoch: no slot written before is believed.
#[inline(always)]
pub(crate) fn drop_all_slots() {
    if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
        // SAFETY: an aligned word in a map.
        unsafe { platform::add_one(&raw mut (*control).epoch) };
    }
}

/// Whether user space watches the exits of calls.
#[inline(always)]
pub(crate) fn exits_are_watched() -> bool {
    maps::CONTROL.get_ptr(0).is_some_and(|control| {
        // SAFETY: an aligned word in a map, written whole.
        unsafe { (&raw const (*control).exits).load() != 0 }
    })
}

/// Watches them from now on: user space hears of the filter that made it necessary, and agrees.
#[inline(always)]
pub(crate) fn watch_exits() {
    if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
        // SAFETY: as above.
        unsafe { (&raw mut (*control).exits).store(1) };
    }
}
