//! The v2 hierarchy and the cgroups in it.

use std::{
    ffi::{CStr, OsStr},
    fs, io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use procfs::process::Process;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

use super::CgroupError;

/// A way to the v2 hierarchy.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    root: PathBuf,
    /// Keeps a private mount alive; it goes away with the last clone.
    _mount: Option<Arc<OwnedFd>>,
}

impl Hierarchy {
    /// The mounted v2 hierarchy, else a mount that only this process can reach.
    ///
    /// # Errors
    /// [`CgroupError::NoHierarchy`] when there is neither.
    pub fn open() -> Result<Self, CgroupError> {
        match mounted() {
            Some(root) => Ok(Self { root, _mount: None }),
            None => Self::private(),
        }
    }

    /// A detached mount of the hierarchy: it stands in no mount namespace, so neither the command
    /// nor anyone else sees a difference, and it ends with its file descriptor (fsmount(2)).
    ///
    /// # Errors
    /// [`CgroupError::NoHierarchy`].
    pub fn private() -> Result<Self, CgroupError> {
        let fd = private_mount(c"cgroup2").map_err(CgroupError::NoHierarchy)?;
        Ok(Self {
            root: PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())),
            _mount: Some(Arc::new(fd)),
        })
    }

    /// Its root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it is tracer's private mount.
    pub fn is_private(&self) -> bool {
        self._mount.is_some()
    }

    /// Whether the machine's processes are in v1 hierarchies alone: nothing has mounted v2 here, nobody
    /// has made a cgroup in it, and v1 is there.
    pub fn is_v1_only(&self) -> bool {
        let has_children = || {
            fs::read_dir(&self.root).is_ok_and(|entries| {
                entries
                    .flatten()
                    .any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            })
        };
        let has_v1 = || {
            Process::myself()
                .and_then(|process| process.mountinfo())
                .is_ok_and(|mounts| mounts.into_iter().any(|mount| mount.fs_type == "cgroup"))
        };
        is_v1_only(self.is_private(), has_children, has_v1)
    }

    /// The cgroup that this process is in.
    ///
    /// # Errors
    /// [`CgroupError::Own`].
    pub fn current(&self) -> Result<Cgroup, CgroupError> {
        let own = Process::myself()
            .and_then(|process| process.cgroups())
            .map_err(|error| CgroupError::Own(error.to_string()))?;
        let path = own
            .into_iter()
            .find(|cgroup| cgroup.hierarchy == 0)
            .ok_or_else(|| CgroupError::Own("it has no v2 line (0::)".to_owned()))?
            .pathname;
        self.at(Path::new(&path))
            // In a cgroup namespace the path may lie outside of what is mounted.
            .or_else(|_| self.at(Path::new("/")))
    }

    /// The cgroup that a user named: a directory of the mounted hierarchy, relative to where the
    /// user is like any path; else a path below the hierarchy's root, which begins with a slash.
    ///
    /// # Errors
    /// [`CgroupError::NotFound`].
    pub fn find(&self, given: &str) -> Result<Cgroup, CgroupError> {
        let not_found = || CgroupError::NotFound(given.to_owned());
        let path = Path::new(given);
        if let (Ok(directory), Ok(root)) = (path.canonicalize(), self.root.canonicalize())
            && let Ok(below) = directory.strip_prefix(&root)
        {
            return self.at(below).map_err(|_| not_found());
        }
        let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
        if !path.has_root() || !path.components().all(plain) {
            return Err(not_found());
        }
        self.at(path).map_err(|_| not_found())
    }

    /// The cgroup at `path` below the root.
    pub(super) fn at(&self, path: &Path) -> Result<Cgroup, CgroupError> {
        let below = path.strip_prefix("/").unwrap_or(path);
        let directory = self.root.join(below);
        let read = |cause| CgroupError::Read {
            path: directory.clone(),
            cause,
        };
        let id = fs::metadata(&directory).map_err(read)?.ino();
        fs::metadata(directory.join("cgroup.procs")).map_err(read)?;
        Ok(Cgroup {
            id,
            path: Path::new("/").join(below),
            directory,
        })
    }
}

/// Systemd's hybrid layout mounts v2 and makes cgroups in it; a container whose /sys has no cgroups
/// sees neither, on a machine that may well use v2.
fn is_v1_only(
    is_private: bool,
    has_children: impl Fn() -> bool,
    has_v1: impl Fn() -> bool,
) -> bool {
    is_private && !has_children() && has_v1()
}

