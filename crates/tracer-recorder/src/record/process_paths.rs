//! Processes as `/proc` shows them, and the files behind the paths that they name.

use std::{
    fs::{self, File, OpenOptions},
    io::Read as _,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{ffi::OsStringExt as _, fs::OpenOptionsExt as _},
    },
    path::Path,
};

use procfs::process::Process;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::file_capabilities::FileCapabilities;
use super::system::{InstanceProcess, Processes, ThisMachine};
use tracer_core::recording::FilePath;

/// Bytes at the beginning of a program in which the name of its interpreter is looked for: a page,
/// as linkers put it there.
const HEAD: u64 = 4096;

impl Processes for ThisMachine {
    fn executable(&self, pid: i32) -> Option<Vec<u8>> {
        // It may have ended, or it is a kernel thread.
        let link = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Some(link.into_os_string().into_vec())
    }

    fn is_under_filter(&self, pid: i32) -> bool {
        // `Seccomp: 2` in its status.
        Process::new(pid)
            .and_then(|process| process.status())
            .is_ok_and(|status| status.seccomp == Some(2))
    }

    /// The initial pid namespace has a fixed inode number (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
    fn has_initial_pids(&self) -> bool {
        fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
    }

    /// The path, absolute in the mount namespace, that a text stood for: links in it are followed in the
    /// root of the process, or of another one of the instance when it is gone. Where there is none,
    /// only the text is put together.
    fn resolve(
        &self,
        process: InstanceProcess<'_>,
        text: &[u8],
        start: &[u8],
        follow_last: bool,
    ) -> FilePath {
        let path = put_together(start, text);
        if let Some(file) = of_descriptor(text, process.pid) {
            return FilePath::new(file);
        }
        let Some(root) = root_of(process) else {
            return FilePath::new(path);
        };
        // As it was given: what `..` means is known when the links before it were followed.
        let given = joined(start, text);
        if follow_last {
            return match open_in(&root, &given, OFlags::PATH) {
                Some(file) => found(&file).unwrap_or_else(|| FilePath::new(path)),
                None => FilePath::new(path),
            };
        }
        let end = given.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (directory, name) = given.split_at(end);
        let directory = if directory.is_empty() {
            b"/"
        } else {
            directory
        };
        let Some(mut real) = real(&root, directory) else {
            return FilePath::new(path);
        };
        if real == b"/" {
            real.clear();
        }
        real.extend_from_slice(name);
        let is_directory = open_in(&root, &given, OFlags::PATH | OFlags::NOFOLLOW)
            .and_then(|file| File::from(file).metadata().ok())
            .is_some_and(|file| file.is_dir());
        let real = FilePath::new(real);
        if is_directory {
            real.of_directory()
        } else {
            real
        }
    }

    /// The path of a socket that a program made; `None` when it is relative to the working directory of
    /// a process that is gone.
    fn made_socket(&self, process: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        let start = working_directory(process.pid);
        if start.is_none() && !path.starts_with(b"/") {
            return None;
        }
        let start = start.unwrap_or_default();
        Some(self.resolve(process, path, &start, false))
    }

    /// The path of a socket that a program connected to; `None` when there is no such file, as far as
    /// can be seen: what was not there needs no rule.
    fn known_socket(&self, process: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        let root = root_of(process)?;
        let start = working_directory(process.pid).unwrap_or_default();
        real(&root, &put_together(&start, path)).map(FilePath::new)
    }

    /// The interpreter that a program names, as it is in its mount namespace.
    fn interpreter(&self, process: InstanceProcess<'_>, program: &[u8]) -> Option<FilePath> {
        let root = root_of(process)?;
        // A workload may put a device in the program's place, and to open one may do anything.
        let file = open_in(&root, program, OFlags::PATH)?;
        let again = format!("/proc/self/fd/{}", file.as_raw_fd());
        if !File::from(file.try_clone().ok()?)
            .metadata()
            .ok()?
            .is_file()
        {
            return None;
        }
        let file = File::open(again).ok()?;
        let mut head = Vec::new();
        file.take(HEAD).read_to_end(&mut head).ok()?;
        let name = elf_interpreter(&head)?;
        real(&root, name).map(FilePath::new)
    }

