//! The forms that profiles have.

use std::fmt;

/// How a profile is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The runtime-spec's.
    Oci,
    /// With what Docker, Podman and CRI-O read beside it.
    Engine,
    /// A SeccompProfile of the Security Profiles Operator.
    Resource,
    /// A container's part of a SeccompProfile of Kubescape.
    Kubescape,
    /// AppArmor text.
    AppArmor,
    /// An AppArmorProfile of the Security Profiles Operator.
    AppArmorResource,
    /// CIL, of an SELinux policy.
    Cil,
    /// A SelinuxProfile of the Security Profiles Operator.
    SelinuxResource,
    /// A RawSelinuxProfile of the Security Profiles Operator.
    RawSelinuxResource,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oci => "a seccomp profile in the runtime-spec's form",
            Self::Engine => "a seccomp profile in Docker's form",
            Self::Resource => "a SeccompProfile of the Security Profiles Operator",
            Self::Kubescape => "a SeccompProfile of Kubescape",
            Self::AppArmor => "AppArmor text",
            Self::Cil => "CIL",
            Self::SelinuxResource => "a SelinuxProfile of the Security Profiles Operator",
            Self::RawSelinuxResource => "a RawSelinuxProfile of the Security Profiles Operator",
            Self::AppArmorResource => "an AppArmorProfile of the Security Profiles Operator",
        })
    }
}
