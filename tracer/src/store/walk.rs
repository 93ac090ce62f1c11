//! Paths that a user named, resolved one component at a time, by descriptors.
//!
//! tracer often runs as root in a directory that belongs to the user it records. A symbolic link there may lead
//! anywhere, and may appear between a check and the use of what was checked. So every component is opened relative
//! to the one before, without following links, and a link is followed only when root or the user who runs tracer
//! made it.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat},
    io::Errno,
    process::geteuid,
};

/// How many links one path may lead through, as in the kernel (`MAXSYMLINKS`, include/linux/namei.h).
const MAX_LINKS: usize = 40;

/// The directory that an entry is in, and the entry itself if it exists.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The directory.
    pub(super) parent: OwnedFd,
    /// The entry's name in it; `.` when the path ends in `..` or is a root.
    pub(super) name: OsString,
    /// What the entry is; `None` when there is none.
    pub(super) entry: Option<Entry>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    /// Something with a name of its own.
    Named(Stat),
    /// A link of procfs to something that is open, such as `/proc/self/fd/1`. It has no path to go on with.
    Open,
}

/// Resolves a path. The directories that lead to its last component are created when `create` is set.
pub(super) fn resolve(path: &Path, create: bool) -> io::Result<Resolved> {
    let mut rest = components(path);
    let mut at = pass(CWD, ".")?;
    let mut links = 0;
    loop {
        let Some(name) = rest.pop_front() else {
            let entry = Some(Entry::Named(rustix::fs::fstat(&at)?));
            return Ok(Resolved {
                parent: at,
                name: ".".into(),
                entry,
            });
        };
        if name == "/" {
            at = pass(CWD, "/")?;
            continue;
        }
        let stat = match rustix::fs::statat(&at, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) if rest.is_empty() => {
                return Ok(Resolved {
                    parent: at,
                    name,
                    entry: None,
                });
            }
            Err(Errno::NOENT) if create => {
                at = make_directory(&at, &name)?;
                continue;
            }
            stat => stat?,
        };
        if kind(&stat) == FileType::Symlink {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            match follow(&at, &name)? {
                Some(target) => target.into_iter().rev().for_each(|it| rest.push_front(it)),
                None if rest.is_empty() => {
                    return Ok(Resolved {
                        parent: at,
                        name,
                        entry: Some(Entry::Open),
                    });
                }
                None => at = open_through(&at, &name)?,
            }
        } else if rest.is_empty() && name != ".." {
            return Ok(Resolved {
                parent: at,
                name,
                entry: Some(Entry::Named(stat)),
            });
        } else {
            at = pass(&at, &name)?;
        }
    }
}

/// Opens a directory that a user named. It is created, with those above it, when `create` is set.
pub(super) fn directory(path: &Path, create: bool) -> io::Result<OwnedFd> {
    let Resolved {
        parent,
        name,
        entry,
    } = resolve(path, create)?;
    match entry {
        Some(Entry::Open) => open_through(&parent, &name),
        None if create => make_directory(&parent, &name),
        _ => open_directory(&parent, &name),
    }
}

/// Opens a directory to go through, which needs no right to list it.
fn pass(at: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name.as_ref(), flags, Mode::empty())?)
}

/// Opens a directory that must not be a link.
pub(super) fn open_directory(at: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name.as_ref(), flags, Mode::empty())?)
}

/// Makes a directory, or opens the one that somebody else made meanwhile.
pub(super) fn make_directory(at: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(&at, name.as_ref(), Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => open_directory(at, name),
        Err(error) => Err(error.into()),
    }
}

