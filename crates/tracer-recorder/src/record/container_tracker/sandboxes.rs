//! Which containers are the sandboxes of pods, where an API server tells the names: it does not know sandboxes.
//!
//! A runtime makes a pod's sandbox before any of its containers (CRI, `RunPodSandbox` before `CreateContainer`). And
//! the ids of cgroups grow: the kernel gives inode numbers in turn (fs/kernfs/dir.c, `idr_alloc_cyclic` with a
//! generation above it). So what nobody names in a pod, and is older than all that is named there, is the sandbox. A
//! pod has one: what else has no name is a container that the API server was not told of in time, and counts as such.

use super::ContainerTracker;
use crate::record::{
    kernel::Kernel, lookup::ContainerLookup, session::Session, system::System,
    tracked_container::TrackedContainer,
};

/// How many pods are remembered whose sandbox was found.
const MAX_PODS: usize = 10_000;

/// A container of a pod: the pod's uid, the id of its cgroup, its number, and whether it has a name.
struct InPod<'a> {
    uid: &'a str,
    cgroup: u64,
    number: u32,
    is_named: bool,
}

impl<L: ContainerLookup> ContainerTracker<L> {
    /// Marks the sandboxes among the containers that have no name, to be looked up once more.
    pub(super) fn find_sandboxes<K: Kernel, S: System>(&mut self, session: &Session<K, S>) {
        if !self.lookup.has_name_source() || !self.has_unnamed() {
            return;
        }
        let numbered = self.tracked_by_instance.iter().chain(&self.ended);
        let in_pods: Vec<_> = numbered
            .filter_map(|(number, tracked)| in_pod(*number, tracked, session))
            .filter(|it| !self.pods_with_sandbox.contains(it.uid))
            .collect();
        let found: Vec<_> = sandboxes(&in_pods)
            .map(|it| (it.number, it.uid.to_owned()))
            .collect();
        for (number, uid) in found {
            if let Some(tracked) = self.tracked_by_instance.get_mut(&number) {
                tracked.is_sandbox = true;
                tracked.looked = None;
            }
            if self.pods_with_sandbox.len() >= MAX_PODS {
                self.pods_with_sandbox.clear();
            }
            self.pods_with_sandbox.insert(uid);
        }
    }
}

fn in_pod<'a, K: Kernel, S: System>(
    number: u32,
    tracked: &'a TrackedContainer,
    session: &Session<K, S>,
) -> Option<InPod<'a>> {
    let container = tracked.container.as_ref()?;
    // Its files tell what it is.
    if container.known {
        return None;
    }
    Some(InPod {
        uid: container.pod.as_ref()?.uid.as_deref()?,
        cgroup: session.instance(number)?.cgroup.id,
        number,
        is_named: container.is_named(),
    })
}

/// The oldest of each pod, where it has no name and another one has.
fn sandboxes<'a>(in_pods: &'a [InPod<'a>]) -> impl Iterator<Item = &'a InPod<'a>> {
    let of_pod = |uid: &'a str| in_pods.iter().filter(move |it| it.uid == uid);
    in_pods.iter().filter(move |it| {
        !it.is_named
            && of_pod(it.uid).all(|other| other.cgroup >= it.cgroup)
            && of_pod(it.uid).any(|other| other.is_named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn one(uid: &str, cgroup: u64, number: u32, is_named: bool) -> InPod<'_> {
        InPod {
            uid,
            cgroup,
            number,
            is_named,
        }
    }

    #[test]
    fn oldest_unnamed_of_a_pod_is_its_sandbox() {
        let found = |in_pods: &[InPod<'_>]| -> Vec<u32> {
            sandboxes(in_pods).map(|it| it.number).collect()
        };
        // Nothing in the pod has a name yet: the API server is asked still.
        assert!(found(&[one("a", 1, 1, false), one("a", 2, 2, false)]).is_empty());
        // A container that nobody told of is no sandbox.
        let pod = [
            one("a", 10, 1, false),
            one("a", 11, 2, false),
            one("a", 12, 3, true),
            one("b", 1, 4, false),
        ];
        assert_eq!(found(&pod), [1]);
        // The sandbox was there before the recording, or is gone.
        let later = [one("a", 11, 1, true), one("a", 12, 2, false)];
        assert!(found(&later).is_empty());
        // Rows are reused: the number says nothing.
        let reused = [one("a", 10, 9, false), one("a", 11, 2, true)];
        assert_eq!(found(&reused), [9]);
    }
}
