//! What a new observation does: a mark, and one event in the ring.

use tracer_abi::{ABI_SLOTS, AbiClass, Event, NO_ROW, ROW_LEN, UnindexedKey};

use crate::{
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    platform::{
        Shared as _, SharedMut as _,
        bindings::{BPF_NOEXIST, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP},
        debug,
        helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_ns},
        programs::BtfTracePointContext,
    },
};

/// Where a call is marked in a row; `None` for a number that no byte stands for.
#[inline(always)]
pub(crate) fn index_in_row(abi: AbiClass, nr: u32) -> Option<usize> {
    let nr = nr as usize;
    if nr >= ABI_SLOTS {
        return None;
    }
    let index = match abi {
        AbiClass::Native => nr,
        AbiClass::Compat => ABI_SLOTS + nr,
        AbiClass::X32 => return None,
    };
    (index < ROW_LEN).then_some(index)
}

/// A call that was seen. One argument instead of many: a BPF function takes five.
#[derive(Clone, Copy)]
pub(crate) struct ObservedSyscall {
    /// The row it belongs to.
    pub(crate) row: u32,
    /// The number.
    pub(crate) nr: u32,
    /// The ABI.
    pub(crate) abi: AbiClass,
    /// The mark: one of [`tracer_abi::outcome`].
    pub(crate) outcome: u8,
    /// Whether it is announced although it was seen before.
    pub(crate) again: bool,
}

/// Marks a call in its row, and announces it when it is new: for what is seen seldom. `regs` may be
/// null.
#[inline(never)]
pub(crate) fn observe(ctx: &BtfTracePointContext, regs: *const u8, seen: &ObservedSyscall) {
    if seen.row == NO_ROW {
        return;
    }
    let Some(index) = index_in_row(seen.abi, seen.nr) else {
        unindexed(ctx, regs, seen);
        return;
    };
    let Some(marks) = maps::MARKS.get_ptr_mut(seen.row) else {
        count!(calls_lost);
        return;
    };
    // SAFETY: `index` is below `ROW_LEN`.
    unsafe {
        let mark = marks.cast::<u8>().add(index);
        if mark.load() == 0 {
            mark.store(seen.outcome);
            announce(ctx, regs, seen);
        } else if seen.again {
            announce(ctx, regs, seen);
        }
    }
}

/// A number that no byte in a row stands for: unknown to every kernel so far, or x32.
#[inline(never)]
pub(crate) fn unindexed(ctx: &BtfTracePointContext, regs: *const u8, seen: &ObservedSyscall) {
    let key = UnindexedKey {
        row: seen.row,
        nr: seen.nr,
        abi: seen.abi as u32,
        pad: 0,
    };
    // SAFETY: entries are removed when their instance is gone.
    if unsafe { maps::UNINDEXED.get(key) }.is_some() {
        if seen.again {
            announce(ctx, regs, seen);
        }
        return;
    }
    let value = u32::from(seen.outcome);
    if maps::UNINDEXED
        .insert(key, value, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        announce(ctx, regs, seen);
        // SAFETY: as above.
    } else if unsafe { maps::UNINDEXED.get(key) }.is_none() {
        count!(exotic_full);
    }
}

/// Tells user space of a new observation. What does not fit into the ring is counted; the mark
/// stays.
#[inline(never)]
pub(crate) fn announce(ctx: &BtfTracePointContext, regs: *const u8, seen: &ObservedSyscall) {
    if config!(ring) == 0 {
        return;
    }
    let ObservedSyscall {
        row,
        nr,
        abi,
        outcome,
        ..
    } = *seen;
    debug!(ctx, "new: row {} abi {} nr {}", row, abi as u32, nr);
    let Some(mut entry) = maps::EVENTS.reserve::<Event>(0) else {
        count!(events_dropped);
        return;
    };
    let pid_tgid = bpf_get_current_pid_tgid();
    entry.write(Event {
        // SAFETY: a helper without arguments.
        time: unsafe { bpf_ktime_get_ns() },
        args: if regs.is_null() {
            [0; 6]
        } else {
            arguments(regs, abi)
        },
        row,
        nr,
        pid: low(pid_tgid >> 32),
        tid: low(pid_tgid),
        comm: bpf_get_current_comm().unwrap_or_default(),
        abi: abi as u32,
        outcome: u32::from(outcome),
    });
    // A wake-up costs the workload several hundred nanoseconds. Without a flag the kernel wakes user space
    // only when all that came before was taken (`bpf_ringbuf_commit`, kernel/bpf/ringbuf.c).
    let waiting = maps::EVENTS.query(u64::from(BPF_RB_AVAIL_DATA));
    let wakeup = if waiting >= u64::from(config!(wakeup_bytes)) {
        BPF_RB_FORCE_WAKEUP
    } else {
        0
    };
    entry.submit(u64::from(wakeup));
}

#[inline(always)]
fn arguments(regs: *const u8, abi: AbiClass) -> [u64; 6] {
    macro_rules! read {
        ($offsets:ident, $($n:literal)*) => {
            // SAFETY: `regs` is the tracepoint's typed argument.
            unsafe { [$(field::<u64>(regs, config!($offsets[$n]))),*] }
        };
    }
    match abi {
        AbiClass::Compat => read!(compat_args, 0 1 2 3 4 5),
        AbiClass::Native | AbiClass::X32 => read!(native_args, 0 1 2 3 4 5),
    }
}
