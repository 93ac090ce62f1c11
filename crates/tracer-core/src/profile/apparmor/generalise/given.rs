//! What explains a name that the workload made: the words that something given has.
//!
//! A word that is drawn at random is none of these but by a chance that is counted here: of 62 signs,
//! six are one of a thousand given words once in fifty million names.

use std::collections::BTreeSet;

use super::PathInfo;
use crate::recording::FilePath;

/// Words of fewer letters that are in the names of given files explain nothing: too many of three
/// letters are drawn by chance.
const MIN_FROM_PATHS: usize = 4;
/// The same of arguments, which are few.
const MIN_FROM_ARGUMENTS: usize = 2;

/// Numbers of arguments of fewer digits explain nothing: processes have such ids.
const MIN_NUMBER: usize = 3;

/// Words that programs use in the names that they make, and endings of names. Sorted.
const COMMON: &[&str] = &[
    "access",
    "aof",
    "api",
    "app",
    "appendonly",
    "appendonlydir",
    "archive",
    "attach",
    "backup",
    "bak",
    "base",
    "bin",
    "body",
    "build",
    "bz2",
    "cache",
    "cargo",
    "cert",
    "certs",
    "cfg",
    "class",
    "clean",
    "client",
    "clone",
    "conf",
    "config",
    "cpp",
    "cpython",
    "crt",
    "css",
    "csv",
    "current",
    "daemon",
    "dat",
    "data",
    "database",
    "db",
    "debug",
    "default",
    "dev",
    "dir",
    "dist",
    "dll",
    "doc",
    "download",
    "downloads",
    "dpkg",
    "dump",
    "err",
    "error",
    "etc",
    "exe",
    "export",
    "fastcgi",
    "fifo",
    "file",
    "files",
    "fileutl",
    "gem",
    "git",
    "global",
    "go",
    "gz",
    "head",
    "home",
    "hosts",
    "hpp",
    "hsperfdata",
    "html",
    "http",
    "https",
    "idx",
    "image",
    "images",
    "import",
    "index",
    "info",
    "ini",
    "init",
    "input",
    "internal",
    "jar",
    "java",
    "job",
    "jobs",
    "journal",
    "jpg",
    "js",
    "json",
    "key",
    "keys",
    "latest",
    "lck",
    "lib",
    "list",
    "listener",
    "local",
    "lock",
    "locks",
    "log",
    "logs",
    "lst",
    "main",
    "map",
    "master",
    "mem",
    "message",
    "meta",
    "mjs",
    "module",
    "mutex",
    "mysql",
    "new",
    "nginx",
    "node",
    "npm",
    "obj",
    "object",
    "objects",
    "old",
    "orig",
    "out",
    "output",
    "pack",
    "package",
    "packages",
    "part",
    "partial",
    "pem",
    "perf",
    "pgsql",
    "pgstat",
    "pid",
    "pip",
    "pipe",
    "pkg",
    "plugin",
    "plugins",
    "png",
    "port",
    "postgresql",
    "postmaster",
    "private",
    "proc",
    "proxy",
    "public",
    "pyc",
    "pymp",
    "python",
    "queue",
    "rb",
    "rdb",
    "record",
    "redis",
    "report",
    "reports",
    "result",
    "results",
    "rewrite",
    "rewriteaof",
    "root",
    "rpm",
    "run",
    "scgi",
    "sem",
    "server",
    "sess",
    "session",
    "sessions",
    "share",
    "shared",
    "sharedfileset",
    "shm",
    "snapshot",
    "snapshots",
    "sock",
    "socket",
    "spool",
    "sql",
    "sqlite",
    "src",
    "state",
    "static",
    "status",
    "stderr",
    "stdin",
    "stdout",
    "storage",
    "store",
    "svg",
    "swp",
    "sys",
    "tar",
    "target",
    "task",
    "tasks",
    "temp",
    "template",
    "templates",
    "temporary",
    "test",
    "tests",
    "tgz",
    "thd",
    "tmp",
    "toml",
    "txt",
    "upload",
    "uploads",
    "user",
    "users",
    "usr",
    "uwsgi",
    "var",
    "wal",
    "web",
    "work",
    "worker",
    "workers",
    "xlogtemp",
    "xml",
    "yaml",
    "yml",
    "zip",
    "zst",
];