/// The kind of file that a stat is of.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The components of a path in order; `/` stands for the root.
fn components(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// The components that a link stands for; `None` when only the kernel can follow it.
///
/// The link is opened first, so that the owner that is checked is the one of the link that is read.
fn follow(at: &OwnedFd, name: &OsStr) -> io::Result<Option<VecDeque<OsString>>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = rustix::fs::openat(at, name, flags, Mode::empty())?;
    // Nobody but the kernel makes links on procfs, whatever owner it gives them (fs/proc/base.c, task_dump_owner).
    let on_procfs = rustix::fs::fstatfs(at)?.f_type == PROC_SUPER_MAGIC;
    let owner = rustix::fs::fstat(&link)?.st_uid;
    if !on_procfs && !is_trusted(owner, &rustix::fs::fstat(at)?, overflow_uid()) {
        return Err(io::Error::other(format!(
            "{name:?} in its path is a symbolic link of another user (uid {owner}), which may lead anywhere"
        )));
    }
    // /proc/self and the like are ordinary links. The others name what they lead to in words that are no path
    // ("pipe:[123]", fs/proc/fd.c).
    let is_ordinary = [b"self".as_slice(), b"thread-self", b"mounts", b"net"];
    if on_procfs && !is_ordinary.contains(&name.as_bytes()) {
        return Ok(None);
    }
    let target = rustix::fs::readlinkat(&link, "", Vec::new())?;
    let target = OsString::from_vec(target.into_bytes());
    Ok(Some(components(Path::new(&target))))
}

/// Whether a link may be followed: root made it, or the user who runs tracer.
///
/// In a user namespace, root of the host has the overflow uid, as all users have that the namespace does not know
/// (user_namespaces(7)). Its links, such as `/dev/stdout`, are in directories that nobody else can write to.
fn is_trusted(owner: u32, directory: &Stat, overflow: Option<u32>) -> bool {
    let only_owner_writes = directory.st_mode & 0o022 == 0;
    owner == 0
        || owner == geteuid().as_raw()
        || (Some(owner) == overflow && directory.st_uid == owner && only_owner_writes)
}

/// The uid that stands for users outside this user namespace; `None` outside any.
fn overflow_uid() -> Option<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?;
    unknown_uid(&map, &overflow)
}

fn unknown_uid(map: &str, overflow: &str) -> Option<u32> {
    let maps_all = map.split_whitespace().eq(["0", "0", "4294967295"]);
    if maps_all {
        return None;
    }
    overflow.trim().parse().ok()
}

/// Opens the directory that a link of procfs leads to.
fn open_through(at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overflow_uid_counts_only_in_a_user_namespace() {
        assert_eq!(
            unknown_uid("         0          0 4294967295\n", "65534\n"),
            None
        );
        assert_eq!(unknown_uid("0 1000 1\n", "65534\n"), Some(65534));
        assert_eq!(unknown_uid("0 1000 1\n1 100000 65536\n", "99\n"), Some(99));
    }

    #[test]
    fn root_of_the_host_is_trusted_where_only_it_can_write() {
        let mut directory = rustix::fs::stat("/").unwrap();
        let other = geteuid().as_raw().wrapping_add(65534).max(1);
        (directory.st_uid, directory.st_mode) = (other, 0o40755);
        assert!(is_trusted(other, &directory, Some(other)));
        assert!(!is_trusted(other, &directory, None));
        assert!(is_trusted(0, &directory, None));
        // As /tmp is.
        directory.st_mode = 0o41777;
        assert!(!is_trusted(other, &directory, Some(other)));
        // A directory of the user, in which somebody put a link.
        (directory.st_uid, directory.st_mode) = (geteuid().as_raw(), 0o40755);
        assert!(!is_trusted(other, &directory, Some(other)));
    }

    /// The links of another process belong to its user.
    #[test]
    fn links_of_procfs_are_followed_whoever_owns_them() {
        if !geteuid().is_root() {
            return;
        }
        let mut command = std::process::Command::new("sleep");
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        let mut child = command.arg("60").spawn().unwrap();
        let link = format!("/proc/{}/cwd", child.id());
        let owner = rustix::fs::lstat(&link).unwrap().st_uid;
        let resolved = resolve(Path::new(&link), false);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(owner, 65534);
        assert!(matches!(resolved.unwrap().entry, Some(Entry::Open)));
    }
}
