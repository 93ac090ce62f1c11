//! Which accesses the kernel side has told of.

use std::{
    collections::HashMap as StdMap,
    time::{Duration, Instant},
};

use aya::maps::{Array, HashMap};
use tracer_abi::maps as names;

use crate::bpf::{Probe, ProbeError};

/// How often it is looked for accesses that were never told, at most: that reads the whole table.
const INTERVAL: Duration = Duration::from_secs(60);

/// Accesses that found the ring full each time. Only the kernel side knows them, so nobody else gives their places
/// back.
pub(in crate::bpf) struct UntoldAccesses {
    /// How often each had failed at the last look.
    failed: StdMap<u64, u32>,
    looked_at: Instant,
    /// How many were taken away: they are lost all the same.
    removed: u64,
    /// How many places must be taken for a look.
    many: u64,
}

impl UntoldAccesses {
    /// Looks when `many` places are taken.
    pub(in crate::bpf) fn new(many: u32) -> Self {
        Self {
            failed: StdMap::new(),
            looked_at: Instant::now(),
            removed: 0,
            many: u64::from(many),
        }
    }
}

impl Probe {
    /// Gives back the places of accesses that were never told, and were not tried again for a minute, when many
    /// places are taken. One that is told later counts as lost although it is not.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be opened.
    pub fn recycle_accesses(&mut self) -> Result<(), ProbeError> {
        if self.untold.looked_at.elapsed() < INTERVAL
            || self.control.accesses_taken() < self.untold.many
        {
            return Ok(());
        }
        self.untold.looked_at = Instant::now();
        let told: HashMap<_, u64, u32> = self.map_mut(names::REPORTED)?;
        let failed: StdMap<u64, u32> = told
            .iter()
            .flatten()
            .filter(|(_, failed)| *failed > 0)
            .collect();
        let before = std::mem::take(&mut self.untold.failed);
        let gone: Vec<u64> = failed
            .iter()
            .filter(|(key, failed)| before.get(*key) == Some(*failed))
            .map(|(key, _)| *key)
            .collect();
        self.untold.failed = failed;
        self.untold.removed += gone.len() as u64;
        self.forget_accesses(&gone)
    }

    /// Makes room for others: these were told, and whoever made them is gone.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be opened.
    pub fn forget_accesses(&mut self, keys: &[u64]) -> Result<(), ProbeError> {
        let mut told: HashMap<_, u64, u32> = self.map_mut(names::REPORTED)?;
        // One may be named twice.
        let removed = keys.iter().filter(|key| told.remove(key).is_ok()).count();
        self.control.give_back_accesses(removed as u64);
        Ok(())
    }

    /// How many different accesses found the ring full each time that they were made: lost.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn unreported_accesses(&mut self) -> Result<u64, ProbeError> {
        let mut untold = self.untold.removed;
        let told: HashMap<_, u64, u32> = self.map_mut(names::REPORTED)?;
        for entry in told.iter() {
            // A key that goes away while they are listed only begins the list anew.
            untold += u64::from(entry.is_ok_and(|(_, failed)| failed > 0));
        }
        Ok(untold)
    }

    /// A row is given to others: what was told of it says nothing about them.
    pub(in crate::bpf) fn renew_salt(&mut self, row: u32) -> Result<(), ProbeError> {
        self.salt += 1;
        let salt = self.salt;
        let mut salts: Array<_, u64> = self.map_mut(names::ROW_GENERATIONS)?;
        salts
            .set(row, salt, 0)
            .map_err(|error| ProbeError::map("change", names::ROW_GENERATIONS)(error.into()))
    }
}