/// Words that something given has.
#[derive(Debug, Default)]
pub(in crate::profile::apparmor) struct Given {
    /// From paths, arguments and programs.
    words: BTreeSet<Vec<u8>>,
    /// From arguments and programs: so few that a name may begin with one of them by no chance.
    strong: BTreeSet<Vec<u8>>,
    /// Numbers with the word before them, as in `cpython-311`.
    numbered: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// Numbers of arguments.
    numbers: BTreeSet<Vec<u8>>,
    /// Whole names: of given files, and those that arguments are made of.
    names: BTreeSet<Vec<u8>>,
    /// Whole paths among the arguments.
    arguments: BTreeSet<Vec<u8>>,
    /// Whether a recording does not say who made what, as those of older versions.
    makers_unknown: bool,
}

impl Given {
    /// Adds an argument of the command.
    pub(in crate::profile::apparmor) fn argument(&mut self, argument: &[u8]) {
        for part in argument.split(|byte| b"/=:,; \t\n\"'".contains(byte)) {
            self.names.insert(part.to_vec());
            self.name(part, MIN_FROM_ARGUMENTS, true);
            let runs = part.split(|byte| !byte.is_ascii_alphanumeric());
            for number in runs.filter(|run| run.len() >= MIN_NUMBER && is_number(run)) {
                self.numbers.insert(number.to_vec());
            }
        }
        for path in argument.split(|byte| b"=:,; \t\n\"'".contains(byte)) {
            if path.starts_with(b"/") {
                let path = path.strip_suffix(b"/").unwrap_or(path);
                self.arguments.insert(path.to_vec());
            }
        }
    }

    /// Notes that a recording does not say who made what.
    pub(in crate::profile::apparmor) const fn forget_makers(&mut self) {
        self.makers_unknown = true;
    }

    /// Whether it is not known who made a name that the workload was not seen to make.
    pub(super) const fn has_unknown_makers(&self) -> bool {
        self.makers_unknown
    }

    /// Adds a program that ran.
    pub(in crate::profile::apparmor) fn program(&mut self, path: &str) {
        let name = path.rsplit('/').next().unwrap_or_default();
        self.name(name.as_bytes(), MIN_FROM_ARGUMENTS, true);
    }

