//! What is made of the list of formats: groups, the default set, where files are.

use std::fmt;

use super::{FORMATS, OutputFormat};

/// Formats that can be asked for together, by one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Objects and fields for a cluster.
    Kubernetes,
}

impl Group {
    /// What `--format` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
        }
    }

    /// Its formats, in the order of the list.
    pub fn formats(self) -> impl Iterator<Item = &'static dyn OutputFormat> {
        let of_group = move |format: &&dyn OutputFormat| format.group() == Some(self);
        FORMATS.iter().copied().filter(of_group)
    }
}

/// What `--format` can name: a format, or a group of them.
#[derive(Clone, Copy)]
pub enum Selection {
    /// One format.
    Format(&'static dyn OutputFormat),
    /// All formats of a group.
    Group(Group),
}

impl Selection {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        selections().into_iter().find(|it| it.name() == name)
    }

    /// What `--format` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format(format) => format.name(),
            Self::Group(group) => group.name(),
        }
    }

    /// What it is, in one line.
    pub fn help(self) -> String {
        match self {
            Self::Format(format) => format.help().to_owned(),
            Self::Group(group) => {
                let names: Vec<_> = group.formats().map(OutputFormat::name).collect();
                format!(
                    "{}, as far as the recording has data for them",
                    list(&names)
                )
            }
        }
    }

    /// Where its files are, below the workload's directory: a file, a directory, or a pattern such as
    /// `capabilities.*`.
    pub fn location(self) -> String {
        let formats = match self {
            Self::Format(format) => vec![format],
            Self::Group(group) => group.formats().collect(),
        };
        let files: Vec<_> = formats
            .into_iter()
            .flat_map(OutputFormat::files)
            .copied()
            .collect();
        let [first, others @ ..] = files.as_slice() else {
            return String::new();
        };
        let common = others.iter().fold(*first, |one, other| common(one, other));
        if others.is_empty() || common.ends_with('/') {
            common.to_owned()
        } else {
            format!("{common}*")
        }
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What two texts begin with.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let mut both = one.char_indices().zip(other.chars());
    let end = both.find(|((_, left), right)| left != right);
    end.map_or(one, |((at, _), _)| one.get(..at).unwrap_or_default())
}

/// Everything that can be asked for, in the order of the list; a group is before its first format.
pub fn selections() -> Vec<Selection> {
    selections_of(FORMATS.iter().copied(), true)
}

/// What is written when nothing is asked for.
pub fn default_selections() -> Vec<Selection> {
    selections_of(FORMATS.iter().copied().filter(|it| it.by_default()), false)
}

/// With each group, and with its formats too if they are wanted beside it.
fn selections_of(
    formats: impl Iterator<Item = &'static dyn OutputFormat>,
    with_members: bool,
) -> Vec<Selection> {
    let mut groups = Vec::new();
    let mut selections = Vec::new();
    for format in formats {
        let group = format.group();
        if let Some(group) = group.filter(|group| !groups.contains(group)) {
            groups.push(group);
            selections.push(Selection::Group(group));
        }
        if group.is_none() || with_members {
            selections.push(Selection::Format(format));
        }
    }
    selections
}

/// All files that formats write, and directories of blobs, which end with `/`.
pub fn files() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().flat_map(|format| format.files()).copied()
}

/// Words as a list: `a, b and c`.
pub fn list(words: &[impl AsRef<str>]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [others @ .., last] => {
            let others: Vec<_> = others.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", others.join(", "), last.as_ref())
        }
    }
}
