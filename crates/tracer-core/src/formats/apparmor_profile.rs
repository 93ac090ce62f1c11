//! `kubernetes/apparmorprofile.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};
use crate::profile::kubernetes;

const FILE: &str = "kubernetes/apparmorprofile.yaml";

/// AppArmorProfile of the Security Profiles Operator.
pub(super) struct AppArmorProfileObject;

impl OutputFormat for AppArmorProfileObject {
    fn name(&self) -> &'static str {
        "apparmor-profile"
    }

    fn help(&self) -> &'static str {
        "AppArmorProfile of the Security Profiles Operator"
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
        &[Need::SameMachine, Need::Files, Need::ObjectName]
    }

    fn cannot_express(&self) -> &'static str {
        "sockets other than TCP, UDP and raw, signals to other containers, ptrace, mounts, targets of links, rules for a file's owner alone, child profiles, some characters in paths"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let Some(profile) = models.apparmor else {
            return Err(Error::NotObserved("files"));
        };
        let made = kubernetes::apparmor_profile(
            &models.object()?,
            models.workload(),
            profile,
            models.settings.targets.operator,
        )?;
        Ok(Output::rendering(FILE, made))
    }
}
