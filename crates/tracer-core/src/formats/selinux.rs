//! `selinux.cil`.

use super::{Error, Models, Need, Output, OutputFormat};
use crate::profile::{Rendering, SelinuxOmission};

/// The file.
pub const FILE: &str = "selinux.cil";

/// The SELinux profile as a CIL block.
pub(super) struct Selinux;

impl OutputFormat for Selinux {
    fn name(&self) -> &'static str {
        "selinux"
    }

    fn help(&self) -> &'static str {
        "the SELinux profile, as a CIL block"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn by_default(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Selinux]
    }

    fn cannot_express(&self) -> &'static str {
        "categories (MCS), accesses in other domains"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let profile = models.selinux()?;
        let lost = profile.lost.iter().cloned();
        let omissions = lost.map(|it| SelinuxOmission::Lost(it).into()).collect();
        let text = profile.to_cil();
        Ok(Output::rendering(FILE, Rendering { text, omissions }))
    }
}
