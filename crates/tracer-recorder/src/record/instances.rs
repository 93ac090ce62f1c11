//! The instances of a recording, by number: who is which.

use std::collections::HashMap;

use super::instance::TrackedInstance;

/// All instances. Numbers are used again, as a recorder may run for months.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// By their numbers.
    all: Vec<TrackedInstance>,
    /// Numbers of forgotten instances, for others to have.
    free: Vec<u32>,
    /// How many there were in all.
    in_all: u64,
    /// By the id of the cgroup that each began with.
    by_id: HashMap<u64, u32>,
}

impl Instances {
    /// Takes in an instance; returns its number.
    pub(super) fn add(&mut self, instance: TrackedInstance) -> u32 {
        self.in_all += 1;
        let id = instance.cgroup.id;
        let reused = self.free.pop();
        let number = match reused.and_then(|number| Some((number, self.get_mut(number)?))) {
            Some((number, place)) => {
                *place = instance;
                number
            }
            None => {
                self.all.push(instance);
                // As many as memory holds; a number that does not fit would need 4 billion containers.
                u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_id.insert(id, number);
        number
    }

    /// An instance is not wanted: its number will be another's.
    pub(super) fn forget(&mut self, number: u32) {
        if let Some(instance) = self.get(number) {
            let id = instance.cgroup.id;
            self.by_id.remove(&id);
            self.free.push(number);
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&TrackedInstance> {
        self.all.get(number as usize)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut TrackedInstance> {
        self.all.get_mut(number as usize)
    }

    /// The number of the instance that began with this cgroup.
    pub(super) fn number(&self, cgroup: u64) -> Option<u32> {
        self.by_id.get(&cgroup).copied()
    }

    /// The same, when its recording has not ended.
    pub(super) fn recorded(&self, cgroup: u64) -> Option<u32> {
        let number = self.number(cgroup)?;
        self.get(number)
            .is_some_and(|instance| instance.ended.is_none())
            .then_some(number)
    }

    /// All of them; a number that is free now still has its last instance.
    pub(super) fn all(&self) -> &[TrackedInstance] {
        &self.all
    }

    /// Those that are recorded now.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, &TrackedInstance)> {
        (0..).zip(&self.all).filter(|(_, instance)| instance.live)
    }

    /// Whether there was never more than one.
    pub(super) fn is_single(&self) -> bool {
        self.in_all == 1
    }
}
