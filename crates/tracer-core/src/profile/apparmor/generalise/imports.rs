//! Trees that programs read by name: modules of languages, translations, time zones.
//!
//! Which of them a run reads says what it happened to do, and one rule of their directory is what a
//! person would write. Only what is read is in it: programs and shared libraries keep their names.

use std::collections::BTreeMap;

use super::{GeneralisedPath, PathInfo, Reason};
use crate::{
    profile::apparmor::{
        pattern::{Part, Pattern, Segment},
        permissions::Permissions,
        secrets,
    },
    recording::FilePath,
};

/// From so many files of a tree on the rule is for all of it: one or two have rules of their own.
const MANY: usize = 4;

/// Makes `DIR/**` of such trees.
pub(super) fn generalise(
    general: &mut BTreeMap<FilePath, GeneralisedPath>,
    paths: &BTreeMap<FilePath, PathInfo>,
) {
    let mut below: BTreeMap<Vec<Segment>, Vec<FilePath>> = BTreeMap::new();
    for (path, one) in &*general {
        let is_read = paths
            .get(path)
            .is_some_and(|info| info.permissions == Permissions::READ && !info.made);
        if is_read && let Some(tree) = tree(one.pattern.segments()) {
            below.entry(tree.to_vec()).or_default().push(path.clone());
        }
    }
    for (tree, members) in below {
        if members.len() < MANY || secrets::guard(&tree) {
            continue;
        }
        for path in members {
            if let Some(one) = general.get_mut(&path) {
                let segments = tree.iter().cloned().chain([vec![Part::Deep]]);
                one.pattern = Pattern::of(segments.collect());
                one.reasons.insert(Reason::Imports);
            }
        }
    }
}

/// The topmost such tree that a path is in; `None` for its own directory.
pub(super) fn tree(names: &[Segment]) -> Option<&[Segment]> {
    let text = |at: usize| match names.get(at).map(Vec::as_slice) {
        Some([Part::Text(text)]) => text.as_slice(),
        _ => b"",
    };
    let depth = (1..names.len().min(super::MAX_DEPTH)).find(|depth| {
        let at = depth - 1;
        let before = at.checked_sub(1).map_or(&b""[..], text);
        let is_system = text(0) == b"usr" && matches!(text(1), b"lib" | b"lib64" | b"share");
        is_tree(before, text(at)) || (is_system && at > 1 && text(at).starts_with(b"perl"))
    })?;
    let is_inside = names
        .get(depth)
        .is_some_and(|name| *name != [Part::Text(Vec::new())]);
    names.get(..depth).filter(|_| is_inside)
}

/// Whether a directory is such a tree, `before` being the name of the one that it is in.
fn is_tree(before: &[u8], name: &[u8]) -> bool {
    let is_library = matches!(before, b"lib" | b"lib64" | b"share");
    match name {
        b"site-packages" | b"dist-packages" | b"node_modules" | b"__pycache__" | b"gems"
        | b"gconv" => true,
        b"ruby" | b"nodejs" | b"locale" => is_library,
        b"zoneinfo" | b"i18n" | b"php" => before == b"share",
        _ => is_library && name.starts_with(b"python"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_trees_are_found_by_name() {
        for (path, expected) in [
            (
                "/usr/lib/python3.11/json/decoder.py",
                Some("/usr/lib/python3.11"),
            ),
            (
                "/opt/venv/lib/python3/site-packages/x.py",
                Some("/opt/venv/lib/python3"),
            ),
            (
                "/srv/app/node_modules/a/node_modules/b.js",
                Some("/srv/app/node_modules"),
            ),
            ("/srv/app/__pycache__/a.pyc", Some("/srv/app/__pycache__")),
            (
                "/usr/share/zoneinfo/Europe/Paris",
                Some("/usr/share/zoneinfo"),
            ),
            (
                "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules",
                Some("/usr/lib/x86_64-linux-gnu/gconv"),
            ),
            ("/usr/share/perl/5.36.0/strict.pm", Some("/usr/share/perl")),
            ("/usr/lib/python3.11/", None),
            ("/srv/python3/x", None),
            ("/etc/locale/x", None),
            ("/usr/share/app/x", None),
        ] {
            let pattern = Pattern::literal(&path.into());
            let tree = tree(pattern.segments()).map(|tree| Pattern::of(tree.to_vec()));
            let expected = expected.map(|it| Pattern::literal(&it.into()));
            assert_eq!(tree, expected, "{path}");
        }
    }
}
