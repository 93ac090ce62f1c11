//! The `runtime_init` layer: what a container runtime calls after it has loaded the seccomp filter and
//! before it executes the workload.
//!
//! These calls are made under the profile, so every one must be in it, or the container does not
//! start. Which they are depends on the runtime, its version, and on `no_new_privs`: without it the
//! runtime loads the filter before it drops privileges (loading needs CAP_SYS_ADMIN), with it just
//! before exec. A recording of a command, or of a container without a filter, does not show them.
//!
//! The sets are data with a source each ([`ROWS`]). All known ones are united by default, so that a
//! profile outlives an upgrade of the runtime; a [`RuntimeSelection`] narrows them.

mod rows;
mod selection;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub use rows::{OPTIONAL_SYSCALLS, ROWS};
pub use selection::{RuntimeSelection, RuntimeSelectionError, SelectedRuntime};

use crate::OciRuntime;

/// The versions of a runtime that were measured, in ascending order.
///
/// ```
/// use syscalls::{OciRuntime, runtime_init::measured};
///
/// let versions: Vec<_> = measured(OciRuntime::Crun).collect();
/// assert!(versions.is_sorted());
/// ```
pub fn measured(runtime: OciRuntime) -> impl Iterator<Item = Version> {
    let versions: BTreeSet<_> = ROWS
        .iter()
        .filter(|row| row.runtime == runtime)
        .filter_map(|row| match row.versions {
            VersionRange::Exactly(version) => Some(version),
            VersionRange::Any | VersionRange::Range(..) => None,
        })
        .collect();
    versions.into_iter()
}

/// A version: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16, pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The versions that a row speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionRange {
    /// Whichever.
    Any,
    /// This one.
    Exactly(Version),
    /// From the first up to, not including, the second.
    Range(Version, Version),
}

impl VersionRange {
    /// Whether one of them lies between `first` and `last`, both included.
    fn overlaps(self, first: Version, last: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(exactly) => first <= exactly && exactly <= last,
            Self::Range(from, until) => from <= last && first < until,
        }
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("of any version"),
            Self::Exactly(version) => write!(f, "{version}"),
            Self::Range(from, until) => write!(f, "{from} to before {until}"),
        }
    }
}

/// How a row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// All calls of the window, traced on the thread that is filtered; where.
    Measured(&'static str),
    /// Calls that are known to be in the window, perhaps not all; from where.
    Reported(&'static str),
    /// Calls that no version makes each time, and that any may make; whose doing they are.
    Possible(&'static str),
}

/// What some versions of a runtime call in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The runtime.
    pub runtime: OciRuntime,
    /// Its versions.
    pub versions: VersionRange,
    /// `noNewPrivileges` of the container; `None` when the row holds for both.
    pub no_new_privs: Option<bool>,
    /// How it is known.
    pub source: Source,
    /// The calls, by their names on 64-bit ABIs.
    pub calls: &'static [&'static str],
    /// What it gives to those of them whose arguments are recorded and are one (see
    /// [`super::arguments`]): call and value, one entry for each.
    pub values: &'static [(&'static str, u64)],
}

/// The runtimes among `rows` in words, for instance "runc 1.1.5 (with no_new_privs)": one entry for
/// a runtime's versions, however many rows it has, and one for the runtime if any version is meant.
pub fn describe(rows: &[&Row]) -> Vec<String> {
    let mut settings: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let any = |runtime| {
        let mut rows = rows.iter();
        rows.any(|row| (row.runtime, row.versions) == (runtime, VersionRange::Any))
    };
    for row in rows {
        if row.versions != VersionRange::Any && any(row.runtime) {
            continue;
        }
        settings
            .entry((row.runtime, row.versions))
            .or_default()
            .push(row.no_new_privs);
    }
    settings
        .into_iter()
        .map(|((runtime, versions), settings)| {
            let with = settings.contains(&Some(true));
            let without = settings.contains(&Some(false));
            let when = match (settings.contains(&None), with, without) {
                (false, true, false) => " (with no_new_privs)",
                (false, false, true) => " (without no_new_privs)",
                _ => "",
            };
            format!("{runtime} {versions}{when}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_described_by_runtime_version() {
        let row = |versions, no_new_privs| Row {
            runtime: OciRuntime::Runc,
            versions,
            no_new_privs,
            source: Source::Reported("nowhere"),
            calls: &[],
            values: &[],
        };
        let exactly = VersionRange::Exactly(Version(1, 0, 0));
        let range = VersionRange::Range(Version(1, 2, 8), Version(1, 3, 0));
        let rows = [
            row(exactly, Some(true)),
            row(exactly, Some(false)),
            row(range, Some(true)),
            row(
                VersionRange::Range(Version(1, 3, 3), Version(1, 3, 6)),
                None,
            ),
        ];
        let rows: Vec<_> = rows.iter().collect();
        assert_eq!(
            describe(&rows),
            [
                "runc 1.0.0",
                "runc 1.2.8 to before 1.3.0 (with no_new_privs)",
                "runc 1.3.3 to before 1.3.6"
            ]
        );
        let any = row(VersionRange::Any, None);
        let rows: Vec<_> = rows.into_iter().chain([&any]).collect();
        assert_eq!(describe(&rows), ["runc of any version"]);
    }

    #[test]
    fn version_ranges_overlap() {
        let version = |patch| Version(1, 3, patch);
        let exactly = VersionRange::Exactly(version(4));
        let range = VersionRange::Range(version(2), version(4));
        for (first, last, expected) in [
            (0, 1, [false, false]),
            (0, 2, [false, true]),
            (3, 4, [true, true]),
            (4, 9, [true, false]),
            (5, 9, [false, false]),
        ] {
            let met = [exactly, range].map(|it| it.overlaps(version(first), version(last)));
            assert_eq!(met, expected, "{first} to {last}");
            assert!(VersionRange::Any.overlaps(version(first), version(last)));
        }
    }
}
