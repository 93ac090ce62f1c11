//! From the paths that were seen to the globs that the next run needs.
//!
//! Rules in a fixed order, each with a name; a path keeps the names of those that changed it, and a
//! glob the paths that it came from. What is executed is never generalised: the same name in another
//! place would be another program.

mod data_trees;
mod given;
mod imports;
mod made_names;
mod name_patterns;
mod own;
#[cfg(test)]
mod redraw_cases;
#[cfg(test)]
mod redraw_tests;
mod siblings;

pub(super) use given::Given;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use own::Own;

use super::{
    pattern::{Part, Pattern, Segment},
    permissions::Permissions,
    secrets,
};
use crate::recording::FilePath;

/// Only the first so many names of a path are generalised: the path of a hostile workload has thousands.
const MAX_DEPTH: usize = 128;

/// How far paths are generalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Not at all: exactly the paths that were seen. Process ids and the names of temporary files are
    /// others the next time.
    None,
    /// What is known to vary, or was seen to.
    #[default]
    Safe,
    /// That, on less evidence, and whole trees.
    Wide,
}

/// Why a path became a glob. The order is that in which the rules are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A process or thread id below `/proc`, or a descriptor of one.
    Process,
    /// A UUID.
    Uuid,
    /// A long hash, or the id of a container.
    Hash,
    /// A library's version.
    LibraryVersion,
    /// A name that was made up for a temporary file.
    Temporary,
    /// A name that the workload made.
    Made,
    /// All that is below a directory of the workload's own.
    OwnTree,
    /// Modules and data that a program reads by name, of which the next run reads others.
    Imports,
    /// What differs between runs, in an otherwise equal path.
    Replicas,
    /// Names that differ in a number.
    Numbers,
    /// Many names in one directory.
    Siblings,
    /// More files of a directory than were written down.
    More,
    /// Many files in a tree.
    Tree,
}

impl Reason {
    /// Whether the names behind it are made up anew in each run.
    pub const fn is_of_one_run(self) -> bool {
        matches!(
            self,
            Self::Process | Self::Uuid | Self::Hash | Self::Temporary | Self::Made | Self::OwnTree
        )
    }

    /// Its name, and what it says, for a reviewer.
    pub const fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::Process => (
                "process",
                "ids of processes and threads, and numbers of their descriptors, are others in each run",
            ),
            Self::Uuid => ("uuid", "a UUID is made anew each time"),
            Self::Hash => (
                "hash",
                "a hash names what it is of, and a container's id the container",
            ),
            Self::LibraryVersion => (
                "library-version",
                "the next build of the library has another version in its name",
            ),
            Self::Temporary => (
                "temporary",
                "the name was made up at random for a temporary file",
            ),
            Self::Made => (
                "made",
                "the workload made the name, and nothing given explains this part of it",
            ),
            Self::OwnTree => (
                "own-tree",
                "the directory is the workload's own: it made it, makes and removes files there, or keeps its data there",
            ),
            Self::Imports => (
                "imports",
                "modules, translations or time zones, which are only read",
            ),
            Self::Replicas => (
                "replicas",
                "each run had names of its own here, and the rest of the path was the same",
            ),
            Self::Numbers => ("numbers", "several names differ in a number only"),
            Self::Siblings => (
                "siblings",
                "many files of one directory were used in the same way",
            ),
            Self::More => (
                "more",
                "more files of this directory were used than a recording keeps",
            ),
            Self::Tree => (
                "tree",
                "many files at several depths of one directory were used in the same way",
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explained().0)
    }
}

/// What is known of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct PathInfo {
    /// What it takes.
    pub(super) permissions: Permissions,
    /// The runs that used it.
    pub(super) runs: BTreeSet<u32>,
    /// Whether the workload made it.
    pub(super) made: bool,
    /// Whether an access says who made it; recordings of older versions do not.
    pub(super) told: bool,
    /// Whether it was made with `O_EXCL`.
    pub(super) exclusive: bool,
    /// Whether the file has no name, and the kernel made this one up.
    pub(super) unnamed: bool,
    /// Whether the workload removed it, or gave it another name.
    pub(super) gone: bool,
}

impl PathInfo {
    /// Whether it is known who made it.
    const fn has_provenance(&self) -> bool {
        self.made || self.told || self.unnamed
    }
}

/// What a path became, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GeneralisedPath {
    pub(super) pattern: Pattern,
    pub(super) reasons: BTreeSet<Reason>,
}

