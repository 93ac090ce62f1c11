//! The arithmetic of the per-task cache.
//!
//! A task makes its system calls from one kernel stack, and at every call `pt_regs` lies at the
//! same place in it. So the address of `pt_regs` names the task for as long as it lives, with no
//! helper call. A slot is one 64-bit word, read and written whole:
//!
//! ```text
//! 63        37 36        16 15      0
//! [ tag: 27   | epoch: 21  | row: 16 ]
//! ```
//!
//! The address, taken relative to the table and without the bits that lie inside one stack, is 43
//! bits wide. Multiplying by an odd number modulo 2^43 is a bijection, so the 16 bits that choose
//! the slot and the 27 bits of the tag together still name one stack and no other: two tasks may
//! take a slot from one another, but neither can ever be taken for the other.

/// log2 of the smallest `THREAD_SIZE` of a 64-bit Linux (16 KiB on x86-64 and arm64, see
/// arch/x86/include/asm/page_64_types.h and arch/arm64/include/asm/memory.h); stacks are aligned to
/// their size, so two stacks never share the bits above.
pub const STACK_SHIFT: u32 = 14;

/// Width of a stack's number. Kernel addresses lie within 2^56 bytes (five-level paging), so their
/// differences modulo 2^57 tell them apart; 57 - 14 bits remain.
const STACK_BITS: u32 = 43;
const STACK_MASK: u64 = (1 << STACK_BITS) - 1;

/// log2 of the number of slots.
const INDEX_BITS: u32 = 16;

/// Number of slots in the table.
pub const SLOTS: usize = 1 << INDEX_BITS;

const TAG_BITS: u32 = STACK_BITS - INDEX_BITS;
const ROW_BITS: u32 = 16;
const EPOCH_BITS: u32 = 64 - TAG_BITS - ROW_BITS;
const EPOCH_MASK: u64 = (1 << EPOCH_BITS) - 1;

/// Epochs after which user space must have emptied the table once, so that a number that comes
/// round again never meets a slot of its first time. A quarter of the range leaves the rest as
/// margin.
pub const EPOCHS_BEFORE_WIPE: u64 = 1 << (EPOCH_BITS - 2);

/// Odd, with well-mixed high bits: 2^43 divided by the golden ratio.
const MULTIPLIER: u64 = 0x4F1_BBCD_CBFB;

/// Where a task's row is kept, and what must stand there for it to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotPosition {
    /// Index into the table, below [`SLOTS`].
    pub index: usize,
    /// The word with the row's bits 0.
    pub stamp: u64,
}

/// The place of the stack that contains `offset`, an address relative to the table.
#[inline(always)]
pub const fn place(offset: u64, epoch: u64) -> SlotPosition {
    let mixed = (offset >> STACK_SHIFT).wrapping_mul(MULTIPLIER) & STACK_MASK;
    SlotPosition {
        index: (mixed >> TAG_BITS) as usize & (SLOTS - 1),
        stamp: (mixed << (64 - TAG_BITS)) | ((epoch & EPOCH_MASK) << ROW_BITS),
    }
}

/// The row in `word`, if it was put there for this stack in this epoch.
///
/// Row 0 is never put there, so the all-zero word of an empty slot says nothing for any stamp.
#[inline(always)]
pub const fn row(word: u64, stamp: u64) -> Option<u32> {
    let difference = word ^ stamp;
    // One comparison for both: equal above the row's bits, and a row that is not 0.
    if difference.wrapping_sub(1) < (1 << ROW_BITS) - 1 {
        Some((difference & 0xffff) as u32)
    } else {
        None
    }
}

/// The word that says `row` for this stack in this epoch.
#[inline(always)]
pub const fn word(stamp: u64, row: u32) -> u64 {
    stamp | (row as u64 & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The whole claim of the cache: another stack, or another epoch, is never believed.
        #[test]
        fn word_is_valid_only_for_its_stack_and_epoch(
            a in 0u64..1 << 57, b in 0u64..1 << 57, epoch in 0u64..1 << 40, later in 1u64..1 << 20, r in 1u32..1 << 16,
        ) {
            let written = place(a, epoch);
            let word = word(written.stamp, r);
            prop_assert_eq!(row(word, written.stamp), Some(r));
            let other = place(b, epoch);
            if other.index == written.index && row(word, other.stamp).is_some() {
                prop_assert_eq!(a >> STACK_SHIFT, b >> STACK_SHIFT);
            }
            prop_assert_eq!(row(word, place(a, epoch + later).stamp), None);
        }

        /// Distinct stacks differ in index or stamp: the product is a bijection.
        #[test]
        fn neighbouring_stacks_get_distinct_slots(base in 0u64..1 << 56, step in 1u64..1 << 20) {
            let a = place(base, 7);
            let b = place(base + (step << STACK_SHIFT), 7);
            prop_assert!(a != b);
        }

        #[test]
        fn empty_slot_has_no_row(a in any::<u64>(), epoch in any::<u64>()) {
            prop_assert_eq!(row(0, place(a, epoch).stamp & !0xffff), None);
        }
    }

    #[test]
    fn whole_stack_range_maps_to_one_slot() {
        let base = 0x1234_5600_0000;
        assert_eq!(place(base, 1), place(base + (1 << STACK_SHIFT) - 1, 1));
    }
}
