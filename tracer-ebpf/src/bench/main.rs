//! Other designs of the same recorder, each whole, for `cargo xtask bench` to measure beside the
//! one in `src/main.rs`:
//!
//! - [`floor`]: programs that do nothing, the price of being called at all;
//! - [`event`]: one ring event for each call;
//! - [`hash`]: the cgroup by a helper, its marks in a hash map;
//! - [`loads`]: the cgroup by loads from the task, its marks in a table;
//! - [`steps`]: the tracer's own hot path, one step more in each program.
//!
//! None of them is in the tracer.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod event;
mod floor;
mod hash;
mod loads;
mod steps;

use tracer_abi::ABI_SLOTS;

#[path = "../kernel.rs"]
mod kernel;

/// Some helpers are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Reads a frozen global: a volatile read, so that the compiler does not take the value that stands
/// in the object file for the value at run time.
#[inline(always)]
fn frozen<T: Copy>(global: &T) -> T {
    // SAFETY: a valid reference.
    unsafe { core::ptr::from_ref(global).read_volatile() }
}

/// Marks a call in a row of marks, if there is a byte for its number.
#[inline(always)]
fn mark(row: *mut u8, nr: u64) {
    if nr < ABI_SLOTS as u64 {
        // SAFETY: a row is longer.
        unsafe {
            let mark = row.add(kernel::low(nr) as usize);
            if mark.read_volatile() == 0 {
                mark.write_volatile(1);
            }
        }
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
