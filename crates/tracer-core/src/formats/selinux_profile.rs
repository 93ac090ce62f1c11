//! `kubernetes/selinuxprofile.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};
use crate::profile::kubernetes;

const FILE: &str = "kubernetes/selinuxprofile.yaml";

/// SelinuxProfile of the Security Profiles Operator.
pub(super) struct SelinuxProfileObject;

impl OutputFormat for SelinuxProfileObject {
    fn name(&self) -> &'static str {
        "selinux-profile"
    }

    fn help(&self) -> &'static str {
        "SelinuxProfile of the Security Profiles Operator"
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
        &[Need::SameMachine, Need::Selinux, Need::SelinuxName]
    }

    fn cannot_express(&self) -> &'static str {
        "what others may do to the domain, a domain that inherits nothing, categories (MCS)"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let profile = models.selinux()?;
        let operator = models.settings.targets.operator;
        let made = kubernetes::selinux_profile(&models.object()?, profile, operator)?;
        Ok(Output::rendering(FILE, made))
    }
}
