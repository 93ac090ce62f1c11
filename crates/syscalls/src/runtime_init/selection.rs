//! Which runtimes a profile's `runtime_init` layer is for.
//!
//! A choice takes the measured versions that begin as it says. A measured version also stands for
//! those after it, up to the next measured one: where a choice begins between two, it takes the nearest
//! below too. Where nothing at all that begins so was measured, it takes the nearest above as well,
//! since what changed between the two may have changed before it. Rows for a range of versions, or
//! for any, come on top.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use thiserror::Error;

use super::{OPTIONAL_SYSCALLS, ROWS, Row, Version, VersionRange, measured};
use crate::{Abi, OciRuntime};

/// The runtimes that are to start the workload under the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RuntimeSelection {
    /// Every runtime and version known.
    #[default]
    All,
    /// No runtime: the profile is for a process that loads it by itself.
    None,
    /// These.
    Only(BTreeSet<SelectedRuntime>),
}

/// A runtime, and perhaps the beginning of its version: `runc`, `runc@1.1`, `crun@1.21`.
///
/// There is always something measured for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelectedRuntime {
    runtime: OciRuntime,
    prefix: Option<Prefix>,
}

/// A version, or all that begin with its first numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Prefix {
    Major(u16),
    Minor(u16, u16),
    Patch(u16, u16, u16),
}

/// Why a choice cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuntimeSelectionError {
    /// A name that no known runtime has.
    #[error("no runtime {0:?} is known; known are {known}, and all or none of them", known = known())]
    Runtime(String),
    /// What follows an @ and is no version.
    #[error("{0:?} is not a version; give its first numbers, such as 1.1 or 1.1.15")]
    Version(String),
    /// A version before everything known.
    #[error("nothing is known of {0}, which is older than all that was measured: {known}", known = known_versions(.0.runtime))]
    TooOld(SelectedRuntime),
    /// `none`, and something else too.
    #[error("none leaves no runtime, so no other can be given with it")]
    NoneAndOthers,
}

impl RuntimeSelection {
    /// What several choices amount to; all, when there are none.
    ///
    /// # Errors
    ///
    /// When one of them is [`RuntimeSelection::None`] and another is not.
    pub fn union(choices: impl IntoIterator<Item = Self>) -> Result<Self, RuntimeSelectionError> {
        choices
            .into_iter()
            .map(Ok)
            .reduce(|one, other| match (one?, other?) {
                (Self::None, Self::None) => Ok(Self::None),
                (Self::None, _) | (_, Self::None) => Err(RuntimeSelectionError::NoneAndOthers),
                (Self::All, _) | (_, Self::All) => Ok(Self::All),
                (Self::Only(mut one), Self::Only(other)) => {
                    one.extend(other);
                    Ok(Self::Only(one))
                }
            })
            .unwrap_or(Ok(Self::All))
    }

    /// The rows that speak of the chosen versions, in the order of [`ROWS`].
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| match self {
            Self::All => true,
            Self::None => false,
            Self::Only(selected) => selected.iter().any(|selected| selected.covers(row)),
        })
    }

    /// The union of the rows without [`OPTIONAL_SYSCALLS`]: each call with those that need it.
    pub fn required_syscalls(&self) -> BTreeMap<&'static str, Vec<&'static Row>> {
        let mut required_syscalls: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in self.rows() {
            let needed = row
                .calls
                .iter()
                .filter(|call| !OPTIONAL_SYSCALLS.contains(call));
            for call in needed {
                required_syscalls.entry(*call).or_default().push(row);
            }
        }
        required_syscalls
    }

    /// The calls that exist in `abi`, sorted. The runtime itself is a 64-bit program, so `abi` is
    /// the machine's native one.
    ///
    /// ```
    /// use syscalls::{Abi, runtime_init::RuntimeSelection};
    ///
    /// // Any runtime executes the workload.
    /// let any = RuntimeSelection::default();
    /// assert!(any.names(Abi::X86_64).any(|name| name == "execve"));
    /// ```
    pub fn names(&self, abi: Abi) -> impl Iterator<Item = &'static str> {
        self.required_syscalls()
            .into_keys()
            .filter(move |name| abi.syscall_number(name).is_some())
    }

    /// What the runtimes give to a call whose arguments are recorded, sorted.
    pub fn values(&self, call: &str) -> BTreeSet<u64> {
        let values = self.rows().flat_map(|row| row.values);
        values
            .filter(|(of, _)| *of == call)
            .map(|(_, value)| *value)
            .collect()
    }
}

