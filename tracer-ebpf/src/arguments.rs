//! The values of arguments, of the calls that user space asks for in [`maps::WATCHES`].
//!
//! Called from `sys_enter` for those calls alone, by their marks: no other call pays for it.

use tracer_abi::{
    AbiClass, MAX_VALUES, MAX_WATCHES, Quota, SeenValues, VALUES_PER_CALL, ValueKey,
    WATCHED_ARGUMENTS, Watch, clone3, recent,
};

use crate::{
    accounts,
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    platform::{
        Shared as _, SharedMut as _,
        bindings::{BPF_ANY, BPF_NOEXIST},
        helpers::bpf_probe_read_user,
        mutated,
    },
};

/// What is recorded of the arguments of the call that is marked at `index` of a row, if anything.
#[inline(always)]
pub(crate) fn watch(index: usize) -> Option<&'static Watch> {
    let watch = maps::WATCHES.get(low(index as u64))?;
    (watch.watched != 0).then_some(watch)
}

/// Records the values that a call was given.
#[inline(never)]
pub(crate) fn record(
    regs: *const u8,
    row: u32,
    abi: AbiClass,
    index: usize,
    watch: &'static Watch,
) {
    let number = watch.number as usize & (MAX_WATCHES - 1);
    let given = given(regs, abi, watch);
    let recent = if watch.small != 0 {
        recent_word(row, number, given)
    } else {
        None
    };
    if let Some((place, word)) = recent
        // SAFETY: a word of the map.
        && unsafe { place.load() } == word
    {
        return;
    }
    let Some(values) = maps::SEEN_VALUES.get_ptr_mut(row) else {
        return;
    };
    // SAFETY: indices are below the arrays' lengths; each byte or word is written whole.
    unsafe {
        let cut = (&raw mut (*values).cut).cast::<u8>().add(number);
        if cut.load() != 0 {
            return;
        }
        let id = number_of(given, index, watch, row);
        if !id.is_some_and(|id| mark(values, number, id)) {
            cut.store(1);
        } else if let Some((place, word)) = recent {
            // After the mark, which it stands for.
            place.store(word);
        }
    }
}

/// Where it is kept that a row has a mark for a value, and what is kept there.
#[inline(always)]
fn recent_word(
    row: u32,
    number: usize,
    given: [u64; WATCHED_ARGUMENTS],
) -> Option<(*mut u64, u64)> {
    let control = maps::CONTROL.get_ptr_mut(0)?;
    let row = if mutated!(RecentIgnoresRow) { 0 } else { row };
    // All but one are 0.
    let word = recent::word(row, low(number as u64), given[0] | given[1] | given[2]);
    let place = recent::place(word);
    // SAFETY: `place` is below the number of words.
    let place = unsafe { (&raw mut (*control).recent).cast::<u64>().add(place) };
    Some((place, word))
}

/// Marks one combination; returns whether there was room for it.
///
/// # Safety
/// `row` must be an element of [`maps::SEEN_VALUES`], `number` below [`MAX_WATCHES`].
#[inline(always)]
unsafe fn mark(row: *mut SeenValues, number: usize, id: u32) -> bool {
    // SAFETY: indices are below the arrays' lengths; each byte is written whole.
    unsafe {
        let seen = (&raw mut (*row).seen)
            .cast::<u8>()
            .add(id as usize & (MAX_VALUES - 1));
        if seen.load() != 0 {
            return true;
        }
        let count = (&raw mut (*row).counts).cast::<u8>().add(number);
        let so_far = count.load();
        if so_far >= VALUES_PER_CALL {
            return false;
        }
        count.store(so_far + 1);
        seen.store(1);
        true
    }
}

/// The first arguments, under their masks.
#[inline(always)]
fn given(regs: *const u8, abi: AbiClass, watch: &Watch) -> [u64; WATCHED_ARGUMENTS] {
    macro_rules! read {
        ($offsets:ident, $($n:literal)*) => {
            // SAFETY: `regs` is the tracepoint's typed argument.
            unsafe { [$(field::<u64>(regs, config!($offsets[$n])) & watch.masks[$n]),*] }
        };
    }
    match abi {
        AbiClass::Compat => read!(compat_args, 0 1 2),
        AbiClass::Native | AbiClass::X32 => read!(native_args, 0 1 2),
    }
}

/// A word of the process's memory; `None` when the address leads nowhere (now).
#[inline(always)]
fn read_user(address: u64) -> Option<u64> {
    // SAFETY: a checked read.
    unsafe { bpf_probe_read_user(address as *const u64) }.ok()
}

/// What they are known by; `None` when one lies behind a pointer that leads nowhere (now).
#[inline(always)]
fn key(mut values: [u64; WATCHED_ARGUMENTS], index: usize, watch: &Watch) -> Option<ValueKey> {
    if watch.behind_pointer != 0 {
        let (address, size) = (values[0], values[1]);
        values[1] = 0;
        values[0] = read_user(address)?;
        let chooses_ids = size >= clone3::WITH_SET_TID
            && read_user(address.wrapping_add(clone3::SET_TID_SIZE_AT))? != 0;
        if chooses_ids || size > clone3::KNOWN_SIZE {
            values[0] |= clone3::MORE_THAN_FLAGS;
        }
    }
    Some(ValueKey {
        values,
        call: low(index as u64),
        pad: 0,
    })
}

/// The number of a combination; `None`, and counted, when it has none.
#[inline(always)]
fn number_of(
    given: [u64; WATCHED_ARGUMENTS],
    index: usize,
    watch: &Watch,
    row: u32,
) -> Option<u32> {
    // What a pointer that leads nowhere stands for is not known; that is no want of room.
    let key = key(given, index, watch)?;
    let number = existing_or_new(&key, row);
    if number.is_none() {
        count!(values_lost);
        accounts::lost(accounts::owner_of(row), Quota::ValuesLost);
    }
    number
}

#[inline(always)]
fn existing_or_new(key: &ValueKey, row: u32) -> Option<u32> {
    // SAFETY: a number is given to others a while after its entry was removed, and only when no row has it.
    if let Some(&id) = unsafe { maps::VALUES.get(key) } {
        return Some(id);
    }
    let owner = accounts::owner_of(row);
    if !accounts::may_take_value(owner) {
        return None;
    }
    let id = maps::FREE_VALUES.pop().ok().flatten()?;
    if maps::VALUES.insert(key, id, u64::from(BPF_NOEXIST)).is_ok() {
        accounts::took_value(owner);
        return Some(id);
    }
    // Another CPU was first.
    let _ = maps::FREE_VALUES.push(id, u64::from(BPF_ANY));
    // SAFETY: as above.
    unsafe { maps::VALUES.get(key) }.copied()
}
