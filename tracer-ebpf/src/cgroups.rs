//! Which cgroups are recorded: new ones are found, children inherit, tasks move, directories go away.

use tracer_abi::{
    CGROUP_PATH_LEN, CgroupEntry, EXE_LAUNCHER, EXE_OVERFLOW, NoticeKind, Phase, Quota, RowKey,
    kind,
};

use crate::{
    accounts, blocked,
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    notices,
    platform::{
        self, Shared as _, SharedMut as _,
        bindings::BPF_NOEXIST,
        debug,
        helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel_str_bytes},
        mutated,
        programs::BtfTracePointContext,
    },
    processes, slots, tasks,
};

/// `hierarchy_id` of the one v2 hierarchy, which is made first: ids start at 0
/// (`cgroup_init_root_id`, kernel/cgroup/cgroup.c), as the `0::` of /proc/PID/cgroup shows.
const V2_HIERARCHY: u32 = 0;

/// `(struct cgroup *cgrp, const char *path)` (include/trace/events/cgroup.h). `cgroup_mkdir`
/// calls it before the directory can be seen, so no task is in the new cgroup yet.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "cgroup_mkdir")
)]
pub(crate) fn mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: *const u8 = ctx.arg(0);
    if !is_v2(cgroup) {
        return 0;
    }
    // SAFETY: pointer fields of the tracepoint's typed argument. Only the root has no parent, and
    // the root is not made by mkdir; a null pointer reads as 0 here.
    let (id, parent) = unsafe {
        let parent_css = field::<*const u8>(cgroup, config!(cgroup_parent));
        let parent = field::<*const u8>(parent_css, config!(css_cgroup));
        (id(cgroup), id(parent))
    };
    if inherits(id, parent) {
        debug!(&ctx, "cgroup {} inherits from {}", id, parent);
    } else if config!(discover) != 0 {
        note_first(id);
        if has_room_for_unused() {
            found(id, ctx.arg(1), true);
        }
    }
    0
}

/// Makes a cgroup part of the instance that the one above belongs to, if there is one.
#[inline(always)]
fn inherits(id: u64, parent: u64) -> bool {
    // SAFETY: map memory stays; the parent is alive, so its entry is its own.
    let Some(entry) = unsafe { maps::CGROUPS.get(parent) }.copied() else {
        return false;
    };
    if is_ancestor_only(&entry, parent) {
        return false;
    }
    let mut child = CgroupEntry {
        populated: 0,
        ..entry
    };
    if mutated!(ChildIsItsOwn) {
        child.instance = id;
    }
    if maps::CGROUPS
        .insert(id, child, u64::from(BPF_NOEXIST))
        .is_err()
    {
        count!(cgroups_full);
        accounts::lost(entry.instance, Quota::CgroupsFull);
    }
    true
}

/// Notes the id of the first cgroup that is made: those with smaller ids were there before.
/// `cgroup_mutex` is held, so nobody else does so at the same time.
#[inline(always)]
fn note_first(id: u64) {
    if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
        // SAFETY: a word of the map.
        unsafe {
            let first = &raw mut (*control).first_new_cgroup;
            if first.load() == 0 {
                first.store(id);
            }
        }
    }
}

/// Whether another cgroup is followed that nobody is in: anyone may make any number of them.
#[inline(always)]
fn has_room_for_unused() -> bool {
    maps::CONTROL.get_ptr_mut(0).is_some_and(|control| {
        // SAFETY: a word of the map.
        let unused = unsafe { (&raw const (*control).unused_cgroups).load() };
        unused < u64::from(config!(most_unused_cgroups))
    })
}

/// A found cgroup is unused no more.
#[inline(always)]
fn is_used_now() {
    if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
        // SAFETY: a word of the map. What two change at once may count for one: a few more, or fewer, are
        // followed then.
        unsafe {
            let unused = &raw mut (*control).unused_cgroups;
            let count = unused.load();
            if count > 0 {
                unused.store(count - 1);
            }
        }
    }
}

