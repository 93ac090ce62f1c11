//! Rules for hard links.

use std::collections::{BTreeMap, BTreeSet};

use super::{files::FileRule, pattern::Pattern, permissions::Permissions};
use crate::recording::{Executable, FilePath};

/// A file may be given another name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkRule {
    /// Whether the new name may grant nothing that the old one does not (`link subset`).
    pub subset: bool,
    /// Whether it stands for more links in the directories than were told apart.
    pub more: bool,
    /// The new and old names that were seen.
    pub paths: BTreeSet<(FilePath, FilePath)>,
    /// Who made them.
    pub executables: BTreeSet<Executable>,
}

/// Decides of each rule whether the subset test would have let what was seen pass: the kernel
/// compares what the profile allows of both names (security/apparmor/file.c, `profile_path_link`).
pub(super) fn decide_subset(
    links: &mut BTreeMap<(Pattern, Pattern), LinkRule>,
    rules: &BTreeMap<Pattern, FileRule>,
) {
    let allowed = |path: &FilePath| {
        let matching = rules.iter().filter(|(pattern, _)| pattern.matches(path));
        matching.fold(
            (Permissions::NONE, Permissions::NONE),
            |(all, owner), (_, rule)| {
                (
                    all | rule.permissions,
                    owner | rule.permissions | rule.owner,
                )
            },
        )
    };
    // That it may be a link is no matter of the comparison.
    let allowed = |path: &FilePath| {
        let (all, owner) = allowed(path);
        (
            all.without(Permissions::LINK),
            owner.without(Permissions::LINK),
        )
    };
    for link in links.values_mut() {
        // Of names that are not known nothing can be compared.
        link.subset = !link.more
            && link.paths.iter().all(|(new, old)| {
                let ((new, new_owner), (old, old_owner)) = (allowed(new), allowed(old));
                old.contains(new) && old_owner.contains(new_owner)
            });
    }
}
