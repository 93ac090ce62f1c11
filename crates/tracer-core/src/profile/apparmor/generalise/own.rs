//! Names that the workload made, and what lies below them.
//!
//! Who made a name decides, not what it looks like. What is learned of a name holds wherever a path leads
//! through it. A directory that the workload made is its own: one rule for all that is below.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    GeneralisedPath, PathInfo, Reason, data_trees,
    given::{Given, stem},
    is_program, is_shared,
    made_names::{self, Making},
    name_patterns::is_temporary,
};
use crate::{
    profile::apparmor::{
        pattern::{Part, Pattern, Segment},
        permissions::Permissions,
        secrets,
    },
    recording::FilePath,
};

/// What the names became that the workload made, by path without a slash at the end.
pub(super) struct Own<'a> {
    names: BTreeMap<Vec<u8>, Segment>,
    /// Directories of which all is the workload's.
    trees: BTreeSet<Vec<u8>>,
    /// Names of which an access says who chose them.
    known: BTreeSet<Vec<u8>>,
    given: &'a Given,
}

impl<'a> Own<'a> {
    /// Decides about all names that were made.
    pub(super) fn decide(paths: &BTreeMap<FilePath, PathInfo>, given: &'a Given) -> Self {
        let mut own = Self {
            names: BTreeMap::new(),
            trees: BTreeSet::new(),
            known: BTreeSet::new(),
            given,
        };
        for (path, info) in paths {
            let key = stem(path.as_bytes());
            if info.has_provenance() {
                own.known.insert(key.to_vec());
            }
            let segment = if info.unnamed {
                Some(vec![Part::Text(b"#".to_vec()), Part::Digits])
            } else if info.made {
                segment(path, info, given)
            } else {
                None
            };
            if let Some(segment) = segment {
                own.names.insert(key.to_vec(), segment);
            }
            if info.made && path.is_directory() && !is_common(key) {
                own.trees.insert(key.to_vec());
            }
        }
        own.data_directories(paths);
        own.trees.extend(data_trees::find(paths));
        own
    }

    /// Adds directories that the workload keeps its data in: it makes and removes files of several kinds
    /// there, leaves some, and was seen to use nothing but what it made.
    fn data_directories(&mut self, paths: &BTreeMap<FilePath, PathInfo>) {
        /// So many kinds of name: for fewer, globs of their own open less.
        const KINDS: usize = 3;
        let mut kinds: BTreeMap<&[u8], BTreeSet<&Segment>> = BTreeMap::new();
        for (path, info) in paths {
            let key = stem(path.as_bytes());
            if info.made
                && info.gone
                && let Some(directory) = above(key)
                && let Some(segment) = self.names.get(key)
            {
                kinds.entry(directory).or_default().insert(segment);
            }
        }
        let candidates = kinds
            .into_iter()
            .filter(|(directory, kinds)| kinds.len() >= KINDS && !is_place_of_many(directory));
        let candidates: Vec<_> = candidates
            .map(|(directory, _)| directory.to_vec())
            .collect();
        for directory in candidates {
            let start = [directory.as_slice(), b"/"].concat();
            let below = || {
                let all = paths.range(FilePath::new(start.clone())..);
                all.take_while(|(path, _)| path.as_bytes().starts_with(&start))
                    .filter(|(path, _)| path.as_bytes().len() > start.len())
                    .map(|(_, info)| info)
            };
            let is_own = below().all(|info| info.made || info.unnamed);
            if is_own && below().any(|info| info.made && !info.gone) {
                self.trees.insert(directory);
            }
        }
    }

    /// Whether a name stays, whatever it looks like: an argument has it, or it is in a temporary directory,
    /// where the workload would have been seen to make it.
    pub(super) fn is_given(&self, path: &[u8], temporary: bool) -> bool {
        let path = stem(path);
        self.given.has_argument(path)
            || (temporary && (self.known.contains(path) || !self.given.has_unknown_makers()))
    }

