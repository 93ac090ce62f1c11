//! Temporary names beside the output. The owner of one holds a lock, so that the next run can tell what a killed
//! one left behind.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags},
    io::Errno,
    process::geteuid,
};

use super::walk;

/// What every temporary name begins with.
const PREFIX: &str = ".tracer-";

/// How many names are tried until one is free.
const ATTEMPTS: u32 = 1_000;

/// The name of something temporary for `subject`: what it is for, our process id and a number.
fn next_name(subject: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{subject}.{}-{number}", process::id())
}

/// What a temporary name is for, if it is one.
pub(super) fn subject(name: &OsStr) -> Option<&str> {
    let (subject, numbers) = name.to_str()?.strip_prefix(PREFIX)?.rsplit_once('.')?;
    let (pid, number) = numbers.split_once('-')?;
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    (digits(pid) && digits(number)).then_some(subject)
}

/// Makes a directory that only we can enter, and locks it.
pub(super) fn make_directory(at: impl AsFd, subject: &str) -> io::Result<(OwnedFd, String)> {
    for _ in 0..ATTEMPTS {
        let name = next_name(subject);
        match rustix::fs::mkdirat(&at, &name, Mode::RWXU) {
            Err(Errno::EXIST) => continue,
            made => made?,
        }
        match walk::open_directory(&at, &name) {
            Ok(directory) if is_locked(&directory) => return Ok((directory, name)),
            // The cleaning of another run was faster.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST.into())
}

/// Makes a file and locks it.
pub(super) fn make_file(at: impl AsFd, mode: Mode) -> io::Result<(OwnedFd, String)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..ATTEMPTS {
        let name = next_name("file");
        match rustix::fs::openat(&at, &name, flags, mode) {
            Ok(file) if is_locked(&file) => return Ok((file, name)),
            Ok(_) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::EXIST.into())
}

/// Locks what was just made. False when somebody else has the lock, or has removed it.
fn is_locked(fd: impl AsFd) -> bool {
    rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok()
        && rustix::fs::fstat(&fd).is_ok_and(|stat| stat.st_nlink > 0)
}

/// The temporary entries in a directory that are of this user and that no running tracer has locked. The
/// descriptor holds the lock.
pub(super) fn abandoned(at: impl AsFd) -> io::Result<Vec<(OwnedFd, OsString, FileType)>> {
    let mut found = Vec::new();
    for name in names(&at)? {
        if subject(&name).is_none() {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::openat(&at, &name, flags, Mode::empty()) else {
            continue;
        };
        let stat = rustix::fs::fstat(&fd)?;
        let kind = walk::kind(&stat);
        let may_be_ours = stat.st_uid == geteuid().as_raw()
            && matches!(kind, FileType::Directory | FileType::RegularFile);
        if may_be_ours && is_locked(&fd) {
            found.push((fd, name, kind));
        }
    }
    Ok(found)
}

/// Removes the temporary files, not the directories, that killed runs left.
pub(super) fn remove_abandoned_files(at: impl AsFd) -> io::Result<()> {
    for (_lock, name, kind) in abandoned(&at)? {
        if kind == FileType::RegularFile {
            gone(rustix::fs::unlinkat(&at, &name, AtFlags::empty()))?;
        }
    }
    Ok(())
}

/// The names in a directory, sorted.
pub(super) fn names(at: impl AsFd) -> io::Result<Vec<OsString>> {
    // A descriptor of its own: the position in a directory belongs to the open file.
    let again = walk::open_directory(at, ".")?;
    let mut names = Vec::new();
    for entry in Dir::new(again)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    names.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    Ok(names)
}

/// What is gone already needs no removing.
pub(super) fn gone(removed: Result<(), Errno>) -> io::Result<()> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
