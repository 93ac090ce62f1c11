//! Capabilities that were asked for and granted.

use tracer_abi::{AccessKind, access::flag};

use super::{PathRef, Request, is_overridden, key, path::number, recorded, ring, was_reported};
use crate::{
    maps::config,
    platform::programs::{BtfTracePointContext, FExitContext, LsmContext},
};

/// `CAP_OPT_NOAUDIT` (include/linux/security.h): the kernel goes on without it.
const NOAUDIT: u32 = 2;

/// `(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)`. Called after
/// the module `capability`, which comes first: so only for what that one granted.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::lsm(hook = "capable"))]
pub(crate) fn capable(ctx: LsmContext) -> i32 {
    let (ns, cap, opts, returned): (*const u8, u32, u32, i32) =
        (ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4));
    if returned == 0 {
        granted(ns, cap, flag::AUDIT_KNOWN | unaudited(opts));
    }
    0
}

/// The same arguments, and what it returned.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::fexit(function = "cap_capable"))]
pub(crate) fn cap_capable_exit(ctx: FExitContext) -> i32 {
    let (ns, cap, opts, returned): (*const u8, u32, u32, i32) =
        (ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4));
    if returned == 0 {
        granted(ns, cap, flag::AUDIT_KNOWN | unaudited(opts));
    }
    0
}

/// `(const struct cred *cred, struct user_namespace *target_ns, const struct user_namespace
/// *capable_ns, int cap, int ret)` (include/trace/events/capability.h, Linux 6.14).
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "cap_capable")
)]
pub(crate) fn cap_capable(ctx: BtfTracePointContext) -> i32 {
    let (ns, cap, returned): (*const u8, u32, i32) = (ctx.arg(1), ctx.arg(3), ctx.arg(4));
    if returned == 0 {
        granted(ns, cap, 0);
    }
    0
}

#[inline(always)]
const fn unaudited(opts: u32) -> u32 {
    if opts & NOAUDIT != 0 {
        flag::UNAUDITED
    } else {
        0
    }
}

#[inline(never)]
fn granted(ns: *const u8, capability: u32, mut flags: u32) {
    let Some(row) = recorded() else {
        return;
    };
    if number!(u64, ns as u64, config!(user_ns_parent)) != 0 {
        flags |= flag::OWN_NAMESPACE;
    }
    if is_overridden() {
        flags |= flag::OVERRIDDEN;
    }
    let mut request = Request::new(row, AccessKind::Capability, PathRef::NONE);
    request.flags = flags;
    request.values[0] = u64::from(capability);
    // Which calls asked for it is what a reviewer needs.
    let (nr, abi) = ring::call_of_current();
    let key = key(&request, request.flags, u64::from(nr) << 8 | abi as u64);
    if !was_reported(key) {
        ring::send_bytes::<0>(&request, key, |_| 0);
    }
}