/// A cgroup that exists, or existed when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// The id by which the kernel side knows it.
    pub id: u64,
    /// Its path below the root of the hierarchy.
    pub path: PathBuf,
    /// Its directory.
    pub directory: PathBuf,
}

impl Cgroup {
    /// One that somebody else saw being made, below the hierarchy's `root`. It may be gone by now.
    pub fn found(id: u64, root: &Path, path: &[u8]) -> Self {
        let path = Path::new(OsStr::from_bytes(path));
        Self {
            id,
            path: path.to_owned(),
            directory: root.join(path.strip_prefix("/").unwrap_or(path)),
        }
    }

    /// The processes in it and in the cgroups below it.
    ///
    /// # Errors
    /// When the directory is gone.
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        let mut processes = Vec::new();
        for directory in self.subtree()? {
            // A cgroup below may go away at any moment; the one that was asked for may not.
            match fs::read_to_string(directory.join("cgroup.procs")) {
                Ok(text) => processes.extend(text.lines().filter_map(visible_pid)),
                Err(error) if directory == self.directory => return Err(error),
                Err(_) => {}
            }
        }
        Ok(processes)
    }

    /// The cgroups below it.
    ///
    /// # Errors
    /// When the directory is gone.
    pub fn descendants(&self) -> io::Result<Vec<Self>> {
        Ok(self
            .subtree()?
            .into_iter()
            .filter(|directory| *directory != self.directory)
            .filter_map(|directory| {
                let below = directory.strip_prefix(&self.directory).ok()?;
                Some(Self {
                    id: fs::metadata(&directory).ok()?.ino(),
                    path: self.path.join(below),
                    directory,
                })
            })
            .collect())
    }

    /// Its directory and all below it, parents first.
    pub(super) fn subtree(&self) -> io::Result<Vec<PathBuf>> {
        fs::metadata(&self.directory)?;
        let mut found = vec![self.directory.clone()];
        let mut next = 0;
        while let Some(directory) = found.get(next).cloned() {
            next += 1;
            if let Ok(entries) = fs::read_dir(&directory) {
                found.extend(
                    entries
                        .flatten()
                        .filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()))
                        .map(|entry| entry.path()),
                );
            }
        }
        Ok(found)
    }

    /// Whether there are processes in it or below it.
    ///
    /// # Errors
    /// When the directory is gone.
    pub fn is_populated(&self) -> io::Result<bool> {
        // The root cgroup has no such file, and is never empty.
        match fs::read_to_string(self.directory.join("cgroup.events")) {
            Ok(events) => Ok(!events.lines().any(|line| line == "populated 0")),
            Err(_) if self.path == Path::new("/") => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether it is still the cgroup that was looked up, and not gone or made anew.
    pub fn exists(&self) -> bool {
        fs::metadata(&self.directory).is_ok_and(|metadata| metadata.ino() == self.id)
    }
}

/// A process outside of the reader's pid namespace is listed as 0, which names no process here; as
/// an argument of kill(2) it would even name tracer's own process group.
fn visible_pid(line: &str) -> Option<i32> {
    line.parse().ok().filter(|pid| *pid > 0)
}

fn mounted() -> Option<PathBuf> {
    let mounts = Process::myself().and_then(|process| process.mountinfo());
    mounts
        .ok()?
        .into_iter()
        // A bind mount of a part of the hierarchy has another root.
        .find(|mount| mount.fs_type == "cgroup2" && mount.root == "/")
        .map(|mount| mount.mount_point)
}

/// A mount that stands in no mount namespace, and is gone with its descriptor (Linux 5.2).
pub(crate) fn private_mount(file_system: &CStr) -> io::Result<OwnedFd> {
    let context = mount::fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC)?;
    mount::fsconfig_create(&context)?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    Ok(mount::fsmount(&context, flags, MountAttrFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_only_machines_that_use_cgroup_v1() {
        for (private, children, v1, expected) in [
            (true, false, true, true),
            // Mounted, used by somebody, or without v1: its cgroups can be told apart.
            (false, false, true, false),
            (true, true, true, false),
            (true, false, false, false),
        ] {
            assert_eq!(
                is_v1_only(private, || children, || v1),
                expected,
                "{private} {children} {v1}"
            );
        }
    }
}
