//! Profiles that manifests name, among the files that are audited.

use std::path::Path;

use crate::parse::{self, Input, Seccomp, Subject};

/// Where they are. Only names are kept: what is in a thousand files is large.
pub(super) struct LocalProfiles<'input> {
    installed: Vec<(Installed, &'input Input)>,
}

/// As what a profile will be found below kubelet's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Installed {
    /// An object that the operator installs.
    Object(String),
    /// A file of a ConfigMap.
    Key(String),
    /// The file itself.
    File,
}

impl Installed {
    fn of(read: &Seccomp) -> Self {
        match (&read.object, &read.name) {
            (Some(_), Some(name)) => Self::Object(name.clone()),
            (None, Some(key)) => Self::Key(key.clone()),
            (_, None) => Self::File,
        }
    }

    /// Whether `localhostProfile` names it.
    fn is_named(&self, input: &Input, path: &Path) -> bool {
        match self {
            Self::Object(name) => {
                path.starts_with("operator")
                    && path.file_stem().is_some_and(|stem| stem == name.as_str())
            }
            Self::Key(key) => path.file_name().is_some_and(|file| file == key.as_str()),
            Self::File => Path::new(input.name()).ends_with(path),
        }
    }
}

impl<'input> LocalProfiles<'input> {
    pub(super) fn new(inputs: &'input [Input]) -> Self {
        let installed = inputs.iter().flat_map(|input| {
            let profiles = profiles(input).map(|read| Installed::of(&read));
            profiles.map(move |installed| (installed, input))
        });
        Self {
            installed: installed.collect(),
        }
    }

    /// The profile that `localhostProfile` names.
    pub(super) fn named(&self, name: &str) -> Option<(&'input Input, Seccomp)> {
        let path = Path::new(name);
        let is_it = |(installed, input): &&(Installed, &Input)| installed.is_named(input, path);
        let (installed, input) = self.installed.iter().find(is_it)?;
        let read = profiles(input).find(|read| Installed::of(read) == *installed)?;
        Some((input, read))
    }
}

/// The seccomp profiles of a file; none when it cannot be read, which is told elsewhere.
fn profiles(input: &Input) -> impl Iterator<Item = Seccomp> + use<> {
    let subjects = parse::subjects(input).unwrap_or_default();
    subjects.into_iter().filter_map(|subject| match subject {
        Subject::Seccomp(read) => Some(*read),
        Subject::AppArmor(_) | Subject::Selinux(_) | Subject::Manifest(_) => None,
    })
}
