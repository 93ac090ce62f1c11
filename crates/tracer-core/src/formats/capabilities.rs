//! `capabilities.*`.

use super::{Error, Models, Need, Output, OutputFormat};

const KUBERNETES: &str = "capabilities.kubernetes.yaml";
const ENGINE: &str = "capabilities.engine.args";
const SYSTEMD: &str = "capabilities.systemd.conf";

/// The capabilities that the workload needs, for each way to start it.
pub(super) struct NeededCapabilities;

impl OutputFormat for NeededCapabilities {
    fn name(&self) -> &'static str {
        "capabilities"
    }

    fn help(&self) -> &'static str {
        "the capabilities it needs, for Kubernetes (a security context), for Docker and Podman (flags), and for systemd (a drop-in)"
    }

    fn files(&self) -> &'static [&'static str] {
        &[KUBERNETES, ENGINE, SYSTEMD]
    }

    fn by_default(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Capabilities]
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let Some(needed) = models.capabilities else {
            return Err(Error::NotObserved("capabilities"));
        };
        let file = |name: &str, text| (name.to_owned(), text);
        Ok(Output {
            files: vec![
                file(KUBERNETES, needed.to_kubernetes()),
                file(ENGINE, needed.to_engine_flags()),
                file(SYSTEMD, needed.to_systemd()),
            ],
            omissions: Vec::new(),
        })
    }
}