impl SelectedRuntime {
    fn covers(self, row: &Row) -> bool {
        if row.runtime != self.runtime {
            return false;
        }
        let Some(prefix) = self.prefix else {
            return true;
        };
        let (first, last) = (prefix.first(), prefix.last());
        let is = |version| row.versions == VersionRange::Exactly(version);
        let measured = || measured(self.runtime);
        let below = measured().take_while(|it| *it <= first).last();
        let above = measured().find(|it| *it >= first).filter(|it| *it > last);
        row.versions.overlaps(first, last) || below.is_some_and(is) || above.is_some_and(is)
    }
}

impl Prefix {
    fn first(self) -> Version {
        match self {
            Self::Major(major) => Version(major, 0, 0),
            Self::Minor(major, minor) => Version(major, minor, 0),
            Self::Patch(major, minor, patch) => Version(major, minor, patch),
        }
    }

    fn last(self) -> Version {
        match self {
            Self::Major(major) => Version(major, u16::MAX, u16::MAX),
            Self::Minor(major, minor) => Version(major, minor, u16::MAX),
            Self::Patch(major, minor, patch) => Version(major, minor, patch),
        }
    }
}

/// `all`, `none`, or runtimes with commas between them.
impl FromStr for RuntimeSelection {
    type Err = RuntimeSelectionError;

    fn from_str(text: &str) -> Result<Self, RuntimeSelectionError> {
        let one = |text: &str| match text.trim() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            runtime => Ok(Self::Only([runtime.parse()?].into())),
        };
        Self::union(text.split(',').map(one).collect::<Result<Vec<_>, _>>()?)
    }
}

impl FromStr for SelectedRuntime {
    type Err = RuntimeSelectionError;

    fn from_str(text: &str) -> Result<Self, RuntimeSelectionError> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let runtime = OciRuntime::ALL
            .into_iter()
            .find(|runtime| runtime.to_string() == name)
            .ok_or_else(|| RuntimeSelectionError::Runtime(name.to_owned()))?;
        let prefix = version.map(str::parse::<Prefix>).transpose()?;
        let selected = Self { runtime, prefix };
        let oldest = measured(runtime).next();
        if prefix.is_some_and(|prefix| oldest.is_none_or(|oldest| prefix.last() < oldest)) {
            return Err(RuntimeSelectionError::TooOld(selected));
        }
        Ok(selected)
    }
}

impl FromStr for Prefix {
    type Err = RuntimeSelectionError;

    fn from_str(text: &str) -> Result<Self, RuntimeSelectionError> {
        let wrong = || RuntimeSelectionError::Version(text.to_owned());
        // `parse` would take a sign.
        if text.contains('+') {
            return Err(wrong());
        }
        let numbers = text
            .split('.')
            .map(str::parse)
            .collect::<Result<Vec<u16>, _>>()
            .map_err(|_| wrong())?;
        match *numbers {
            [major] => Ok(Self::Major(major)),
            [major, minor] => Ok(Self::Minor(major, minor)),
            [major, minor, patch] => Ok(Self::Patch(major, minor, patch)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for RuntimeSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::None => f.write_str("none"),
            Self::Only(selected) => f.write_str(&join(selected, ",")),
        }
    }
}

impl fmt::Display for SelectedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runtime = self.runtime;
        match self.prefix {
            None => write!(f, "{runtime}"),
            Some(prefix) => write!(f, "{runtime}@{prefix}"),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Major(major) => write!(f, "{major}"),
            Self::Minor(major, minor) => write!(f, "{major}.{minor}"),
            Self::Patch(major, minor, patch) => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

fn known() -> String {
    join(OciRuntime::ALL.map(known_versions), " and ")
}

/// `runc (measured: 1.1.5, 1.1.15)`.
fn known_versions(runtime: OciRuntime) -> String {
    format!("{runtime} (measured: {})", join(measured(runtime), ", "))
}

fn join(items: impl IntoIterator<Item = impl ToString>, between: &str) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(between)
}

#[cfg(test)]
mod tests {
    use super::{super::describe, *};

    fn choice(text: &str) -> RuntimeSelection {
        text.parse().unwrap()
    }

    fn covered(text: &str) -> Vec<String> {
        let choice = choice(text);
        let rows = choice
            .rows()
            .filter(|row| row.versions != VersionRange::Any);
        describe(&rows.collect::<Vec<_>>())
    }

