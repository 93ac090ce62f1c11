//! `seccomp-artifact/`.

use super::{Error, Models, Output, OutputFormat};
use crate::{
    profile::{artifact, seccomp::oci::OciSeccomp},
    recording::plain_text::plain,
};

/// The seccomp profile as an OCI artifact.
pub(super) struct Artifact;

impl OutputFormat for Artifact {
    fn name(&self) -> &'static str {
        "artifact"
    }

    fn help(&self) -> &'static str {
        "the seccomp profile as an OCI artifact in an image layout (KEP-6061, CRI-O)"
    }

    fn files(&self) -> &'static [&'static str] {
        &[
            "seccomp-artifact/index.json",
            "seccomp-artifact/oci-layout",
            "seccomp-artifact/blobs/sha256/",
        ]
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let profile = OciSeccomp::from(models.seccomp);
        let name = plain(models.workload());
        let files = artifact::layout(&name, &profile, &profile.to_json()?)?;
        let files = files.into_iter();
        Ok(Output {
            files: files
                .map(|(name, text)| (format!("seccomp-artifact/{name}"), text))
                .collect(),
            omissions: Vec::new(),
        })
    }
}
