//! What is in a workload's directory when new files come: what stays, what goes, and what nobody knows.

use std::{
    ffi::OsStr,
    io::{self, Read as _},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat},
    io::Errno,
};

use super::{
    disk::{is_own, stat},
    file_set::FileSet,
    scratch, walk,
};

/// How many entries are linked into a new directory. With more, the files are replaced one by one.
const MAX_ENTRIES: usize = 10_000;

/// How deep directories are looked into.
const MAX_DEPTH: usize = 16;

/// Whether all that stays could be linked into the new directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// All of it.
    All,
    /// Not all, or there is too much of it.
    Partly,
}

/// Links everything that stays into the new directory, which gets the owner and mode of the old one.
pub(super) fn carry(old: &OwnedFd, new: &OwnedFd, set: &FileSet<'_>) -> io::Result<Carried> {
    let mut left = MAX_ENTRIES;
    carry_below(old, new, set, "", &mut left)
}

fn carry_below(
    old: &OwnedFd,
    new: &OwnedFd,
    set: &FileSet<'_>,
    prefix: &str,
    left: &mut usize,
) -> io::Result<Carried> {
    if prefix.matches('/').count() > MAX_DEPTH {
        return Ok(Carried::Partly);
    }
    for name in scratch::names(old)? {
        let Some(entry) = stat(old, &name) else {
            continue;
        };
        *left = left.saturating_sub(1);
        let path = format!("{prefix}{}", name.to_string_lossy());
        let carried = if *left == 0 {
            Carried::Partly
        } else if walk::kind(&entry) == FileType::Directory {
            let (from, to) = (
                walk::open_directory(old, &name)?,
                walk::make_directory(new, &name)?,
            );
            carry_below(&from, &to, set, &format!("{path}/"), left)?
        } else if set.drops(&path) && (is_replaced(new, &name) || is_generated(old, &name, &path)) {
            Carried::All
        } else {
            link(old, new, &name)?
        };
        if carried == Carried::Partly {
            return Ok(Carried::Partly);
        }
    }
    let stat = rustix::fs::fstat(old)?;
    // Only root can give a directory away; what others make is theirs anyway.
    let _ = rustix::fs::fchown(
        new,
        Some(rustix::fs::Uid::from_raw(stat.st_uid)),
        Some(rustix::fs::Gid::from_raw(stat.st_gid)),
    );
    rustix::fs::fchmod(new, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    Ok(Carried::All)
}

fn is_replaced(new: &OwnedFd, name: &OsStr) -> bool {
    stat(new, name).is_some()
}

fn link(old: &OwnedFd, new: &OwnedFd, name: &OsStr) -> io::Result<Carried> {
    match rustix::fs::linkat(old, name, new, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(Carried::All),
        // Somebody else's file (fs.protected_hardlinks), another file system, no such thing there.
        Err(Errno::PERM | Errno::XDEV | Errno::MLINK | Errno::OPNOTSUPP | Errno::EXIST) => {
            Ok(Carried::Partly)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes the old directory `name` of `outer`. What is also in the new one, or was made by tracer, goes. What came
/// in the last moment is moved to the new one.
pub(super) fn retire(outer: &OwnedFd, name: &str, new: &OwnedFd) -> io::Result<()> {
    let old = walk::open_directory(outer, name)?;
    retire_below(&old, new, "")?;
    scratch::gone(rustix::fs::unlinkat(outer, name, AtFlags::REMOVEDIR))
}

fn retire_below(old: &OwnedFd, new: &OwnedFd, prefix: &str) -> io::Result<()> {
    for name in scratch::names(old)? {
        let Some(entry) = stat(old, &name) else {
            continue;
        };
        let path = format!("{prefix}{}", name.to_string_lossy());
        if walk::kind(&entry) == FileType::Directory {
            let (from, to) = (
                walk::open_directory(old, &name)?,
                walk::make_directory(new, &name)?,
            );
            retire_below(&from, &to, &format!("{path}/"))?;
            scratch::gone(rustix::fs::unlinkat(old, &name, AtFlags::REMOVEDIR))?;
        } else if entry.st_nlink > 1 || is_replaced(new, &name) || is_generated(old, &name, &path) {
            scratch::gone(rustix::fs::unlinkat(old, &name, AtFlags::empty()))?;
        } else {
            rustix::fs::renameat_with(old, &name, new, &name, RenameFlags::NOREPLACE)?;
        }
    }
    Ok(())
}

/// Removes files that an earlier run wrote and that do not belong to the new set.
pub(super) fn remove_stale(directory: &OwnedFd, set: &FileSet<'_>) -> io::Result<()> {
    remove_stale_below(directory, set, "")
}

fn remove_stale_below(directory: &OwnedFd, set: &FileSet<'_>, prefix: &str) -> io::Result<()> {
    if prefix.matches('/').count() > MAX_DEPTH {
        return Ok(());
    }
    for name in scratch::names(directory)? {
        let Some(entry) = stat(directory, &name) else {
            continue;
        };
        let path = format!("{prefix}{}", name.to_string_lossy());
        if walk::kind(&entry) == FileType::Directory {
            let inner = walk::open_directory(directory, &name)?;
            remove_stale_below(&inner, set, &format!("{path}/"))?;
        } else if !set.files.iter().any(|(file, _)| *file == path)
            && set.drops(&path)
            && is_generated(directory, &name, &path)
        {
            scratch::gone(rustix::fs::unlinkat(directory, &name, AtFlags::empty()))?;
        }
    }
    Ok(())
}

/// Removes all that is in a directory of our own.
pub(super) fn remove_all(directory: &OwnedFd, depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH + 2 {
        return Err(io::Error::other("directories are nested too deeply"));
    }
    for name in scratch::names(directory)? {
        let Some(entry) = stat(directory, &name) else {
            continue;
        };
        let flags = if walk::kind(&entry) == FileType::Directory {
            remove_all(&walk::open_directory(directory, &name)?, depth + 1)?;
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        scratch::gone(rustix::fs::unlinkat(directory, &name, flags))?;
    }
    Ok(())
}

/// What keeps a file of this name from being put there: a directory in its place, or something else in the place of
/// a directory that it belongs in.
pub(super) fn blocked(old: &OwnedFd, name: &str) -> Option<String> {
    let mut at = old.try_clone().ok()?;
    let (mut path, mut rest) = (String::new(), name);
    while let Some((directory, inner)) = rest.split_once('/') {
        path.push_str(directory);
        if walk::kind(&stat(&at, directory)?) != FileType::Directory {
            return Some(format!("{path} is not a directory"));
        }
        path.push('/');
        at = walk::open_directory(&at, directory).ok()?;
        rest = inner;
    }
    let is_directory = walk::kind(&stat(&at, rest)?) == FileType::Directory;
    is_directory.then(|| format!("{name} is a directory"))
}

/// The mode of a file that is to be replaced, when it is a plain file of this user, who may have changed it.
pub(super) fn mode(old: &OwnedFd, name: &str) -> Option<Mode> {
    let mut at = old.try_clone().ok()?;
    let mut rest = name;
    while let Some((directory, inner)) = rest.split_once('/') {
        at = walk::open_directory(&at, directory).ok()?;
        rest = inner;
    }
    let stat = stat(&at, rest)?;
    (walk::kind(&stat) == FileType::RegularFile && is_own(&stat)).then(|| file_mode(&stat))
}

/// The permissions of a file, without what makes it a program.
pub(super) fn file_mode(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o666)
}

/// Whether tracer wrote a file: it says so in its first lines, or is a blob that its name is the hash of.
fn is_generated(at: &OwnedFd, name: &OsStr, path: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(at, name, flags, Mode::empty()) else {
        return false;
    };
    if !rustix::fs::fstat(&file).is_ok_and(|stat| walk::kind(&stat) == FileType::RegularFile) {
        return false;
    }
    if path.contains("/blobs/") {
        return name.to_str().is_some_and(is_blob);
    }
    let mut beginning = Vec::new();
    let read = std::fs::File::from(file)
        .take(HEADER)
        .read_to_end(&mut beginning);
    let is_marked = || beginning.windows(MARK.len()).any(|window| window == MARK);
    let is_known = || {
        BEGINNINGS
            .iter()
            .any(|(file, line)| path == *file && beginning.starts_with(line))
    };
    read.is_ok() && (is_marked() || is_known())
}

/// How far into a file its header may reach.
const HEADER: u64 = 4096;

/// The word that generated files have in their header.
const MARK: &[u8] = b"tracer";

/// Files without a header, and what they begin with.
const BEGINNINGS: [(&str, &[u8]); 4] = [
    ("seccomp.json", b"{\n  \"defaultAction\": \"SCMP_ACT_"),
    ("capabilities.engine.args", b"--cap-drop=ALL"),
    (
        "capabilities.kubernetes.yaml",
        b"securityContext:\n  capabilities:",
    ),
    (
        "capabilities.systemd.conf",
        b"[Service]\nCapabilityBoundingSet=",
    ),
];

/// Whether a name is that of a blob: a SHA-256 in hexadecimal digits.
pub(super) fn is_blob(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|it| it.is_ascii_hexdigit())
}
