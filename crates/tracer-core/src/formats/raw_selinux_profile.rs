//! `kubernetes/rawselinuxprofile.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};
use crate::profile::kubernetes;

const FILE: &str = "kubernetes/rawselinuxprofile.yaml";

/// RawSelinuxProfile of the Security Profiles Operator.
pub(super) struct RawSelinuxProfileObject;

impl OutputFormat for RawSelinuxProfileObject {
    fn name(&self) -> &'static str {
        "raw-selinux-profile"
    }

    fn help(&self) -> &'static str {
        "RawSelinuxProfile of the Security Profiles Operator"
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
        "categories (MCS)"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let profile = models.selinux()?;
        let operator = models.settings.targets.operator;
        let made = kubernetes::raw_selinux_profile(&models.object()?, profile, operator)?;
        Ok(Output::rendering(FILE, made))
    }
}
