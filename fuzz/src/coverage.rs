//! Which branches were taken.
//!
//! LLVM's pass `sancov-module` adds a counter to each branch, and calls the function below for the
//! counters of each crate before `main` (Clang, SanitizerCoverage, "Inline 8bit-counters"). Stable
//! compilers take the flags for it; `cargo xtask fuzz` gives them.

use std::sync::Mutex;

/// The counters of all crates: first address, and how many.
static COUNTERS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called by each instrumented crate.
///
/// # Safety
///
/// The two must be the bounds of counters that live as long as the program.
#[unsafe(no_mangle)]
unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let (start, stop) = (start.addr(), stop.addr());
    if let Ok(mut counters) = COUNTERS.lock()
        && start < stop
        && !counters.iter().any(|(known, _)| *known == start)
    {
        counters.push((start, stop - start));
    }
}

/// What was ever seen of each counter: a bit for each order of magnitude.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<u8>);

impl Seen {
    /// Takes the counters in and sets them back. Returns whether one of them was new.
    pub(crate) fn take(&mut self) -> bool {
        let Ok(counters) = COUNTERS.lock() else {
            return false;
        };
        let mut at = 0;
        let mut new = false;
        for (start, len) in counters.iter().copied() {
            let pointer = std::ptr::with_exposed_provenance_mut::<u8>(start);
            // SAFETY: bounds that the instrumentation gave, of bytes that live for ever. Nothing
            // else looks at them, and what writes them meanwhile is this thread, by plain stores.
            let counters = unsafe { std::slice::from_raw_parts_mut(pointer, len) };
            if self.0.len() < at + len {
                self.0.resize(at + len, 0);
            }
            for (counter, seen) in counters.iter_mut().zip(self.0.iter_mut().skip(at)) {
                if *counter != 0 {
                    let magnitude = magnitude(*counter);
                    new |= *seen & magnitude == 0;
                    *seen |= magnitude;
                    *counter = 0;
                }
            }
            at += len;
        }
        new
    }

    /// How many branches were ever taken.
    pub(crate) fn branches(&self) -> usize {
        self.0.iter().filter(|seen| **seen != 0).count()
    }
}

/// A loop that runs once more is nothing new, one that runs twice as often is.
const fn magnitude(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..8 => 8,
        8..16 => 16,
        16..32 => 32,
        32..128 => 64,
        128.. => 128,
    }
}
