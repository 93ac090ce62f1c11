//! `kubernetes/securitycontext.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};

const FILE: &str = "kubernetes/securitycontext.yaml";

/// A container's `securityContext`.
pub(super) struct SecurityContext;

impl OutputFormat for SecurityContext {
    fn name(&self) -> &'static str {
        "security-context"
    }

    fn help(&self) -> &'static str {
        "a container's securityContext, each setting with its reason"
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
        &[Need::SameMachine, Need::ObjectName]
    }

    fn cannot_express(&self) -> &'static str {
        "that the recording is incomplete"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let hardening = models.hardening_in_pod();
        let made = models.context(&hardening)?.snippet();
        Ok(Output::rendering(FILE, made))
    }
}
