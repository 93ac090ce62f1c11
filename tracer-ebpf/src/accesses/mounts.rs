//! Changes of the mount tree: what is mounted, bound, moved and taken off.

use tracer_abi::{
    AccessEvent, AccessKind,
    access::{ACCESS_PATH_LEN, LONG_BYTES, flag},
};

use super::{
    PathRef, Request, has_room, hooks::hook, key, lost, mix, note, path, path::number,
    recorded_by_itself, report, report_pair, ring, text, too_many, was_reported,
};
use crate::{
    kernel::low,
    maps,
    platform::{
        helpers::generated,
        programs::{FExitContext, LsmContext},
    },
};

/// Room for the type of a file system; the names of those in the kernel have less than half of that.
const TYPE_LEN: usize = 64;

/// `MS_MOVE` (include/uapi/linux/mount.h), which AppArmor takes move_mount(2) for too (`aa_move_mount`,
/// security/apparmor/mount.c).
const MS_MOVE: u64 = 1 << 13;

/// Something is mounted.
pub(super) struct Mounting {
    pub(super) row: u32,
    /// Addresses of the texts: what, of which type, and where, unless `path` says that; 0 for none.
    pub(super) source: u64,
    pub(super) filesystem: u64,
    pub(super) target: u64,
    /// Where; or the directory that both texts start from.
    pub(super) place: PathRef,
    /// The directory that `source` starts from, when `path` is another; or none.
    pub(super) from: Option<PathRef>,
    /// `MS_…`.
    pub(super) flags: u64,
    /// Whether the texts lie in the memory of the process.
    pub(super) in_user: bool,
}

// (const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)
hook!(sb_mount, "sb_mount"; sb_mount_exit, "security_sb_mount"; 5; |ctx| {
    mounted(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3))
});
// (struct vfsmount *mnt, int flags)
hook!(sb_umount, "sb_umount"; sb_umount_exit, "security_sb_umount"; 2; |ctx| unmounted(ctx.arg(0)));
// (const struct path *old_path, const struct path *new_path)
hook!(sb_pivotroot, "sb_pivotroot"; sb_pivotroot_exit, "security_sb_pivotroot"; 2; |ctx| {
    pivoted(ctx.arg(0), ctx.arg(1))
});
// (const struct path *from_path, const struct path *to_path)
hook!(move_mount, "move_mount"; move_mount_exit, "security_move_mount"; 2; |ctx| {
    moved(ctx.arg(0), ctx.arg(1))
});

#[inline(always)]
fn mounted(source: u64, path: *const u8, filesystem: u64, flags: u64) {
    if let Some(row) = recorded_by_itself() {
        report_mount(&Mounting {
            row,
            source,
            filesystem,
            target: 0,
            place: PathRef::at(path),
            from: Some(PathRef::working_directory()),
            flags,
            in_user: false,
        });
    }
}

#[inline(always)]
fn unmounted(mount: *const u8) {
    if let Some(row) = recorded_by_itself() {
        // `mnt_root` is the first field of a `struct vfsmount` (include/linux/mount.h): user space
        // checks that.
        let place = PathRef {
            mount: mount as u64,
            name: number!(u64, mount as u64, 0),
        };
        report(&Request::new(row, AccessKind::Unmount, place));
    }
}

#[inline(always)]
fn pivoted(old: *const u8, new: *const u8) {
    if let Some(row) = recorded_by_itself() {
        let request = Request::new(row, AccessKind::PivotRoot, PathRef::at(new));
        report_pair(&request, PathRef::at(old));
    }
}

#[inline(always)]
fn moved(from: *const u8, to: *const u8) {
    if let Some(row) = recorded_by_itself() {
        let mut request = Request::new(row, AccessKind::MoveMount, PathRef::at(to));
        request.values[0] = MS_MOVE;
        report_pair(&request, PathRef::at(from));
    }
}

