//! Accesses to files, capabilities, sockets and the like: one event for each that was not told
//! before.
//!
//! - [`hooks`]: by the hooks of the kernel's security modules, where the kernel lets programs be
//!   attached to them;
//! - [`exits`]: else by the ends of system calls;
//! - [`mounts`]: by either;
//! - [`capabilities`], [`signals`]: by hooks, or tracepoints;
//! - [`selinux`]: what the SELinux policy does not allow;
//! - [`path`]: from a `struct path` to names.
//!
//! Nothing here runs for a task that is not recorded but the look-up that says so.

pub(crate) mod capabilities;
pub(crate) mod exec;
pub(crate) mod exits;
pub(crate) mod hooks;
pub(crate) mod mounts;
mod path;
mod ring;
pub(crate) mod selinux;
pub(crate) mod signals;
pub(crate) mod sockets;
mod text;

use tracer_abi::{
    AccessKind, FILTERED_BIT, MAX_ROWS, NO_ROW, Quota, UNRECORDED_ROW,
    access::{MAX_FILES_PER_DIRECTORY, flag, open},
};

pub(crate) use exec::Executing;
pub(crate) use path::PathRef;

use crate::{
    accounts,
    counters::count,
    maps::{self, config},
    platform::{
        Shared as _, SharedMut as _,
        bindings::{BPF_ANY, BPF_NOEXIST},
        mutated,
    },
    slots, tasks,
};

/// An access, before it is known whether it is new.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// The row of the task.
    pub(crate) row: u32,
    /// What it is.
    pub(crate) kind: AccessKind,
    /// Bits of [`flag`].
    pub(crate) flags: u32,
    /// What depends on the kind.
    pub(crate) values: [u64; 3],
    /// The file.
    pub(crate) place: PathRef,
}

impl Request {
    /// An access to one file.
    #[inline(always)]
    pub(crate) const fn new(row: u32, kind: AccessKind, place: PathRef) -> Self {
        Self {
            row,
            kind,
            flags: 0,
            values: [0; 3],
            place,
        }
    }
}

/// The row of the running task, when its accesses are recorded.
#[inline(always)]
pub(crate) fn recorded() -> Option<u32> {
    known_row(slots::row_of_task())
}

/// Whether the kernel acts with other credentials than the task's own just now: an overlay opens the
/// files below with those of whoever mounted it, and AppArmor looks at these (`file->f_cred`,
/// `apparmor_file_open`).
#[inline(always)]
pub(crate) fn is_overridden() -> bool {
    // `real_cred`, and after it `cred`: user space checks that.
    // SAFETY: any bytes are numbers.
    let [real, effective] =
        unsafe { path::read::<[u64; 2]>(tasks::current(), config!(task_real_cred)) };
    real != effective
}

/// The row of the running task, when accesses to files are recorded that it makes by itself.
#[inline(always)]
pub(crate) fn recorded_by_itself() -> Option<u32> {
    let row = recorded()?;
    (!is_overridden()).then_some(row)
}

/// The row that a look-up gave, when its accesses are recorded.
#[inline(always)]
pub(crate) fn known_row(row: u32) -> Option<u32> {
    if row == UNRECORDED_ROW {
        return None;
    }
    let row = row & !FILTERED_BIT;
    if row == NO_ROW {
        count!(accesses_lost);
        return None;
    }
    Some(row)
}

/// Tells of an access to a file, unless it was told before. What is not mediated (pipes, sockets,
/// memory) is no file here.
#[inline(never)]
pub(crate) fn report(request: &Request) {
    let mut place = request.place;
    if !path::is_mediated(place) && !is_program_in_memory(request) {
        return;
    }
    let mut flags = request.flags | path::flags(place, request.kind);
    let Some(measured) = path::hash_path(place) else {
        lost(request.row);
        return;
    };
    let mut key = key(request, flags, measured.hash);
    if was_reported(key) {
        return;
    }
    if too_many(request, flags, measured.parent) {
        // Of the directory, once for all others in it.
        place.name = measured.parent;
        flags = flags & flag::OWNED | flag::DIRECTORY | flag::MORE;
        key = self::key(request, flags, measured.above);
        if was_reported(key) {
            return;
        }
    }
    let paths = Paths {
        first: place,
        second: PathRef::NONE,
        len: measured.len,
    };
    ring::send(request, flags | measured.flags(), key, &paths);
}

/// Whether a program is executed that is in memory only. Before it starts one, AppArmor does not look
/// whether the file system is one that it mediates, and asks for the path, which is `/`
/// (`apparmor_bprm_creds_for_exec`, security/apparmor/domain.c; tried on 6.1).
#[inline(always)]
fn is_program_in_memory(request: &Request) -> bool {
    let is_executed = match request.kind {
        AccessKind::Execute => true,
        AccessKind::MapExecutable => request.values[0] & open::EXECUTED != 0,
        _ => false,
    };
    is_executed && path::is_own_root(request.place)
}

/// The same for a file and another one that goes with it.
#[inline(always)]
pub(crate) fn report_pair(request: &Request, second: PathRef) {
    if !path::is_mediated(request.place) {
        return;
    }
    let (mut first, mut second) = (request.place, second);
    let mut flags = request.flags | path::flags(first, request.kind);
    let (Some(of_first), Some(of_second)) = (path::hash_path(first), path::hash_path(second))
    else {
        lost(request.row);
        return;
    };
    let mut key = mix(key(request, flags, of_first.hash), of_second.hash);
    if was_reported(key) {
        return;
    }
    if of_second.parent != 0 && too_many(request, flags, of_first.parent) {
        // Of both directories, once for all other pairs in them.
        first.name = of_first.parent;
        second.name = of_second.parent;
        flags = flags & flag::OWNED | flag::DIRECTORY | flag::MORE;
        key = mix(self::key(request, flags, of_first.above), of_second.above);
        if was_reported(key) {
            return;
        }
    }
    let paths = Paths {
        first,
        second,
        len: of_first.len.saturating_add(of_second.len),
    };
    flags |= of_first.flags();
    if of_second.truncated {
        flags |= flag::SECOND_TRUNCATED;
    }
    if of_second.detached {
        flags |= flag::SECOND_DETACHED;
    }
    ring::send(request, flags, key, &paths);
}

