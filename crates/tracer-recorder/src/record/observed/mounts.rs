//! What the ring of accesses tells of the mount tree, in a recording's words.

use tracer_abi::{AccessKind, access::flag};

use super::{AccessSource, Observed, Unreadable, accesses::AccessContext};
use crate::bpf::KernelAccess;
use tracer_core::recording::{FilePath, MountOperation, MountUse};

/// `MS_…` by which a mount is none of a new file system (include/uapi/linux/mount.h).
const MS_REMOUNT: u64 = 1 << 5;
const MS_BIND: u64 = 1 << 12;
const MS_MOVE: u64 = 1 << 13;
const PROPAGATION: u64 = 0b1111 << 17;
/// `MS_MGC_VAL`, which old callers put in the upper half and the kernel drops.
const MAGIC: u64 = 0xC0ED_0000;
const MAGIC_MASK: u64 = 0xFFFF_0000;

impl Observed {
    /// Takes in a change of the mount tree.
    pub(super) fn take_mount(
        &mut self,
        by: &AccessContext,
        reported: KernelAccess,
        source: &AccessSource<'_>,
    ) -> Result<(), Unreadable> {
        let flags = reported.access.flags;
        let is_whole = flags & (flag::TRUNCATED | flag::SECOND_TRUNCATED) == 0;
        let what = is_whole
            .then(|| mount_use(by, reported, source))
            .flatten()
            .ok_or(Unreadable)?;
        self.note_discovery(by, &what);
        self.accesses.mounts.add(by.does(what));
        Ok(())
    }
}

/// `None` when its texts are not as they should be.
fn mount_use(
    by: &AccessContext,
    reported: KernelAccess,
    source: &AccessSource<'_>,
) -> Option<MountUse> {
    let flags = reported.access.flags;
    let plain = |operation, target| MountUse {
        operation,
        source: None,
        target,
        filesystem: None,
        flags: 0,
        more: flags & flag::MORE != 0,
    };
    Some(match reported.kind {
        AccessKind::Mount => mount(by, &reported, source)?,
        AccessKind::MoveMount => MountUse {
            // What was not mounted anywhere has no path.
            source: (flags & flag::SECOND_DETACHED == 0).then(|| FilePath::new(reported.second)),
            flags: reported.access.values[0],
            ..plain(MountOperation::Mount, FilePath::new(reported.first))
        },
        AccessKind::PivotRoot => MountUse {
            source: Some(FilePath::new(reported.second)),
            ..plain(MountOperation::PivotRoot, FilePath::new(reported.first))
        },
        _ if flags & flag::AS_GIVEN != 0 => plain(
            MountOperation::Unmount,
            led_to(by, &reported.first, &reported.second, source),
        ),
        _ => plain(MountOperation::Unmount, FilePath::new(reported.first)),
    })
}

/// What mount(2) was asked for.
fn mount(by: &AccessContext, reported: &KernelAccess, from: &AccessSource<'_>) -> Option<MountUse> {
    let flags = match reported.access.values[0] {
        old if old & MAGIC_MASK == MAGIC => old & !MAGIC_MASK,
        flags => flags,
    };
    let mut texts = reported.first.splitn(3, |byte| *byte == 0);
    let (source, filesystem, last) = (texts.next()?, texts.next()?, texts.next()?);
    let is_new = flags & (MS_REMOUNT | MS_BIND | MS_MOVE | PROPAGATION) == 0;
    let (target, start) = if reported.access.flags & flag::AS_GIVEN == 0 {
        (FilePath::new(reported.second.clone()), last)
    } else {
        let text = last.strip_suffix(b"\0")?;
        (
            led_to(by, text, &reported.second, from),
            &reported.second[..],
        )
    };
    // Its root is a directory, and so is what it lies on (`graft_tree`, fs/namespace.c).
    let target = if is_new {
        target.of_directory()
    } else {
        target
    };
    let filesystem =
        (!filesystem.is_empty()).then(|| String::from_utf8_lossy(filesystem).into_owned());
    let source = if source.is_empty() {
        None
    } else if flags & MS_REMOUNT == 0 && flags & (MS_BIND | MS_MOVE) != 0 {
        let path = led_to(by, source, start, from);
        // A file is put on a file, and a directory on a directory.
        Some(if target.is_directory() {
            path.of_directory()
        } else {
            path
        })
    } else if is_new
        && filesystem
            .as_deref()
            .is_some_and(|it| from.files.needs_device(it))
    {
        Some(led_to(by, source, start, from))
    } else {
        Some(FilePath::new(source))
    };
    Some(MountUse {
        operation: MountOperation::Mount,
        source,
        target,
        filesystem,
        flags,
        more: false,
    })
}

/// The file that a text named; where it cannot be found any more, the text put together.
fn led_to(by: &AccessContext, text: &[u8], start: &[u8], from: &AccessSource<'_>) -> FilePath {
    let process = from.process(by.first.pid);
    from.files
        .find(process, text, start)
        .unwrap_or_else(|| from.files.resolve(process, text, start, true))
}
