//! The ring of accesses.

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tracer_abi::maps as names;

use super::{KernelAccess, decode};
use crate::bpf::ProbeError;

/// Accesses as the kernel side tells them. Looked at when the ring of events is, which wakes
/// user space ten times a second.
pub struct AccessRing {
    ring: RingBuf<MapData>,
    malformed: u64,
}

impl AccessRing {
    pub(in crate::bpf) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        let map = ebpf
            .take_map(names::ACCESSES)
            .context("it is not in the object")
            .map_err(ProbeError::map("open", names::ACCESSES))?;
        let ring = RingBuf::try_from(map)
            .map_err(|error| ProbeError::map("open", names::ACCESSES)(error.into()))?;
        Ok(Self { ring, malformed: 0 })
    }

    /// Hands every waiting access to `each`, in the order of their coming.
    pub fn drain(&mut self, each: &mut dyn FnMut(KernelAccess)) {
        while let Some(bytes) = self.ring.next() {
            match decode::access(&bytes) {
                Ok(access) => each(access),
                Err(error) => {
                    log::warn!("an access that the kernel side told was skipped: {error}");
                    self.malformed += 1;
                }
            }
        }
    }

    /// Accesses that could not be read.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}
