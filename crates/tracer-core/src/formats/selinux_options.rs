//! `kubernetes/selinuxoptions.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};
use crate::profile::kubernetes;

const FILE: &str = "kubernetes/selinuxoptions.yaml";

/// a container's seLinuxOptions.
pub(super) struct SelinuxOptions;

impl OutputFormat for SelinuxOptions {
    fn name(&self) -> &'static str {
        "selinux-options"
    }

    fn help(&self) -> &'static str {
        "a container's seLinuxOptions"
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
        "the rules"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let profile = models.selinux()?;
        let made = kubernetes::selinux_options(&models.selinux_type()?, profile);
        Ok(Output::rendering(FILE, made))
    }
}
