//! What the ring of accesses tells of the mount tree, in a recording's words.

use tracer_ebpf::{AccessKind, access::flag};

use super::{Session, accesses::By};
use crate::{
    probe::KernelAccess,
    recording::{FilePath, MountOperation, MountUse},
};

/// `MS_…` by which a mount is none of a new file system (include/uapi/linux/mount.h).
const MS_REMOUNT: u64 = 1 << 5;
const MS_BIND: u64 = 1 << 12;
const MS_MOVE: u64 = 1 << 13;
const PROPAGATION: u64 = 0b1111 << 17;

impl Session {
    /// Takes in a change of the mount tree.
    pub(super) fn take_mount(&mut self, by: &By, told: KernelAccess) {
        let flags = told.access.values[0];
        let more = told.access.flags & flag::MORE != 0;
        let is_detached = told.access.flags & (flag::DETACHED | flag::SECOND_TRUNCATED) != 0;
        let plain = |operation, target| MountUse {
            operation,
            source: None,
            target,
            filesystem: None,
            flags: 0,
            more,
        };
        let what = match told.kind {
            AccessKind::Mount => {
                let Some(mount) = self.mount(by, &told) else {
                    self.unreadable_mounts += 1;
                    return;
                };
                mount
            }
            AccessKind::MoveMount => MountUse {
                // What was not mounted anywhere has no path.
                source: (!is_detached).then(|| FilePath::new(told.second)),
                flags,
                ..plain(MountOperation::Mount, FilePath::new(told.first))
            },
            AccessKind::PivotRoot => MountUse {
                source: Some(FilePath::new(told.second)),
                ..plain(MountOperation::PivotRoot, FilePath::new(told.first))
            },
            _ => {
                let as_given = told.access.flags & flag::AS_GIVEN != 0;
                let (instance, pid) = (by.instance, by.first.pid);
                let target = if as_given {
                    self.named(instance, pid, &told.first, Some(&told.second))
                        .unwrap_or_else(|| {
                            self.resolve(instance, pid, &told.first, &told.second, true)
                        })
                } else {
                    FilePath::new(told.first)
                };
                plain(MountOperation::Unmount, target)
            }
        };
        self.is_news(by, &what);
        self.accesses.mounts.add(by.does(what));
    }

    /// A mount by mount(2); `None` when its texts are not as they should be.
    fn mount(&self, by: &By, told: &KernelAccess) -> Option<MountUse> {
        let flags = told.access.values[0];
        let mut texts = told.first.split(|byte| *byte == 0);
        let (source, filesystem) = (texts.next()?, texts.next()?);
        let (instance, pid) = (by.instance, by.first.pid);
        let target = if told.access.flags & flag::AS_GIVEN != 0 {
            let text = texts.next()?;
            self.named(instance, pid, text, Some(&told.second))
                .unwrap_or_else(|| self.resolve(instance, pid, text, &told.second, true))
        } else {
            FilePath::new(told.second.clone())
        };
        let filesystem =
            (!filesystem.is_empty()).then(|| String::from_utf8_lossy(filesystem).into_owned());
        let is_of_file =
            flags & (MS_BIND | MS_MOVE) != 0 || filesystem.as_deref().is_some_and(needs_device);
        let source = (!source.is_empty()).then(|| {
            is_of_file
                .then(|| self.named(instance, pid, source, None))
                .flatten()
                .unwrap_or_else(|| FilePath::new(source))
        });
        Some(MountUse {
            operation: MountOperation::Mount,
            source,
            target,
            filesystem,
            flags,
            more: false,
        })
    }
}

/// Whether what is mounted is a file: `/proc/filesystems` says `nodev` of the others
/// (`filesystems_proc_show`, fs/filesystems.c).
fn needs_device(filesystem: &str) -> bool {
    // Of one with a subtype (`fuse.sshfs`) the kernel looks up what comes before the dot.
    let kind = filesystem.split('.').next().unwrap_or_default();
    std::fs::read_to_string("/proc/filesystems")
        .unwrap_or_default()
        .lines()
        .any(|line| line.strip_prefix('\t') == Some(kind))
}