    fn file_capabilities(
        &self,
        process: InstanceProcess<'_>,
        program: &[u8],
    ) -> Option<FileCapabilities> {
        let root = root_of(process)?;
        FileCapabilities::of(&File::from(open_in(&root, program, OFlags::PATH)?))
    }

    /// The path of a file that a program named, with a slash at its end when it is a directory; `None`
    /// when it cannot be found (any more).
    fn find(&self, process: InstanceProcess<'_>, text: &[u8], start: &[u8]) -> Option<FilePath> {
        let root = root_of(process)?;
        let path = joined(start, &of_process(text, process.pid));
        found(&open_in(&root, &path, OFlags::PATH)?)
    }

    /// `/proc/filesystems` says `nodev` of those that need none (`filesystems_proc_show`,
    /// fs/filesystems.c).
    fn needs_device(&self, filesystem: &str) -> bool {
        // Of one with a subtype (`fuse.sshfs`) the kernel looks up what comes before the dot.
        let kind = filesystem.split('.').next().unwrap_or_default();
        fs::read_to_string("/proc/filesystems")
            .unwrap_or_default()
            .lines()
            .any(|line| line.strip_prefix('\t') == Some(kind))
    }
}

/// The root directory of a process, or of another one of its instance when it has ended.
fn root_of(process: InstanceProcess<'_>) -> Option<File> {
    // A process that has ended has none; its id may be another's by now, in another container.
    let of = |pid: u32| {
        let root = open_root(Path::new(&format!("/proc/{pid}/root")))?;
        is_in(pid, &process.cgroup.path).then_some(root)
    };
    of(process.pid).or_else(|| {
        let list = fs::read_to_string(process.cgroup.directory.join("cgroup.procs"));
        let others = list.unwrap_or_default();
        others
            .lines()
            .filter_map(|line| line.parse().ok())
            .find_map(of)
            // A command has the root that tracer has.
            .or_else(|| {
                process
                    .is_command
                    .then(|| open_root(Path::new("/")))
                    .flatten()
            })
    })
}

fn open_root(path: &Path) -> Option<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(path)
        .ok()
}

/// Whether a process is in a cgroup or below it, as far as `/proc` tells: its path there begins at the
/// root of tracer's own cgroup namespace.
fn is_in(pid: u32, cgroup: &Path) -> bool {
    let list = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let Some(path) = list.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return false;
    };
    Path::new(path)
        .ancestors()
        .any(|above| !above.as_os_str().is_empty() && cgroup.ends_with(above))
}

/// The path of an open file, with a slash at its end when it is a directory.
fn found(file: &OwnedFd) -> Option<FilePath> {
    let path = FilePath::new(path_of(file)?);
    let is_directory = File::from(file.try_clone().ok()?).metadata().ok()?.is_dir();
    Some(if is_directory {
        path.of_directory()
    } else {
        path
    })
}

/// The file behind a descriptor that a program names by `/proc`, as glibc's fchmodat(3) does; `None` for
/// other names, and when it is closed.
fn of_descriptor(text: &[u8], pid: u32) -> Option<Vec<u8>> {
    const OWN: [&[u8]; 3] = [b"/proc/self/fd/", b"/proc/thread-self/fd/", b"/dev/fd/"];
    let number = OWN.iter().find_map(|prefix| text.strip_prefix(*prefix))?;
    let number: u32 = str::from_utf8(number).ok()?.parse().ok()?;
    let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
    Some(link.into_os_string().into_vec()).filter(|path| path.starts_with(b"/"))
}

/// A path that starts from a directory, as it is.
fn joined(start: &[u8], text: &[u8]) -> Vec<u8> {
    if text.starts_with(b"/") {
        text.to_vec()
    } else {
        [start, b"/", text].concat()
    }
}

