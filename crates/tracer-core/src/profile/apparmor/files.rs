//! Rules for files.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    covered,
    generalise::{self, GeneralisedPath, Given, PathInfo, Policy, Reason},
    pattern::Pattern,
    permissions::Permissions,
};
use crate::recording::{Executable, FileAccess, FilePath, FileUse, Provenance};

/// What a rule allows, why, and what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRule {
    /// What it allows to everyone under the profile.
    pub permissions: Permissions,
    /// What it allows besides to the owner of the file.
    pub owner: Permissions,
    /// What made a glob of it; empty for a path.
    pub reasons: BTreeSet<Reason>,
    /// The paths that were seen, and what was needed of each.
    pub paths: BTreeMap<FilePath, Permissions>,
    /// Who used them.
    pub executables: BTreeSet<Executable>,
    /// What each of them needed.
    pub(super) by: BTreeMap<Executable, Use>,
}

/// What a program needed of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// All of it.
    pub(super) needed: Permissions,
    /// What of it comes with the file that it had open, and may have handed down.
    pub(super) open: Permissions,
}

impl Use {
    fn and(&mut self, other: Self) {
        self.needed |= other.needed;
        self.open |= other.open;
    }
}

/// What programs needed, and what those of one more needed.
pub(super) fn join(
    by: &mut BTreeMap<Executable, Use>,
    others: impl IntoIterator<Item = (Executable, Use)>,
) {
    for (executable, its) in others {
        by.entry(executable).or_default().and(its);
    }
}

impl FileRule {
    /// That allows nothing yet.
    pub(super) const fn empty() -> Self {
        Self {
            permissions: Permissions::NONE,
            owner: Permissions::NONE,
            reasons: BTreeSet::new(),
            paths: BTreeMap::new(),
            executables: BTreeSet::new(),
            by: BTreeMap::new(),
        }
    }
}

/// The uses of one path.
#[derive(Clone, Debug, Default)]
struct Uses {
    facts: PathInfo,
    /// What the file's owner needed.
    owned: Permissions,
    /// What others needed.
    foreign: Permissions,
    /// What was needed by whoever it was: the ends of system calls do not tell of a file that is named
    /// and not opened.
    by_anyone: Permissions,
    executables: BTreeSet<Executable>,
    by: BTreeMap<Executable, Use>,
    /// What was done with files of this directory that are not listed.
    more: Permissions,
    /// The same with files anywhere below it.
    below: Permissions,
}

/// All uses of files, while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    paths: BTreeMap<FilePath, Uses>,
}

impl Gathered {
    /// Adds a use, by these runs. `tells_owner`: whether what recorded sees whose file it is that is
    /// named and not opened.
    pub(super) fn add(
        &mut self,
        file: &FileUse,
        needed: Permissions,
        tells_owner: bool,
        runs: impl Iterator<Item = u32>,
        by: BTreeMap<Executable, Use>,
    ) {
        let uses = self.paths.entry(anchored(&file.path)).or_default();
        uses.executables.extend(by.keys().cloned());
        join(&mut uses.by, by);
        if file.tree {
            uses.below |= needed;
            return;
        }
        if file.more {
            uses.more |= needed;
            return;
        }
        uses.facts.permissions |= needed;
        uses.facts.runs.extend(runs);
        // Older recordings do not say of an open with `O_CREAT` whether the file was there.
        uses.facts.made |= matches!(
            file.access,
            FileAccess::Create
                | FileAccess::MakeDirectory
                | FileAccess::Symlink
                | FileAccess::Link
                | FileAccess::RenameTo
        ) && file.provenance != Some(Provenance::Given);
        uses.facts.told |= file.provenance.is_some();
        uses.facts.exclusive |= file.provenance == Some(Provenance::MadeExclusively);
        uses.facts.unnamed |= file.provenance == Some(Provenance::Unnamed);
        uses.facts.gone |= matches!(
            file.access,
            FileAccess::Remove | FileAccess::RemoveDirectory | FileAccess::RenameFrom
        );
        if file.owned {
            uses.owned |= needed;
        } else if !tells_owner && is_named_only(file.access) {
            uses.by_anyone |= needed;
        } else {
            uses.foreign |= needed;
        }
    }

    /// Notes a path that only a link names, so that it is generalised like the others.
    pub(super) fn mention(&mut self, path: &FilePath, runs: impl Iterator<Item = u32>) {
        let uses = self.paths.entry(anchored(path)).or_default();
        uses.facts.runs.extend(runs);
    }

    /// Notes an executable that ran: its file was read and mapped, whatever else was seen.
    pub(super) fn ran(&mut self, path: &str, executable: &Executable) {
        let mapped = Permissions::READ | Permissions::MAP;
        // Where /bin is a link to /usr/bin, the kernel went by the latter's name.
        let merged = FilePath::from(format!("/usr{path}").as_str());
        let has = |path: &FilePath| {
            let uses = self.paths.get(path);
            uses.is_some_and(|uses| uses.facts.permissions.contains(mapped))
        };
        let path = FilePath::from(path);
        if has(&path) || has(&merged) {
            return;
        }
        let uses = self.paths.entry(path).or_default();
        uses.facts.permissions |= mapped;
        uses.foreign |= mapped;
        uses.executables.insert(executable.clone());
        let its = Use {
            needed: mapped,
            open: Permissions::NONE,
        };
        join(&mut uses.by, [(executable.clone(), its)]);
    }

