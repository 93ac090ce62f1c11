//! `compose.yaml`.

use super::{Error, Models, Need, Output, OutputFormat};

const FILE: &str = "compose.yaml";

/// Keys of a compose file.
pub(super) struct Compose;

impl OutputFormat for Compose {
    fn name(&self) -> &'static str {
        "compose"
    }

    fn help(&self) -> &'static str {
        "the same as keys of a compose file"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::SameMachine]
    }

    fn cannot_express(&self) -> &'static str {
        "the name of the service in your compose file"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let hardening = models.hardening();
        let made = models.engine(&hardening).compose(models.workload());
        Ok(Output::rendering(FILE, made))
    }
}
