//! From the running task to its row of marks: which instance it belongs to, which executable it
//! runs, and in which phase it is.

use tracer_abi::{
    CgroupEntry, EXE_OVERFLOW, FILTERED_BIT, FIRST_ROW, MAX_ROWS, NO_ROW, NoticeKind, Phase,
    ProcessEntry, Quota, RowKey, UNRECORDED_ROW, kind, outcome::MAX_FILTERS,
};

use crate::{
    accounts,
    counters::count,
    kernel::low,
    maps::{self, config},
    notices,
    platform::{
        Shared as _, SharedMut as _,
        bindings::{BPF_ANY, BPF_NOEXIST},
        helpers::{
            bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_task,
            bpf_probe_read_kernel,
        },
        mutated,
    },
    slots,
};

/// What a look-up gave.
#[derive(Clone, Copy)]
pub(crate) struct RowLookup {
    /// As [`slots::row_of_current`] returns it.
    pub(crate) row: u32,
    /// Whether it holds until something drops the slot.
    pub(crate) lasts: bool,
}

/// Who the running task is to a recording.
#[derive(Clone, Copy)]
struct Caller {
    key: RowKey,
    /// Address of its seccomp filter, 0 for none.
    filter: u64,
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

/// The address of the running task.
#[inline(always)]
pub(crate) fn current() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_task() }
}

/// The address of the running task's working directory (`struct dentry`), which tells it from others.
#[inline(always)]
pub(crate) fn working_directory() -> u64 {
    // SAFETY: offsets of these fields.
    let fs = unsafe { of_current::<u64>(config!(task_fs)) }.unwrap_or(0);
    // `struct path`: the mount, then the name.
    read_of(fs as *const u8, config!(fs_pwd) + 8).unwrap_or(0)
}

/// How often the running task gave up the CPU by itself, as far as it fits beside two bits.
#[inline(always)]
pub(crate) fn waits() -> u32 {
    // SAFETY: the offset of that field.
    unsafe { of_current::<u32>(config!(task_switches)) }.unwrap_or(0) << 2
}

/// How many filters the running task is under: [`MAX_FILTERS`] at most.
#[inline(never)]
pub(crate) fn filters() -> u8 {
    // SAFETY: the offset of that field.
    let mut filter = unsafe { of_current::<u64>(config!(task_seccomp_filter)) }.unwrap_or(0);
    for count in 0..MAX_FILTERS {
        if filter == 0 {
            return count;
        }
        filter = read_of(filter as *const u8, config!(filter_prev)).unwrap_or(0);
    }
    MAX_FILTERS
}

/// `PTRACE_O_TRACESECCOMP << PT_OPT_FLAG_SHIFT` (include/linux/ptrace.h).
const TRACED_BY_FILTER: u32 = 1 << (7 + 3);

/// Whether a supervisor or a tracer may answer for the kernel what the running task calls: somebody listens to
/// one of its filters, or traces what they leave to a tracer.
#[inline(never)]
pub(crate) fn is_supervised() -> bool {
    // SAFETY: offsets of these fields.
    let (traced, mut filter) = unsafe {
        (
            of_current::<u32>(config!(task_ptrace)).unwrap_or(0),
            of_current::<u64>(config!(task_seccomp_filter)).unwrap_or(0),
        )
    };
    if traced & TRACED_BY_FILTER != 0 {
        return true;
    }
    for _ in 0..MAX_FILTERS {
        if filter == 0 {
            return false;
        }
        if read_of::<u64>(filter as *const u8, config!(filter_listener)).unwrap_or(0) != 0 {
            return true;
        }
        filter = read_of(filter as *const u8, config!(filter_prev)).unwrap_or(0);
    }
    false
}

/// The entry of the running task's cgroup, if it is recorded.
#[inline(always)]
pub(crate) fn entry_of_current() -> Option<CgroupEntry> {
    // SAFETY: a helper without arguments.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    // SAFETY: map memory stays; an entry that user space takes away just now may be read once more.
    unsafe { maps::CGROUPS.get(cgroup) }.copied()
}

/// Whether the running task is in a cgroup of an instance.
#[inline(always)]
pub(crate) fn is_in(instance: u64) -> bool {
    entry_of_current().is_some_and(|entry| entry.instance == instance)
}

/// The entry that an instance began with, where its own words are.
#[inline(always)]
pub(crate) fn root_of(entry: &CgroupEntry) -> Option<*mut CgroupEntry> {
    maps::CGROUPS.get_ptr_mut(entry.instance)
}

/// Whether the workload of an instance was started.
#[inline(always)]
pub(crate) fn is_started(entry: &CgroupEntry) -> bool {
    // SAFETY: the root's entry stays as long as any of its instance.
    root_of(entry).is_some_and(|root| unsafe { (&raw const (*root).started).load() != 0 })
}

