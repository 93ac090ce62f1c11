//! SelinuxProfile and RawSelinuxProfile of the Security Profiles Operator, and a container's `seLinuxOptions`.
//!
//! The operator makes a CIL block of the object's name (internal/pkg/translator/obj2cil.go), so its type is
//! `NAME.process`. A block's name has no dots: they become two dashes.

use std::collections::BTreeMap;

use super::{ObjectName, head, operator::GROUP, operator::Operator};
use crate::{
    profile::{
        Limit, NameKind, Omission, Remedy, Rendering, SelinuxOmission, TargetError,
        selinux::{Base, SelinuxProfile, is_identifier},
        yaml::{Map, Value},
    },
    recording::SelinuxTarget,
};

/// The name of the object, and so of the block.
///
/// # Errors
/// When CIL takes no block of that name.
pub fn selinux_name(name: &ObjectName) -> Result<String, TargetError> {
    let block = name.as_str().replace('.', "--");
    // Two objects must not become one block.
    if name.as_str().contains("--") || !is_identifier(&block) {
        return Err(NameKind::OperatorSelinux.refuse(name.as_str()));
    }
    Ok(block)
}

/// The profile as a SelinuxProfile.
///
/// # Errors
/// When the name is none of a block, or the object is too large.
pub fn selinux_profile(
    name: &ObjectName,
    profile: &SelinuxProfile,
    operator: Operator,
) -> Result<Rendering, TargetError> {
    let name = selinux_name(name)?;
    let mut omissions = lost(profile);
    for (source, class) in profile.callers.keys() {
        omissions.push(
            SelinuxOmission::Caller {
                source: source.clone(),
                class: class.clone(),
            }
            .into(),
        );
    }
    let mut targets: BTreeMap<String, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for ((target, class), rule) in &profile.rules {
        let target = match target {
            SelinuxTarget::Domain => "@self".to_owned(),
            SelinuxTarget::Type(name) => name.clone(),
        };
        let permissions = rule.permissions.iter().cloned().collect();
        targets
            .entry(target)
            .or_default()
            .insert(class, permissions);
    }
    let mut allow = Map::new();
    for (target, classes) in targets {
        let classes = classes.into_iter().fold(Map::new(), |map, (class, names)| {
            map.with_texts(class, names)
        });
        allow = allow.with_map(&target, classes);
    }
    let mut spec = match (operator, profile.complain) {
        (Operator::V1, true) => Map::new().with("mode", "Permissive"),
        (Operator::V1, false) => Map::new().with("mode", "Enforcing"),
        (Operator::V0_10, permissive) => Map::new().with("permissive", permissive),
    };
    match &profile.base {
        Base::Block(block) => {
            let inherit = Map::new()
                .with("kind", "System")
                .with("name", block.as_str());
            spec = spec.with("inherit", Value::Maps(vec![(String::new(), inherit)]));
        }
        Base::Standalone => omissions.push(SelinuxOmission::Standalone.into()),
    }
    let spec = spec.with_map("allow", allow);
    finish("SelinuxProfile", &name, profile, operator, spec, omissions)
}

/// The profile as a RawSelinuxProfile, whose policy is the CIL inside of the block.
///
/// # Errors
/// When the name is none of a block, or the object is too large.
pub fn raw_selinux_profile(
    name: &ObjectName,
    profile: &SelinuxProfile,
    operator: Operator,
) -> Result<Rendering, TargetError> {
    let name = selinux_name(name)?;
    let spec = Map::new().with("policy", profile.statements());
    let omissions = lost(profile);
    finish(
        "RawSelinuxProfile",
        &name,
        profile,
        operator,
        spec,
        omissions,
    )
}

/// `seLinuxOptions` of a container's `securityContext`.
pub fn selinux_options(type_name: &str, profile: &SelinuxProfile) -> Rendering {
    let omissions = vec![
        SelinuxOmission::Rules {
            type_name: type_name.to_owned(),
        }
        .into(),
    ];
    let options = Map::new().with("type", type_name);
    let context = Map::new().with("seLinuxOptions", options);
    let text = head(&profile.workload, &omissions)
        .with("securityContext", context)
        .to_text();
    Rendering { text, omissions }
}

fn lost(profile: &SelinuxProfile) -> Vec<Omission> {
    let lost = profile.lost.iter().cloned();
    lost.map(|it| SelinuxOmission::Lost(it).into()).collect()
}

fn finish(
    kind: &'static str,
    name: &str,
    profile: &SelinuxProfile,
    operator: Operator,
    spec: Map,
    omissions: Vec<Omission>,
) -> Result<Rendering, TargetError> {
    // selinuxprofile_types.go: v1alpha2 until 1.0.
    let version = match operator {
        Operator::V1 => "v1",
        Operator::V0_10 => "v1alpha2",
    };
    let text = head(&profile.workload, &omissions)
        .with("apiVersion", format!("{GROUP}/{version}"))
        .with("kind", kind)
        .with("metadata", Map::new().with("name", name))
        .with("spec", spec)
        .to_text();
    Limit::ObjectBytes { kind }.check(text.len(), Remedy::FewerPaths)?;
    Ok(Rendering { text, omissions })
}
