//! Rules for mount, umount and pivot_root.

use std::collections::BTreeSet;

use super::lost::LostReason;
use super::quote::{finish, push, quoted};
use crate::recording::{Executable, FilePath, MountOperation, MountUse};

/// A change of the mount tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountRule {
    /// Who made it.
    pub executables: BTreeSet<Executable>,
}

const MS_REMOUNT: u64 = 1 << 5;

/// Names of `MS_…` flags (include/uapi/linux/mount.h), as far as parser 3.0.8 knows them.
const FLAGS: [(u64, &str); 19] = [
    (1, "ro"),
    (1 << 1, "nosuid"),
    (1 << 2, "nodev"),
    (1 << 3, "noexec"),
    (1 << 4, "sync"),
    (MS_REMOUNT, "remount"),
    (1 << 6, "mand"),
    (1 << 7, "dirsync"),
    (1 << 10, "noatime"),
    (1 << 11, "nodiratime"),
    (1 << 12, "bind"),
    (1 << 13, "move"),
    (1 << 14, "rbind"),
    (1 << 15, "silent"),
    (1 << 16, "acl"),
    (1 << 17, "unbindable"),
    (1 << 18, "private"),
    (1 << 19, "slave"),
    (1 << 20, "shared"),
];

/// Later ones, after a gap.
const LATER: [(u64, &str); 3] = [
    (1 << 21, "relatime"),
    (1 << 23, "iversion"),
    (1 << 24, "strictatime"),
];

const MS_BIND: u64 = 1 << 12;
const MS_MOVE: u64 = 1 << 13;
const MS_REC: u64 = 1 << 14;
const MS_SILENT: u64 = 1 << 15;
const PROPAGATION: u64 = 0b1111 << 17;
/// `MS_MGC_VAL`: old callers put it in the upper half, the kernel drops it.
const MAGIC: u64 = 0xC0ED_0000;
const MAGIC_MASK: u64 = 0xFFFF_0000;
/// Flags of the kernel's own, which AppArmor drops (`AA_MS_IGNORE_MASK`, security/apparmor/include/mount.h):
/// `MS_KERNMOUNT`, `MS_NOSEC`, `MS_ACTIVE`, `MS_BORN`.
const KERNEL_ONLY: u64 = 1 << 22 | 1 << 28 | 1 << 29 | 1 << 30;

/// What mount(2) was asked for, in the order in which AppArmor looks (`apparmor_sb_mount`,
/// security/apparmor/lsm.c), and what it then asks the profile (security/apparmor/mount.c).
enum Asked {
    /// By the place and all flags.
    Remount,
    /// By the source, as a path, the place and whether it is recursive.
    Bind,
    /// By the place and how.
    Propagation,
    /// By the source, as a path, and the place.
    Move,
    /// By the source, as a path where the type needs a device, the type, the place and all flags.
    New,
}

impl Asked {
    const fn of(flags: u64) -> Self {
        if flags & MS_REMOUNT != 0 {
            Self::Remount
        } else if flags & MS_BIND != 0 {
            Self::Bind
        } else if flags & PROPAGATION != 0 {
            Self::Propagation
        } else if flags & MS_MOVE != 0 {
            Self::Move
        } else {
            Self::New
        }
    }

    /// The flags that the profile is asked for.
    const fn flags(&self, flags: u64) -> u64 {
        match self {
            Self::Remount | Self::New => flags,
            Self::Bind => flags & (MS_BIND | MS_REC),
            Self::Propagation => flags & (MS_REC | MS_SILENT | PROPAGATION),
            Self::Move => MS_MOVE,
        }
    }
}

/// The rule's text without the comma, or why there is none.
pub(super) fn text(mount: &MountUse) -> Result<String, LostReason> {
    let target = path(&mount.target, mount.more)?;
    Ok(match mount.operation {
        MountOperation::Unmount => format!("umount {target}"),
        MountOperation::PivotRoot => match &mount.source {
            Some(old) => format!("pivot_root oldroot={} {target}", path(old, false)?),
            None => format!("pivot_root {target}"),
        },
        MountOperation::Mount => mounted(mount, &target)?,
    })
}

