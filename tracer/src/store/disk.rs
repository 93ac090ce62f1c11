//! Single steps with files and directories, and what their errors mean.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, RenameFlags},
    io::Errno,
    process::geteuid,
};

use super::{RECORDING_FILE, scratch, walk};

/// The directory that a file of the set is in, which is made when it is missing, and the file's own name.
pub(super) fn parent<'n>(root: &OwnedFd, name: &'n str) -> io::Result<(OwnedFd, &'n str)> {
    let mut at = root.try_clone()?;
    let mut rest = name;
    while let Some((directory, inner)) = rest.split_once('/') {
        let is_plain = Path::new(directory)
            .components()
            .all(|it| matches!(it, Component::Normal(_)));
        if !is_plain || directory.is_empty() {
            return Err(io::Error::other("its name leads elsewhere"));
        }
        at = walk::make_directory(&at, directory)?;
        rest = inner;
    }
    Ok((at, rest))
}

/// What says how the workload was started may hold passwords, so it is for its owner only. Profiles are made to be
/// committed and deployed.
pub(super) fn default_mode(name: &str) -> Mode {
    let private = name == RECORDING_FILE || name == "REVIEW.md" || name == "report.html";
    Mode::from_raw_mode(if private { 0o600 } else { 0o666 })
}

pub(super) fn write_new(
    at: &OwnedFd,
    name: &str,
    bytes: &[u8],
    mode: Mode,
    exact: bool,
) -> io::Result<()> {
    use rustix::fs::OFlags;

    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at, name, flags, mode)?;
    if exact {
        // The umask does not count for a mode that somebody chose.
        rustix::fs::fchmod(&file, mode)?;
    }
    let mut file = File::from(file);
    file.write_all(bytes)?;
    file.sync_all()
}

/// Whether the disk, a quota or RLIMIT_FSIZE leaves no room.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    let raw = error.raw_os_error();
    [Errno::NOSPC, Errno::DQUOT, Errno::FBIG]
        .iter()
        .any(|it| raw == Some(it.raw_os_error()))
}

/// Whether a file system cannot exchange these two directories.
pub(super) fn is_unsupported(error: Errno) -> bool {
    [
        Errno::INVAL,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::XDEV,
        Errno::BUSY,
        Errno::ACCESS,
        Errno::PERM,
    ]
    .contains(&error)
}

/// Whether a name is not free.
pub(super) fn is_taken(error: &io::Error) -> bool {
    let raw = error.raw_os_error();
    [Errno::EXIST, Errno::NOTEMPTY]
        .iter()
        .any(|it| raw == Some(it.raw_os_error()))
}

/// Renames a directory to a name that is free.
pub(super) fn move_new(from: &OwnedFd, name: &str, to: &OwnedFd, new: &str) -> io::Result<()> {
    match rustix::fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        // Not every file system knows the flag. Without it, rename(2) replaces nothing but an empty directory.
        Err(Errno::INVAL) => Ok(rustix::fs::renameat(from, name, to, new)?),
        moved => Ok(moved?),
    }
}

/// Writes the names in a directory to disk.
pub(super) fn sync(directory: impl AsFd) -> io::Result<()> {
    match rustix::fs::fsync(directory) {
        // Not every file system can do that for a directory (fsync(2)): there is nothing to wait for.
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes a directory and those in it to disk: their names, since the files are there already.
pub(super) fn sync_all(directory: &OwnedFd) -> io::Result<()> {
    for name in scratch::names(directory)? {
        let stat = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        if walk::kind(&stat) == FileType::Directory {
            sync_all(&walk::open_directory(directory, &name)?)?;
        }
    }
    sync(directory)
}

/// Whether a file is of this user.
pub(super) fn is_own(stat: &rustix::fs::Stat) -> bool {
    stat.st_uid == geteuid().as_raw()
}

/// A stat that does not follow a link.
pub(super) fn stat(at: impl AsFd, name: impl AsRef<OsStr>) -> Option<rustix::fs::Stat> {
    rustix::fs::statat(at, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW).ok()
}
