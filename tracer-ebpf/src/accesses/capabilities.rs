//! Capabilities that the kernel asked for and granted to the running task.
//!
//! A check is not yet a need. With each one goes what tells them apart: whose credentials were asked,
//! which functions of the kernel asked, and what the arguments of the call say. User space decides by
//! that (`syscalls::capability::checks`).

use core::{ffi::c_void, mem::MaybeUninit};

use tracer_abi::{
    AbiClass, AccessKind,
    access::{CAPABILITY_CALLERS, SHORT_BYTES, argument, flag},
};

use super::{
    PathRef, Request, key, mix,
    path::{number, read},
    recorded, ring, was_reported,
};
use crate::{
    kernel::low,
    maps::config,
    platform::{
        EbpfContext as _,
        helpers::generated,
        programs::{BtfTracePointContext, FExitContext, LsmContext},
    },
    slots, tasks,
};

/// `CAP_OPT_NOAUDIT` (include/linux/security.h): the kernel goes on without it.
const NOAUDIT: u32 = 2;

/// One name for each of [`CAPABILITY_CALLERS`] return addresses, as `%pB` gives it: function, offset,
/// size (Documentation/core-api/printk-formats.rst).
static CALLERS: [u8; 4 * CAPABILITY_CALLERS] = {
    let mut format = *b"%pB %pB %pB %pB %pB %pB %pB %pB %pB %pB ";
    format[format.len() - 1] = 0;
    format
};

/// A check that was answered with yes.
struct Check {
    /// `const struct cred *`: whose capabilities.
    cred: u64,
    /// `struct user_namespace *`: over what.
    ns: u64,
    capability: u32,
    flags: u32,
}

/// `(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)`. Called after
/// the module `capability`, which comes first: so only for what that one granted.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::lsm(hook = "capable"))]
pub(crate) fn capable(ctx: LsmContext) -> i32 {
    if ctx.arg::<i32>(4) == 0 {
        let check = Check {
            cred: ctx.arg(0),
            ns: ctx.arg(1),
            capability: ctx.arg(2),
            flags: flag::AUDIT_KNOWN | unaudited(ctx.arg(3)),
        };
        granted(ctx.as_ptr(), &check);
    }
    0
}

