//! Which types may be read from a map, and written to it, as bytes.

use crate::{
    Account, CgroupEntry, CgroupPath, Config, Counters, Event, ExecutablePath, Notice, Operation,
    ProcessEntry, ResolvedPath, RowKey, SeenValues, UnindexedKey, ValueKey, Watch,
};

/// A type whose values are their bytes: copying them to and from a map copies the value.
///
/// # Safety
/// Every byte of a value must be initialised (so: no implicit padding), and any bytes must be a
/// valid value. The type must hold no pointers.
pub unsafe trait PlainData: Copy + 'static {}

macro_rules! plain {
    ($($name:ty),*) => {
        $(
            // SAFETY: fixed-width integers and arrays of them, padded explicitly; the sizes are
            // asserted in `lib.rs`.
            unsafe impl PlainData for $name {}
        )*
    };
}
plain!(
    Account,
    CgroupEntry,
    CgroupPath,
    Config,
    Counters,
    Event,
    ExecutablePath,
    ResolvedPath,
    UnindexedKey,
    Notice,
    Operation,
    ProcessEntry,
    RowKey,
    SeenValues,
    ValueKey,
    Watch
);