    /// What each path becomes under a policy.
    pub(super) fn generalise(
        &self,
        runs: &BTreeSet<u32>,
        policy: Policy,
        given: Given,
    ) -> BTreeMap<FilePath, GeneralisedPath> {
        let facts = self
            .paths
            .iter()
            .map(|(path, uses)| (path.clone(), uses.facts.clone()));
        generalise::generalise(&facts.collect(), runs, policy, given)
    }

    /// Takes back that more files of a directory were written than are listed where one of the listed is
    /// a program or a library; returns what that was.
    pub(super) fn withhold_writes(&mut self) -> Vec<String> {
        let programs: Vec<FilePath> = self
            .paths
            .iter()
            .filter(|(_, uses)| generalise::is_program(uses.facts.permissions))
            .map(|(path, _)| path.clone())
            .collect();
        let mut withheld = Vec::new();
        for (path, uses) in &mut self.paths {
            let pattern = || Pattern::of_others_in(path);
            if uses.more.has_any(Permissions::WRITE)
                && programs.iter().any(|program| pattern().matches(program))
            {
                uses.more = uses.more.without(Permissions::WRITE);
                withheld.push(format!("writing more files in {path}"));
            }
            let pattern = || Pattern::of_tree(path);
            if uses.below.has_any(Permissions::WRITE)
                && programs.iter().any(|program| pattern().matches(program))
            {
                uses.below = uses.below.without(Permissions::WRITE);
                withheld.push(format!("writing files below {path}"));
            }
        }
        withheld
    }

    /// The rules for them. No rule is for the owner alone when the workload changes its user.
    pub(super) fn rules(
        self,
        general: &BTreeMap<FilePath, GeneralisedPath>,
        changes_user: bool,
    ) -> BTreeMap<Pattern, FileRule> {
        let mut rules: BTreeMap<Pattern, FileRule> = BTreeMap::new();
        // What somebody else than the owner needed, of all paths behind a rule.
        let mut foreign: BTreeMap<Pattern, Permissions> = BTreeMap::new();
        for (path, uses) in self.paths {
            for (pattern, unlisted) in [
                (generalise::others_in(&path, general), uses.more),
                (Pattern::of_tree(&path), uses.below),
            ] {
                if unlisted.is_empty() {
                    continue;
                }
                *foreign.entry(pattern.clone()).or_default() |= unlisted;
                let rule = rules.entry(pattern).or_insert_with(FileRule::empty);
                rule.permissions |= unlisted;
                rule.reasons.insert(Reason::More);
                rule.executables.extend(uses.executables.iter().cloned());
                join(&mut rule.by, uses.by.clone());
            }
            let needed = uses.facts.permissions;
            let Some(general) = general.get(&path).filter(|_| !needed.is_empty()) else {
                continue;
            };
            let pattern = &general.pattern;
            // Who owns a program is no matter of who runs it.
            let mut others = if needed.has_any(Permissions::MAP | Permissions::EXECUTE) {
                needed
            } else if uses.facts.made {
                // Whoever removes or renames what the workload made is its owner, unless the user changed.
                uses.foreign
            } else {
                uses.foreign | uses.by_anyone
            };
            if changes_user || !belongs_to_its_user(&path, uses.facts.made) {
                others |= uses.owned | uses.by_anyone;
            }
            *foreign.entry(pattern.clone()).or_default() |= others;
            let rule = rules.entry(pattern.clone()).or_insert_with(FileRule::empty);
            rule.permissions |= needed;
            rule.reasons.extend(general.reasons.iter().copied());
            rule.paths.insert(path, needed);
            rule.executables.extend(uses.executables);
            join(&mut rule.by, uses.by);
        }
        for (pattern, rule) in &mut rules {
            let all = rule.permissions;
            let others = foreign.get(pattern).copied().unwrap_or_default();
            rule.owner = all.without(others).without(Permissions::LINK);
            rule.permissions = all.without(rule.owner);
        }
        covered::fold(rules)
    }
}

/// A path below the root: AppArmor attaches one that leads to no root there
/// (`attach_disconnected`).
fn anchored(path: &FilePath) -> FilePath {
    if path.as_bytes().starts_with(b"/") {
        return path.clone();
    }
    FilePath::new([b"/", path.as_bytes()].concat())
}

/// Whether an access names a file and does not open it.
const fn is_named_only(access: FileAccess) -> bool {
    matches!(
        access,
        FileAccess::Remove
            | FileAccess::RemoveDirectory
            | FileAccess::RenameFrom
            | FileAccess::RenameTo
            | FileAccess::ChangeMode
            | FileAccess::Truncate
    )
}

/// Whether a file has its user's id as its owner wherever the workload may run: what the workload
/// made, temporary files, homes, and what `/proc` has of a process. Elsewhere that they were equal
/// says only as whom it was run.
fn belongs_to_its_user(path: &FilePath, made: bool) -> bool {
    const PLACES: [&[u8]; 5] = [
        b"/tmp/",
        b"/var/tmp/",
        b"/dev/shm/",
        b"/home/",
        b"/run/user/",
    ];
    let bytes = path.as_bytes();
    let below = |place: &&[u8]| bytes.len() > place.len() && bytes.starts_with(place);
    let process = bytes.strip_prefix(b"/proc/").and_then(<[u8]>::first);
    made || PLACES.iter().any(below) || process.is_some_and(u8::is_ascii_digit)
}
