//! What user space is told at once: that a container may be there, is started, is gone.

use tracer_abi::{Notice, NoticeKind};

use crate::{
    counters::count,
    maps,
    platform::{bindings::BPF_RB_FORCE_WAKEUP, helpers::bpf_ktime_get_ns},
};

/// Tells of an instance. Always with a wake-up: there are few of these, and what runtimes write about
/// a container does not wait.
#[inline(never)]
pub(crate) fn send(instance: u64, kind: NoticeKind, pid: u32) {
    let Some(mut entry) = maps::EVENTS.reserve::<Notice>(0) else {
        count!(notices_dropped);
        return;
    };
    entry.write(Notice {
        // SAFETY: a helper without arguments.
        time: unsafe { bpf_ktime_get_ns() },
        instance,
        kind: kind as u32,
        pid,
    });
    entry.submit(u64::from(BPF_RB_FORCE_WAKEUP));
}
