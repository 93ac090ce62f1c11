//! Capabilities of a thread (capabilities(7)).

use std::{io, mem::MaybeUninit};

pub(super) const CAP_CHOWN: u64 = 1 << 0;
pub(super) const CAP_DAC_OVERRIDE: u64 = 1 << 1;
pub(super) const CAP_FOWNER: u64 = 1 << 3;
pub(super) const CAP_KILL: u64 = 1 << 5;
pub(super) const CAP_SYS_PTRACE: u64 = 1 << 19;
pub(super) const CAP_PERFMON: u64 = 1 << 38;
pub(super) const CAP_BPF: u64 = 1 << 39;

/// `_LINUX_CAPABILITY_VERSION_3` (include/uapi/linux/capability.h): 64 bits in two words.
const VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    /// 0 is the calling thread.
    pid: i32,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up all capabilities of the calling thread but these, as far as it has them.
pub(super) fn keep(kept: u64) -> io::Result<()> {
    let mut header = Header {
        version: VERSION,
        pid: 0,
    };
    let mut words = MaybeUninit::<[Word; 2]>::zeroed();
    // SAFETY: both structs are the kernel's of this version, which writes two words.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain numbers, zero before the kernel wrote them.
    let mut words = unsafe { words.assume_init() };
    for (word, shift) in words.iter_mut().zip([0, 32]) {
        let kept = u32::try_from((kept >> shift) & u64::from(u32::MAX)).unwrap_or(0);
        word.effective &= kept;
        word.permitted &= kept;
        word.inheritable = 0;
    }
    // SAFETY: as above; the kernel only reads.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
