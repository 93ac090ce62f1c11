//! SeccompProfile of the Security Profiles Operator.

use super::{ObjectName, calls::calls, head, operator::GROUP, operator::Operator};
use crate::profile::{Rendering, Unfit, seccomp::SeccompProfile, unsaid::object_fits, yaml::Map};

/// The profile as an object of the operator's, which puts it on every node as `operator/<name>.json`.
///
/// # Errors
/// When it is too large for an object.
pub fn seccomp_profile(
    name: &ObjectName,
    workload: &str,
    profile: &SeccompProfile,
    operator: Operator,
) -> Result<Rendering, Unfit> {
    let (calls, unsaid) = calls(profile);
    let version = operator.seccomp();
    let text = head(workload, &unsaid)
        .with("apiVersion", format!("{GROUP}/{version}"))
        .with("kind", "SeccompProfile")
        .with("metadata", Map::new().with("name", name.as_str()))
        .with("spec", calls)
        .to_text();
    object_fits(
        "the SeccompProfile",
        &text,
        "make it with --arguments safe or off",
    )?;
    Ok(Rendering { text, unsaid })
}