/// What each path becomes. `runs` are all that were recorded.
pub(super) fn generalise(
    paths: &BTreeMap<FilePath, PathInfo>,
    runs: &BTreeSet<u32>,
    policy: Policy,
    mut given: Given,
) -> BTreeMap<FilePath, GeneralisedPath> {
    let mut general: BTreeMap<_, _> = paths
        .keys()
        .map(|path| {
            let pattern = Pattern::literal(path);
            let reasons = BTreeSet::new();
            (path.clone(), GeneralisedPath { pattern, reasons })
        })
        .collect();
    if policy == Policy::None {
        return general;
    }
    given.paths(paths);
    let own = Own::decide(paths, &given);
    for (path, facts) in paths {
        if let Some(one) = general.get_mut(path) {
            name_patterns::generalise(path, one, facts, &own);
            own.generalise(path, facts, one);
        }
    }
    imports::generalise(&mut general, paths);
    let by_name = general.clone();
    siblings::generalise(&mut general, paths, runs, policy);
    keep_programs(&mut general, &by_name, paths);
    general
}

/// Every file in a directory of which more were used than are listed: what was learned of its own path
/// holds for them.
pub(super) fn others_in(
    directory: &FilePath,
    general: &BTreeMap<FilePath, GeneralisedPath>,
) -> Pattern {
    let Some(one) = general.get(directory) else {
        return Pattern::of_others_in(directory);
    };
    match one.pattern.segments().split_last() {
        Some((last, above)) if *last != [Part::Deep] => {
            Pattern::of(above.iter().cloned().chain([vec![Part::Star]]).collect())
        }
        _ => one.pattern.clone(),
    }
}

/// Takes back globs by which programs and libraries could be written that were only executed or
/// mapped: first to what the names by themselves tell, then to the paths.
fn keep_programs(
    general: &mut BTreeMap<FilePath, GeneralisedPath>,
    by_name: &BTreeMap<FilePath, GeneralisedPath>,
    paths: &BTreeMap<FilePath, PathInfo>,
) {
    let programs: Vec<_> = paths
        .iter()
        .filter(|(_, facts)| own::is_given_program(facts))
        .map(|(path, _)| path)
        .collect();
    let opens = |pattern: &Pattern| {
        pattern.is_glob() && programs.iter().any(|program| pattern.matches(program))
    };
    for (path, one) in general {
        let is_written = paths
            .get(path)
            .is_some_and(|facts| facts.permissions.has_any(Permissions::WRITE));
        if !is_written || !opens(&one.pattern) {
            continue;
        }
        *one = match by_name.get(path) {
            Some(before) if !opens(&before.pattern) => before.clone(),
            _ => GeneralisedPath {
                pattern: Pattern::literal(path),
                reasons: BTreeSet::new(),
            },
        };
    }
}

/// Whether these are what is done to a program or a library, and to nothing that is written too.
pub(super) fn is_program(permissions: Permissions) -> bool {
    permissions.has_any(Permissions::EXECUTE | Permissions::MAP)
        && !permissions.has_any(Permissions::WRITE)
}

/// Directories of which one file says nothing about the next: a glob over one would open what no
/// workload of the kind should have.
const GUARDED: &[&[u8]] = &[
    b"/",
    b"/boot/",
    b"/dev/",
    b"/etc/",
    b"/home/",
    b"/media/",
    b"/mnt/",
    b"/opt/",
    b"/proc/",
    b"/proc/sys/kernel/",
    b"/root/",
    b"/run/",
    b"/run/secrets/",
    b"/srv/",
    b"/sys/",
    b"/usr/",
    b"/var/",
    b"/var/lib/",
    b"/var/run/",
];

/// What stands against a glob in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// Nothing.
    None,
    /// Everybody keeps something in this directory.
    Shared,
    /// Some of the names are those of secrets.
    Secret,
}

/// What stands against a glob for the name at a place: all other names matter, those after it too.
fn guard(names: &[Segment], at: usize) -> Guard {
    let (above, below) = names.split_at(at.min(names.len()));
    if secrets::guard(above) || secrets::guard(below.get(1..).unwrap_or_default()) {
        Guard::Secret
    } else if is_shared(above) {
        Guard::Shared
    } else {
        Guard::None
    }
}

/// Whether the names that lead to a directory are those of one that everybody keeps something in.
fn is_shared(names: &[Segment]) -> bool {
    let mut path = b"/".to_vec();
    for segment in names {
        let [Part::Text(text)] = segment.as_slice() else {
            // A process's own directory, or one that varies: no known place.
            return false;
        };
        path.extend_from_slice(text);
        path.push(b'/');
    }
    GUARDED.contains(&path.as_slice())
}
