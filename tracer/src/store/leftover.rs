//! What a killed run left in an output directory.

use std::{ffi::OsStr, io, os::fd::OwnedFd, path::Path, time::Duration};

use rustix::{
    fs::{AtFlags, FileType},
    io::Errno,
};

use super::{
    disk::{is_taken, move_new},
    file_set::existing,
    lock, old_set, scratch, walk,
};

/// How many names are tried for something that is saved.
const MAX_SAVED: u32 = 1_000;

/// Removes what killed runs left, or puts it back where it belongs. What cannot be removed is named in a warning, and
/// the rest is removed all the same. `path` is for messages.
pub(super) fn clean(at: &OwnedFd, path: &Path) -> io::Result<()> {
    let abandoned = scratch::abandoned(at)?;
    if abandoned.is_empty() {
        return Ok(());
    }
    let Ok(_lock) = lock::hold(at, Duration::ZERO) else {
        // Another run writes there. A later one cleans up.
        return Ok(());
    };
    for (fd, name, kind) in abandoned {
        let cleaned = if kind == FileType::Directory {
            clean_directory(at, &fd, &name, path)
                .and_then(|()| scratch::gone(rustix::fs::unlinkat(at, &name, AtFlags::REMOVEDIR)))
        } else {
            scratch::gone(rustix::fs::unlinkat(at, &name, AtFlags::empty()))
        };
        if let Err(error) = cleaned {
            log::warn!(
                "cannot remove {}, left by an interrupted tracer: {error}; inspect it, then remove it",
                path.join(&name).display()
            );
        }
    }
    Ok(())
}

/// Cleans up a temporary directory.
fn clean_directory(
    at: &OwnedFd,
    outer: &OwnedFd,
    outer_name: &OsStr,
    path: &Path,
) -> io::Result<()> {
    let workload = scratch::subject(outer_name).unwrap_or_default();
    for name in scratch::names(outer)? {
        let name = name.to_string_lossy();
        let inode = name.strip_prefix("set-").and_then(|it| it.parse().ok());
        let Some(inode): Option<u64> = inode else {
            continue;
        };
        let inner = walk::open_directory(outer, &*name)?;
        if rustix::fs::fstat(&inner)?.st_ino == inode {
            // It has never been in its place.
            continue;
        }
        let new = existing(at, workload).ok().flatten();
        let new = new.filter(|new| rustix::fs::fstat(new).is_ok_and(|it| it.st_ino == inode));
        let is_retired = new.is_some_and(|new| old_set::retire(outer, &name, &new).is_ok());
        if !is_retired {
            // These are the old files, and it is not known whether they are anywhere else.
            let saved = save_beside(outer, &name, at, workload)?;
            log::warn!(
                "an interrupted tracer left old files of {workload}; they are now in {}; remove it when you do not need them",
                path.join(saved).display()
            );
        }
    }
    old_set::remove_all(outer, 0)
}

/// Gives a directory that is in a temporary one a name beside the workload's, and says which.
pub(super) fn save_beside(
    outer: &OwnedFd,
    name: &str,
    at: &OwnedFd,
    workload: &str,
) -> io::Result<String> {
    for number in 1..MAX_SAVED {
        let saved = format!("{workload}.saved-{number}");
        match move_new(outer, name, at, &saved) {
            Err(error) if is_taken(&error) => {}
            moved => return moved.map(|()| saved),
        }
    }
    Err(Errno::EXIST.into())
}