/// Notes that a process is out of all recorded cgroups, and says whether it takes something of a
/// workload with it. A runtime's own process does not, nor one whose instance is not recorded any
/// more.
#[inline(always)]
pub(crate) fn escaped(process: &ProcessEntry) -> bool {
    if process.phase == Phase::Setup as u32 {
        return false;
    }
    let Some(root) = maps::CGROUPS.get_ptr_mut(process.instance) else {
        return false;
    };
    // SAFETY: words are written whole.
    unsafe { (&raw mut (*root).escaped).store(1) };
    true
}

/// The row of the running task, from the maps.
#[inline(never)]
pub(crate) fn look_up() -> RowLookup {
    let Some(who) = who() else {
        return RowLookup {
            row: UNRECORDED_ROW,
            lasts: true,
        };
    };
    let bit = if who.filter == 0 || mutated!(IgnoreFiltered) {
        0
    } else {
        FILTERED_BIT
    };
    let row = row_of(who.key);
    RowLookup {
        row: row | bit,
        // Without a row it is looked up each time, so that each call that is lost counts.
        lasts: row != NO_ROW
            && (!Phase::from_number(who.key.phase).is_runtime() || mutated!(KeepRuntimeSlot)),
    }
}

/// The row of another task, which the kernel is about to do something to. Nothing is noted of it.
#[inline(never)]
pub(crate) fn look_up_other(task: *const u8) -> RowLookup {
    let unrecorded = RowLookup {
        row: UNRECORDED_ROW,
        lasts: false,
    };
    let Some(entry) = entry_of(task) else {
        return unrecorded;
    };
    let tgid = read_of::<u32>(task, config!(task_tgid)).unwrap_or(0);
    let filter = read_of::<u64>(task, config!(task_seccomp_filter)).unwrap_or(0);
    // SAFETY: an entry is removed when its process is gone.
    let process = unsafe { maps::PROCESSES.get(tgid) }.copied();
    let key = RowKey {
        instance: entry.instance,
        exe: process.map_or(entry.first_exe, |process| process.exe),
        phase: phase(&entry, process.as_ref(), filter) as u32,
        blocked: 0,
    };
    RowLookup {
        row: row_of(key),
        lasts: false,
    }
}

/// The instance that a task belongs to, if any.
#[inline(always)]
pub(crate) fn instance_of(task: *const u8) -> Option<u64> {
    entry_of(task).map(|entry| entry.instance)
}

/// The same, of the running task.
#[inline(always)]
pub(crate) fn instance_of_current() -> Option<u64> {
    entry_of_current().map(|entry| entry.instance)
}

/// The entry of a task's cgroup, if it is recorded.
#[inline(always)]
fn entry_of(task: *const u8) -> Option<CgroupEntry> {
    let set = read_of::<u64>(task, config!(task_cgroups))? as *const u8;
    let cgroup = read_of::<u64>(set, config!(css_set_dfl_cgrp))? as *const u8;
    let node = read_of::<u64>(cgroup, config!(cgroup_kn))? as *const u8;
    let id = read_of::<u64>(node, config!(kernfs_id))?;
    // SAFETY: as in `entry_of_current`.
    unsafe { maps::CGROUPS.get(id) }.copied()
}

/// Reads a field by helper: the verifier need not know the type.
#[inline(always)]
fn read_of<T>(base: *const u8, offset: u32) -> Option<T> {
    // SAFETY: a checked read.
    unsafe { bpf_probe_read_kernel(base.wrapping_add(offset as usize).cast::<T>()) }.ok()
}

/// The row of what the running task was stopped from doing; [`NO_ROW`] when there is none to be had.
#[inline(always)]
pub(crate) fn row_of_blocked() -> u32 {
    match who() {
        Some(mut who) => {
            who.key.blocked = u32::from(!mutated!(BlockedInOrdinaryRow));
            row_of(who.key)
        }
        None => NO_ROW,
    }
}

#[inline(always)]
fn who() -> Option<Caller> {
    let entry = entry_of_current()?;
    let tgid = low(bpf_get_current_pid_tgid() >> 32);
    // SAFETY: the offset of that field.
    let filter = unsafe { of_current::<u64>(config!(task_seccomp_filter)) }.unwrap_or(0);
    let process = maps::PROCESSES.get_ptr_mut(tgid);
    if filter != 0 {
        note_filter(&entry, process, tgid);
    }
    // SAFETY: an entry is removed when its process is gone.
    let process = process.map(|process| unsafe { *process });
    Some(Caller {
        key: RowKey {
            instance: entry.instance,
            exe: process.map_or(entry.first_exe, |process| process.exe),
            phase: phase(&entry, process.as_ref(), filter) as u32,
            blocked: 0,
        },
        filter,
    })
}