/// The same arguments, and what it returned.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::fexit(function = "cap_capable"))]
pub(crate) fn cap_capable_exit(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(4) == 0 {
        let check = Check {
            cred: ctx.arg(0),
            ns: ctx.arg(1),
            capability: ctx.arg(2),
            flags: flag::AUDIT_KNOWN | unaudited(ctx.arg(3)),
        };
        granted(ctx.as_ptr(), &check);
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
    if ctx.arg::<i32>(4) == 0 {
        let check = Check {
            cred: ctx.arg(0),
            ns: ctx.arg(1),
            capability: ctx.arg(3),
            flags: 0,
        };
        granted(ctx.as_ptr(), &check);
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

/// Whether a check was of the running task's own rights.
///
/// Not what an overlay does with the credentials of whoever mounted it, not what another process or an
/// open file was given. access(2) asks with a copy of the task's own, as its real user: only such a
/// copy has `non_rcu` (`access_override_creds`, fs/open.c), and no capability beyond the task's own.
#[inline(always)]
fn is_own(cred: u64) -> bool {
    // `real_cred`, and after it `cred`: user space checks that.
    // SAFETY: any bytes are numbers.
    let [real, effective] = unsafe { read::<[u64; 2]>(tasks::current(), config!(task_real_cred)) };
    cred == effective && (real == effective || number!(u32, cred, config!(cred_non_rcu)) != 0)
}

#[inline(never)]
fn granted(ctx: *mut c_void, check: &Check) {
    let Some(row) = recorded() else {
        return;
    };
    if !is_own(check.cred) {
        return;
    }
    let mut request = Request::new(row, AccessKind::Capability, PathRef::NONE);
    request.flags = check.flags;
    if number!(u64, check.ns, config!(user_ns_parent)) != 0 {
        request.flags |= flag::OWN_NAMESPACE;
    }
    request.values[0] = u64::from(check.capability);
    // Which calls asked for it is what a reviewer needs.
    let (nr, abi) = ring::call_of_current();
    request.values[1] = arguments(check, abi);
    let mut callers = [0_u64; CAPABILITY_CALLERS];
    let size = low(size_of_val(&callers) as u64);
    // SAFETY: the program's own context, and as many bytes as there are. What is not filled stays 0.
    let _ = unsafe { generated::bpf_get_stack(ctx, callers.as_mut_ptr().cast(), size, 0) };
    // The same call may ask for two reasons, one of which is a need.
    let mut who = u64::from(nr) << 8 | abi as u64;
    for caller in &callers {
        who = mix(who, *caller);
    }
    let key = key(&request, request.flags, who);
    if was_reported(key) {
        return;
    }
    ring::send_bytes::<SHORT_BYTES>(&request, key, |bytes| names(&callers, bytes));
}

/// Writes the names of functions by their return addresses; returns how many bytes they have.
#[inline(always)]
fn names(callers: &[u64; CAPABILITY_CALLERS], bytes: &mut MaybeUninit<[u8; SHORT_BYTES]>) -> u32 {
    let size = low(SHORT_BYTES as u64);
    // SAFETY: memory of that size, a format with a NUL, and as many words as it names.
    let len = unsafe {
        generated::bpf_snprintf(
            bytes.as_mut_ptr().cast(),
            size,
            (&raw const CALLERS).cast(),
            callers.as_ptr().cast_mut(),
            low(size_of_val(callers) as u64),
        )
    };
    // With its NUL, and as long as it would have been.
    low(len.max(0).cast_unsigned().min(SHORT_BYTES as u64))
}

const SETGID: u32 = 6;
const SETUID: u32 = 7;
const FSETID: u32 = 4;
const NET_ADMIN: u32 = 12;
const SYS_RESOURCE: u32 = 24;
const CHECKPOINT_RESTORE: u32 = 40;

/// `S_ISGID` (include/uapi/linux/stat.h).
const SET_GROUP_ID: u64 = 0o2000;
/// `O_ACCMODE` (include/uapi/asm-generic/fcntl.h).
const ACCESS_MODE: u64 = 3;

/// Bits of [`argument`]: what the arguments of the running call say of the need. Only where it matters, as
/// each different answer is an event.
#[inline(always)]
fn arguments(check: &Check, abi: AbiClass) -> u64 {
    let stack = number!(u64, tasks::current(), config!(task_stack));
    let Some(regs) = slots::registers(stack) else {
        return 0;
    };
    let given = |at: usize| {
        let (native, compat) = (config!(native_args), config!(compat_args));
        let offset = if matches!(abi, AbiClass::Compat) {
            compat[at]
        } else {
            native[at]
        };
        number!(u64, regs as u64, offset)
    };
    let mut bits = 0;
    match check.capability {
        SETGID | SETUID => {
            // uid, gid, suid, sgid (include/linux/cred.h).
            let [uid, gid, suid, sgid] =
                // SAFETY: any bytes are numbers.
                unsafe { read::<[u32; 4]>(check.cred, config!(cred_uid)) };
            let (real, saved) = if check.capability == SETUID {
                (uid, suid)
            } else {
                (gid, sgid)
            };
            let wanted = low(given(0));
            if wanted == real || wanted == saved {
                bits |= argument::OWN_ID;
            }
        }
        FSETID => {
            if given(1) & SET_GROUP_ID != 0 {
                bits |= argument::SECOND_SET_GROUP_ID;
            }
            if given(2) & SET_GROUP_ID != 0 {
                bits |= argument::THIRD_SET_GROUP_ID;
            }
        }
        NET_ADMIN | SYS_RESOURCE | CHECKPOINT_RESTORE => {
            if given(1) & ACCESS_MODE != 0 {
                bits |= argument::SECOND_WRITES;
            }
            if given(2) & ACCESS_MODE != 0 {
                bits |= argument::THIRD_WRITES;
            }
            if number!(u32, check.cred, config!(cred_fsuid)) == 0 {
                bits |= argument::ROOT;
            }
            if check.capability == NET_ADMIN && reads_interface(given(1)) {
                bits |= argument::READS_INTERFACE;
            }
        }
        _ => {}
    }
    bits
}

/// Whether a command of ioctl(2) is one of those by which the kernel tells of an interface (`dev_ifsioc_locked`,
/// net/core/dev_ioctl.c; include/uapi/linux/sockios.h).
#[inline(always)]
const fn reads_interface(command: u64) -> bool {
    matches!(
        command & 0xffff_ffff,
        // Flags, metric, MTU, hardware address, slave, index, queue length, map.
        0x8913 | 0x891d | 0x8921 | 0x8927 | 0x8929 | 0x8933 | 0x8942 | 0x8970
    )
}
