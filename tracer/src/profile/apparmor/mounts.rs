//! Rules for mount, umount and pivot_root.

use std::collections::BTreeSet;

use super::quote::quoted;
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
const MS_REC: u64 = 1 << 14;
const PROPAGATION: u64 = 0b1111 << 17;
/// `MS_MGC_VAL`: old callers put it in the upper half, the kernel drops it.
const MAGIC: u64 = 0xC0ED_0000;

/// The rule's text without the comma, or why there is none.
pub(super) fn text(mount: &MountUse) -> Result<String, &'static str> {
    let target = path(&mount.target)?;
    let source = mount
        .source
        .as_ref()
        .map(|source| quoted(source.as_bytes()));
    Ok(match mount.operation {
        MountOperation::Unmount => format!("umount {target}"),
        MountOperation::PivotRoot => match &mount.source {
            Some(old) => format!("pivot_root oldroot={} {target}", path(old)?),
            None => format!("pivot_root {target}"),
        },
        MountOperation::Mount => {
            let options = options(mount.flags)?;
            let filesystem = mount
                .filesystem
                .as_ref()
                .filter(|_| mount.flags & (MS_BIND | PROPAGATION) == 0);
            let filesystem = filesystem.map_or_else(String::new, |name| {
                format!(" fstype={}", quoted(name.as_bytes()))
            });
            // Of a change of propagation and of a remount the kernel asks the place only.
            let source = source.filter(|_| mount.flags & (PROPAGATION | MS_REMOUNT) == 0);
            let source = source.map_or_else(String::new, |source| format!(" {source}"));
            format!("mount{filesystem} options=({options}){source} -> {target}")
        }
    })
}

fn path(path: &FilePath) -> Result<String, &'static str> {
    if path.as_bytes().starts_with(b"/") {
        Ok(quoted(path.as_bytes()))
    } else {
        Err("its place is no absolute path")
    }
}

fn options(flags: u64) -> Result<String, &'static str> {
    let mut left = if flags & 0xFFFF_0000 == MAGIC {
        flags & 0xFFFF
    } else {
        flags
    };
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
        Err("it has a flag that the parser has no name for")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let mount = |operation, flags, source: Option<&str>| {
            text(&MountUse {
                operation,
                source: source.map(FilePath::from),
                target: FilePath::from("/mnt/a b/"),
                filesystem: Some("tmpfs".to_owned()),
                flags,
            })
        };
        for (flags, source, expected) in [
            (
                6,
                Some("none"),
                r#"mount fstype="tmpfs" options=(rw, nosuid, nodev) "none" -> "/mnt/a b/""#,
            ),
            (
                0x5000,
                Some("/a/"),
                r#"mount options=(rw, rbind) /a/ -> "/mnt/a b/""#,
            ),
            (
                0x4_4000,
                None,
                r#"mount options=(rw, rprivate) -> "/mnt/a b/""#,
            ),
            (
                0x21,
                None,
                r#"mount fstype="tmpfs" options=(ro, remount) -> "/mnt/a b/""#,
            ),
        ] {
            assert_eq!(
                mount(MountOperation::Mount, flags, source).as_deref(),
                Ok(expected)
            );
        }
        assert!(mount(MountOperation::Mount, 1 << 25, None).is_err());
        assert_eq!(
            mount(MountOperation::Unmount, 2, None).as_deref(),
            Ok(r#"umount "/mnt/a b/""#)
        );
        assert_eq!(
            mount(MountOperation::PivotRoot, 0, Some("/old/")).as_deref(),
            Ok(r#"pivot_root oldroot=/old/ "/mnt/a b/""#)
        );
    }
}
