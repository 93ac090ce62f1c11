//! The usual design: the cgroup id by a helper, its row of marks in a hash map.

use aya_ebpf::{
    helpers::bpf_get_current_cgroup_id,
    macros::{btf_tracepoint, map},
    maps::HashMap,
    programs::BtfTracePointContext,
};
use tracer_abi::Row;

use crate::mark;

#[map]
static HASH_MARKS: HashMap<u64, Row> = HashMap::with_max_entries(1024, 0);

#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn hash(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: a helper without arguments.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let Some(marks) = HASH_MARKS.get_ptr_mut(cgroup) else {
        return 0;
    };
    mark(marks.cast(), ctx.arg(1));
    0
}