fn mounted(mount: &MountUse, target: &str) -> Result<String, LostReason> {
    let flags = if mount.flags & MAGIC_MASK == MAGIC {
        mount.flags & !MAGIC_MASK
    } else {
        mount.flags
    } & !KERNEL_ONLY;
    let asked = Asked::of(flags);
    let options = options(asked.flags(flags))?;
    let source = match (&asked, &mount.source) {
        (Asked::Remount | Asked::Propagation, _) | (_, None) => String::new(),
        (Asked::Bind | Asked::Move, Some(source)) => format!(" {}", path(source, false)?),
        (Asked::New, Some(source)) => format!(" {}", quoted(source.as_bytes())),
    };
    let filesystem = match (&asked, &mount.filesystem) {
        (Asked::New, Some(name)) => format!(" fstype={}", quoted(name.as_bytes())),
        _ => String::new(),
    };
    Ok(format!(
        "mount{filesystem} options=({options}){source} -> {target}"
    ))
}

/// A path as a token; `of_others`: what is in the directory, directories too, not itself.
fn path(path: &FilePath, of_others: bool) -> Result<String, LostReason> {
    if !path.as_bytes().starts_with(b"/") {
        return Err(LostReason::RelativeMount);
    }
    let mut token = String::new();
    let quotes = push(&mut token, path.as_bytes());
    if of_others {
        token.push_str("{*,*/}");
    }
    Ok(finish(token, quotes))
}

fn options(mut left: u64) -> Result<String, LostReason> {
    let mut names = Vec::new();
    if left & 1 == 0 {
        names.push("rw".to_owned());
    }
    // With these MS_REC is part of their name.
    let recursive = left & MS_REC != 0;
    let takes_recursion = left & (MS_BIND | PROPAGATION);
    if recursive {
        left &= !MS_REC;
        if takes_recursion == 0 {
            names.push("rbind".to_owned());
        }
    }
    for (flag, name) in FLAGS.iter().chain(&LATER) {
        if left & flag != 0 {
            left &= !flag;
            let with_r = recursive && takes_recursion & flag != 0;
            names.push(format!("{}{name}", if with_r { "r" } else { "" }));
        }
    }
    if left == 0 {
        Ok(names.join(", "))
    } else {
        Err(LostReason::UnnamedMountFlag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_mount(flags: u64, source: Option<&str>, target: &str) -> MountUse {
        MountUse {
            operation: MountOperation::Mount,
            source: source.map(FilePath::from),
            target: FilePath::from(target),
            filesystem: Some("tmpfs".to_owned()),
            flags,
            more: false,
        }
    }

    #[test]
    fn renders_mount_rules() {
        for (flags, source, expected) in [
            (
                6,
                Some("none"),
                r#"mount fstype="tmpfs" options=(rw, nosuid, nodev) "none" -> "/mnt/a b/""#,
            ),
            (
                0xC0ED_0001,
                None,
                r#"mount fstype="tmpfs" options=(ro) -> "/mnt/a b/""#,
            ),
            (
                0x5003,
                Some("/a/"),
                r#"mount options=(rw, rbind) /a/ -> "/mnt/a b/""#,
            ),
            (
                0x4_4000,
                Some("none"),
                r#"mount options=(rw, rprivate) -> "/mnt/a b/""#,
            ),
            (
                0x1021,
                Some("none"),
                r#"mount options=(ro, remount, bind) -> "/mnt/a b/""#,
            ),
            (
                0x2000,
                Some("/a/"),
                r#"mount options=(rw, move) /a/ -> "/mnt/a b/""#,
            ),
            (0x2000, None, r#"mount options=(rw, move) -> "/mnt/a b/""#),
        ] {
            assert_eq!(
                text(&by_mount(flags, source, "/mnt/a b/")).as_deref(),
                Ok(expected)
            );
        }
    }

    #[test]
    fn rejects_inexpressible_mounts() {
        for (flags, source, target) in [
            (1 << 25, None, "/mnt/"),
            (MS_BIND, Some("a"), "/mnt/"),
            (MS_MOVE, Some("a"), "/mnt/"),
            (0, None, "mnt"),
        ] {
            assert!(text(&by_mount(flags, source, target)).is_err(), "{flags:x}");
        }
    }

    #[test]
    fn renders_umount_and_pivot_root() {
        let other = |operation, source: Option<&str>, more| {
            text(&MountUse {
                operation,
                filesystem: None,
                more,
                ..by_mount(0, source, "/mnt/a b/")
            })
        };
        assert_eq!(
            other(MountOperation::Unmount, None, false).as_deref(),
            Ok(r#"umount "/mnt/a b/""#)
        );
        assert_eq!(
            other(MountOperation::Unmount, None, true).as_deref(),
            Ok(r#"umount "/mnt/a b/{*,*/}""#)
        );
        assert_eq!(
            other(MountOperation::PivotRoot, Some("/old/"), false).as_deref(),
            Ok(r#"pivot_root oldroot=/old/ "/mnt/a b/""#)
        );
    }
}