fn working_directory(pid: u32) -> Option<Vec<u8>> {
    let link = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(link.into_os_string().into_vec())
}

/// A path that starts from a directory, without `.`, `..` and double slashes.
pub(super) fn put_together(start: &[u8], text: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = Vec::new();
    let start = if text.starts_with(b"/") { b"/" } else { start };
    for name in start
        .split(|byte| *byte == b'/')
        .chain(text.split(|byte| *byte == b'/'))
    {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    let mut path = Vec::new();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// Opens a path below a root, whose links do not lead out of it (openat2(2), Linux 5.6).
fn open_in(root: &File, path: &[u8], flags: OFlags) -> Option<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()
}

/// What a process calls itself in `/proc` is another one to us.
fn of_process(text: &[u8], pid: u32) -> Vec<u8> {
    const SELF: [&[u8]; 2] = [b"/proc/self/", b"/proc/thread-self/"];
    SELF.iter()
        .find_map(|prefix| text.strip_prefix(*prefix))
        .map_or_else(
            || text.to_vec(),
            |rest| [format!("/proc/{pid}/").as_bytes(), rest].concat(),
        )
}

/// Where a path leads, as the kernel names it: up to the root of its mount namespace.
fn real(root: &File, path: &[u8]) -> Option<Vec<u8>> {
    path_of(&open_in(root, path, OFlags::PATH)?)
}

fn path_of(file: &OwnedFd) -> Option<Vec<u8>> {
    let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    Some(link.into_os_string().into_vec()).filter(|path| path.starts_with(b"/"))
}

/// `PT_INTERP` of an ELF file of either class in this machine's byte order (elf(5)).
fn elf_interpreter(head: &[u8]) -> Option<&[u8]> {
    const PT_INTERP: u64 = 3;
    let is_64 = match head.get(..5)? {
        [0x7f, b'E', b'L', b'F', 2] => true,
        [0x7f, b'E', b'L', b'F', 1] => false,
        _ => return None,
    };
    let number = |at: usize, len: usize| {
        let bytes = head.get(at..at.checked_add(len)?)?;
        let mut word = [0; 8];
        word.get_mut(..len)?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    };
    // Where e_phoff, e_phentsize and e_phnum are, and p_offset and p_filesz in an entry.
    let (table, size, count, offset, filesz, width) = if is_64 {
        (32, 54, 56, 8, 32, 8)
    } else {
        (28, 42, 44, 4, 16, 4)
    };
    let first = usize::try_from(number(table, width)?).ok()?;
    let size = usize::try_from(number(size, 2)?).ok()?;
    for index in 0..usize::try_from(number(count, 2)?).ok()? {
        let entry = first.checked_add(index.checked_mul(size)?)?;
        if number(entry, 4)? == PT_INTERP {
            let at = usize::try_from(number(entry + offset, width)?).ok()?;
            let len = usize::try_from(number(entry + filesz, width)?).ok()?;
            return head.get(at..at.checked_add(len)?)?.strip_suffix(b"\0");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn together(start: &str, text: &str) -> String {
        String::from_utf8(put_together(start.as_bytes(), text.as_bytes())).unwrap()
    }

    #[test]
    fn joins_relative_paths() {
        assert_eq!(together("/a/b/", "../x"), "/a/x");
        assert_eq!(together("/a/b/", "/x//y/./z"), "/x/y/z");
        assert_eq!(together("/", "../.."), "/");
    }

    #[test]
    fn finds_the_shells_elf_interpreter() {
        let head = fs::read("/bin/sh").unwrap();
        let name = elf_interpreter(head.get(..4096).unwrap()).unwrap();
        assert!(name.starts_with(b"/lib"));
        assert_eq!(elf_interpreter(b"#!/bin/sh"), None);
        assert_eq!(elf_interpreter(&head[..50]), None);
    }
}
