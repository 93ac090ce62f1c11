//! What a [`Supervisor`](crate::record::Supervisor) decides of the containers that are tracked.

use super::ContainerTracker;
use crate::{
    container::Container,
    record::{
        lookup::ContainerLookup,
        supervisor::{Selection, WorkloadAge},
    },
};

impl<L: ContainerLookup> ContainerTracker<L> {
    /// Whether a container is not to be recorded.
    pub(in crate::record) fn refuses(&self, path: &str, container: Option<&Container>) -> bool {
        let supervisor = self.supervisor.as_ref();
        supervisor.is_some_and(|it| it.select(path, container) == Selection::Refused)
    }

    /// The instances that are recorded, by number.
    pub(in crate::record) fn numbers(&self) -> Vec<u32> {
        self.wanted().map(|(number, _)| number).collect()
    }

    fn container(&self, number: u32) -> Option<&Container> {
        let tracked = self.tracked_by_instance.get(&number);
        tracked
            .or_else(|| self.ended.get(&number))?
            .container
            .as_ref()
    }

    /// What is decided of an instance that is recorded.
    pub(in crate::record) fn selection(&self, path: &str, number: u32) -> Selection {
        let container = self.container(number);
        let supervisor = self.supervisor.as_ref();
        supervisor.map_or(Selection::Wanted, |it| it.select(path, container))
    }

    /// Whether an instance goes on being recorded.
    pub(in crate::record) fn goes_on(&mut self, number: u32, age: WorkloadAge) -> bool {
        let Some(container) = self.container(number).cloned() else {
            return true;
        };
        self.supervisor
            .as_mut()
            .is_none_or(|it| it.goes_on(&container, age))
    }

    /// Whether nobody told the names of an instance yet.
    pub(in crate::record) fn is_unnamed(&self, number: u32) -> bool {
        self.container(number)
            .is_some_and(|container| !container.is_named())
    }

    /// The uid of the pod that an instance is in.
    pub(in crate::record) fn pod(&self, number: u32) -> Option<String> {
        self.container(number)?.pod.as_ref()?.uid.clone()
    }

    /// An instance was written, or is given up.
    pub(in crate::record) fn forget(&mut self, number: u32) {
        self.tracked_by_instance.remove(&number);
        self.ended.remove(&number);
    }
}
