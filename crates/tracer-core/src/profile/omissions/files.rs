//! What the operator's AppArmorProfile cannot express of rules for files.

use super::Words;
use crate::{profile::apparmor::Permissions, recording::FilePath};

/// Something of a rule for files that the operator cannot express. Paths are as the operator takes them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FileOmission {
    /// Rules for a file's owner.
    Owner {
        /// How many.
        rules: usize,
    },
    /// Which file a hard link may be to.
    LinkTarget {
        /// The link.
        link: String,
        /// The file.
        target: String,
    },
    /// A path with characters that the operator refuses.
    Path {
        /// The path.
        path: FilePath,
        /// What is written for it.
        pattern: String,
    },
    /// Locking a file.
    Lock {
        /// The path.
        path: String,
    },
    /// Locking a file without writing it.
    LockOnly {
        /// The path.
        path: String,
    },
    /// Writing a file without reading it.
    WriteOnly {
        /// The path.
        path: String,
    },
    /// Reading a file without writing it.
    ReadOnly {
        /// The path.
        path: String,
    },
    /// A path that the operator denies in every profile.
    Denied {
        /// What is needed.
        permissions: Permissions,
        /// The path.
        path: String,
    },
}

impl FileOmission {
    pub(super) fn words(&self) -> Words<'_> {
        let (what, instead) = match self {
            Self::Owner { rules } => (
                format!("that {rules} rules are for a file's owner alone"),
                "they are for every user",
            ),
            Self::LinkTarget { link, target } => (
                format!("that {link} may be a link to {target} alone"),
                "it may be one to any file",
            ),
            Self::Path { path, pattern } => {
                let instead =
                    format!("{pattern}: the operator refuses a profile with other characters");
                return (format!("the path {path}").into(), instead.into());
            }
            Self::Lock { path } => (format!("locking {path}"), "it is denied"),
            Self::LockOnly { path } => (
                format!("that {path} may be locked and not written"),
                "it may be written",
            ),
            Self::WriteOnly { path } => (
                format!("that {path} may be written and not read"),
                "it may be read: other rules read what it stands for, and write-only paths deny that",
            ),
            Self::ReadOnly { path } => (
                format!("that {path} may be read and not written"),
                "it may be written: other rules write what it stands for, and read-only paths deny that",
            ),
            Self::Denied { permissions, path } => (
                format!("{permissions} on {path}"),
                "the operator denies it in every profile; load apparmor.profile on the nodes instead",
            ),
        };
        (what.into(), instead.into())
    }
}
