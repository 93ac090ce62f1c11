//! The cgroup id by loads from the running task, with no helper but the one that names the task;
//! its row of marks by a table that the id indexes.

use aya_ebpf::{
    helpers::bpf_get_current_task_btf,
    macros::{btf_tracepoint, map},
    maps::Array,
    programs::BtfTracePointContext,
};
use tracer_abi::Row;

use crate::{
    frozen,
    kernel::{field, low},
    mark,
};

/// `task_struct.cgroups`.
#[unsafe(no_mangle)]
static TASK_CGROUPS: u32 = 0;
/// `css_set.dfl_cgrp`.
#[unsafe(no_mangle)]
static CSS_SET_DFL_CGRP: u32 = 0;
/// `cgroup.kn`.
#[unsafe(no_mangle)]
static CGROUP_KN: u32 = 0;
/// `kernfs_node.id`.
#[unsafe(no_mangle)]
static KERNFS_ID: u32 = 0;

const PLACES: u32 = 4096;

/// A cgroup id, and its row.
#[repr(C)]
struct Place {
    cgroup: u64,
    row: u64,
}

#[map]
static LOADS_TABLE: Array<Place> = Array::with_max_entries(PLACES, 0);

#[map]
static LOADS_MARKS: Array<Row> = Array::with_max_entries(16, 0);

#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn loads(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: fields of the running task and of what they point to, checked by the verifier.
    let cgroup = unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let set = field::<*const u8>(task, frozen(&TASK_CGROUPS));
        let cgroup = field::<*const u8>(set, frozen(&CSS_SET_DFL_CGRP));
        let kn = field::<*const u8>(cgroup, frozen(&CGROUP_KN));
        field::<u64>(kn, frozen(&KERNFS_ID))
    };
    let Some(place) = LOADS_TABLE.get(low(cgroup % u64::from(PLACES))) else {
        return 0;
    };
    if place.cgroup != cgroup {
        return 0;
    }
    let Some(marks) = LOADS_MARKS.get_ptr_mut(low(place.row)) else {
        return 0;
    };
    mark(marks.cast(), ctx.arg(1));
    0
}
