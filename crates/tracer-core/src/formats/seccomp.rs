//! `seccomp.json`.

use super::{Error, Models, Output, OutputFormat};
use crate::profile::seccomp::oci::OciSeccomp;

/// The file.
pub const FILE: &str = "seccomp.json";

/// The seccomp profile in the runtime-spec's form.
pub(super) struct Seccomp;

impl OutputFormat for Seccomp {
    fn name(&self) -> &'static str {
        "seccomp"
    }

    fn help(&self) -> &'static str {
        "the OCI runtime's seccomp profile (Docker, containerd, CRI-O, Podman)"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn by_default(&self) -> bool {
        true
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let json = OciSeccomp::from(models.seccomp).to_json()?;
        Ok(Output::file(FILE, json))
    }
}
