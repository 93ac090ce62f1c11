//! Ground truth for files: what `strace -f -y` sees of a command's calls, in the words of a recording.
//!
//! The path of what a call opened, or was given open, is the kernel's own (`/proc/PID/fd`); other paths
//! are as the program gave them, so the work must give absolute ones without links.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// An access: the path, without the slash that ends a directory's, and what was done.
pub type Access = (Vec<u8>, &'static str);

/// What strace saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What succeeded.
    pub done: BTreeSet<Access>,
    /// What failed after the file was found: a hook may have seen it.
    pub failed: BTreeSet<Access>,
}

/// The command line of an strace that writes what it sees to `log` and a suffix for each thread, so
/// that no line is torn; up to where the traced command goes. Strings are all in hex, so that nothing
/// in them looks like a line.
pub fn command_line(log: &Path) -> Vec<PathBuf> {
    let calls = "-etrace=%file,fchmod,fchown,ftruncate,flock,fcntl,mmap";
    [
        "strace",
        "-ff",
        "-y",
        "-q",
        "-a1",
        "-s4096",
        "-xx",
        "-esignal=none",
        calls,
        "-o",
    ]
    .into_iter()
    .map(PathBuf::from)
    .chain([log.to_owned(), PathBuf::from("--")])
    .collect()
}

/// What the logs hold that begin with the name of `log`.
///
/// # Errors
/// When they cannot be read.
pub fn accesses(log: &Path) -> Result<Seen> {
    let name = log.file_name().context("a log has a name")?;
    let prefix = format!("{}.", name.to_string_lossy());
    let mut seen = Seen::default();
    for entry in fs::read_dir(log.parent().context("a log is in a directory")?)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let text = fs::read_to_string(entry.path())?;
            text.lines().for_each(|line| seen.take(line));
        }
    }
    Ok(seen)
}

impl Seen {
    fn take(&mut self, line: &str) {
        let Some((call, rest)) = line.split_once('(') else {
            return;
        };
        let Some((arguments, result)) = rest.rsplit_once(") = ") else {
            return;
        };
        // Without the file there is nothing that a hook is asked about.
        if result.contains(" ENOENT ") || result.contains(" ENOTDIR ") {
            return;
        }
        let list = if result.starts_with('-') {
            &mut self.failed
        } else {
            &mut self.done
        };
        let arguments: Vec<&str> = arguments.split(", ").collect();
        let line = Line { arguments, result };
        for (path, access) in line.accesses(call) {
            if let Some(path) =
                path.filter(|path| path.starts_with(b"/") && !path.starts_with(b"/memfd:"))
            {
                list.insert((trimmed(path), access));
            }
        }
    }
}

/// Without the slash at the end.
fn trimmed(mut path: Vec<u8>) -> Vec<u8> {
    if path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    path
}

struct Line<'a> {
    arguments: Vec<&'a str>,
    result: &'a str,
}

