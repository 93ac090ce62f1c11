//! Programs that do nothing: what the kernel charges for having a program at `sys_enter`.

use aya_ebpf::{
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};

/// The floor that every figure is compared with.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub(crate) fn floor_raw(_ctx: RawTracePointContext) -> i32 {
    0
}

#[btf_tracepoint(function = "sys_enter")]
pub(crate) fn floor_btf(_ctx: BtfTracePointContext) -> i32 {
    0
}
