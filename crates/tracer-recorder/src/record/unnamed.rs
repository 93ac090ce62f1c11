//! Containers of pods that nothing told the name of. Each has a recording of its own, and may be an
//! instance of a workload whose recording would then claim more than it knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::container::Container;
use tracer_core::recording::Reason;

/// The containers of pods: which pod each named one is in, and how many in each have no name.
#[derive(Debug, Default)]
pub(super) struct UnnamedInPods {
    pod_of_named: BTreeMap<u32, String>,
    unnamed: BTreeMap<String, u64>,
}

impl UnnamedInPods {
    /// Counts those among the instances that are recorded.
    pub(super) fn of<'a>(recorded: impl Iterator<Item = (u32, Option<&'a Container>)>) -> Self {
        let mut counted = Self::default();
        for (instance, container) in recorded {
            let Some(pod) = container.and_then(|container| container.pod.as_ref()) else {
                continue;
            };
            let Some(uid) = pod.uid.clone() else {
                continue;
            };
            if pod.name.is_empty() {
                *counted.unnamed.entry(uid).or_default() += 1;
            } else {
                counted.pod_of_named.insert(instance, uid);
            }
        }
        counted
    }

    /// Counts those that were given up, by their pods.
    pub(super) fn with(mut self, given_up: &BTreeMap<String, u64>) -> Self {
        for (pod, count) in given_up {
            *self.unnamed.entry(pod.clone()).or_default() += count;
        }
        self
    }

    /// The pods that a named container is in.
    pub(super) fn pods(&self) -> BTreeSet<&str> {
        self.pod_of_named.values().map(String::as_str).collect()
    }

    /// The reason against a workload with these instances.
    pub(super) fn reason(&self, instances: &[u32]) -> Option<Reason> {
        let pods: BTreeSet<_> = instances
            .iter()
            .filter_map(|instance| self.pod_of_named.get(instance))
            .collect();
        let count = pods
            .into_iter()
            .filter_map(|pod| self.unnamed.get(pod))
            .sum();
        (count > 0).then_some(Reason::UnnamedInstances { count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{MetadataSources, Pod, resolve};

    fn in_pod(uid: &str, name: &str) -> Container {
        let path = format!("/kubepods/pod{uid}/{}", "a".repeat(64));
        let mut container = resolve(&path, &MetadataSources::local()).unwrap();
        container.pod = Some(Pod {
            name: name.to_owned(),
            uid: Some(uid.to_owned()),
            ..Pod::default()
        });
        container
    }

    #[test]
    fn an_unnamed_container_counts_against_the_others_of_its_pod() {
        let one = "11111111-2222-3333-4444-555555555555";
        let two = "99999999-2222-3333-4444-555555555555";
        let containers = [
            in_pod(one, "web-0"),
            in_pod(one, ""),
            in_pod(two, "web-1"),
            in_pod(two, ""),
        ];
        let recorded = containers.iter().zip(0..);
        let counted = UnnamedInPods::of(recorded.map(|(container, at)| (at, Some(container))));
        let count = |instances: &[u32]| counted.reason(instances);
        assert_eq!(count(&[0]), Some(Reason::UnnamedInstances { count: 1 }));
        assert_eq!(count(&[0, 2]), Some(Reason::UnnamedInstances { count: 2 }));
        assert_eq!(count(&[1]), None);
        assert_eq!(count(&[7]), None);
        assert_eq!(counted.pods(), BTreeSet::from([one, two]));
        let more = counted.with(&BTreeMap::from([(two.to_owned(), 3)]));
        assert_eq!(
            more.reason(&[2]),
            Some(Reason::UnnamedInstances { count: 4 })
        );
    }
}
