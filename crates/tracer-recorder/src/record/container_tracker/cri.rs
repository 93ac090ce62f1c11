//! When CRI is asked for names, and what its answer changes.

use std::time::{Duration, Instant};

use super::ContainerTracker;
use crate::{container::Container, record::lookup::ContainerLookup};

/// How often CRI is asked at most: it answers for all containers at once.
const CRI_QUERY_INTERVAL: Duration = Duration::from_secs(2);

impl<L: ContainerLookup> ContainerTracker<L> {
    /// Asks CRI, unless that was done just now.
    pub(super) fn query_cri_if_due(&mut self, now: Instant) {
        let is_recent = now.duration_since(self.cri_queried_at) < CRI_QUERY_INTERVAL;
        if !self.needs_cri || self.lookup.is_querying_cri() || is_recent {
            return;
        }
        self.needs_cri = false;
        self.cri_queried_at = now;
        self.lookup.query_cri();
    }

    pub(super) fn take_cri_answer(&mut self) {
        if !self.lookup.take_cri_answer() {
            return;
        }
        // Those of pods may have names now. The runtime knows those that ended, for a while.
        for tracked in self.tracked_by_instance.values_mut() {
            let unnamed = |container: &Container| !container.is_named();
            let in_pod = |container: &Container| container.pod.is_some();
            let container = tracked.container.as_ref();
            if container.is_some_and(unnamed) || !tracked.removed && container.is_some_and(in_pod) {
                tracked.looked = None;
            }
        }
    }

    /// Whether a container of a pod is recorded, or may have to be, of which nobody told the name.
    pub(in crate::record) fn has_unnamed(&self) -> bool {
        let containers = self.tracked_by_instance.values();
        containers
            .filter_map(|tracked| tracked.container.as_ref())
            .any(|container| !container.is_named())
    }
}
