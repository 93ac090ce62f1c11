//! The words that user space shares with the running programs.

use std::{
    num::NonZeroUsize,
    os::fd::AsFd as _,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use aya::{Ebpf, maps::Map};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use tracer_abi::{
    maps as names, recent,
    slot::{EPOCHS_BEFORE_WIPE, SLOTS},
};

use super::ProbeError;

/// The mapped `CONTROL` array. Mapped and not written by system calls, because the programs write
/// the same words: an atomic add loses no one's, and an atomic store is never seen in halves.
pub(super) struct Control {
    page: NonNull<tracer_abi::Control>,
    wiped_at: u64,
}

// SAFETY: the page is only ever accessed by atomic operations.
unsafe impl Send for Control {}

const LENGTH: NonZeroUsize = NonZeroUsize::new(size_of::<tracer_abi::Control>()).unwrap();

impl Control {
    pub(super) fn map(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        let mut mapped = || -> anyhow::Result<_> {
            let Some(Map::Array(data)) = ebpf.map_mut(names::CONTROL) else {
                anyhow::bail!("it is not in the object");
            };
            // SAFETY: a new mapping; the array was made with BPF_F_MMAPABLE and holds one element.
            let page = unsafe {
                mmap(
                    None,
                    LENGTH,
                    ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                    MapFlags::MAP_SHARED,
                    data.fd().as_fd(),
                    0,
                )
            }
            .context("mmap")?;
            Ok(page.cast())
        };
        Ok(Self {
            page: mapped().map_err(ProbeError::map("map", names::CONTROL))?,
            wiped_at: 0,
        })
    }

    fn epoch(&self) -> &AtomicU64 {
        // SAFETY: the mapping lives as long as `self`, is page-aligned, and everyone else accesses
        // the word atomically.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).epoch) }
    }

    fn exits(&self) -> &AtomicU64 {
        // SAFETY: as in `epoch`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).exits) }
    }

    /// Takes as many from one of the words that the programs count up; never below 0.
    fn give_back(word: &AtomicU64, count: u64) {
        let take = |taken: u64| Some(taken.saturating_sub(count));
        let _ = word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
    }

    /// A row was taken by user space.
    pub(super) fn take_row(&self) {
        self.rows_taken().fetch_add(1, Ordering::SeqCst);
    }

    /// Rows are free again.
    pub(super) fn give_back_rows(&self, count: u64) {
        Self::give_back(self.rows_taken(), count);
    }

    /// Numbers of values are free again.
    pub(super) fn give_back_values(&self, count: u64) {
        Self::give_back(self.values_taken(), count);
    }

    /// Places in the table of reported accesses are free again.
    pub(super) fn give_back_accesses(&self, count: u64) {
        // SAFETY: as in `epoch`.
        let taken = unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).accesses_taken) };
        Self::give_back(taken, count);
    }

    /// How many places in the table of reported accesses are taken.
    pub(super) fn accesses_taken(&self) -> u64 {
        // SAFETY: as in `epoch`.
        let taken = unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).accesses_taken) };
        taken.load(Ordering::SeqCst)
    }

    /// A path of an executable is kept by user space.
    pub(super) fn keep_executable(&self) {
        self.executables().fetch_add(1, Ordering::SeqCst);
    }

    /// Paths of executables are kept no more.
    pub(super) fn forget_executables(&self, count: u64) {
        Self::give_back(self.executables(), count);
    }

    /// How many paths of executables are kept.
    pub(super) fn executables_kept(&self) -> u64 {
        self.executables().load(Ordering::SeqCst)
    }

    fn executables(&self) -> &AtomicU64 {
        // SAFETY: as in `epoch`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).executables_kept) }
    }

    /// How many numbers of values are taken.
    pub(super) fn values_in_use(&self) -> u64 {
        self.values_taken().load(Ordering::SeqCst)
    }

    /// A cgroup that nobody was in is not followed any more.
    pub(super) fn forget_unused_cgroup(&self) {
        // SAFETY: as in `epoch`.
        let unused = unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).unused_cgroups) };
        Self::give_back(unused, 1);
    }

    fn rows_taken(&self) -> &AtomicU64 {
        // SAFETY: as in `epoch`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).rows_taken) }
    }

    fn values_taken(&self) -> &AtomicU64 {
        // SAFETY: as in `epoch`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.page.as_ptr()).values_taken) }
    }

    /// Tells the programs whether the exits of calls are watched.
    pub(super) fn watch_exits(&self, watched: bool) {
        self.exits().store(u64::from(watched), Ordering::SeqCst);
    }

    /// Makes every task look its row up again.
    pub(super) fn new_epoch(&self) {
        self.epoch().fetch_add(1, Ordering::SeqCst);
    }

    /// Empties the table of slots, when it is due before epochs come round again. That is right at
    /// any moment: a task whose slot is empty looks its row up again.
    pub(super) fn wipe_if_due(&mut self) {
        let now = self.epoch().load(Ordering::SeqCst);
        if now.wrapping_sub(self.wiped_at) < EPOCHS_BEFORE_WIPE {
            return;
        }
        self.wiped_at = now;
        for index in 0..SLOTS {
            // SAFETY: as in `epoch`; the index is below the array's length.
            let slot = unsafe {
                let slots = (&raw mut (*self.page.as_ptr()).slots).cast::<u64>();
                AtomicU64::from_ptr(slots.add(index))
            };
            slot.store(0, Ordering::Relaxed);
        }
    }
}

impl Control {
    /// Forgets which values are marked already, before rows are given to others.
    pub(super) fn forget_recent_values(&self) {
        for index in 0..recent::WORDS {
            // SAFETY: as in `epoch`; the index is below the array's length.
            let word = unsafe {
                let words = (&raw mut (*self.page.as_ptr()).recent).cast::<u64>();
                AtomicU64::from_ptr(words.add(index))
            };
            word.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`, and no reference outlives `self`.
        let _ = unsafe { munmap(self.page.cast(), LENGTH.get()) };
    }
}
