//! What one access of the kernel side is in a recording: which kinds of access, and who chose the name.

use tracer_abi::{
    Access, AccessKind,
    access::{flag, open},
};
use tracer_core::recording::{FileAccess, Provenance};

/// Who chose the name that an access went by.
pub(super) fn provenance(reported: &Access, access: FileAccess) -> Option<Provenance> {
    let how = reported.values[0];
    let kind = AccessKind::of(reported.kind);
    let is_new = how & open::NEW != 0;
    match (kind, access) {
        (Some(AccessKind::Open), _) if how & open::UNNAMED != 0 => Some(Provenance::Unnamed),
        (Some(AccessKind::Open), FileAccess::Create) => Some(match how & open::EXCLUSIVE {
            0 if is_new => Provenance::Made,
            // With `O_EXCL` it cannot have been there.
            0 => Provenance::Given,
            _ => Provenance::MadeExclusively,
        }),
        (_, FileAccess::Create) => Some(Provenance::Made),
        // The ends of system calls do not tell.
        (_, FileAccess::RenameTo) if reported.flags & flag::AS_GIVEN == 0 => Some(if is_new {
            Provenance::Made
        } else {
            Provenance::Given
        }),
        _ => None,
    }
}

/// What an access is in a recording: an open or an exec may be several.
pub(super) fn file_accesses(kind: AccessKind, how: u64) -> Vec<FileAccess> {
    let ways = [
        (open::READ, FileAccess::Read),
        (open::WRITE, FileAccess::Write),
        (open::APPEND, FileAccess::Append),
        (open::CREATED, FileAccess::Create),
        (open::EXECUTED, FileAccess::Execute),
    ];
    let mut accesses: Vec<_> = ways
        .into_iter()
        .filter(|(bit, _)| how & bit != 0)
        .map(|(_, access)| access)
        .collect();
    accesses.push(match kind {
        AccessKind::Open => return accesses,
        AccessKind::Create => FileAccess::Create,
        AccessKind::MakeDirectory => FileAccess::MakeDirectory,
        AccessKind::Symlink => FileAccess::Symlink,
        AccessKind::Link => FileAccess::Link,
        AccessKind::Remove => FileAccess::Remove,
        AccessKind::RemoveDirectory => FileAccess::RemoveDirectory,
        AccessKind::RenameFrom => FileAccess::RenameFrom,
        AccessKind::RenameTo => FileAccess::RenameTo,
        AccessKind::ChangeMode => FileAccess::ChangeMode,
        AccessKind::ChangeOwner => FileAccess::ChangeOwner,
        AccessKind::Truncate => FileAccess::Truncate,
        AccessKind::Lock if how & 1 != 0 => FileAccess::LockExclusive,
        AccessKind::Lock => FileAccess::Lock,
        AccessKind::Execute => FileAccess::Execute,
        AccessKind::MapExecutable => FileAccess::MapExecutable,
        AccessKind::CheckWritable => FileAccess::CheckWritable,
        // No file.
        _ => return Vec::new(),
    });
    accesses
}

/// Whether what a call of this kind names is not a directory, whatever is found under the name when
/// user space looks: another thing may have it by then. A directory that was renamed is known by its
/// new name.
pub(super) const fn is_never_a_directory(kind: AccessKind) -> bool {
    matches!(
        kind,
        AccessKind::Create
            | AccessKind::Symlink
            | AccessKind::Link
            | AccessKind::Remove
            | AccessKind::RenameFrom
    )
}
