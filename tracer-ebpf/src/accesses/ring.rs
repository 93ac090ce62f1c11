//! Putting an access into the ring.

use core::mem::MaybeUninit;

use tracer_abi::{
    AbiClass, Access, AccessEvent, COMM_LEN,
    access::{ACCESS_PATH_LEN, LONG_BYTES, NAME_LEN, SHORT_BYTES},
};

use super::{Paths, Request, has_room, note, path, path::number};
use crate::{
    kernel::low,
    maps::{self, config},
    platform::{
        bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP},
        helpers::{bpf_get_current_pid_tgid, generated},
        maps::ring_buf::RingBufEntry,
    },
    slots, syscalls, tasks,
};

/// Sends an access to files if there is room for it, and notes whether that succeeded.
#[inline(always)]
pub(super) fn send(request: &Request, flags: u32, key: u64, paths: &Paths) {
    if !has_room(request, key) {
        return;
    }
    let told = if paths.len as usize <= SHORT_BYTES - NAME_LEN {
        send_in::<SHORT_BYTES>(request, flags, key, paths)
    } else {
        send_in::<LONG_BYTES>(request, flags, key, paths)
    };
    note(request, key, told);
}

#[inline(always)]
fn send_in<const LEN: usize>(request: &Request, flags: u32, key: u64, paths: &Paths) -> bool {
    let Some(mut entry) = maps::ACCESSES.reserve::<AccessEvent<LEN>>(0) else {
        return false;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the memory that was reserved; all of the head is written, and of the bytes those that
    // it counts.
    unsafe {
        let bytes = (&raw mut (*event).bytes).cast::<u8>();
        let first = path::write::<LEN>(paths.first, bytes, 0, ACCESS_PATH_LEN);
        let mut end = first;
        if paths.second.name != 0 {
            end = path::write::<LEN>(paths.second, bytes, first, first + ACCESS_PATH_LEN);
        }
        let access = &raw mut (*event).access;
        head(access, request, flags, key);
        (&raw mut (*access).first_len).write(low(first as u64));
        (&raw mut (*access).second_len).write(low((end - first) as u64));
    }
    submit(entry);
    true
}

/// Writes the head of an event of the running task, field by field: on the program's stack there is no
/// room for it.
///
/// # Safety
/// `access` must be writable.
#[inline(always)]
pub(super) unsafe fn head(access: *mut Access, request: &Request, flags: u32, key: u64) {
    let pid_tgid = bpf_get_current_pid_tgid();
    let (nr, abi) = call_of_current();
    // SAFETY: as the caller says; a helper that writes 16 bytes.
    unsafe {
        (&raw mut (*access).time).write(generated::bpf_ktime_get_ns());
        (&raw mut (*access).key).write(key);
        (&raw mut (*access).values).write(request.values);
        (&raw mut (*access).row).write(request.row);
        (&raw mut (*access).kind).write(request.kind as u32);
        (&raw mut (*access).flags).write(flags);
        (&raw mut (*access).pid).write(low(pid_tgid >> 32));
        (&raw mut (*access).nr).write(nr);
        (&raw mut (*access).abi).write(abi as u32);
        (&raw mut (*access).first_len).write(0);
        (&raw mut (*access).second_len).write(0);
        generated::bpf_get_current_comm((&raw mut (*access).comm).cast(), low(COMM_LEN as u64));
    }
}

/// The system call that the running task is in; `u32::MAX` before it is known where registers lie.
#[inline(always)]
pub(super) fn call_of_current() -> (u32, AbiClass) {
    let stack = number!(u64, tasks::current(), config!(task_stack));
    let Some(regs) = slots::registers(stack) else {
        return (u32::MAX, AbiClass::Native);
    };
    let nr = number!(u32, regs as u64, config!(regs_nr));
    (nr, syscalls::abi_at_the_end(regs, nr))
}

/// Hands an event to user space, which is woken when it is the first one since it looked, and when a quarter of
/// the ring is full.
#[inline(always)]
pub(super) fn submit<const LEN: usize>(entry: RingBufEntry<AccessEvent<LEN>>) {
    let waiting = maps::ACCESSES.query(u64::from(BPF_RB_AVAIL_DATA));
    let wakeup = if waiting >= u64::from(config!(accesses_wakeup)) {
        BPF_RB_FORCE_WAKEUP
    } else {
        0
    };
    entry.submit(u64::from(wakeup));
}

/// Sends an event that carries bytes and no path, if there is room for it.
#[inline(always)]
pub(super) fn send_bytes<const LEN: usize>(
    request: &Request,
    key: u64,
    fill: impl FnOnce(&mut MaybeUninit<[u8; LEN]>) -> u32,
) {
    if !has_room(request, key) {
        return;
    }
    let Some(mut entry) = maps::ACCESSES.reserve::<AccessEvent<LEN>>(0) else {
        note(request, key, false);
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the memory that was reserved; all of the head is written, and of the bytes those that
    // it counts.
    unsafe {
        let access = &raw mut (*event).access;
        head(access, request, request.flags, key);
        let len = fill(&mut *(&raw mut (*event).bytes).cast());
        (&raw mut (*access).second_len).write(len);
    }
    submit(entry);
    note(request, key, true);
}

/// Sends an event that was put together elsewhere, `len` bytes long behind its head.
///
/// # Safety
/// All of the head and `len` of the bytes must have been written.
#[inline(always)]
pub(super) unsafe fn output(event: *const AccessEvent<LONG_BYTES>, len: usize) -> bool {
    let waiting = maps::ACCESSES.query(u64::from(BPF_RB_AVAIL_DATA));
    let wakeup = u64::from(if waiting >= u64::from(config!(accesses_wakeup)) {
        BPF_RB_FORCE_WAKEUP
    } else {
        0
    });
    // SAFETY: as the caller says; a short event is the beginning of a long one.
    let sent = unsafe {
        if len <= SHORT_BYTES {
            maps::ACCESSES.output::<AccessEvent<SHORT_BYTES>>(&*event.cast(), wakeup)
        } else {
            maps::ACCESSES.output::<AccessEvent<LONG_BYTES>>(&*event, wakeup)
        }
    };
    sent.is_ok()
}
