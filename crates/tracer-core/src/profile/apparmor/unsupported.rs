//! Files that no rule can be made for, and why.

use super::lost::LostReason;
use crate::recording::{FileAccess, FilePath, FileUse};

/// Longest path that AppArmor asks about (`aa_g_path_max`, security/apparmor/lsm.c).
const PATH_MAX: usize = 8192;

/// Why no rule can be made for a file; `None` when one can.
pub(super) fn unsupported_reason(file: &FileUse) -> Option<LostReason> {
    let bad = |path: &FilePath| {
        let bytes = path.as_bytes();
        let mut names = bytes
            .strip_suffix(b"/")
            .unwrap_or(bytes)
            .split(|byte| *byte == b'/')
            .skip(1);
        if bytes.is_empty() {
            Some(LostReason::NoPath)
        } else if bytes.contains(&0) || (bytes.len() > 1 && names.any(<[u8]>::is_empty)) {
            Some(LostReason::ImpossiblePath)
        } else if bytes.len() >= PATH_MAX {
            Some(LostReason::PathTooLong)
        } else if !bytes.starts_with(b"/") && !file.detached {
            Some(LostReason::NameOnly)
        } else {
            None
        }
    };
    if file.truncated {
        return Some(LostReason::Truncated);
    }
    if file.more && !file.path.is_directory() {
        return Some(LostReason::UnknownDirectory);
    }
    bad(&file.path).or_else(|| file.target.as_ref().and_then(bad))
}

/// What was done, for a reviewer.
pub(crate) const fn describe_access(access: FileAccess) -> &'static str {
    match access {
        FileAccess::Read => "reading",
        FileAccess::Write => "writing",
        FileAccess::Append => "appending",
        FileAccess::Create => "making",
        FileAccess::MakeDirectory => "making the directory",
        FileAccess::Symlink => "making the symbolic link",
        FileAccess::Link => "linking",
        FileAccess::Remove => "removing",
        FileAccess::RemoveDirectory => "removing the directory",
        FileAccess::RenameFrom => "renaming",
        FileAccess::RenameTo => "renaming to",
        FileAccess::ChangeMode => "changing the mode",
        FileAccess::ChangeOwner => "changing the owner",
        FileAccess::Truncate => "truncating",
        FileAccess::Lock => "locking",
        FileAccess::LockExclusive => "locking exclusively",
        FileAccess::Execute => "executing",
        FileAccess::MapExecutable => "mapping",
        FileAccess::Connect => "connecting to",
        FileAccess::CheckWritable => "asking whether it may write",
    }
}
