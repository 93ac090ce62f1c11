//! What a run needs that the AppArmor profile of other runs does not allow.

use std::collections::BTreeSet;

use tracer_core::{
    profile::apparmor::{AppArmorProfile, Permissions},
    recording::{FileAccess, FilePath, Phase, Recording},
};

/// What a run did that the profile denies, and of how much. Whose a file is that is named and not
/// opened, the ends of system calls do not tell: it counts as the user's own only in a directory that the run
/// made, or where another access was to a file of the user's own.
pub fn missed(profile: &AppArmorProfile, run: &Recording) -> (Vec<String>, usize) {
    let done: Vec<_> = run
        .files
        .iter()
        .filter(|seen| seen.evidence.iter().any(|who| who.phase == Phase::Run))
        .collect();
    let owned = run.files.iter().filter(|seen| seen.what.owned);
    let mut own: BTreeSet<_> = owned.filter_map(|seen| seen.what.path.parent()).collect();
    let made = done
        .iter()
        .filter(|seen| seen.what.access == FileAccess::MakeDirectory);
    own.extend(made.map(|seen| seen.what.path.clone()));
    let is_own = |path: &FilePath| path.parent().is_some_and(|it| own.contains(&it));
    let denied = done.iter().filter(|seen| {
        let needed = Permissions::needed_by(seen.what.access);
        let owned = seen.what.owned || (!tells_owner(seen.what.access) && is_own(&seen.what.path));
        !profile.allows(&seen.what.path, needed, owned)
    });
    let missed = denied.map(|seen| format!("{:?} {}", seen.what.access, seen.what.path));
    (missed.collect(), done.len())
}

/// Whether the ends of system calls tell the owner of a file: only of one that was opened.
const fn tells_owner(access: FileAccess) -> bool {
    !matches!(
        access,
        FileAccess::Remove
            | FileAccess::RemoveDirectory
            | FileAccess::RenameFrom
            | FileAccess::RenameTo
            | FileAccess::ChangeMode
            | FileAccess::ChangeOwner
            | FileAccess::Truncate
            | FileAccess::Link
    )
}
