//! The values of arguments: of which calls, and where they are kept.
//!
//! Values are told apart by number: each combination that any instance gave a call is kept once in
//! [`maps::VALUES`](crate::maps::VALUES), and each row of marks has a byte for each number. So a row
//! costs the same whatever its tasks do, and is emptied and given back as its marks are.

/// Of how many calls, of both ABIs, the arguments can be recorded.
pub const MAX_WATCHES: usize = 64;

/// Combinations of values that can be told apart, of all calls and instances.
pub const MAX_VALUES: usize = 1024;

/// Combinations that are kept of one call in one row; what comes after is only known to have come.
pub const VALUES_PER_CALL: u8 = 64;

/// Arguments that are recorded of a call: no call that is worth it has one behind the third.
pub const WATCHED_ARGUMENTS: usize = 3;

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
    /// filter cannot look at, and another thread may change.
    pub behind_pointer: u32,
    /// Always 0.
    pub pad: u32,
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
