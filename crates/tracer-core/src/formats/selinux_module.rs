//! `selinux.te` and `selinux.fc`.

use super::{Error, Models, Need, Output, OutputFormat};

const RULES: &str = "selinux.te";
const LABELS: &str = "selinux.fc";

/// A reference-policy module for a service.
pub(super) struct SelinuxModule;

impl OutputFormat for SelinuxModule {
    fn name(&self) -> &'static str {
        "selinux-module"
    }

    fn help(&self) -> &'static str {
        "the SELinux profile of a service, as a reference-policy module"
    }

    fn files(&self) -> &'static [&'static str] {
        &[RULES, LABELS]
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Selinux]
    }

    fn cannot_express(&self) -> &'static str {
        "categories (MCS), types whose names have a dot or are words of the language, a program without an absolute path"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        let profile = models.selinux()?;
        let program = models.recording.commands().next().and_then(|it| it.first());
        let module = profile.to_module(program.map(String::as_str));
        let omissions = module.omissions.into_iter();
        Ok(Output {
            files: vec![
                (RULES.to_owned(), module.te),
                (LABELS.to_owned(), module.fc),
            ],
            omissions: omissions.map(|one| (RULES.to_owned(), one)).collect(),
        })
    }
}
