//! AppArmor's file permissions, and which of them an access needs.

use std::{
    fmt,
    ops::{BitOr, BitOrAssign},
};

use crate::recording::FileAccess;

/// A set of file permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(u8);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// `r`: read; list a directory.
    pub const READ: Self = Self(1);
    /// `w`: write, make, remove, rename, change mode and owner.
    pub const WRITE: Self = Self(1 << 1);
    /// `a`: be opened to be written at the end only. No access needs just that, since write(2) asks
    /// for [`WRITE`](Self::WRITE); other people's profiles have it.
    pub const APPEND: Self = Self(1 << 2);
    /// `k`: lock.
    pub const LOCK: Self = Self(1 << 3);
    /// `m`: map to be executed.
    pub const MAP: Self = Self(1 << 4);
    /// `ix`: execute, under the same profile.
    pub const EXECUTE: Self = Self(1 << 5);
    /// Be the new name of a link; a rule of its own says of what.
    pub const LINK: Self = Self(1 << 6);

    /// What an access to a file needs (security/apparmor/lsm.c and file.c, Linux 6.1).
    ///
    /// While it starts a program the kernel grants by itself that the file is read and mapped
    /// (`apparmor_file_open`); the dynamic loader and the program itself ask for that later. A rename
    /// reads the old name. Whoever connects to a socket by its path writes and, on
    /// kernels that mediate unix sockets finely, reads. A file that is opened with `O_APPEND` needs all of
    /// `w`: the open asks for `MAY_APPEND` and keeps that, and each write(2) asks for `MAY_WRITE`, which
    /// `aa_file_perm` then looks up anew.
    pub fn needed_by(access: FileAccess) -> Self {
        match access {
            FileAccess::Read => Self::READ,
            FileAccess::Write
            | FileAccess::Append
            | FileAccess::Create
            | FileAccess::MakeDirectory
            | FileAccess::Symlink
            | FileAccess::Remove
            | FileAccess::RemoveDirectory
            | FileAccess::RenameTo
            | FileAccess::ChangeMode
            | FileAccess::ChangeOwner
            | FileAccess::Truncate => Self::WRITE,
            FileAccess::RenameFrom | FileAccess::Connect => Self::READ | Self::WRITE,
            FileAccess::Link => Self::LINK,
            FileAccess::Lock => Self::LOCK,
            // `apparmor_file_lock` (security/apparmor/lsm.c), however the file was opened.
            FileAccess::LockExclusive => Self::LOCK | Self::WRITE,
            // `faccessat` asks for no path (security/apparmor/lsm.c has no `inode_permission`).
            FileAccess::CheckWritable => Self(0),
            FileAccess::Execute => Self::EXECUTE | Self::MAP | Self::READ,
            FileAccess::MapExecutable => Self::MAP | Self::READ,
        }
    }

    /// These and `others`.
    pub(super) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `others` are in it. `w` holds `a`.
    pub const fn contains(self, others: Self) -> bool {
        let all = if self.0 & Self::WRITE.0 != 0 {
            self.0 | Self::APPEND.0
        } else {
            self.0
        };
        all & others.0 == others.0
    }

    /// Whether one of `others` is in it.
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// These but `others`.
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Those of them that are among `others`.
    pub const fn only(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The same without `a` where `w` is: the parser refuses both in one rule.
    pub const fn normal(self) -> Self {
        if self.0 & Self::WRITE.0 == 0 {
            self
        } else {
            self.without(Self::APPEND)
        }
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl BitOrAssign for Permissions {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// As in a rule, `LINK` left out.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (Self::MAP, "m"),
            (Self::READ, "r"),
            (Self::WRITE, "w"),
            (Self::APPEND, "a"),
            (Self::LOCK, "k"),
            (Self::EXECUTE, "ix"),
        ];
        let normal = self.normal();
        for (permission, letter) in letters {
            if normal.has_any(permission) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_render_as_letters() {
        for (accesses, text) in [
            (&[FileAccess::Read, FileAccess::Write][..], "rw"),
            (&[FileAccess::Append], "w"),
            (&[FileAccess::Append, FileAccess::Read], "rw"),
            (&[FileAccess::Execute], "mrix"),
            (&[FileAccess::RenameFrom, FileAccess::Lock], "rwk"),
            (&[FileAccess::Link], ""),
        ] {
            let all = accesses.iter().fold(Permissions::NONE, |all, it| {
                all | Permissions::needed_by(*it)
            });
            assert_eq!(all.to_string(), text);
        }
        assert!(Permissions::WRITE.contains(Permissions::APPEND));
        assert!(!Permissions::APPEND.contains(Permissions::WRITE));
    }
}
