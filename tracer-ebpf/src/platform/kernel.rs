//! The kernel itself.

pub(crate) use aya_ebpf::{EbpfContext, bindings, helpers, maps, programs};
pub(crate) use aya_log_ebpf::debug;

/// Reads a frozen global: a volatile read, so that the compiler does not take the value that stands
/// in the object file for the value at run time.
#[inline(always)]
pub(crate) fn frozen<T: Copy>(field: &T) -> T {
    // SAFETY: a valid reference.
    unsafe { core::ptr::from_ref(field).read_volatile() }
}

/// One field of [`crate::maps::CONFIG`].
macro_rules! config {
    ($($field:tt)+) => {
        $crate::platform::frozen(&$crate::maps::CONFIG.$($field)+)
    };
}
pub(crate) use config;

/// Whether the simulation asked for one of these mistakes: never in the kernel.
macro_rules! mutated {
    ($($mutation:ident),+) => {
        false
    };
}
pub(crate) use mutated;

/// Words in maps that several CPUs read and write: each access is one, and whole.
pub(crate) trait Shared {
    /// What lies there.
    type Value;

    /// Reads it.
    ///
    /// # Safety
    /// The pointer must be valid and aligned.
    unsafe fn load(self) -> Self::Value;
}

/// The same, to be written.
pub(crate) trait SharedMut: Shared {
    /// Writes it.
    ///
    /// # Safety
    /// The pointer must be valid and aligned.
    unsafe fn store(self, value: Self::Value);
}

impl<T> Shared for *const T {
    type Value = T;

    #[inline(always)]
    unsafe fn load(self) -> T {
        // SAFETY: as the caller says.
        unsafe { self.read_volatile() }
    }
}

impl<T> Shared for *mut T {
    type Value = T;

    #[inline(always)]
    unsafe fn load(self) -> T {
        // SAFETY: as the caller says.
        unsafe { self.read_volatile() }
    }
}

impl<T> SharedMut for *mut T {
    #[inline(always)]
    unsafe fn store(self, value: T) {
        // SAFETY: as the caller says.
        unsafe { self.write_volatile(value) }
    }
}

/// The address `of` as a number, relative to `element`, which lies in a map.
///
/// The verifier lets no arithmetic touch the address of a typed pointer, except one: the
/// difference of two pointers is a number (`adjust_reg_min_max_vals`, kernel/bpf/verifier.c). In
/// assembly, so that the compiler does not turn the difference into the sum with a negated base.
#[inline(always)]
pub(crate) fn relative<T>(of: *const u8, element: *mut T) -> u64 {
    let mut offset = of as u64;
    let element = element as u64;
    // SAFETY: arithmetic on registers.
    unsafe {
        core::arch::asm!(
            "{offset} -= {element}",
            offset = inout(reg) offset,
            element = in(reg) element,
            options(pure, nomem, nostack),
        );
    }
    offset
}

/// The address of a map's element as a number.
#[inline(always)]
pub(crate) fn address<T>(element: *mut T) -> u64 {
    element as u64
}

/// Adds one to a word that others add to as well.
///
/// The plain atomic add, which every supported kernel has; Rust's atomics have no read-modify-write on
/// this target.
///
/// # Safety
/// `word` must be an aligned word in a map.
#[inline(always)]
pub(crate) unsafe fn add_one(word: *mut u64) {
    // SAFETY: as the caller says.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({word} + 0) += {one}",
            word = in(reg) word,
            one = in(reg) 1_u64,
            options(nostack),
        );
    }
}
