//! Reads of kernel structures, at offsets that user space took from the kernel's BTF, and of what
//! helpers pack.

#[cfg(not(target_arch = "bpf"))]
pub(crate) use crate::platform::field;

/// Reads a field of a structure the verifier knows by type (an argument of a BTF tracepoint or
/// what such a field points to): one load instruction, checked when the program is loaded.
///
/// # Safety
/// `base` must be a pointer the verifier tracks; `offset` a constant of [`crate::maps::CONFIG`].
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub(crate) unsafe fn field<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: the verifier refuses the program unless a `T` lies there.
    unsafe { base.add(offset as usize).cast::<T>().read_volatile() }
}

/// The low half of a word.
#[inline(always)]
pub(crate) fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}