    fn error(text: &str) -> String {
        text.parse::<RuntimeSelection>().unwrap_err().to_string()
    }

    #[test]
    fn selection_round_trips_through_text() {
        for text in ["all", "none", "runc", "runc@1", "runc@1.1.5,crun@1.8"] {
            assert_eq!(choice(text).to_string(), text);
        }
        assert_eq!(choice("crun, runc@1.1,crun").to_string(), "runc@1.1,crun");
        assert_eq!(choice("runc,all"), RuntimeSelection::All);
    }

    #[test]
    fn all_covers_everything_and_none_nothing() {
        assert_eq!(RuntimeSelection::All.rows().count(), ROWS.len());
        assert_eq!(choice("runc,crun").rows().count(), ROWS.len());
        assert_eq!(RuntimeSelection::None.names(Abi::X86_64).count(), 0);
        assert_eq!(RuntimeSelection::default(), RuntimeSelection::All);
        assert_eq!(RuntimeSelection::union([]), Ok(RuntimeSelection::All));
    }

    #[test]
    fn prefix_covers_its_versions() {
        assert_eq!(covered("runc@1"), covered("runc"));
        assert_eq!(covered("crun@1.8.1"), ["crun 1.8.1"]);
        assert_eq!(covered("crun@1.21"), ["crun 1.21.0"]);
        assert_eq!(covered("runc@1.1"), ["runc 1.1.5", "runc 1.1.15"]);
    }

    #[test]
    fn nearest_measured_versions_cover_gaps() {
        assert_eq!(covered("crun@1.8.2"), ["crun 1.8.1", "crun 1.21.0"]);
        assert_eq!(covered("runc@1.1.6"), ["runc 1.1.5", "runc 1.1.15"]);
        // What comes after all that was measured is known by the last.
        assert_eq!(covered("crun@1.99"), ["crun 1.28.0"]);
        assert_eq!(covered("runc@2"), ["runc 1.3.6"]);
        // 1.3.6 is one of 1.3, and does not speak for 1.3.0.
        let of_1_3 = covered("runc@1.3");
        for version in ["runc 1.1.15", "runc 1.3.6"] {
            assert!(of_1_3.contains(&version.to_owned()), "{of_1_3:?}");
        }
    }

    #[test]
    fn calls_of_any_version_are_always_included() {
        for text in ["runc", "runc@1.1.5", "runc@9"] {
            assert!(
                choice(text).required_syscalls().contains_key("sched_yield"),
                "{text}"
            );
        }
        assert!(
            !choice("crun")
                .required_syscalls()
                .contains_key("sched_yield")
        );
    }

    #[test]
    fn reported_ranges_are_added() {
        let reported = "runc 1.2.8 to before 1.3.0".to_owned();
        for (text, expected) in [
            ("runc@1.2", true),
            ("runc@1.2.9", true),
            ("runc@1.2.7", false),
            ("runc@1.3", false),
        ] {
            assert_eq!(covered(text).contains(&reported), expected, "{text}");
        }
    }

    #[test]
    fn dispensable_calls_are_not_allowed() {
        for call in OPTIONAL_SYSCALLS {
            assert!(
                RuntimeSelection::All
                    .rows()
                    .any(|row| row.calls.contains(&call)),
                "{call}"
            );
            assert!(
                !RuntimeSelection::All.required_syscalls().contains_key(call),
                "{call}"
            );
        }
    }

    #[test]
    fn errors_list_known_runtimes() {
        let unknown = error("youki");
        assert!(unknown.contains("\"youki\"") && unknown.contains("runc (measured: 1.1.5"));
        let old = error("crun@1.8.0");
        assert!(old.contains("crun@1.8.0") && old.contains("1.8.1"), "{old}");
        assert!(!old.contains("runc ("), "{old}");
        // 1.2 is not the beginning of 1.21.
        assert!(error("crun@1.2").contains("older"));
        assert_eq!(
            error("runc,none"),
            RuntimeSelectionError::NoneAndOthers.to_string()
        );
        for wrong in [
            "runc@",
            "runc@1.",
            "runc@v1",
            "runc@+1",
            "runc@1.2.3.4",
            "runc@1.-1",
        ] {
            assert!(error(wrong).contains("is not a version"), "{wrong}");
        }
        assert!(error("").contains("\"\""));
    }
}