type Found = (Option<Vec<u8>>, &'static str);

impl Line<'_> {
    fn accesses(&self, call: &str) -> Vec<Found> {
        match call {
            "open" => self.opened(None, 0, 1),
            "openat" => self.opened(Some(0), 1, 2),
            "creat" => vec![(self.result(), "write"), (self.result(), "create")],
            "mkdir" => vec![(self.path(None, 0), "make_directory")],
            "mkdirat" => vec![(self.path(Some(0), 1), "make_directory")],
            "mknod" => vec![(self.path(None, 0), "create")],
            "mknodat" => vec![(self.path(Some(0), 1), "create")],
            "symlink" => vec![(self.path(None, 1), "symlink")],
            "symlinkat" => vec![(self.path(Some(1), 2), "symlink")],
            "link" => vec![(self.path(None, 1), "link")],
            "linkat" => vec![(self.path(Some(2), 3), "link")],
            "unlink" => vec![(self.path(None, 0), "remove")],
            "unlinkat" => {
                let directory = self
                    .arguments
                    .get(2)
                    .is_some_and(|flags| flags.contains("AT_REMOVEDIR"));
                let access = if directory {
                    "remove_directory"
                } else {
                    "remove"
                };
                vec![(self.path(Some(0), 1), access)]
            }
            "rmdir" => vec![(self.path(None, 0), "remove_directory")],
            "rename" => vec![
                (self.path(None, 0), "rename_from"),
                (self.path(None, 1), "rename_to"),
            ],
            "renameat2"
                if self
                    .arguments
                    .get(4)
                    .is_some_and(|flags| flags.contains("RENAME_EXCHANGE")) =>
            {
                let paths = [self.path(Some(0), 1), self.path(Some(2), 3)];
                paths
                    .into_iter()
                    .flat_map(|path| [(path.clone(), "rename_from"), (path, "rename_to")])
                    .collect()
            }
            "renameat" | "renameat2" => vec![
                (self.path(Some(0), 1), "rename_from"),
                (self.path(Some(2), 3), "rename_to"),
            ],
            "chmod" => vec![(self.path(None, 0), "change_mode")],
            "fchmodat" => vec![(self.path(Some(0), 1), "change_mode")],
            "fchmod" => vec![(self.descriptor(0), "change_mode")],
            "chown" | "lchown" => vec![(self.path(None, 0), "change_owner")],
            "fchownat" => vec![(self.path(Some(0), 1), "change_owner")],
            "fchown" => vec![(self.descriptor(0), "change_owner")],
            "truncate" => vec![(self.path(None, 0), "truncate")],
            "ftruncate" => vec![(self.descriptor(0), "truncate")],
            "flock" => vec![(self.descriptor(0), self.lock(1, "LOCK_EX"))],
            "fcntl"
                if self
                    .arguments
                    .get(1)
                    .is_some_and(|command| command.contains("SETLK")) =>
            {
                vec![(self.descriptor(0), self.lock(2, "F_WRLCK"))]
            }
            "mmap"
                if self
                    .arguments
                    .get(2)
                    .is_some_and(|bits| bits.contains("PROT_EXEC")) =>
            {
                vec![(self.descriptor(4), "map_executable")]
            }
            _ => Vec::new(),
        }
    }

    fn opened(&self, directory: Option<usize>, path: usize, flags: usize) -> Vec<Found> {
        let flags = self.arguments.get(flags).copied().unwrap_or_default();
        let has = |flag| flags.split('|').any(|one| one == flag);
        // What is made without a name, or not opened at all.
        if has("O_PATH") || has("O_TMPFILE") {
            return Vec::new();
        }
        let name = self.result().or_else(|| self.path(directory, path));
        let write = if has("O_APPEND") { "append" } else { "write" };
        let ways = [
            ("read", has("O_RDONLY") || has("O_RDWR")),
            (write, has("O_WRONLY") || has("O_RDWR")),
            ("write", has("O_TRUNC")),
            ("create", has("O_CREAT")),
        ];
        ways.into_iter()
            .filter(|(_, asked)| *asked)
            .map(|(access, _)| (name.clone(), access))
            .collect()
    }

    /// What a lock is told as, `word` being that for an exclusive one.
    fn lock(&self, argument: usize, word: &str) -> &'static str {
        let how = self.arguments.get(argument);
        if how.is_some_and(|how| how.contains(word)) {
            "lock_exclusive"
        } else {
            "lock"
        }
    }

    /// The path behind an open descriptor, as in `3<\x2f…>`.
    fn descriptor(&self, argument: usize) -> Option<Vec<u8>> {
        behind(self.arguments.get(argument)?)
    }

    fn result(&self) -> Option<Vec<u8>> {
        behind(self.result)
    }

    /// A path that was given, from a directory that was given.
    fn path(&self, directory: Option<usize>, argument: usize) -> Option<Vec<u8>> {
        let text = self.arguments.get(argument)?.strip_prefix('"')?;
        let path = unescaped(text.split('"').next()?)?;
        if path.starts_with(b"/") {
            return Some(resolved(path));
        }
        let mut whole = trimmed(self.descriptor(directory?)?);
        whole.push(b'/');
        whole.extend_from_slice(&path);
        Some(resolved(whole))
    }
}

/// The name in the directory that the kernel found, as long as it is still there.
fn resolved(path: Vec<u8>) -> Vec<u8> {
    let whole = Path::new(OsStr::from_bytes(&path));
    let (Some(directory), Some(name)) = (whole.parent(), whole.file_name()) else {
        return path;
    };
    match fs::canonicalize(directory) {
        Ok(real) => real.join(name).into_os_string().into_vec(),
        Err(_) => path,
    }
}

fn behind(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once('<')?;
    unescaped(rest.split_once('>')?.0)
}

/// `\xHH…`, and nothing else.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for digits in text.split("\\x").skip(1) {
        bytes.push(u8::from_str_radix(digits.get(..2)?, 16).ok()?);
    }
    Some(bytes)
}
