//! Where profiles are enforced, as it was typed.

use tracer_core::{
    formats::Targets,
    profile::kubernetes::{Localhost, ObjectName, Operator},
};

/// Where profiles are enforced.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Kubernetes options")]
pub(super) struct TargetArgs {
    /// Version of the Security Profiles Operator in the cluster [default: 1.0 and later]
    #[arg(long, value_name = "VERSION")]
    spo: Option<Operator>,

    /// Path of the seccomp profile on the nodes, below /var/lib/kubelet/seccomp, without the operator
    /// [default: operator/NAME.json]
    #[arg(long, value_name = "PATH", value_parser = Localhost::file)]
    localhost_profile: Option<Localhost>,

    /// Kubernetes version; before 1.30, AppArmor profiles are named by an annotation [default: 1.30 and later]
    #[arg(long, value_name = "VERSION", value_parser = is_old)]
    kubernetes: Option<bool>,

    /// Name the seccomp profile only: an API server refuses a pod with an AppArmor profile where the nodes
    /// have no AppArmor
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Option<Only>,

    /// Container in the pod [default: the recorded one]
    #[arg(long, value_name = "NAME", value_parser = container)]
    container: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Only {
    /// The seccomp profile
    Seccomp,
}

impl TargetArgs {
    /// What was typed, resolved.
    pub(super) fn targets(&self) -> Targets {
        Targets {
            operator: self.spo.unwrap_or_default(),
            localhost: self.localhost_profile.clone().unwrap_or_default(),
            old_cluster: self.kubernetes.unwrap_or_default(),
            seccomp_only: self.only == Some(Only::Seccomp),
            container: self.container.clone(),
        }
    }
}

/// Whether a version of Kubernetes is older than `securityContext.appArmorProfile`.
fn is_old(version: &str) -> Result<bool, String> {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
    match (number(), number()) {
        (Some(1), Some(minor)) => Ok(minor < 30),
        (Some(2..), _) => Ok(false),
        _ => Err("give a version such as 1.29".to_owned()),
    }
}

/// A container's name: a DNS-1123 label.
fn container(name: &str) -> Result<String, String> {
    let is_label = name.len() <= 63 && !name.contains('.') && ObjectName::new(name).is_ok();
    if is_label {
        Ok(name.to_owned())
    } else {
        Err(
            "a container's name has up to 63 small letters, digits and -, and begins and ends with a letter or digit"
                .to_owned(),
        )
    }
}
