//! Which cgroups are recorded: children inherit, tasks move, directories go away.

use aya_ebpf::{bindings::BPF_NOEXIST, macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::debug;

use crate::{
    counters::count,
    kernel::field,
    maps::{self, config},
    tasks,
};

/// `hierarchy_id` of the one v2 hierarchy, which is made first: ids start at 0
/// (`cgroup_init_root_id`, kernel/cgroup/cgroup.c), as the `0::` of /proc/PID/cgroup shows.
const V2_HIERARCHY: u32 = 0;

/// `(struct cgroup *cgrp, const char *path)` (include/trace/events/cgroup.h). `cgroup_mkdir`
/// calls it before the directory can be seen, so no task is in the new cgroup yet.
#[btf_tracepoint(function = "cgroup_mkdir")]
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
    // SAFETY: the parent is alive, so its entry stays.
    let Some(&entry) = (unsafe { maps::CGROUPS.get(parent) }) else {
        return 0;
    };
    if maps::CGROUPS
        .insert(id, entry, u64::from(BPF_NOEXIST))
        .is_err()
    {
        count!(cgroups_full);
    }
    debug!(&ctx, "cgroup {} inherits from {}", id, parent);
    0
}

/// `(struct cgroup *cgrp, const char *path)`: the last reference is gone, no task can be in it.
/// The root of an instance stays until user space has read it.
#[btf_tracepoint(function = "cgroup_release")]
pub(crate) fn release(ctx: BtfTracePointContext) -> i32 {
    let cgroup: *const u8 = ctx.arg(0);
    if !is_v2(cgroup) {
        return 0;
    }
    // SAFETY: the tracepoint's typed argument.
    let id = unsafe { id(cgroup) };
    // SAFETY: the cgroup is gone: nobody else reads or removes its entry.
    if let Some(entry) = unsafe { maps::CGROUPS.get(id) }
        && entry.instance != id
    {
        let _ = maps::CGROUPS.remove(id);
    }
    0
}

/// `(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup)`. Fires
/// after a move, once for a whole thread group and with its leader only (`cgroup_attach_task`,
/// kernel/cgroup/cgroup.c): so not one slot, but all of them, are dropped.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub(crate) fn attach_task(ctx: BtfTracePointContext) -> i32 {
    tasks::drop_all_slots();
    let (cgroup, task): (*const u8, *const u8) = (ctx.arg(0), ctx.arg(2));
    // SAFETY: the tracepoint's typed arguments.
    let left = unsafe {
        let tgid = field::<u32>(task, config!(task_tgid));
        is_v2(cgroup) && maps::PROCESSES.get(tgid).is_some() && !is_recorded(cgroup)
    };
    if left {
        count!(left);
    }
    0
}

/// Whether the calls of a cgroup's tasks are recorded.
///
/// # Safety
/// `cgroup` must be a `struct cgroup` of the v2 hierarchy that the verifier tracks.
#[inline(always)]
pub(crate) unsafe fn is_recorded(cgroup: *const u8) -> bool {
    // SAFETY: as the caller says; entries of living cgroups stay.
    unsafe { maps::CGROUPS.get(id(cgroup)) }.is_some()
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