    /// Changes the pattern of a path that leads through such names.
    pub(super) fn generalise(&self, path: &FilePath, info: &PathInfo, one: &mut GeneralisedPath) {
        let bytes = stem(path.as_bytes());
        let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let ends = slashes.map(|(at, _)| at).skip(1).chain([bytes.len()]);
        let keeps = info
            .permissions
            .has_any(Permissions::EXECUTE | Permissions::MAP);
        for (at, end) in ends.enumerate().take(super::MAX_DEPTH) {
            let name = bytes.get(..end).unwrap_or_default();
            if let Some(segment) = self.names.get(name) {
                one.pattern = one.pattern.with(at, segment.clone());
                one.reasons.insert(Reason::Made);
            }
            // What is executed keeps a rule of its own: else all of the tree could be.
            let is_below = end < bytes.len();
            if is_below && !keeps && self.trees.contains(name) {
                let mut segments: Vec<_> = one.pattern.segments().to_vec();
                segments.truncate(at + 1);
                segments.push(vec![Part::Deep]);
                one.pattern = Pattern::of(segments);
                one.reasons.insert(Reason::OwnTree);
                return;
            }
        }
    }
}

/// What the last name of a path becomes; `None` when it stays.
fn segment(path: &FilePath, info: &PathInfo, given: &Given) -> Option<Segment> {
    let key = stem(path.as_bytes());
    let at = key.iter().rposition(|byte| *byte == b'/')?;
    let (directory, name) = (key.get(..at)?, key.get(at + 1..)?);
    if name.is_empty() || directory.starts_with(b"/proc/") || given.has_argument(key) {
        return None;
    }
    let names: Vec<_> = directory.split(|byte| *byte == b'/').skip(1).collect();
    let literal: Vec<Segment> = names
        .iter()
        .map(|name| vec![Part::Text(name.to_vec())])
        .collect();
    let names: Vec<Vec<u8>> = names.into_iter().map(<[u8]>::to_vec).collect();
    let temporary = is_temporary(&names);
    let shared = (is_shared(&literal) && !temporary) || secrets::guard(&literal);
    let is_directory = path.is_directory();
    let making = Making {
        chosen: info.exclusive || temporary || info.gone || (is_directory && !shared),
        exclusive: info.exclusive,
        directory: is_directory,
        lasting: !info.gone && !temporary,
        shared,
    };
    let segment = made_names::glob(name, making, given)?;
    // The same name in two runs is no chance, but for numbers: those of processes come again.
    let is_repeated = info.runs.len() > 1
        && !(making.chosen && segment.iter().any(|part| matches!(part, Part::Digits)));
    (!is_repeated).then_some(segment)
}

/// The path of the directory that a path is in.
fn above(path: &[u8]) -> Option<&[u8]> {
    path.get(..path.iter().rposition(|byte| *byte == b'/')?)
}

/// Whether everybody keeps something in a directory.
fn is_common(directory: &[u8]) -> bool {
    let names: Vec<Vec<u8>> = directory
        .split(|byte| *byte == b'/')
        .skip(1)
        .map(<[u8]>::to_vec)
        .collect();
    let segments: Vec<Segment> = names
        .iter()
        .map(|name| vec![Part::Text(name.clone())])
        .collect();
    directory.is_empty()
        || is_shared(&segments)
        || is_temporary(&names)
        || secrets::guard(&segments)
}

/// Whether a directory is no workload's own, whatever one does in it.
pub(super) fn is_place_of_many(directory: &[u8]) -> bool {
    is_common(directory) || is_home(directory)
}

/// Whether it is somebody's home.
fn is_home(directory: &[u8]) -> bool {
    let mut names = directory.split(|byte| *byte == b'/').skip(1);
    names.next() == Some(b"home") && names.nth(1).is_none()
}

/// Programs that are not to be written by a glob: what the workload made itself it may make again.
pub(super) fn is_given_program(info: &PathInfo) -> bool {
    is_program(info.permissions) && !info.made
}
