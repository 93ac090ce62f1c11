//! Output formats: one file a format, all of them in one list, [`FORMATS`].
//!
//! To add a format: write a file here that implements [`OutputFormat`], and add it to [`FORMATS`].
//! The values of `--format` and their help, the default set, the groups, what is removed when a
//! recording has nothing for it, the look-up of files beside a recording, and the page in `docs` are
//! all made from the list.
//!
//! A format decides which model it renders and where the text goes. The renderers themselves are in
//! [`profile`](crate::profile), next to the models.
//!
//! ```
//! use tracer_core::formats::{FORMATS, Selection};
//!
//! let seccomp = Selection::named("seccomp").unwrap();
//! assert_eq!(seccomp.location(), "seccomp.json");
//! assert_eq!(Selection::named("kubernetes").unwrap().location(), "kubernetes/");
//! assert!(FORMATS.iter().any(|format| format.name() == "apparmor"));
//! ```

pub mod apparmor;
mod apparmor_profile;
mod artifact;
mod capabilities;
mod compose;
mod engine;
mod error;
mod kubescape;
mod models;
mod needs;
mod page;
mod patch;
mod profile_binding;
mod raw_selinux_profile;
mod registry;
mod render;
pub mod review;
pub mod seccomp;
mod seccomp_profile;
mod security_context;
pub mod selinux;
mod selinux_module;
mod selinux_options;
mod selinux_profile;
mod systemd;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use models::{Models, Profiles, ReviewWriter, Settings, Targets};
pub use needs::Need;
pub use page::page;
pub use registry::{Group, Selection, default_selections, files, list, selections};
pub use render::{Rendered, outdated, render};

use crate::profile::{Omission, Rendering};

/// Every output format, in the order in which help lists them and files are written.
pub static FORMATS: &[&dyn OutputFormat] = &[
    &seccomp::Seccomp,
    &apparmor::AppArmor,
    &selinux::Selinux,
    &selinux_module::SelinuxModule,
    &capabilities::NeededCapabilities,
    &seccomp_profile::SeccompProfileObject,
    &apparmor_profile::AppArmorProfileObject,
    &selinux_profile::SelinuxProfileObject,
    &raw_selinux_profile::RawSelinuxProfileObject,
    &selinux_options::SelinuxOptions,
    &security_context::SecurityContext,
    &patch::Patch,
    &profile_binding::ProfileBinding,
    &kubescape::Kubescape,
    &artifact::Artifact,
    &engine::EngineFlags,
    &compose::Compose,
    &systemd::Systemd,
    &review::Review,
];

/// A file, or several, that can be made from the recordings of a workload.
pub trait OutputFormat: Sync {
    /// What `--format` takes.
    fn name(&self) -> &'static str;

    /// What it is, in one line.
    fn help(&self) -> &'static str;

    /// The files that it writes below the workload's directory. One that ends with `/` is a directory
    /// of blobs, each named by its SHA-256 in hexadecimal.
    fn files(&self) -> &'static [&'static str];

    /// The group by which it can be asked for together with others.
    fn group(&self) -> Option<Group> {
        None
    }

    /// Whether it is written when no format is asked for.
    fn by_default(&self) -> bool {
        false
    }

    /// What has to be known for it, in the order in which it is checked.
    fn needs(&self) -> &'static [Need] {
        &[]
    }

    /// What of a profile it cannot express, in short; empty when it can express all. What a certain
    /// profile loses by it is in [`Output::omissions`].
    fn cannot_express(&self) -> &'static str {
        ""
    }

    /// Renders it. [`OutputFormat::needs`] are checked before.
    ///
    /// # Errors
    /// When its target would refuse it.
    fn render(&self, models: &Models<'_>) -> Result<Output, Error>;
}

/// What a format made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Names, below the workload's directory, and texts.
    pub files: Vec<(String, String)>,
    /// What a file does not express, by the file's name.
    pub omissions: Vec<(String, Omission)>,
}

impl Output {
    /// One file that expresses everything.
    fn file(name: &str, text: String) -> Self {
        Self {
            files: vec![(name.to_owned(), text)],
            omissions: Vec::new(),
        }
    }

    /// One file and what it does not express.
    fn rendering(name: &str, rendering: Rendering) -> Self {
        let Rendering { text, omissions } = rendering;
        Self {
            files: vec![(name.to_owned(), text)],
            omissions: omissions
                .into_iter()
                .map(|one| (name.to_owned(), one))
                .collect(),
        }
    }
}
