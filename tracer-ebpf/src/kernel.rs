//! Reads of kernel structures, at offsets that user space took from the kernel's BTF, and of what
//! helpers pack.

/// Reads a field of a structure the verifier knows by type (an argument of a BTF tracepoint or
/// what such a field points to): one load instruction, checked when the program is loaded.
///
/// # Safety
/// `base` must be a pointer the verifier tracks; `offset` a constant of [`crate::maps::CONFIG`].
#[inline(always)]
pub(crate) unsafe fn field<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: as the caller says.
    unsafe { crate::platform::field(base, offset) }
}

/// The low half of a word.
#[inline(always)]
pub(crate) fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}
