//! What each instance has taken of what all share, so that none takes everything.
//!
//! Half of the rows, half of the numbers of values, and three quarters of the places for accesses go to
//! whoever comes first. When they are gone, an
//! instance gets one more only as long as it has less than its share. What an instance lost for want of
//! room is counted in its own account too.

use tracer_abi::{ACCOUNT_WORDS, Account, Control, Quota};

use crate::{
    counters::count,
    maps::{self, config},
    platform::{self, Shared as _, bindings::BPF_NOEXIST},
};

/// Of an instance that took and lost nothing. On the program's stack it would take room that others need.
static EMPTY: Account = Account {
    words: [0; ACCOUNT_WORDS],
};

/// Adds one to a word of an instance's account. Without room for the account only the counters of all
/// tell.
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, an account would not fit on the program's stack"
)]
#[inline(never)]
pub(crate) fn add(instance: u64, quota: u32) {
    if maps::ACCOUNTS.get_ptr_mut(instance).is_none() {
        let _ = maps::ACCOUNTS.insert(instance, &EMPTY, u64::from(BPF_NOEXIST));
    }
    if let Some(account) = maps::ACCOUNTS.get_ptr_mut(instance) {
        // The compiler knows all callers, and would leave the bound out that the verifier asks for.
        let at = core::hint::black_box(quota) as usize & (ACCOUNT_WORDS - 1);
        // SAFETY: the index is below the array's length.
        unsafe {
            let words = (&raw mut (*account).words).cast::<u64>();
            platform::add_one(words.add(at));
        }
    }
}

/// Notes a loss of an instance.
#[inline(always)]
pub(crate) fn lost(instance: u64, quota: Quota) {
    add(instance, quota as u32);
}

#[inline(always)]
fn taken_by(instance: u64, quota: Quota) -> u64 {
    match maps::ACCOUNTS.get_ptr(instance) {
        // SAFETY: the index is below the array's length.
        Some(account) => unsafe {
            let words = (&raw const (*account).words).cast::<u64>();
            words.add(quota as usize & (ACCOUNT_WORDS - 1)).load()
        },
        None => 0,
    }
}

#[inline(always)]
fn control() -> Option<*mut Control> {
    maps::CONTROL.get_ptr_mut(0)
}

/// Whether an instance may take another row.
#[inline(never)]
pub(crate) fn may_take_row(instance: u64) -> bool {
    let Some(control) = control() else {
        return false;
    };
    // SAFETY: a word of the map.
    let taken = unsafe { (&raw const (*control).rows_taken).load() };
    taken < u64::from(config!(common_rows))
        || taken_by(instance, Quota::Rows) < u64::from(config!(row_share))
}

/// A row belongs to an instance: before anyone can find it, so that its values are counted right.
#[inline(always)]
pub(crate) fn take_row(instance: u64, row: u32) {
    if let Some(owner) = maps::ROW_OWNERS.get_ptr_mut(row) {
        // SAFETY: an element of the map.
        unsafe { platform::SharedMut::store(owner, instance) };
    }
}

/// It was taken.
#[inline(always)]
pub(crate) fn took_row(instance: u64) {
    add(instance, Quota::Rows as u32);
    if let Some(control) = control() {
        // SAFETY: a word of the map.
        unsafe { platform::add_one(&raw mut (*control).rows_taken) };
    }
}

/// The instance that a row belongs to.
#[inline(always)]
pub(crate) fn owner_of(row: u32) -> u64 {
    maps::ROW_OWNERS.get(row).copied().unwrap_or(0)
}

/// Whether an instance may take another number of values.
#[inline(never)]
pub(crate) fn may_take_value(instance: u64) -> bool {
    let Some(control) = control() else {
        return false;
    };
    // SAFETY: a word of the map.
    let taken = unsafe { (&raw const (*control).values_taken).load() };
    taken < u64::from(config!(common_values))
        || taken_by(instance, Quota::Values) < u64::from(config!(value_share))
}

/// It was taken.
#[inline(always)]
pub(crate) fn took_value(instance: u64) {
    add(instance, Quota::Values as u32);
    if let Some(control) = control() {
        // SAFETY: a word of the map.
        unsafe { platform::add_one(&raw mut (*control).values_taken) };
    }
}

/// Whether an instance may take another place in the table of accesses.
#[inline(always)]
pub(crate) fn may_take_access(instance: u64) -> bool {
    let Some(control) = control() else {
        return false;
    };
    // SAFETY: a word of the map.
    let taken = unsafe { (&raw const (*control).accesses_taken).load() };
    taken < u64::from(config!(common_accesses))
        || taken_by(instance, Quota::Accesses) < u64::from(config!(access_share))
}

/// It was taken.
#[inline(always)]
pub(crate) fn took_access(instance: u64) {
    add(instance, Quota::Accesses as u32);
    if let Some(control) = control() {
        // SAFETY: a word of the map.
        unsafe { platform::add_one(&raw mut (*control).accesses_taken) };
    }
}

/// Another path of an executable is kept.
#[inline(always)]
pub(crate) fn kept_executable() {
    if let Some(control) = control() {
        // SAFETY: a word of the map.
        unsafe { platform::add_one(&raw mut (*control).executables_kept) };
    }
}

/// Notes that the path of an executable of an instance found no room.
#[inline(always)]
pub(crate) fn lost_executable(instance: u64) {
    count!(executables_full);
    lost(instance, Quota::ExecutablesFull);
}
