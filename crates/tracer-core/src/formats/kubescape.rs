//! `kubernetes/kubescape.yaml`.

use super::{Error, Models, Need, Output, OutputFormat};
use crate::profile::kubernetes::{self, Localhost};

const FILE: &str = "kubernetes/kubescape.yaml";

/// SeccompProfile of Kubescape. Not in the group: clusters have one of the two operators.
pub(super) struct Kubescape;

impl OutputFormat for Kubescape {
    fn name(&self) -> &'static str {
        "kubescape"
    }

    fn help(&self) -> &'static str {
        "SeccompProfile of Kubescape"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::ObjectName, Need::Container]
    }

    fn cannot_express(&self) -> &'static str {
        "ENOSYS as the default error, the errors of multiplexers (ipc, socketcall), argument values above 2^63-1"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let object = models.object()?;
        let path = match &models.settings.targets.localhost {
            Localhost::Operator => format!("kubescape/{object}.json"),
            Localhost::File(path) => path.clone(),
        };
        let made = kubernetes::kubescape(
            &object,
            models.workload(),
            models.seccomp,
            &models.placement(),
            &path,
        )?;
        Ok(Output::rendering(FILE, made))
    }
}
