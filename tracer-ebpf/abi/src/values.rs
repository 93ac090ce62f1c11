//! The values of arguments: of which calls, and where they are kept.
//!
//! Values are told apart by number: each combination that any instance gave a call is kept once in
//! [`maps::VALUES`](crate::maps::VALUES), and each row of marks has a byte for each number. So a row
//! costs the same whatever its tasks do, and is emptied and given back as its marks are.

/// Of how many calls, of both ABIs, the arguments can be recorded.
pub const MAX_WATCHES: usize = 64;

/// Combinations of values that can be told apart, of all calls and instances.
pub const MAX_VALUES: usize = 1024;

/// The same, as the number of entries of a map.
pub const VALUE_NUMBERS: u32 = 1024;

/// Combinations that are kept of one call in one row; what comes after is only known to have come.
pub const VALUES_PER_CALL: u8 = 64;

/// Arguments that are recorded of a call: no call that is worth it has one behind the third.
pub const WATCHED_ARGUMENTS: usize = 3;

/// clone3 (include/uapi/linux/sched.h of Linux 6.18, `struct clone_args`).
pub mod clone3 {
    /// Bytes of the largest structure that kernels know: `CLONE_ARGS_SIZE_VER2`.
    pub const KNOWN_SIZE: u64 = 88;

    /// Bytes up to and with `set_tid_size`: `CLONE_ARGS_SIZE_VER1`.
    pub const WITH_SET_TID: u64 = 80;

    /// Where `set_tid_size` is: how many ids the caller chooses.
    pub const SET_TID_SIZE_AT: u64 = 72;

    /// Stands in the recorded flags for what clone has no place for: ids that the caller chooses, or a larger
    /// structure. No kernel has a flag there.
    pub const MORE_THAN_FLAGS: u64 = 1 << 62;
}

/// What is recorded of the arguments of a call: one for each byte in a row of marks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The bits of each of the first arguments that matter: 0 for one that is not recorded.
    pub masks: [u64; WATCHED_ARGUMENTS],
    /// 1 when there is anything to record.
    pub watched: u32,
    /// Which of the [`MAX_WATCHES`] it is.
    pub number: u32,
    /// 1 when the first argument is the address of a word, which is recorded in its place: what a
    /// filter cannot look at, and another thread may change. The second is the size of what is there, and is
    /// not recorded itself. Only clone3 is so.
    pub behind_pointer: u32,
    /// 1 when there is one argument, of 32 bits: its latest values are found by [`recent`].
    pub small: u32,
}

/// A call and the values that it was given, each with its mask applied.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueKey {
    /// The values; 0 for an argument that is not recorded.
    pub values: [u64; WATCHED_ARGUMENTS],
    /// Where the call is marked in a row.
    pub call: u32,
    /// Always 0: keys are compared as bytes.
    pub pad: u32,
}

/// What the tasks of one row gave to the calls that are watched.
///
/// Bytes are only ever set, by plain stores, so that no CPU can undo what another one says; but for
/// `counts`, which may lose one: a few more are kept then.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenValues {
    /// 1 for each number in [`maps::VALUES`](crate::maps::VALUES) that was seen.
    pub seen: [u8; MAX_VALUES],
    /// How many there are of each watch.
    pub counts: [u8; MAX_WATCHES],
    /// 1 when there were more of a watch than were kept.
    pub cut: [u8; MAX_WATCHES],
}

impl SeenValues {
    /// Nothing seen.
    pub const EMPTY: Self = Self {
        seen: [0; MAX_VALUES],
        counts: [0; MAX_WATCHES],
        cut: [0; MAX_WATCHES],
    };
}

/// The values that were marked last, to be found without a look-up: exact words, each at the place that it
/// names itself.
pub mod recent {
    /// How many there are.
    pub const WORDS: usize = 4096;

    const VALID: u64 = 1 << 63;
    const ROW_SHIFT: u32 = 38;
    const NUMBER_SHIFT: u32 = 32;

    /// What says that the tasks of a row gave a watched call this value. `row` is below
    /// [`MAX_ROWS`](crate::MAX_ROWS), `number` below [`MAX_WATCHES`](super::MAX_WATCHES), `value` has 32
    /// bits: so no two say the same.
    #[inline(always)]
    pub const fn word(row: u32, number: u32, value: u64) -> u64 {
        VALID | (row as u64) << ROW_SHIFT | (number as u64) << NUMBER_SHIFT | value & 0xffff_ffff
    }

    /// Where a word is kept; below [`WORDS`].
    #[inline(always)]
    pub const fn place(word: u64) -> usize {
        // Multiplicative hashing, as in `slot`: the upper bits depend on all of the word.
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize & (WORDS - 1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::{MAX_ROWS, MAX_WATCHES};

        #[test]
        fn words_encode_row_number_and_value() {
            // Each part can be read back.
            const {
                assert!(MAX_WATCHES <= 1 << (ROW_SHIFT - NUMBER_SHIFT));
                assert!(MAX_ROWS as u64 <= 1 << (63 - ROW_SHIFT));
            }
            for row in [0, 1, 2, 255, 256, MAX_ROWS - 1] {
                for number in [0, 1, 33, 63] {
                    for value in [0, 1, 4, 0x5401, 0xffff_ffff] {
                        let word = word(row, number, value);
                        assert_eq!(word & 0xffff_ffff, value);
                        assert_eq!((word & !VALID) >> ROW_SHIFT, u64::from(row));
                        assert_eq!(word >> NUMBER_SHIFT & 63, u64::from(number));
                        assert!(word & VALID != 0 && place(word) < WORDS);
                    }
                }
            }
        }
    }
}
