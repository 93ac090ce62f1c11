//! SeccompProfile of the Security Profiles Operator.

use super::{ObjectName, head, operator::GROUP, operator::Operator, syscalls::calls};
use crate::profile::{Limit, Remedy, Rendering, TargetError, seccomp::SeccompProfile, yaml::Map};

/// The profile as an object of the operator's, which puts it on every node as `operator/<name>.json`.
///
/// # Errors
/// When it is too large for an object.
pub fn seccomp_profile(
    name: &ObjectName,
    workload: &str,
    profile: &SeccompProfile,
    operator: Operator,
) -> Result<Rendering, TargetError> {
    let (calls, omissions) = calls(profile);
    let version = operator.seccomp();
    let text = head(workload, &omissions)
        .with("apiVersion", format!("{GROUP}/{version}"))
        .with("kind", "SeccompProfile")
        .with("metadata", Map::new().with("name", name.as_str()))
        .with("spec", calls)
        .to_text();
    Limit::ObjectBytes {
        kind: "SeccompProfile",
    }
    .check(text.len(), Remedy::FewerArguments)?;
    Ok(Rendering { text, omissions })
}
