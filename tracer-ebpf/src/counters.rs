//! Per-CPU counters: no atomic, no loss.

use crate::maps::COUNTERS;

/// Adds one to a field of this CPU's [`tracer_abi::Counters`].
macro_rules! count {
    ($field:ident) => {
        if let Some(counters) = $crate::counters::this_cpu() {
            // SAFETY: the element of this CPU, which no other writes. Programs of one CPU do not
            // interrupt one another: tracepoints run them with preemption off (`__DO_TRACE` and,
            // for system calls, `__BPF_DECLARE_TRACE_SYSCALL`, include/trace/bpf_probe.h, up to
            // Linux 6.18), and a program that is running on a CPU is not run there again
            // (`__bpf_trace_run`, kernel/trace/bpf_trace.c), which user space reads as
            // `recursion_misses`.
            unsafe { (*counters).$field += 1 }
        }
    };
}
pub(crate) use count;

#[inline(always)]
pub(crate) fn this_cpu() -> Option<*mut tracer_abi::Counters> {
    COUNTERS.get_ptr_mut(0)
}
