//! The ring of accesses.

use std::collections::VecDeque;

use aya::Ebpf;
use tracer_abi::maps as names;

use super::{KernelAccess, decode};
use crate::bpf::{ProbeError, events::Ring};

/// Accesses as the kernel side tells them.
pub struct AccessRing {
    pub(in crate::bpf) ring: Ring,
    gathered: VecDeque<KernelAccess>,
    malformed: u64,
}

impl AccessRing {
    pub(in crate::bpf) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        Ok(Self {
            ring: Ring::take(ebpf, names::ACCESSES)?,
            gathered: VecDeque::new(),
            malformed: 0,
        })
    }

    /// Takes what is in the ring, until so many are waiting to be handed over.
    pub(in crate::bpf) fn gather(&mut self, many: usize) {
        while self.gathered.len() < many
            && let Some(access) = self.next()
        {
            self.gathered.push_back(access);
        }
    }

    /// How many were taken and not handed over.
    pub(in crate::bpf) fn gathered(&self) -> usize {
        self.gathered.len()
    }

    fn next(&mut self) -> Option<KernelAccess> {
        let ring = self.ring.get()?;
        while let Some(bytes) = ring.next() {
            match decode::access(&bytes) {
                Ok(access) => return Some(access),
                Err(error) => {
                    log::warn!("an access that the kernel side told was skipped: {error}");
                    self.malformed += 1;
                }
            }
        }
        None
    }

    /// Hands every waiting access to `each`, in the order of their coming; whether there was any.
    pub fn drain(&mut self, each: &mut dyn FnMut(KernelAccess)) -> bool {
        let mut any = false;
        while let Some(access) = self.gathered.pop_front().or_else(|| self.next()) {
            any = true;
            each(access);
        }
        any
    }

    /// Accesses that could not be read.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}
