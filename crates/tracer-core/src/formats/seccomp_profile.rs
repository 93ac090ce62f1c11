//! `kubernetes/seccompprofile.yaml`.

use super::{Error, Group, Models, Need, Output, OutputFormat};
use crate::profile::kubernetes;

const FILE: &str = "kubernetes/seccompprofile.yaml";

/// SeccompProfile of the Security Profiles Operator.
pub(super) struct SeccompProfileObject;

impl OutputFormat for SeccompProfileObject {
    fn name(&self) -> &'static str {
        "seccomp-profile"
    }

    fn help(&self) -> &'static str {
        "SeccompProfile of the Security Profiles Operator"
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
        &[Need::ObjectName]
    }

    fn cannot_express(&self) -> &'static str {
        "ENOSYS as the default error, the errors of multiplexers (ipc, socketcall), argument values above 2^63-1"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let made = kubernetes::seccomp_profile(
            &models.object()?,
            models.workload(),
            models.seccomp,
            models.settings.targets.operator,
        )?;
        Ok(Output::rendering(FILE, made))
    }
}
