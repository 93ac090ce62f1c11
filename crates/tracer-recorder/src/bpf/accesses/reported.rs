//! Which accesses the kernel side has told of.

use aya::maps::{Array, HashMap};
use tracer_abi::maps as names;

use crate::bpf::{Probe, ProbeError};

impl Probe {
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
        let told: HashMap<_, u64, u32> = self.map_mut(names::REPORTED)?;
        let mut untold = 0;
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