/// The phase of the running task.
///
/// A runtime's process comes into a container from outside, and until it starts its program it
/// prepares; on the thread that has loaded a filter since, it does so under the filter. Names of
/// programs tell nothing: `runc exec` has the same ones as `runc run`.
#[inline(always)]
fn phase(entry: &CgroupEntry, process: Option<&ProcessEntry>, filter: u64) -> Phase {
    if entry.kind == kind::PLAIN {
        return Phase::Run;
    }
    match process {
        Some(process) if process.phase == Phase::Setup as u32 => {
            if filter == process.filter {
                Phase::Setup
            } else {
                Phase::RuntimeInit
            }
        }
        Some(process) => Phase::from_number(process.phase),
        // It was there before the recording, or its entry found no room: as part of the workload
        // nothing it does is hidden. Before there is a workload it can only be a runtime that is
        // just being moved in: the move is in force a moment before its tracepoint.
        None if is_started(entry) => Phase::Run,
        None => Phase::Setup,
    }
}

/// Notes that a task of an instance is under a filter, once for the instance and once for the
/// process.
#[inline(always)]
fn note_filter(entry: &CgroupEntry, process: Option<*mut ProcessEntry>, tgid: u32) {
    let mut is_runtime = false;
    if let Some(process) = process {
        // SAFETY: an entry is removed when its process is gone; words are written whole.
        unsafe {
            if (&raw const (*process).filtered).load() != 0 {
                return;
            }
            is_runtime = (*process).phase == Phase::Setup as u32;
            if !is_runtime || slots::exits_are_watched() {
                (&raw mut (*process).filtered).store(1);
            }
        }
        // A thread may load a filter for all threads of its process (SECCOMP_FILTER_FLAG_TSYNC).
        slots::drop_all_slots();
    }
    let Some(root) = root_of(entry) else {
        return;
    };
    // SAFETY: the root's entry stays as long as any of its instance; words are written whole.
    unsafe {
        // What is stopped of a runtime's calls does not matter. It is asked again with each of them, as
        // none is kept in a slot, and with the first one of the workload.
        if !is_runtime && !slots::exits_are_watched() {
            (&raw mut (*root).missed_filter).store(1);
        }
        if (&raw const (*root).filtered).load() == 0 {
            (&raw mut (*root).filtered).store(1);
            notices::send(entry.instance, NoticeKind::Filtered, tgid);
        }
    }
}

/// The row for a key: its own, a free one, or the one that takes over when there is none.
#[inline(always)]
fn row_of(mut key: RowKey) -> u32 {
    if let Some(row) = existing_or_new(&key) {
        return row;
    }
    count!(rows_full);
    accounts::lost(key.instance, Quota::RowsFull);
    if key.phase != Phase::Run as u32 {
        count!(phases_full);
        accounts::lost(key.instance, Quota::PhasesFull);
    }
    key.exe = EXE_OVERFLOW;
    // Whatever it is doing: what cannot be told apart is taken for the workload.
    key.phase = Phase::Run as u32;
    // SAFETY: a row is removed when its instance is gone.
    match unsafe { maps::ROWS.get(key) } {
        Some(&row) => row,
        None => {
            if !mutated!(ForgetCallsLost) {
                count!(calls_lost);
                accounts::lost(key.instance, Quota::CallsLost);
            }
            NO_ROW
        }
    }
}

#[inline(always)]
pub(crate) fn existing_or_new(key: &RowKey) -> Option<u32> {
    // SAFETY: a row is removed when its instance is gone.
    if let Some(&row) = unsafe { maps::ROWS.get(key) } {
        return Some(if mutated!(NextRow) { row ^ 1 } else { row });
    }
    if !accounts::may_take_row(key.instance) {
        return None;
    }
    let row = maps::FREE_ROWS.pop().ok().flatten()?;
    if !(FIRST_ROW..MAX_ROWS).contains(&row) {
        return None;
    }
    accounts::take_row(key.instance, row);
    if maps::ROWS.insert(key, row, u64::from(BPF_NOEXIST)).is_ok() {
        accounts::took_row(key.instance);
        return Some(row);
    }
    // Another CPU was first, or the map is full: either way this row is not needed.
    if !mutated!(LeakRow) {
        let _ = maps::FREE_ROWS.push(row, u64::from(BPF_ANY));
    }
    // SAFETY: a row is removed when its instance is gone.
    unsafe { maps::ROWS.get(key) }.copied()
}
