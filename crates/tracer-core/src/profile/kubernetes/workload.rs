//! Where a workload is in its cluster, as far as its recording says so.

use std::collections::BTreeSet;

use super::{ObjectName, name::is_label};
use crate::{
    profile::{Fact, TargetError},
    recording::{Container, Recording},
};

/// Where a workload is in its cluster. What several recorded containers say differently is not known, nor
/// is a name that no cluster would have taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Its namespace.
    pub namespace: Option<String>,
    /// What owns its pods: the kind in small letters, and the name.
    pub owner: Option<(String, String)>,
    /// The container in the pod.
    pub container: Option<String>,
    /// What the container is in its pod: main, init, sidecar, ephemeral.
    pub role: Option<String>,
    /// The image as it was asked for.
    pub image: Option<String>,
}

impl Placement {
    /// What a recording says of it.
    pub fn from_recording(recording: &Recording) -> Self {
        // Names are those of the runs that are listed; a merged recording folds what tells it nothing new.
        let listed: Vec<_> = recording
            .instances
            .iter()
            .filter_map(|instance| instance.container.as_ref())
            .collect();
        let in_pods = listed.iter().filter(|it| it.pod.is_some());
        let kinds = recording.kinds();
        let all: Vec<_> = kinds
            .iter()
            .filter_map(|kind| kind.container.as_ref())
            .collect();
        Self {
            namespace: one(in_pods.clone().map(|it| namespace(it))),
            owner: one(in_pods.clone().map(|it| owner(it))),
            container: one(in_pods.map(|it| it.name.clone())).filter(|name| is_label(name)),
            role: one(all.iter().map(|it| it.role.clone())),
            image: one(all.iter().map(|it| it.image.clone())).filter(|image| is_reference(image)),
        }
    }

    /// The container's name.
    ///
    /// # Errors
    /// When it is not known.
    pub fn container(&self) -> Result<&str, TargetError> {
        self.container.as_deref().ok_or(TargetError::Missing {
            fact: Fact::ContainerName,
        })
    }

    /// The image of its container.
    ///
    /// # Errors
    /// When it is not known.
    pub fn image(&self) -> Result<&str, TargetError> {
        let image = self.image.as_deref().filter(|it| !it.is_empty());
        image.ok_or(TargetError::Missing { fact: Fact::Image })
    }

    /// The list of a pod's that the container is in.
    pub(super) fn list(&self) -> &'static str {
        match self.role.as_deref() {
            Some("init" | "sidecar") => "initContainers",
            Some("ephemeral") => "ephemeralContainers",
            _ => "containers",
        }
    }
}

fn namespace(container: &Container) -> Option<String> {
    let (namespace, _) = container.pod.as_deref()?.split_once('/')?;
    is_label(namespace).then(|| namespace.to_owned())
}

fn owner(container: &Container) -> Option<(String, String)> {
    let (kind, name) = container.owner.as_deref()?.split_once('/')?;
    ObjectName::new(name).ok()?;
    Some((kind.to_ascii_lowercase(), name.to_owned()))
}

/// Whether something may be the reference of an image: its characters are those of names, tags and digests
/// (distribution, reference/regexp.go).
fn is_reference(image: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-/:@+[]".contains(c);
    !image.is_empty() && image.chars().all(fine)
}

/// What all of them say.
fn one<T: Ord>(all: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut all: BTreeSet<_> = all.collect();
    if all.len() == 1 {
        all.pop_first().flatten()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        profile::{apparmor::fixture, hardening::tests::in_container},
        recording::Security,
    };

    #[test]
    fn placement_is_what_replicas_agree_on() {
        let mut recording = in_container(fixture::empty(), Security::default());
        let replica = recording.instances[0].clone();
        recording.instances.push(replica);
        if let Some(container) = recording.instances[1].container.as_mut() {
            container.pod = Some("shop/cart-7d9c-other".to_owned());
            container.image = Some("registry.example/cart:1.3".to_owned());
        }
        let placement = Placement::from_recording(&recording);
        assert_eq!(placement.namespace.as_deref(), Some("shop"));
        assert_eq!(placement.container(), Ok("web"));
        let owner = placement.owner.unwrap();
        assert_eq!((owner.0.as_str(), owner.1.as_str()), ("deployment", "cart"));
        assert_eq!(placement.image, None, "there are two");
    }

    #[test]
    fn invalid_names_are_dropped() {
        let mut recording = in_container(fixture::empty(), Security::default());
        if let Some(container) = recording.instances[0].container.as_mut() {
            container.name = Some("a\nb".to_owned());
            container.pod = Some("x: y/z".to_owned());
            container.owner = Some("deployment/<b>".to_owned());
            container.image = Some("a b".to_owned());
            container.role = None;
        }
        assert_eq!(Placement::from_recording(&recording), Placement::default());
    }

    #[test]
    fn command_has_no_placement() {
        let placement = Placement::from_recording(&fixture::empty());
        assert_eq!(placement, Placement::default());
        assert!(placement.container().is_err());
    }
}