/// What is told of files.
#[derive(Clone, Copy)]
struct Paths {
    first: PathRef,
    second: PathRef,
    /// Bytes of both.
    len: u32,
}

/// What tells an access from all others: a hash of all that is said of it.
#[inline(always)]
fn key(request: &Request, flags: u32, of_path: u64) -> u64 {
    let mut key = mix(group(request, flags), request.values[0]);
    key = mix(key, request.values[1] << 32 | request.values[2]);
    mix(key, of_path)
}

/// A hash of all but the values and the path. One word has room for all of it, so that nothing is confused.
#[inline(always)]
fn group(request: &Request, flags: u32) -> u64 {
    let salt = if mutated!(NoSalt) {
        0
    } else {
        maps::ROW_GENERATIONS.get(request.row).copied().unwrap_or(0)
    };
    let group = u64::from(request.row)
        | u64::from(flags) << ROW_BITS
        | (request.kind as u64) << (ROW_BITS + flag::BITS);
    mix(salt << (64 - SALT_BITS), group)
}

/// Bits of a row's number.
const ROW_BITS: u32 = MAX_ROWS.trailing_zeros();
/// Bits of an [`AccessKind`], with room for more.
const KIND_BITS: u32 = 8;
/// How many of a salt's bits tell a row from the one that it was: it may be given away 33 million times.
const SALT_BITS: u32 = 64 - ROW_BITS - flag::BITS - KIND_BITS;

/// Adds a word to a hash: a multiplication by an odd number, and a shift that brings the upper half
/// back (as in splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
#[inline(always)]
pub(crate) const fn mix(hash: u64, word: u64) -> u64 {
    let mut mixed = (hash ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 31;
    mixed = mixed.wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 29
}

/// Whether user space was told of it.
#[inline(always)]
fn was_reported(key: u64) -> bool {
    // SAFETY: an entry that user space takes away just now may be read once more.
    unsafe { maps::REPORTED.get(key) }.is_some_and(|failed| *failed == 0)
}

/// Whether there is room to tell of an access: each instance has a share of the table. Without room it is
/// lost.
#[inline(always)]
fn has_room(request: &Request, key: u64) -> bool {
    let has_room = has_place(request.row, key);
    if !has_room {
        lost(request.row);
    }
    has_room
}

/// Whether an access has its place in the table, or may take one. Calls nothing: Linux 6.1 allows the whole chain of
/// calls 512 bytes of stack, and rounds each one up to 32.
#[inline(never)]
fn has_place(row: u32, key: u64) -> bool {
    // SAFETY: as above.
    unsafe { maps::REPORTED.get(key) }.is_some()
        || accounts::may_take_access(accounts::owner_of(row))
}

/// Notes whether user space was told of it: what found the ring full is told the next time, and what
/// never was can be counted.
#[inline(always)]
fn note(request: &Request, key: u64, told: bool) {
    match keep(key, told) {
        Kept::Again => {}
        Kept::First => accounts::took_access(accounts::owner_of(request.row)),
        Kept::Full => lost(request.row),
    }
}

/// What became of a place in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Kept {
    /// It was there.
    Again,
    /// It was taken.
    First,
    /// There was none.
    Full,
}

/// Calls nothing, as [`has_place`].
#[inline(never)]
fn keep(key: u64, told: bool) -> Kept {
    // SAFETY: as above.
    let so_far = unsafe { maps::REPORTED.get(key) }.copied();
    let failed = if told {
        0
    } else {
        count!(accesses_dropped);
        so_far.unwrap_or(0).saturating_add(1)
    };
    // Another CPU may tell of the same at once: the place is taken once.
    if so_far.is_none()
        && maps::REPORTED
            .insert(key, failed, u64::from(BPF_NOEXIST))
            .is_ok()
    {
        return Kept::First;
    }
    match maps::REPORTED.insert(key, failed, u64::from(BPF_ANY)) {
        Ok(()) => Kept::Again,
        Err(_) => Kept::Full,
    }
}

/// Counts an access that is lost, for the instance that a row belongs to.
#[inline(always)]
fn lost(row: u32) {
    count!(accesses_lost);
    accounts::lost(accounts::owner_of(row), Quota::AccessesLost);
}

/// Whether so many files of one directory were told apart that this one is not.
#[inline(always)]
fn too_many(request: &Request, flags: u32, parent: u64) -> bool {
    if parent == 0 || flags & flag::DIRECTORY != 0 {
        return false;
    }
    let key = mix(mix(group(request, flags), request.values[0]), parent);
    let count = maps::DIRECTORY_FILES.get_ptr_mut(key);
    match count {
        // SAFETY: an entry that user space takes away just now may be written once more. One that is
        // counted on two CPUs at once may count for one.
        Some(count) => unsafe {
            let so_far = count.load();
            if so_far >= MAX_FILES_PER_DIRECTORY {
                return true;
            }
            count.store(so_far + 1);
        },
        None => {
            // The map drops what was counted longest ago: then more of that directory are told apart.
            let _ = maps::DIRECTORY_FILES.insert(key, 1, u64::from(BPF_ANY));
        }
    }
    false
}
