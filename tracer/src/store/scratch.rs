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
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
    process::geteuid,
};

use super::{lock, walk};

/// What every temporary name begins with.
const PREFIX: &str = ".tracer-";

/// What the directory of checkpoints is for. No workload has a name that begins so.
pub(super) const CHECKPOINTS: &str = ".checkpoints";

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
            Ok(directory) => {
                if is_locked_or_gone(&at, &name, &directory, AtFlags::REMOVEDIR)? {
                    return Ok((directory, name));
                }
                // The cleaning of another run was faster.
            }
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
            Ok(file) => {
                if is_locked_or_gone(&at, &name, &file, AtFlags::empty())? {
                    return Ok((file, name));
                }
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::EXIST.into())
}

/// Locks what was just made. False when somebody else has the lock, or has removed it.
fn is_locked(fd: impl AsFd) -> io::Result<bool> {
    Ok(lock::try_lock(&fd)? && rustix::fs::fstat(&fd)?.st_nlink > 0)
}

/// The same, and removes what cannot be locked at all: the next run could not lock it either, and would leave it.
fn is_locked_or_gone(at: impl AsFd, name: &str, fd: impl AsFd, flags: AtFlags) -> io::Result<bool> {
    is_locked(fd).map_err(|error| {
        let what = match gone(rustix::fs::unlinkat(at, name, flags)) {
            Ok(()) => "cannot lock a file there".to_owned(),
            Err(other) => format!("cannot lock {name} there, nor remove it ({other})"),
        };
        io::Error::new(error.kind(), format!("{what}: {error}"))
    })
}

/// The temporary entries for such subjects in a directory that are of this user and that no running tracer has
/// locked. The descriptor holds the lock.
pub(super) fn abandoned(
    at: impl AsFd,
    is_wanted: impl Fn(&str) -> bool,
) -> io::Result<Vec<(OwnedFd, OsString, FileType)>> {
    let mut found = Vec::new();
    for name in names(&at)? {
        if !subject(&name).is_some_and(&is_wanted) {
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
        // What cannot be locked may be in use.
        if may_be_ours && is_locked(&fd).unwrap_or(false) {
            found.push((fd, name, kind));
        }
    }
    Ok(found)
}

/// Removes the temporary files, not the directories, that killed runs left.
pub(super) fn remove_abandoned_files(at: impl AsFd) -> io::Result<()> {
    for (_lock, name, kind) in abandoned(&at, |subject| subject != CHECKPOINTS)? {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_cannot_be_locked_is_removed_and_the_reason_said() {
        let directory = tempfile::tempdir().unwrap();
        let at = walk::open_directory(rustix::fs::CWD, directory.path()).unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        fs::create_dir(directory.path().join("directory")).unwrap();
        for (name, flags) in [
            ("file", AtFlags::empty()),
            ("directory", AtFlags::REMOVEDIR),
        ] {
            // flock refuses a descriptor that is only a path (open(2), O_PATH).
            let fd = rustix::fs::openat(&at, name, OFlags::PATH, Mode::empty()).unwrap();
            let error = is_locked_or_gone(&at, name, &fd, flags).unwrap_err();
            assert!(error.to_string().contains("Bad file descriptor"), "{error}");
            assert!(!directory.path().join(name).exists());
        }
    }

    #[test]
    fn what_another_has_locked_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let at = walk::open_directory(rustix::fs::CWD, directory.path()).unwrap();
        let (_held, name) = make_directory(&at, "w").unwrap();
        let again = walk::open_directory(&at, &name).unwrap();
        assert!(!is_locked_or_gone(&at, &name, &again, AtFlags::REMOVEDIR).unwrap());
        assert!(directory.path().join(&name).is_dir());
    }
}
