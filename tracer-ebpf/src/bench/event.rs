//! One small event for each call of a recorded cgroup, with the ring's own choice of wake-ups.

use aya_ebpf::{
    helpers::{bpf_get_current_cgroup_id, bpf_get_current_pid_tgid},
    macros::{btf_tracepoint, map},
    maps::{HashMap, RingBuf},
    programs::BtfTracePointContext,
};

#[map]
static EVENT_CGROUPS: HashMap<u64, u32> = HashMap::with_max_entries(1024, 0);

#[map]
static EVENT_RING: RingBuf = RingBuf::with_byte_size(1024 * 1024, 0);

#[repr(C)]
struct Call {
    cgroup: u64,
    pid_tgid: u64,
    nr: u64,
}

#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn event(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: a helper without arguments.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    // SAFETY: entries are not removed while the program runs.
    if unsafe { EVENT_CGROUPS.get(cgroup) }.is_none() {
        return 0;
    }
    if let Some(mut entry) = EVENT_RING.reserve::<Call>(0) {
        entry.write(Call {
            cgroup,
            pid_tgid: bpf_get_current_pid_tgid(),
            nr: ctx.arg(1),
        });
        entry.submit(0);
    }
    0
}
