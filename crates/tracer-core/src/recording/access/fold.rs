//! Keeps a directory in the place of all that lies below it.

use super::{AccessRecord, AccessRecords, FileAccess, FilePath, FileUse};

impl FileUse {
    /// Whether it may become a part of a directory's: programs and libraries may not, since a rule for a
    /// directory would let everything there be executed.
    pub fn is_foldable(&self) -> bool {
        !self.truncated && !matches!(self.access, FileAccess::Execute | FileAccess::MapExecutable)
    }

    /// Whether its file lies below a directory.
    pub fn is_below(&self, directory: &FilePath) -> bool {
        let path = self.path.as_bytes();
        path.len() > directory.as_bytes().len() && path.starts_with(directory.as_bytes())
    }

    /// The same use of whatever lies below a directory.
    #[must_use]
    pub fn folded_into(&self, directory: &FilePath) -> Self {
        Self {
            path: directory.clone(),
            access: self.access,
            target: None,
            owned: self.owned,
            more: true,
            tree: true,
            truncated: false,
            detached: self.detached,
            provenance: None,
            gains_privileges: false,
        }
    }
}

impl AccessRecords<FileUse> {
    /// Makes one use for each access, of all that an instance did with files below a directory. Who did it
    /// is kept. Returns how many different uses there were.
    pub fn fold_below(&mut self, instance: u32, directory: &FilePath) -> usize {
        let first = FileUse {
            path: directory.clone(),
            access: FileAccess::Read,
            target: None,
            owned: false,
            more: false,
            tree: false,
            truncated: false,
            detached: false,
            provenance: None,
            gains_privileges: false,
        };
        let below: Vec<FileUse> = self
            .0
            .range(first..)
            .map(|(what, _)| what)
            .take_while(|what| what.path.as_bytes().starts_with(directory.as_bytes()))
            .filter(|what| what.is_foldable() && what.is_below(directory))
            .cloned()
            .collect();
        let mut folded = 0;
        for what in below {
            let mut its = Vec::new();
            let Some(who) = self.0.get_mut(&what) else {
                continue;
            };
            who.retain(|actor, times| {
                if let Some(first) = times.remove(&instance) {
                    its.push((actor.clone(), first));
                }
                !times.is_empty()
            });
            if who.is_empty() {
                self.0.remove(&what);
            }
            folded += usize::from(!its.is_empty());
            for (who, first) in its {
                self.add(AccessRecord {
                    what: what.folded_into(directory),
                    instance,
                    who,
                    first,
                });
            }
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Executable, Phase};

    fn record(path: &str, access: FileAccess, instance: u32) -> AccessRecord<FileUse> {
        AccessRecord {
            what: FileUse {
                path: path.into(),
                access,
                target: None,
                owned: false,
                more: false,
                tree: false,
                truncated: false,
                detached: false,
                provenance: None,
                gains_privileges: false,
            },
            instance,
            who: (Phase::Run, Executable::Unknown, None),
            first: None,
        }
    }

    #[test]
    fn directory_stands_for_what_one_instance_did_below_it() {
        let mut files = AccessRecords::default();
        for (path, access, instance) in [
            ("/a/b/", FileAccess::MakeDirectory, 0),
            ("/a/b/1", FileAccess::Read, 0),
            ("/a/b/c/2", FileAccess::Read, 0),
            ("/a/b/c/2", FileAccess::Read, 1),
            ("/a/b/c/3", FileAccess::Write, 0),
            ("/a/b/lib", FileAccess::MapExecutable, 0),
            ("/a/bc", FileAccess::Read, 0),
        ] {
            files.add(record(path, access, instance));
        }
        assert_eq!(files.fold_below(0, &"/a/b/".into()), 3);
        let seen: Vec<_> = files.into_seen();
        let seen: Vec<_> = seen
            .iter()
            .map(|it| (it.what.path.to_string(), it.what.access, it.what.tree))
            .collect();
        assert_eq!(
            seen,
            [
                ("/a/b/".to_owned(), FileAccess::Read, true),
                ("/a/b/".to_owned(), FileAccess::Write, true),
                ("/a/b/".to_owned(), FileAccess::MakeDirectory, false),
                ("/a/b/c/2".to_owned(), FileAccess::Read, false),
                ("/a/b/lib".to_owned(), FileAccess::MapExecutable, false),
                ("/a/bc".to_owned(), FileAccess::Read, false),
            ]
        );
    }
}
