//! What the SELinux policy did not allow, or would not have.

use tracer_abi::{
    AccessKind,
    access::{SELINUX_CLASS_AT, SELINUX_CONTEXT_LEN, SELINUX_TARGET_AT, SHORT_BYTES},
};

use super::{PathRef, Request, key, path::number, recorded, ring, was_reported};
use crate::{
    kernel::low,
    maps::config,
    platform::{helpers::generated, programs::BtfTracePointContext},
};

/// `(struct selinux_audit_data *sad, char *scontext, char *tcontext, const char *tclass)`
/// (include/trace/events/avc.h): called in the task that asked, after the line of the audit log was made.
///
/// The kernel reports a permission once for each pair of contexts, until the cache of decisions is emptied.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "selinux_audited")
)]
pub(crate) fn selinux_audited(ctx: BtfTracePointContext) -> i32 {
    let (data, source, target): (u64, u64, u64) = (
        ctx.arg::<*const u8>(0) as u64,
        ctx.arg::<*const u8>(1) as u64,
        ctx.arg::<*const u8>(2) as u64,
    );
    audited(data, [source, target, ctx.arg::<*const u8>(3) as u64]);
    0
}

#[inline(never)]
fn audited(data: u64, [source, target, class]: [u64; 3]) {
    let Some(row) = recorded() else {
        return;
    };
    // Without a bit it was allowed, and is logged by an `auditallow` rule. What was asked for beyond that
    // is allowed, or not to be logged (`avc_audit_required`, security/selinux/include/avc.h).
    let denied = number!(u32, data, config!(selinux_denied));
    let bits = denied & number!(u32, data, config!(selinux_audited));
    if bits == 0 {
        return;
    }
    let mut request = Request::new(row, AccessKind::Selinux, PathRef::NONE);
    let pair = u64::from(number!(u32, data, config!(selinux_ssid))) << 32
        | u64::from(number!(u32, data, config!(selinux_tsid)));
    // Not 0 when it was refused: else the domain is permissive, or the whole system.
    let refused = u64::from(number!(u32, data, config!(selinux_result)) != 0);
    let class_number = u64::from(number!(u16, data, config!(selinux_tclass)));
    request.values = [pair, u64::from(bits), class_number << 1 | refused];
    let key = key(&request, request.flags, 0);
    if was_reported(key) {
        return;
    }
    ring::send_bytes::<SHORT_BYTES>(&request, key, |bytes| {
        let bytes = bytes.as_mut_ptr().cast::<u8>();
        let context = low(SELINUX_CONTEXT_LEN as u64);
        let rest = low((SHORT_BYTES - SELINUX_CLASS_AT) as u64);
        // SAFETY: three parts of the event, one after the other, and checked reads of text.
        unsafe {
            text(bytes, context, source);
            text(bytes.add(SELINUX_TARGET_AT), context, target);
            text(bytes.add(SELINUX_CLASS_AT), rest, class);
        }
        low(SHORT_BYTES as u64)
    });
}

/// Copies a text of the kernel's, with its NUL, into `room` bytes; an empty one when it cannot be read.
///
/// # Safety
/// `into` must have that many bytes.
#[inline(always)]
unsafe fn text(into: *mut u8, room: u32, from: u64) {
    // SAFETY: as the caller says.
    unsafe {
        into.write(0);
        generated::bpf_probe_read_kernel_str(into.cast(), room, from as *const _);
    }
}
