//! Files that no rule can be made for, and why.

use crate::recording::{FileAccess, FilePath, FileUse};

/// Longest path that AppArmor asks about (`aa_g_path_max`, security/apparmor/lsm.c).
const PATH_MAX: usize = 8192;

/// Why no rule can be made for a file; `None` when one can.
pub(super) fn unsupported_reason(file: &FileUse) -> Option<&'static str> {
    let bad = |path: &FilePath| {
        let bytes = path.as_bytes();
        let mut names = bytes
            .strip_suffix(b"/")
            .unwrap_or(bytes)
            .split(|byte| *byte == b'/')
            .skip(1);
        if bytes.is_empty() {
            Some("it has no path")
        } else if bytes.contains(&0) || (bytes.len() > 1 && names.any(<[u8]>::is_empty)) {
            Some("no path of the kernel's looks like this")
        } else if bytes.len() >= PATH_MAX {
            Some("AppArmor denies paths of 8192 bytes and more, whatever a profile says")
        } else if !bytes.starts_with(b"/") && !file.detached {
            Some("it has a name and no path (memory, a pipe): AppArmor does not ask about it")
        } else {
            None
        }
    };
    if file.truncated {
        return Some("the path was too long to be kept whole");
    }
    if file.more && !file.path.is_directory() {
        return Some("it is not known in which directory");
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
    }
}
