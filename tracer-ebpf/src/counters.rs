//! Per-CPU counters: no atomic, no loss.

use crate::maps::COUNTERS;

/// Adds one to a field of this CPU's [`tracer_ebpf::Counters`].
macro_rules! count {
    ($field:ident) => {
        if let Some(counters) = $crate::counters::this_cpu() {
            // SAFETY: the element of this CPU, which no other writes; programs of one CPU do not
            // interrupt one another on it (tracepoint programs run with preemption off).
            unsafe { (*counters).$field += 1 }
        }
    };
}
pub(crate) use count;

#[inline(always)]
pub(crate) fn this_cpu() -> Option<*mut tracer_ebpf::Counters> {
    COUNTERS.get_ptr_mut(0)
}
