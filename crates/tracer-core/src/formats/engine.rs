//! `engine.args`.

use super::{Error, Models, Need, Output, OutputFormat};

const FILE: &str = "engine.args";

/// Flags of Docker and Podman.
pub(super) struct EngineFlags;

impl OutputFormat for EngineFlags {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn help(&self) -> &'static str {
        "flags of docker run and podman run"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::SameMachine]
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let hardening = models.hardening();
        let made = models.engine(&hardening).flags();
        Ok(Output::rendering(FILE, made))
    }
}