/// Tells of a mount, unless it was told before: the texts are one path's bytes in the event, the place is
/// the other.
#[inline(always)]
pub(super) fn report_mount(mounting: &Mounting) {
    let Some(of_place) = path::hash_path(mounting.place) else {
        lost(mounting.row);
        return;
    };
    let of_start = match mounting.from {
        Some(from) => {
            let Some(of_start) = path::hash_path(from) else {
                lost(mounting.row);
                return;
            };
            Some((from, of_start))
        }
        None => None,
    };
    let mut request = Request::new(mounting.row, AccessKind::Mount, PathRef::NONE);
    request.values[0] = mounting.flags;
    request.flags = of_place.flags();
    if mounting.target == 0 {
        request.flags |= path::flags(mounting.place, AccessKind::Mount) & flag::DIRECTORY;
    } else {
        request.flags |= flag::AS_GIVEN;
    }
    // The texts have to be put somewhere before it is known whether they are new. Mounts are rare.
    let Some(mut entry) = maps::ACCESSES.reserve::<AccessEvent<LONG_BYTES>>(0) else {
        lost(mounting.row);
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the memory that was reserved; all of the head is written, and of the bytes those that
    // it counts.
    unsafe {
        let bytes = (&raw mut (*event).bytes).cast::<u8>();
        let mut end = put(bytes, 0, mounting.source, mounting.in_user, ACCESS_PATH_LEN);
        end = put(bytes, end, mounting.filesystem, mounting.in_user, TYPE_LEN);
        if mounting.target != 0 {
            end = put(
                bytes,
                end,
                mounting.target,
                mounting.in_user,
                ACCESS_PATH_LEN,
            );
        }
        // Beyond 4,096 bytes only their number counts.
        let hash = of_start.map_or(of_place.hash, |(_, of_start)| {
            mix(of_place.hash, of_start.hash)
        });
        let texts = text::hash(bytes, end, hash);
        let key = key(&request, request.flags, texts.hash);
        if was_reported(key) {
            entry.discard(0);
            return;
        }
        if too_many(&request, 0, 1) {
            lost(mounting.row);
            entry.discard(0);
            return;
        }
        if !has_room(&request, key) {
            entry.discard(0);
            return;
        }
        if let Some((from, of_start)) = of_start {
            let start = end;
            end = path::write::<LONG_BYTES>(from, bytes, end, end + ACCESS_PATH_LEN);
            if end - start != of_start.len as usize {
                request.flags |= flag::TRUNCATED;
            }
        }
        let whole = path::write::<LONG_BYTES>(mounting.place, bytes, end, end + ACCESS_PATH_LEN);
        if whole - end != of_place.len as usize {
            request.flags |= flag::TRUNCATED;
        }
        let access = &raw mut (*event).access;
        ring::head(access, &request, request.flags, key);
        (&raw mut (*access).first_len).write(low(end as u64));
        (&raw mut (*access).second_len).write(low((whole - end) as u64));
        ring::submit(entry);
        note(&request, key, true);
    }
}

/// Puts a text and its NUL behind what is there; returns where it ends. A text that cannot be read is
/// an empty one.
///
/// # Safety
/// `bytes` must have [`LONG_BYTES`] bytes.
#[inline(always)]
unsafe fn put(bytes: *mut u8, at: usize, text: u64, in_user: bool, most: usize) -> usize {
    let at = at & (LONG_BYTES.next_power_of_two() - 1);
    if at > LONG_BYTES - ACCESS_PATH_LEN {
        return at;
    }
    // SAFETY: there is room for the longest text behind `at`; checked reads.
    unsafe {
        let into = bytes.add(at);
        let (room, from) = (low(most as u64), text as *const _);
        let len = if in_user {
            generated::bpf_probe_read_user_str(into.cast(), room, from)
        } else {
            generated::bpf_probe_read_kernel_str(into.cast(), room, from)
        };
        if len <= 0 {
            into.write(0);
            return at + 1;
        }
        at + (low(len.cast_unsigned()) as usize & (2 * ACCESS_PATH_LEN - 1))
    }
}
