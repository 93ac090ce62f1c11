//! Objects and fields of Kubernetes: one renderer a file.
//!
//! | file | renders |
//! | --- | --- |
//! | `seccomp_profile` | SeccompProfile of the Security Profiles Operator |
//! | `apparmor_profile` | its AppArmorProfile |
//! | `selinux` | its SelinuxProfile and RawSelinuxProfile, and a container's `seLinuxOptions` |
//! | `binding` | its ProfileBinding |
//! | `kubescape` | Kubescape's SeccompProfile |
//! | `security_context` | a container's `securityContext`, and a strategic-merge patch that sets it |

mod apparmor_profile;
mod binding;
mod kubescape;
mod name;
mod operator;
#[cfg(test)]
mod round_trip_tests;
mod seccomp_profile;
mod security_context;
mod selinux;
mod syscalls;
mod workload;

pub use apparmor_profile::apparmor_profile;
pub use binding::profile_binding;
pub use kubescape::kubescape;
pub use name::ObjectName;
pub use operator::Operator;
pub use seccomp_profile::seccomp_profile;
pub(crate) use security_context::ANNOTATION;
pub use security_context::{Context, Localhost};
pub use selinux::{raw_selinux_profile, selinux_name, selinux_options, selinux_profile};
pub use workload::Placement;

use super::{Omission, yaml::Map};

/// The head of a file: who made it, and what it cannot say.
fn head(workload: &str, omissions: &[Omission]) -> Map {
    let mut head = Map::new().comment(&format!(
        "Made by tracer for {workload}. REVIEW.md has the reason and the evidence of each rule."
    ));
    if !omissions.is_empty() {
        head = head.comment("This format cannot express:");
    }
    for omission in omissions {
        head = head.comment(&format!("- {omission}"));
    }
    head
}
