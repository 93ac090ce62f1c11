//! `kubernetes/patch.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};

const FILE: &str = "kubernetes/patch.yaml";

/// The security context as a strategic-merge patch.
pub(super) struct Patch;

impl OutputFormat for Patch {
    fn name(&self) -> &'static str {
        "patch"
    }

    fn help(&self) -> &'static str {
        "the same as a strategic-merge patch for kubectl and kustomize"
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
        &[Need::SameMachine, Need::ObjectName, Need::Container]
    }

    fn cannot_express(&self) -> &'static str {
        "that the recording is incomplete, how the lists of a Rollout are merged, ephemeral containers"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let hardening = models.hardening_in_pod();
        let made = models.context(&hardening)?.patch(&models.placement())?;
        Ok(Output::rendering(FILE, made))
    }
}