/// The first process comes into a cgroup that there was no room for when it was made.
///
/// # Safety
/// `cgroup` must be a `struct cgroup` of the v2 hierarchy that the verifier tracks.
#[inline(always)]
pub(crate) unsafe fn found_late(cgroup: *const u8, path: *const u8) {
    // SAFETY: as the caller says, and as in `mkdir`.
    let (id, parent) = unsafe {
        let parent_css = field::<*const u8>(cgroup, config!(cgroup_parent));
        let parent = field::<*const u8>(parent_css, config!(css_cgroup));
        (id(cgroup), id(parent))
    };
    let Some(control) = maps::CONTROL.get_ptr(0) else {
        return;
    };
    // SAFETY: a word of the map.
    let first = unsafe { (&raw const (*control).first_new_cgroup).load() };
    if first == 0 || id < first {
        return;
    }
    // SAFETY: an entry that goes away just now may be read once more.
    if unsafe { maps::UNWANTED.get(id) }.is_some() {
        return;
    }
    if !inherits(id, parent) {
        found(id, path, false);
    }
}

/// Whether a cgroup that may be a container is, so far, only where others lie: a pod's slice, and
/// crun's cgroup above the one it uses. No process was ever in it.
#[inline(always)]
fn is_ancestor_only(entry: &CgroupEntry, id: u64) -> bool {
    config!(discover) != 0
        && entry.kind == kind::CONTAINER
        && entry.instance == id
        && entry.started == 0
        && entry.populated == 0
}

/// Begins to record a cgroup that nobody asked about by its id: which container it is, and whether
/// it is wanted, only user space can find out, and not before its first call.
#[inline(always)]
fn found(id: u64, path: *const u8, is_unused: bool) {
    let entry = CgroupEntry {
        instance: id,
        first_exe: EXE_LAUNCHER,
        kind: kind::CONTAINER,
        populated: 0,
        started: 0,
        filtered: 0,
        missed_filter: 0,
        escaped: 0,
        introduced: 1,
        removed: 0,
    };
    if maps::CGROUPS
        .insert(id, entry, u64::from(BPF_NOEXIST))
        .is_err()
    {
        // Somebody else has just found it, or there is no room.
        // SAFETY: map memory stays.
        if unsafe { maps::CGROUPS.get(id) }.is_none() {
            count!(cgroups_full);
        }
        return;
    }
    if is_unused && let Some(control) = maps::CONTROL.get_ptr_mut(0) {
        // SAFETY: a word of the map.
        unsafe { platform::add_one(&raw mut (*control).unused_cgroups) };
    }
    if !path.is_null() {
        keep_path(id, path);
    }
    notices::send(id, NoticeKind::Made, low(bpf_get_current_pid_tgid() >> 32));
}

#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, a path would not fit on the program's stack"
)]
#[inline(always)]
fn keep_path(id: u64, path: *const u8) {
    let Some(kept) = maps::CGROUP_SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's scratch element, see `counters`.
    let kept = unsafe { &mut *kept };
    // SAFETY: a checked read of a string in kernel memory.
    let len =
        unsafe { bpf_probe_read_kernel_str_bytes(path, &mut kept.bytes) }.map_or(0, <[u8]>::len);
    kept.len = low(len as u64);
    kept.truncated = u32::from(len == CGROUP_PATH_LEN - 1);
    if maps::CGROUP_PATHS
        .insert(id, &*kept, u64::from(BPF_NOEXIST))
        .is_err()
    {
        count!(paths_full);
    }
}

/// `(struct cgroup *cgrp, const char *path)`: the directory was removed, which it cannot be while a
/// living task is in it (`cgroup_destroy_locked`), and none can come in any more. Not
/// `cgroup_release`: that waits for the last reference, which a page of memory may hold for hours.
///
/// The root of an instance stays until user space has read it.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "cgroup_rmdir")
)]
pub(crate) fn rmdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup: *const u8 = ctx.arg(0);
    if !is_v2(cgroup) {
        return 0;
    }
    // SAFETY: the tracepoint's typed argument.
    let id = unsafe { id(cgroup) };
    // SAFETY: the cgroup is gone: nobody else reads or removes its entry.
    if let Some(entry) = maps::CGROUPS.get_ptr_mut(id) {
        // SAFETY: as above.
        if unsafe { (*entry).instance } == id {
            // SAFETY: as above.
            if unsafe { (*entry).populated } == 0 {
                is_used_now();
            }
            // SAFETY: as above; written whole.
            unsafe { (&raw mut (*entry).removed).store(1) };
            notices::send(
                id,
                NoticeKind::Removed,
                low(bpf_get_current_pid_tgid() >> 32),
            );
        } else {
            let _ = maps::CGROUPS.remove(id);
        }
    }
    0
}

