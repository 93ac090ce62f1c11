//! `apparmor.profile`.

use super::{Error, Models, Need, Output, OutputFormat};
use crate::profile::{AppArmorOmission, apparmor::Division};

/// The file.
pub const FILE: &str = "apparmor.profile";

/// The AppArmor profile as text.
pub(super) struct AppArmor;

impl OutputFormat for AppArmor {
    fn name(&self) -> &'static str {
        "apparmor"
    }

    fn help(&self) -> &'static str {
        "the AppArmor profile"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn by_default(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Files]
    }

    fn cannot_express(&self) -> &'static str {
        "child profiles where no_new_privs is set"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let Some(profile) = models.apparmor else {
            return Err(Error::NotObserved("files"));
        };
        let mut output = Output::file(FILE, profile.to_text());
        if let Division::Impossible(why) = profile.division() {
            let omission = AppArmorOmission::Children(*why);
            output.omissions.push((FILE.to_owned(), omission.into()));
        }
        Ok(output)
    }
}
