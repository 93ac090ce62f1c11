//! `kubernetes/profilebinding.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};
use crate::profile::kubernetes;

const FILE: &str = "kubernetes/profilebinding.yaml";

/// ProfileBinding of the Security Profiles Operator.
pub(super) struct ProfileBinding;

impl OutputFormat for ProfileBinding {
    fn name(&self) -> &'static str {
        "profile-binding"
    }

    fn help(&self) -> &'static str {
        "ProfileBinding of the Security Profiles Operator, which puts the profiles into new pods by image"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn group(&self) -> Option<Group> {
        Some(Group::Kubernetes)
    }

    fn by_default(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::SameMachine, Need::ObjectName, Need::Image]
    }

    fn cannot_express(&self) -> &'static str {
        "which container of a pod"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let made = kubernetes::profile_binding(
            &models.object()?,
            models.workload(),
            &models.placement(),
            models.apparmor.is_some() && !models.settings.targets.seccomp_only,
            models.settings.targets.operator,
        )?;
        Ok(Output::rendering(FILE, made))
    }
}
