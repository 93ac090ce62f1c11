//! How much is kept of the files of an instance. A workload may use any number of files: beyond the budget,
//! whole directories are kept in the place of what lies below them.

use std::collections::{BTreeMap, BTreeSet};

use super::Observed;
use tracer_core::recording::{AccessRecord, FilePath, FileUse, Novelty};

/// Bytes of memory, about, that the files of one instance may take. A recording of them has about as many.
const BUDGET: usize = 6 << 20;

/// What a file takes beside its path, who used it beside the file, and that it was used in another instance.
const FILE: usize = 400;
const ACTOR: usize = 200;
const INSTANCE: usize = 80;

/// What the files of one instance take, and what is kept of them.
#[derive(Debug, Default)]
pub(super) struct FileBudget {
    bytes: usize,
    /// Directories that stand for all below them.
    trees: BTreeSet<FilePath>,
    /// Whether nothing is left that could be folded.
    is_full: bool,
}

impl FileBudget {
    /// The directory that stands for a path.
    fn tree_of(&self, path: &FilePath) -> Option<&FilePath> {
        if self.trees.is_empty() {
            return None;
        }
        let bytes = path.as_bytes();
        let mut slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.find_map(|(at, _)| {
            let above = bytes.get(..=at)?;
            (above.len() < bytes.len())
                .then(|| self.trees.get(&FilePath::new(above)))
                .flatten()
        })
    }
}

impl Observed {
    /// Adds a use of a file, or of the directory that stands for it.
    pub(super) fn add_file_use(&mut self, mut one: AccessRecord<FileUse>) {
        let instance = one.instance;
        let budget = self.budgets.entry(instance).or_default();
        if one.what.is_foldable()
            && let Some(tree) = budget.tree_of(&one.what.path)
        {
            one.what = one.what.folded_into(tree);
        }
        if budget.is_full && budget.bytes > 2 * BUDGET {
            *self.unkept_files.entry(instance).or_default() += 1;
            return;
        }
        let size = one.what.path.as_bytes().len()
            + one
                .what
                .target
                .as_ref()
                .map_or(0, |target| target.as_bytes().len());
        budget.bytes += match self.accesses.files.add(one) {
            Novelty::Thing => size + FILE,
            Novelty::Actor => ACTOR,
            Novelty::Instance => INSTANCE,
            Novelty::Nothing => 0,
        };
        if budget.bytes > BUDGET && !budget.is_full {
            self.fold(instance);
        }
    }

    /// What instances lost since it was last asked, because nothing of theirs could be folded any more.
    pub(in crate::record) fn take_unkept_files(&mut self) -> BTreeMap<u32, u64> {
        std::mem::take(&mut self.unkept_files)
    }

    /// Folds directories until half of the budget is free.
    fn fold(&mut self, instance: u32) {
        loop {
            let tree = heaviest_tree(self.accesses.files.of(instance));
            let folded = tree
                .as_ref()
                .map_or(0, |tree| self.accesses.files.fold_below(instance, tree));
            let budget = self.budgets.entry(instance).or_default();
            budget.bytes = self
                .accesses
                .files
                .of(instance)
                .map(|file| file.path.as_bytes().len() + FILE)
                .sum();
            // One that was folded already has only its own uses left.
            budget.is_full = folded < 2;
            budget.trees.extend(tree.filter(|_| folded > 0));
            if budget.is_full || budget.bytes < BUDGET / 2 {
                return;
            }
        }
    }
}

/// The deepest directory that holds the most, by what its files take: from the root on, the way goes down
/// as long as one directory holds half of all. Never the root itself.
fn heaviest_tree<'a>(files: impl Iterator<Item = &'a FileUse>) -> Option<FilePath> {
    let mut within: Vec<&[u8]> = files
        .filter(|file| file.is_foldable() && !file.tree)
        .map(|file| file.path.as_bytes())
        .filter(|path| path.starts_with(b"/"))
        .collect();
    let weight = |path: &[u8]| path.len() + FILE;
    let mut directory: &[u8] = b"/";
    loop {
        let mut weights: BTreeMap<&[u8], usize> = BTreeMap::new();
        for path in &within {
            let rest = path.get(directory.len()..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'/')
                && let Some(child) = path.get(..=directory.len() + end)
            {
                *weights.entry(child).or_default() += weight(path);
            }
        }
        let total: usize = within.iter().map(|path| weight(path)).sum();
        let heaviest = weights.into_iter().max_by_key(|(_, weight)| *weight);
        match heaviest {
            Some((child, weight)) if directory == b"/" || weight * 2 >= total => {
                within.retain(|path| path.starts_with(child) && path.len() > child.len());
                if within.is_empty() {
                    break;
                }
                directory = child;
            }
            _ => break,
        }
    }
    // Where little is gained, nothing is given up.
    let gained: usize = within.iter().map(|path| weight(path)).sum();
    (directory != b"/" && gained >= BUDGET / 16).then(|| FilePath::new(directory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::recording::{Executable, FileAccess, Phase};

    fn record(path: String, access: FileAccess) -> AccessRecord<FileUse> {
        AccessRecord {
            what: FileUse {
                path: FilePath::new(path),
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
            instance: 7,
            who: (Phase::Run, Executable::Unknown, None),
            first: None,
        }
    }

    /// What is kept of a flood, and of ten other files.
    fn flooded(path: impl Fn(usize) -> String, access: FileAccess) -> (Observed, usize) {
        let mut observed = Observed::for_questions(true);
        for number in 0..10 {
            observed.add_file_use(record(format!("/etc/{number}"), FileAccess::Read));
        }
        for number in 0..100_000 {
            observed.add_file_use(record(path(number), access));
        }
        let kept = observed.accesses.files.len();
        (observed, kept)
    }

    #[test]
    fn flood_of_names_becomes_its_directory() {
        let (observed, kept) = flooded(|n| format!("/work/d{}/f{n}", n / 20), FileAccess::Create);
        assert!(kept < 20_000, "{kept}");
        let files = observed.accesses.files.into_seen();
        let trees: Vec<_> = files.iter().filter(|file| file.what.tree).collect();
        assert_eq!(trees.len(), 1, "{trees:?}");
        assert_eq!(trees[0].what.path.to_string(), "/work/");
        assert_eq!(trees[0].what.access, FileAccess::Create);
        let others = files
            .iter()
            .filter(|file| file.what.path.as_bytes().starts_with(b"/etc/"));
        assert_eq!(others.count(), 10);
    }

    #[test]
    fn long_paths_take_no_more_than_short_ones() {
        let long = "x".repeat(3600);
        let (observed, _) = flooded(|n| format!("/work/{n}/{long}"), FileAccess::Read);
        let bytes: usize = observed
            .accesses
            .files
            .of(7)
            .map(|file| file.path.as_bytes().len() + FILE)
            .sum();
        assert!(bytes <= BUDGET, "{bytes}");
    }

    /// A rule for a directory would let everything there be executed, so these are lost, and counted.
    #[test]
    fn flood_of_programs_is_counted_as_lost() {
        let (mut observed, kept) = flooded(|n| format!("/work/{n}"), FileAccess::Execute);
        assert!(kept < 40_000, "{kept}");
        let unkept = observed.take_unkept_files();
        assert_eq!(unkept.get(&7).copied(), u64::try_from(100_010 - kept).ok());
    }
}
