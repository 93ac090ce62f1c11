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
use tracer_ebpf::{maps as names, slot::EPOCHS_BEFORE_WIPE};

use super::ProbeError;

/// The mapped `CONTROL` array. Mapped and not written by system call, because the programs add to
/// the same word: only an atomic add loses no one's.
pub(super) struct Control {
    page: NonNull<tracer_ebpf::Control>,
    wiped_at: u64,
}

// SAFETY: the page is only ever accessed by atomic operations.
unsafe impl Send for Control {}

const LENGTH: NonZeroUsize = NonZeroUsize::new(size_of::<tracer_ebpf::Control>()).unwrap();

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

    /// Makes every task look its row up again.
    pub(super) fn new_epoch(&self) {
        self.epoch().fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the table of slots must be emptied before epochs come round again.
    pub(super) fn wipe_is_due(&mut self) -> bool {
        let now = self.epoch().load(Ordering::SeqCst);
        let due = now.wrapping_sub(self.wiped_at) >= EPOCHS_BEFORE_WIPE;
        if due {
            self.wiped_at = now;
        }
        due
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`, and no reference outlives `self`.
        let _ = unsafe { munmap(self.page.cast(), LENGTH.get()) };
    }
}
