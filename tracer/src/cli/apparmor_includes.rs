//! Files that AppArmor profiles include, from the directory that holds the profiles.
//!
//! A profile that is audited may be anybody's, so nothing outside of that directory is read for it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use tracer_core::audit::Included;

use super::input;

/// Finds included files, and keeps what was read: a thousand profiles include the same ones.
pub(super) struct AppArmorIncludes {
    root: PathBuf,
    known: RefCell<BTreeMap<String, Included>>,
}

impl AppArmorIncludes {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            known: RefCell::default(),
        }
    }

    /// The file or the files of a name between `<` and `>`, or of a path.
    pub(super) fn find(&self, name: &str) -> Included {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone();
        }
        let found = self.read(name);
        let mut known = self.known.borrow_mut();
        known.entry(name.to_owned()).or_insert(found).clone()
    }

    fn read(&self, name: &str) -> Included {
        let below = Path::new(name);
        let below = below.strip_prefix(&self.root).unwrap_or(below);
        let is_below = below
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_below {
            return Included::Unreadable(format!("it is not below {}", self.root.display()));
        }
        let path = self.root.join(below);
        if path.is_dir() {
            return directory(&path);
        }
        // Not a pipe, which would be waited for.
        if !path.is_file() {
            return Included::Missing;
        }
        files([path])
    }
}

fn files(paths: impl IntoIterator<Item = PathBuf>) -> Included {
    let mut all = Vec::new();
    for path in paths {
        match input::file(&path) {
            Ok(Ok(input)) => all.push(input),
            Ok(Err(malformed)) => return Included::Unreadable(malformed.to_string()),
            Err(error) => return Included::Unreadable(format!("{error:#}")),
        }
    }
    Included::Files(all)
}

/// The files of a directory, but those that apparmor_parser passes over (libapparmor, `_aa_is_blacklisted`).
fn directory(path: &Path) -> Included {
    const PASSED_OVER: [&str; 9] = [
        ".dpkg-new",
        ".dpkg-old",
        ".dpkg-dist",
        ".dpkg-bak",
        ".rpmnew",
        ".rpmsave",
        ".orig",
        ".rej",
        "~",
    ];
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return Included::Unreadable(error.to_string()),
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_left_out = PASSED_OVER.iter().any(|end| name.ends_with(end));
            path.is_file() && !name.starts_with('.') && name != "README" && !is_left_out
        })
        .collect();
    paths.sort();
    files(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_directory_is_read() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("apparmor.d");
        fs::create_dir_all(root.join("local/a.d")).unwrap();
        fs::write(scratch.path().join("secret"), "x").unwrap();
        fs::write(root.join("local/a"), "/a r,\n").unwrap();
        fs::write(root.join("local/a.d/b"), "/b r,\n").unwrap();
        fs::write(root.join("local/a.d/b.dpkg-old"), "/c r,\n").unwrap();
        let includes = AppArmorIncludes::new(&root);
        for name in ["../secret", "/etc/passwd", "local/../../secret"] {
            let found = includes.find(name);
            assert!(
                matches!(found, Included::Unreadable(_)),
                "{name}: {found:?}"
            );
        }
        assert!(matches!(includes.find("local/no"), Included::Missing));
        let absolute = root.join("local/a");
        for name in ["local/a", "local/a.d", absolute.to_str().unwrap()] {
            match includes.find(name) {
                Included::Files(files) => assert_eq!(files.len(), 1, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
