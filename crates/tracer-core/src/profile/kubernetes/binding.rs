//! ProfileBinding of the Security Profiles Operator: its webhook puts the profile into each new pod that
//! has a container of an image.

use super::{ObjectName, Placement, head, operator::GROUP, operator::Operator};
use crate::profile::{PlacementOmission, Rendering, TargetError, yaml::Map};

/// Bindings of the profiles to the image of the workload, in one file.
///
/// # Errors
/// When the image is not known.
pub fn profile_binding(
    name: &ObjectName,
    workload: &str,
    placement: &Placement,
    has_apparmor: bool,
    operator: Operator,
) -> Result<Rendering, TargetError> {
    let image = placement.image()?;
    let version = operator.others();
    let kinds = if has_apparmor {
        &["SeccompProfile", "AppArmorProfile"][..]
    } else {
        &["SeccompProfile"]
    };
    let mut omissions = vec![PlacementOmission::Container.into()];
    if placement.namespace.is_none() {
        omissions.push(PlacementOmission::UnknownNamespace.into());
    }
    if has_apparmor && operator == Operator::V0_10 {
        omissions.push(PlacementOmission::AppArmorBinding.into());
    }
    let mut text = head(workload, &omissions)
        .comment(
            "The operator only looks at namespaces with the label spo.x-k8s.io/enable-binding.",
        )
        .to_text();
    for (at, kind) in kinds.iter().enumerate() {
        let short = kind.trim_end_matches("Profile").to_ascii_lowercase();
        let metadata = Map::new().with(
            "name",
            ObjectName::new(&format!("{name}.{short}"))?.as_str(),
        );
        let metadata = match &placement.namespace {
            Some(namespace) => metadata.with("namespace", namespace.as_str()),
            None => metadata,
        };
        let binding = Map::new()
            .with("apiVersion", format!("{GROUP}/{version}"))
            .with("kind", "ProfileBinding")
            .with("metadata", metadata)
            .with(
                "spec",
                Map::new()
                    .with(
                        "profileRef",
                        Map::new().with("kind", *kind).with("name", name.as_str()),
                    )
                    .with("image", image),
            );
        if at > 0 {
            text.push_str("---\n");
        }
        text.push_str(&binding.to_text());
    }
    Ok(Rendering { text, omissions })
}
