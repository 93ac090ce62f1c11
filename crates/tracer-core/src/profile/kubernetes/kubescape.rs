//! SeccompProfile of Kubescape: the profiles of all containers of a workload in one object.

use super::{ObjectName, Placement, head, syscalls::calls};
use crate::profile::{
    Limit, Remedy, Rendering, TargetError,
    seccomp::SeccompProfile,
    yaml::{Map, Value},
};

/// The profile of one container as Kubescape's object, which its node agent writes to `path` below the
/// kubelet's directory of profiles.
///
/// # Errors
/// When the container's name is not known, or it is too large for an object.
pub fn kubescape(
    name: &ObjectName,
    workload: &str,
    profile: &SeccompProfile,
    placement: &Placement,
    path: &str,
) -> Result<Rendering, TargetError> {
    let container = placement.container()?;
    let (calls, omissions) = calls(profile);
    let metadata = Map::new().with("name", name.as_str());
    let metadata = match &placement.namespace {
        Some(namespace) => metadata.with("namespace", namespace.as_str()),
        None => metadata,
    };
    let entry = Map::new()
        .with("name", container)
        .with("path", path)
        .with("spec", calls);
    let list = Value::Maps(vec![(String::new(), entry)]);
    let text = head(workload, &omissions)
        .with("apiVersion", "kubescape.io/v1")
        .with("kind", "SeccompProfile")
        .with("metadata", metadata)
        .with("spec", Map::new().with(placement.list(), list))
        .to_text();
    Limit::ObjectBytes {
        kind: "SeccompProfile",
    }
    .check(text.len(), Remedy::FewerArguments)?;
    Ok(Rendering { text, omissions })
}