    /// Adds the names of all files that the workload did not make.
    pub(super) fn paths<'a>(
        &mut self,
        paths: impl IntoIterator<Item = (&'a FilePath, &'a PathInfo)>,
    ) {
        let made = |info: &PathInfo| info.made || info.unnamed;
        let (made, given): (Vec<_>, Vec<_>) = paths.into_iter().partition(|(_, info)| made(info));
        let made: BTreeSet<&[u8]> = made.iter().map(|(path, _)| stem(path.as_bytes())).collect();
        let mut known = BTreeSet::new();
        for (path, _) in given {
            let path = stem(path.as_bytes());
            if path.starts_with(b"/proc/") {
                continue;
            }
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let ends = slashes.map(|(at, _)| at).skip(1).chain([path.len()]);
            for end in ends.take(super::MAX_DEPTH) {
                let above = path.get(..end).unwrap_or_default();
                // What is below a name that the workload made is its own too.
                if made.contains(above) {
                    break;
                }
                if known.insert(above.to_vec()) {
                    let name = above
                        .rsplit(|byte| *byte == b'/')
                        .next()
                        .unwrap_or_default();
                    if !is_number(name) {
                        self.names.insert(name.to_vec());
                    }
                    self.name(name, MIN_FROM_PATHS, false);
                }
            }
        }
    }

    fn name(&mut self, name: &[u8], shortest: usize, strong: bool) {
        let mut before: Option<&[u8]> = None;
        for word in words(name) {
            if is_number(word) {
                if let Some(before) = before {
                    self.numbered.insert((before.to_vec(), word.to_vec()));
                }
            } else if word.len() >= shortest {
                self.words.insert(word.to_vec());
                if strong {
                    self.strong.insert(word.to_vec());
                }
            }
            before = Some(word);
        }
    }

    /// Whether a word is explained. Letters only: a number is another matter.
    pub(super) fn explains(&self, word: &[u8]) -> bool {
        let has = |word: &[u8]| {
            let common =
                std::str::from_utf8(word).is_ok_and(|it| COMMON.binary_search(&it).is_ok());
            common || self.words.contains(word)
        };
        has(word) || (is_one_case(word) && has(&word.to_ascii_lowercase())) || {
            // `PostgreSQL` of `postgresql`: so long a word is drawn by no chance, whatever its case.
            word.len() >= 8 && has(&word.to_ascii_lowercase())
        }
    }

    /// Whether a number is explained by an argument, or by the word before it.
    pub(super) fn explains_number(&self, before: &[u8], number: &[u8]) -> bool {
        self.numbers.contains(number) || self.numbered.contains(&(before.to_vec(), number.to_vec()))
    }

    /// Whether the whole name is one that was given.
    pub(super) fn has_name(&self, name: &[u8]) -> bool {
        self.names.contains(name)
    }

    /// Whether an argument is this path, or leads through it.
    pub(super) fn has_argument(&self, path: &[u8]) -> bool {
        let from = self.arguments.range(path.to_vec()..).next();
        let below = [path, b"/"].concat();
        let through = self.arguments.range(below.clone()..).next();
        from.is_some_and(|it| it == path) || through.is_some_and(|it| it.starts_with(&below))
    }

    /// The longest word that a name begins with and that is among the few.
    pub(super) fn prefix_of<'a>(&self, word: &'a [u8]) -> Option<&'a [u8]> {
        (3..word.len()).rev().find_map(|end| {
            let head = word.get(..end)?;
            (head == b"tmp" || self.strong.contains(head)).then_some(head)
        })
    }
}

/// A path without the slash at its end.
pub(super) fn stem(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

/// The words and numbers of a name.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let kind = |byte: &u8| (byte.is_ascii_digit(), byte.is_ascii_alphabetic());
    name.chunk_by(move |a, b| kind(a) == kind(b))
        .filter(|run| run.first().is_some_and(u8::is_ascii_alphanumeric))
}

pub(super) fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// `Word` or `WORD`.
fn is_one_case(word: &[u8]) -> bool {
    let rest = word.get(1..).unwrap_or_default();
    word.first().is_some_and(u8::is_ascii_uppercase)
        && (rest.iter().all(u8::is_ascii_lowercase) || rest.iter().all(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_words_explain_and_made_ones_do_not() {
        let mut given = Given::default();
        given.argument(b"--out=/srv/zebra/plan-701");
        given.program("/usr/bin/sort");
        let made = PathInfo {
            made: true,
            ..PathInfo::default()
        };
        let read = PathInfo::default();
        given.paths([
            (&FilePath::from("/usr/lib/x.cpython-311.pyc"), &read),
            (&FilePath::from("/tmp/quagga/"), &made),
            (&FilePath::from("/tmp/quagga/okapi"), &read),
        ]);
        for (word, expected) in [
            ("zebra", true),
            ("Zebra", true),
            ("sort", true),
            ("tmp", true),
            ("cpython", true),
            ("quagga", false),
            ("okapi", false),
            ("sOrt", false),
        ] {
            assert_eq!(given.explains(word.as_bytes()), expected, "{word}");
        }
        assert!(given.explains_number(b"cpython", b"311"));
        assert!(given.explains_number(b"x", b"701"));
        assert!(!given.explains_number(b"x", b"311"));
        assert!(given.has_argument(b"/srv/zebra"));
        assert!(!given.has_argument(b"/srv/ze"));
        assert_eq!(given.prefix_of(b"sortAbCdEf"), Some(&b"sort"[..]));
    }

    #[test]
    fn common_words_are_sorted() {
        assert!(COMMON.is_sorted_by(|one, next| one < next));
    }
}
