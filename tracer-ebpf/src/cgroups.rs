//! Which cgroups are recorded: new ones are found, children inherit, tasks move, directories go away.

use tracer_abi::{
    CGROUP_PATH_LEN, CgroupEntry, EXE_LAUNCHER, EXE_OVERFLOW, NoticeKind, Phase, RowKey, kind,
};

use crate::{
    blocked,
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    notices,
    platform::{
        Shared as _, SharedMut as _,
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
    // SAFETY: map memory stays; the parent is alive, so its entry is its own.
    match unsafe { maps::CGROUPS.get(parent) }.copied() {
        Some(entry) if !is_ancestor_only(&entry, parent) => {
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
            }
            debug!(&ctx, "cgroup {} inherits from {}", id, parent);
        }
        _ if config!(discover) != 0 => found(id, ctx.arg(1)),
        _ => {}
    }
    0
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
fn found(id: u64, path: *const u8) {
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
        count!(cgroups_full);
        return;
    }
    // So that its calls find a row even when all others are taken by then.
    let overflow = RowKey {
        instance: id,
        exe: EXE_OVERFLOW,
        phase: Phase::Run as u32,
        blocked: 0,
    };
    if tasks::existing_or_new(&overflow).is_none() {
        count!(rows_full);
    }
    keep_path(id, path);
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
            entry_of(cgroup),
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
                notices::send((*entry).instance, NoticeKind::Entered, tgid);
            }
        }
        &*entry
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