/// `(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup)`. Fires
/// after a move, once for a whole thread group and with its leader only (`cgroup_attach_task`,
/// kernel/cgroup/cgroup.c): so not one slot, but all of them, are dropped.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "cgroup_attach_task")
)]
pub(crate) fn attach_task(ctx: BtfTracePointContext) -> i32 {
    let (cgroup, task): (*const u8, *const u8) = (ctx.arg(0), ctx.arg(2));
    if !is_v2(cgroup) {
        return 0;
    }
    if mutated!(EpochBeforeEntry) {
        slots::drop_all_slots();
    }
    // SAFETY: the tracepoint's typed arguments.
    let (tgid, filter, entry) = unsafe {
        (
            field::<u32>(task, config!(task_tgid)),
            field::<u64>(task, config!(task_seccomp_filter)),
            match entry_of(cgroup) {
                None if config!(discover) != 0 => {
                    found_late(cgroup, ctx.arg(1));
                    entry_of(cgroup)
                }
                entry => entry,
            },
        )
    };
    // Before the process is looked up: the verifier takes no half of an option over a call.
    // SAFETY: the entry of a living cgroup stays.
    let entry = entry.map(|entry| unsafe { populate(entry, tgid) });
    // SAFETY: an entry is removed when its process is gone.
    let process = unsafe { maps::PROCESSES.get(tgid) }.copied();
    match (entry, process) {
        (Some(entry), process) => processes::enter(tgid, entry, filter, process),
        (None, Some(process)) => {
            blocked::escaped(tgid);
            tasks::escaped(&process);
        }
        (None, None) => {}
    }
    // Last: a call that was looked up while the move was in force, and the process still filed as
    // before, has kept that in its slot.
    if !mutated!(AttachKeepsEpoch, EpochBeforeEntry) {
        slots::drop_all_slots();
    }
    0
}

/// Notes that a process is in a cgroup, and tells of the first one.
///
/// # Safety
/// The entry must be that of a cgroup that is there.
#[inline(always)]
pub(crate) unsafe fn populate(entry: *mut CgroupEntry, tgid: u32) -> &'static CgroupEntry {
    // SAFETY: as the caller says; words are written whole.
    unsafe {
        if (&raw const (*entry).populated).load() == 0 {
            (&raw mut (*entry).populated).store(1);
            if (*entry).kind == kind::CONTAINER {
                is_used_now();
                reserve_overflow_row((*entry).instance);
                notices::send((*entry).instance, NoticeKind::Entered, tgid);
            }
        }
        &*entry
    }
}

/// So that the calls of an instance find a row even when all others are taken by then.
#[inline(never)]
fn reserve_overflow_row(instance: u64) {
    let overflow = RowKey {
        instance,
        exe: EXE_OVERFLOW,
        phase: Phase::Run as u32,
        blocked: 0,
    };
    if tasks::existing_or_new(&overflow).is_none() {
        count!(rows_full);
        accounts::lost(instance, Quota::RowsFull);
    }
}

/// The entry of a cgroup, if its tasks' calls are recorded.
///
/// # Safety
/// `cgroup` must be a `struct cgroup` of the v2 hierarchy that the verifier tracks.
#[inline(always)]
pub(crate) unsafe fn entry_of(cgroup: *const u8) -> Option<*mut CgroupEntry> {
    // SAFETY: as the caller says.
    maps::CGROUPS.get_ptr_mut(unsafe { id(cgroup) })
}

/// # Safety
/// `cgroup` must be a `struct cgroup` the verifier tracks.
#[inline(always)]
unsafe fn id(cgroup: *const u8) -> u64 {
    // SAFETY: as the caller says.
    unsafe {
        let kn = field::<*const u8>(cgroup, config!(cgroup_kn));
        field::<u64>(kn, config!(kernfs_id))
    }
}

/// The v1 hierarchies call the same tracepoints, with ids of their own that may be the same
/// numbers.
#[inline(always)]
fn is_v2(cgroup: *const u8) -> bool {
    // SAFETY: the tracepoint's typed argument, and a pointer field of it.
    let hierarchy = unsafe {
        let root = field::<*const u8>(cgroup, config!(cgroup_root));
        field::<u32>(root, config!(root_hierarchy_id))
    };
    hierarchy == V2_HIERARCHY
}
