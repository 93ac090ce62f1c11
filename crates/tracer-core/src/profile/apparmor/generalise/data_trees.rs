//! Trees of data that an earlier run made, such as a database's: the workload writes most of what it uses there, and
//! makes files of its own. On another day it uses others of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{PathInfo, own::is_place_of_many};
use crate::{
    profile::apparmor::{permissions::Permissions, secrets},
    recording::FilePath,
};

/// So many files that were there before are written: for fewer, rules of their own open less.
const WRITTEN: usize = 16;

/// Of so many files that were there before, one may be only read: a version, a configuration.
const READ_ONLY: usize = 5;

/// What is used below a directory.
#[derive(Default)]
struct Tree<'a> {
    below: BTreeMap<&'a [u8], Self>,
    /// Files that were there before and are written, in the directory itself.
    here: usize,
    /// The same, with all that is below.
    written: usize,
    /// Files that were there before and are only read.
    read: usize,
    /// Files that the workload made.
    made: usize,
    /// Whether something is executed or mapped, or has the name of a secret.
    keeps: bool,
}

/// The directories that are such trees, without a slash at the end. Of a tree within a tree only the outer one.
pub(super) fn find(paths: &BTreeMap<FilePath, PathInfo>) -> BTreeSet<Vec<u8>> {
    let mut root = Tree::default();
    for (path, info) in paths {
        if !path.is_directory() && !path.as_bytes().starts_with(b"/proc/") {
            root.add(path.as_bytes(), info);
        }
    }
    let mut found = BTreeSet::new();
    root.collect(&mut Vec::new(), &mut found);
    found
}

impl<'a> Tree<'a> {
    fn add(&mut self, path: &'a [u8], info: &PathInfo) {
        let is_written = info.permissions.has_any(Permissions::WRITE);
        let kept = Permissions::EXECUTE | Permissions::MAP;
        let mut names: Vec<_> = path.split(|byte| *byte == b'/').skip(1).collect();
        let is_secret = names.iter().any(|name| secrets::guards_secrets(name));
        let keeps = info.permissions.has_any(kept) || is_secret;
        names.pop();
        let mut tree = self;
        let depth = names.len();
        for (at, name) in names.into_iter().take(super::MAX_DEPTH).enumerate() {
            tree = tree.below.entry(name).or_default();
            tree.keeps |= keeps;
            if info.made || info.unnamed {
                tree.made += 1;
            } else if is_written {
                tree.written += 1;
                tree.here += usize::from(at + 1 == depth);
            } else {
                tree.read += 1;
            }
        }
    }

    fn collect(&self, path: &mut Vec<u8>, found: &mut BTreeSet<Vec<u8>>) {
        if self.is_data() && !is_place_of_many(path) {
            found.insert(path.clone());
            return;
        }
        for (name, tree) in &self.below {
            if tree.written < WRITTEN {
                continue;
            }
            let length = path.len();
            path.push(b'/');
            path.extend_from_slice(name);
            tree.collect(path, found);
            path.truncate(length);
        }
    }

    /// Whether the data begins here, and not in the one directory below that has all of it.
    fn is_data(&self) -> bool {
        let parts = self.below.values().filter(|it| it.written > 0).count();
        (self.here > 0 || parts > 1)
            && !self.keeps
            && self.made > 0
            && self.written >= WRITTEN
            && self.read * READ_ONLY <= self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a database, each with what is done to it.
    fn database(at: &str) -> BTreeMap<FilePath, PathInfo> {
        let info = |permissions, made| PathInfo {
            permissions,
            made,
            told: true,
            ..PathInfo::default()
        };
        let both = Permissions::READ | Permissions::WRITE;
        let mut paths = BTreeMap::new();
        for number in 1..20 {
            paths.insert(format!("{at}/base/5/{number}"), info(both, false));
        }
        for (name, permissions, made) in [
            ("global/1260", both, false),
            ("base/5/PG_VERSION", Permissions::READ, false),
            ("postgresql.conf", Permissions::READ, false),
            ("base/5/16384", both, true),
            ("postmaster.pid", both, true),
        ] {
            paths.insert(format!("{at}/{name}"), info(permissions, made));
        }
        let other = "/etc/postgresql/pg_hba.conf".to_owned();
        paths.insert(other, info(Permissions::READ, false));
        paths
            .into_iter()
            .map(|(path, info)| (FilePath::from(path.as_str()), info))
            .collect()
    }

    fn found(paths: &BTreeMap<FilePath, PathInfo>) -> Vec<String> {
        find(paths)
            .into_iter()
            .map(|path| String::from_utf8(path).unwrap())
            .collect()
    }

    #[test]
    fn data_directory_of_a_database_is_a_tree() {
        assert_eq!(found(&database("/srv/db/data")), ["/srv/db/data"]);
        // Beside it is no data, and what everybody uses is no tree of one workload.
        assert_eq!(found(&database("")), ["/base/5"]);
        assert_eq!(found(&database("/var/lib")), ["/var/lib/base/5"]);
    }

    #[test]
    fn few_files_or_programs_or_secrets_or_much_that_is_only_read_is_none() {
        let all = database("/srv/db/data");
        let with = |path: &str, permissions| {
            let mut paths = all.clone();
            let info = PathInfo {
                permissions,
                ..PathInfo::default()
            };
            paths.insert(FilePath::from(path), info);
            found(&paths)
        };
        let map = Permissions::READ | Permissions::MAP;
        assert_eq!(with("/srv/db/data/lib.so", map), ["/srv/db/data/base/5"]);
        let read = Permissions::READ;
        assert_eq!(
            with("/srv/db/data/server.key", read),
            ["/srv/db/data/base/5"]
        );
        let mut few = all.clone();
        few.retain(|path, _| !path.as_bytes().ends_with(b"7"));
        few.retain(|path, _| !path.as_bytes().ends_with(b"8"));
        assert_eq!(found(&few), ["/srv/db/data"]);
        few.retain(|path, _| !path.as_bytes().ends_with(b"9"));
        assert_eq!(found(&few), [""; 0]);
        let mut readers = all;
        for info in readers.values_mut().take(5) {
            info.permissions = read;
        }
        assert_eq!(found(&readers), [""; 0]);
    }
}
