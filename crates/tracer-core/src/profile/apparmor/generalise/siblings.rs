//! What several paths tell together: they are equal but for one name.

use std::collections::{BTreeMap, BTreeSet};

use super::{GeneralisedPath, Guard, MAX_DEPTH, PathInfo, Policy, Reason, guard, is_shared};
use crate::{
    profile::apparmor::{
        pattern::{Part, Pattern, Segment},
        permissions::Permissions,
        secrets,
    },
    recording::FilePath,
};

/// From so many names of one directory on, the next run has others.
const SIBLINGS: usize = 16;
/// The same for [`Policy::Wide`].
const SIBLINGS_WIDE: usize = 4;
/// So many names that differ in a number are a series.
const NUMBERED: usize = 3;
/// The same for [`Policy::Wide`].
const NUMBERED_WIDE: usize = 2;
/// So many patterns at several depths are a tree; for [`Policy::Wide`].
const TREE: usize = 8;

/// The names that were seen in one place, and in which runs each.
type Names = BTreeMap<Vec<u8>, BTreeSet<u32>>;

/// Changes the patterns of paths that are equal but for one name.
pub(super) fn generalise(
    general: &mut BTreeMap<FilePath, GeneralisedPath>,
    paths: &BTreeMap<FilePath, PathInfo>,
    runs: &BTreeSet<u32>,
    policy: Policy,
) {
    let wide = policy == Policy::Wide;
    let (numbered, siblings) = if wide {
        (NUMBERED_WIDE, SIBLINGS_WIDE)
    } else {
        (NUMBERED, SIBLINGS)
    };
    step(general, paths, Reason::Replicas, &|guard, names| {
        let differ = each_run_has_its_own(names, runs) && (wide || look_variable(names));
        let segment = differ.then(|| around(names))?;
        // In a shared directory only what is left of the name tells what it is.
        (guard == Guard::None || segment.len() > 1).then_some(segment)
    });
    step(general, paths, Reason::Numbers, &|_, names| {
        (names.len() >= numbered).then(|| series(names))?
    });
    step(general, paths, Reason::Siblings, &|guard, names| {
        (guard == Guard::None && names.len() >= siblings).then(|| around(names))
    });
    if wide {
        trees(general, paths);
    }
}

/// Tries one rule at each place of the paths, the last one first; at none where secrets are.
fn step(
    general: &mut BTreeMap<FilePath, GeneralisedPath>,
    paths: &BTreeMap<FilePath, PathInfo>,
    reason: Reason,
    rule: &dyn Fn(Guard, &Names) -> Option<Segment>,
) {
    let deepest = general
        .values()
        .map(|one| one.pattern.segments().len())
        .max()
        .unwrap_or(0);
    for at in (0..deepest.min(MAX_DEPTH)).rev() {
        // Everything but the name there.
        let mut groups: BTreeMap<(Pattern, Permissions), Names> = BTreeMap::new();
        for (path, one) in general.iter() {
            let Some((key, name)) = key(path, one, paths, at, reason) else {
                continue;
            };
            let runs = paths.get(path).map(|facts| facts.runs.iter().copied());
            let names = groups.entry(key).or_default();
            names
                .entry(name)
                .or_default()
                .extend(runs.into_iter().flatten());
        }
        let chosen: BTreeMap<_, _> = groups
            .into_iter()
            .filter(|(_, names)| names.len() > 1)
            .filter_map(|(key, names)| {
                let guard = guard(key.0.segments(), at);
                if guard == Guard::Secret || names.keys().any(|it| secrets::guards_secrets(it)) {
                    return None;
                }
                let segment = rule(guard, &names)?;
                Some((key, segment))
            })
            .collect();
        for (path, one) in general.iter_mut() {
            if let Some((key, _)) = key(path, one, paths, at, reason)
                && let Some(segment) = chosen.get(&key)
            {
                one.pattern = key.0.with(at, segment.clone());
                one.reasons.insert(reason);
            }
        }
    }
}

/// A path without its name at a place, what it takes, and that name; `None` where no rule applies.
fn key(
    path: &FilePath,
    one: &GeneralisedPath,
    paths: &BTreeMap<FilePath, PathInfo>,
    at: usize,
    reason: Reason,
) -> Option<((Pattern, Permissions), Vec<u8>)> {
    let name = one.pattern.text_at(at)?;
    let permissions = paths.get(path)?.permissions;
    // A program, a directory itself, and the top of the tree; libraries keep their names, however many
    // of a directory are used.
    let keeps = if reason == Reason::Siblings {
        Permissions::EXECUTE | Permissions::MAP
    } else {
        Permissions::EXECUTE
    };
    if permissions.has_any(keeps) || name.is_empty() || at == 0 {
        return None;
    }
    Some((
        (one.pattern.with(at, Vec::new()), permissions),
        name.to_vec(),
    ))
}

/// Whether all runs have names here, and no two the same.
fn each_run_has_its_own(names: &Names, all: &BTreeSet<u32>) -> bool {
    let named: usize = names.values().map(BTreeSet::len).sum();
    let runs: BTreeSet<_> = names.values().flatten().copied().collect();
    all.len() > 1
        && runs == *all
        && names.values().all(|runs| runs.len() == 1)
        && named == names.len()
}

/// Whether names look as if they were made up: a digit in each, or much in common.
fn look_variable(names: &Names) -> bool {
    let digits = names.keys().all(|name| name.iter().any(u8::is_ascii_digit));
    digits
        || around(names)
            .iter()
            .any(|part| matches!(part, Part::Text(text) if text.len() > 2))
}

/// What is common to names at both ends, and `*` for the rest. Only whole words count as common.
fn around(names: &Names) -> Segment {
    let mut all = names.keys().map(Vec::as_slice);
    let first = all.next().unwrap_or_default();
    let (mut head, mut tail) = (first, first);
    for name in all {
        let same = head.iter().zip(name).take_while(|(a, b)| a == b).count();
        head = head.get(..same).unwrap_or_default();
        let same = tail
            .iter()
            .rev()
            .zip(name.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        tail = tail.get(tail.len() - same..).unwrap_or_default();
    }
    let is_end = |byte: &u8| b"._-".contains(byte);
    let head = head
        .get(..head.iter().rposition(is_end).map_or(0, |at| at + 1))
        .unwrap_or_default();
    let tail = tail
        .iter()
        .position(is_end)
        .and_then(|at| tail.get(at..))
        .unwrap_or_default();
    let shortest = names.keys().map(Vec::len).min().unwrap_or(0);
    // `a-b` has both of `a-` and `-b`, and `a-*-b` is not it.
    let tail = if head.len() + tail.len() > shortest {
        &[]
    } else {
        tail
    };
    let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| Part::Text(bytes.to_vec()));
    [text(head), Some(Part::Star), text(tail)]
        .into_iter()
        .flatten()
        .collect()
}

/// Names that are equal but for numbers, with `[0-9]*` for the numbers that differ.
fn series(names: &Names) -> Option<Segment> {
    let runs = |name: &[u8]| -> Vec<Vec<u8>> {
        name.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let split: Vec<_> = names.keys().map(|name| runs(name)).collect();
    let first = split.first()?;
    if split.iter().any(|other| other.len() != first.len()) {
        return None;
    }
    let mut segment = Segment::new();
    for (at, run) in first.iter().enumerate() {
        let same = split.iter().all(|other| other.get(at) == Some(run));
        let numbers = split.iter().filter_map(|other| other.get(at)?.first());
        segment.push(if same {
            Part::Text(run.clone())
        } else if numbers.into_iter().all(u8::is_ascii_digit) {
            Part::Digits
        } else {
            return None;
        });
    }
    Some(segment)
}

/// Makes `DIR/**` of directories below which many patterns are, at more than one depth.
fn trees(general: &mut BTreeMap<FilePath, GeneralisedPath>, paths: &BTreeMap<FilePath, PathInfo>) {
    let mut below: BTreeMap<(Vec<Segment>, Permissions), BTreeSet<Pattern>> = BTreeMap::new();
    let permissions = |path: &FilePath| {
        paths
            .get(path)
            .map_or(Permissions::NONE, |it| it.permissions)
    };
    for (path, one) in general.iter() {
        let segments = one.pattern.segments();
        // Two names at least lead to it: `/srv/**` is no guess to make.
        for depth in 2..segments.len().min(MAX_DEPTH) {
            let above = segments.get(..depth).unwrap_or_default().to_vec();
            let patterns = below.entry((above, permissions(path))).or_default();
            patterns.insert(one.pattern.clone());
        }
    }
    // Directories that secrets were used in, or below, or that are below such a one.
    let secret: BTreeSet<_> = general
        .values()
        .map(|one| one.pattern.segments())
        .filter(|names| secrets::guard(names))
        .flat_map(|names| {
            let depths = 0..names.len().min(MAX_DEPTH);
            depths.filter_map(|depth| names.get(..depth))
        })
        .map(<[Segment]>::to_vec)
        .collect();
    let trees: BTreeSet<_> = below
        .into_iter()
        .filter(|((above, permissions), patterns)| {
            let depths: BTreeSet<_> = patterns.iter().map(|it| it.segments().len()).collect();
            patterns.len() >= TREE
                && depths.len() > 1
                && !permissions.has_any(Permissions::EXECUTE)
                && !is_shared(above)
                && !secret.contains(above)
        })
        .map(|(key, _)| key)
        .collect();
    for (path, one) in general.iter_mut() {
        let segments = one.pattern.segments();
        let top = (2..segments.len().min(MAX_DEPTH)).find_map(|depth| {
            let above = segments.get(..depth)?.to_vec();
            trees
                .contains(&(above.clone(), permissions(path)))
                .then_some(above)
        });
        // The directory itself is not below it.
        if let Some(mut above) = top.filter(|above| {
            !(segments.len() == above.len() + 1 && one.pattern.text_at(above.len()) == Some(b""))
        }) {
            above.push(vec![Part::Deep]);
            one.pattern = Pattern::of(above);
            one.reasons.insert(Reason::Tree);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths with their runs, all read.
    fn tokens(seen: &[(String, u32)], policy: Policy) -> BTreeSet<String> {
        let mut paths: BTreeMap<FilePath, PathInfo> = BTreeMap::new();
        for (path, run) in seen {
            let facts = paths.entry(path.as_str().into()).or_default();
            facts.permissions |= Permissions::READ;
            facts.runs.insert(*run);
        }
        let runs = seen.iter().map(|(_, run)| *run).collect();
        let general =
            super::super::generalise(&paths, &runs, policy, super::super::Given::default());
        for (path, one) in &general {
            assert!(one.pattern.matches(path), "{path} {:?}", one.pattern);
        }
        general
            .into_values()
            .filter_map(|one| one.pattern.token())
            .collect()
    }

    fn set(tokens: &[&str]) -> BTreeSet<String> {
        tokens.iter().map(|token| (*token).to_owned()).collect()
    }

    #[test]
    fn names_below_128_directories_stay_literal() {
        let deep = "/d".repeat(2000);
        let seen: Vec<_> = (0..4).map(|n| (format!("{deep}/{n}"), 0)).collect();
        let literal: BTreeSet<_> = seen.iter().map(|(path, _)| path.clone()).collect();
        for policy in [Policy::Safe, Policy::Wide] {
            assert_eq!(tokens(&seen, policy), literal);
        }
    }

    #[test]
    fn parts_that_differ_between_runs_become_globs() {
        let seen: Vec<_> = (0..3)
            .flat_map(|run| {
                let pod = ["x7", "q9", "k2"][run as usize];
                [
                    (format!("/data/{pod}/state"), run),
                    ("/etc/app.conf".to_owned(), run),
                ]
            })
            .collect();
        assert_eq!(
            tokens(&seen, Policy::Safe),
            set(&["/data/*/state", "/etc/app.conf"])
        );
    }

    #[test]
    fn words_that_differ_between_runs_stay_literal() {
        let seen = [("/etc/shadow".to_owned(), 0), ("/etc/passwd".to_owned(), 1)];
        assert_eq!(
            tokens(&seen, Policy::Safe),
            set(&["/etc/passwd", "/etc/shadow"])
        );
        assert_eq!(
            tokens(&seen, Policy::Wide),
            set(&["/etc/passwd", "/etc/shadow"])
        );
    }

    #[test]
    fn number_series_become_globs() {
        let seen: Vec<_> = (8..11)
            .map(|n| (format!("/data/seg-{n}.v1.log"), 0))
            .collect();
        assert_eq!(
            tokens(&seen, Policy::Safe),
            set(&["/data/seg-[0-9]*.v1.log"])
        );
        assert_eq!(tokens(&seen[..2], Policy::Safe).len(), 2);
        assert_eq!(tokens(&seen[..2], Policy::Wide).len(), 1);
    }

    #[test]
    fn many_siblings_become_a_glob() {
        let names = |directory: &str, count| -> Vec<_> {
            (b'a'..)
                .take(count)
                .map(|c| (format!("{directory}{0}{0}{0}.html", char::from(c)), 0))
                .collect()
        };
        assert_eq!(
            tokens(&names("/srv/www/", 16), Policy::Safe),
            set(&["/srv/www/*.html"])
        );
        assert_eq!(tokens(&names("/srv/www/", 15), Policy::Safe).len(), 15);
        assert_eq!(
            tokens(&names("/srv/www/", 4), Policy::Wide),
            set(&["/srv/www/*.html"])
        );
        assert_eq!(tokens(&names("/etc/", 16), Policy::Safe).len(), 16);
        assert_eq!(
            tokens(&names("/app/ssl/private/", 16), Policy::Wide).len(),
            16
        );
    }

    #[test]
    fn secrets_are_never_generalised() {
        let many = |path: &dyn Fn(String) -> String, policy| {
            let names = (b'a'..)
                .take(16)
                .map(|c| format!("{0}{0}{0}", char::from(c)));
            let seen: Vec<_> = names.map(|name| (path(name), 0)).collect();
            tokens(&seen, policy).len()
        };
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        for policy in [Policy::Safe, Policy::Wide] {
            assert_eq!(many(&|it| format!("/data/{uuid}/.ssh/{it}"), policy), 16);
            assert_eq!(many(&|it| format!("/data/{it}/private/x"), policy), 16);
            assert_eq!(many(&|it| format!("/data/{it}/id_rsa"), policy), 16);
            assert_eq!(many(&|it| format!("/data/{it}.key"), policy), 16);
            for name in [
                ".docker", "pki", "keys", ".azure", "gcloud", ".kube", ".aws",
            ] {
                assert_eq!(
                    many(&|it| format!("/home/a/{name}/{it}"), policy),
                    16,
                    "{name}"
                );
            }
            // Numbers, and replicas.
            let numbers: Vec<_> = (1..9).map(|n| (format!("/a/secrets/x{n}"), 0)).collect();
            assert_eq!(tokens(&numbers, policy).len(), 8);
            let replicas: Vec<_> = (0..3)
                .map(|run| {
                    (
                        format!("/a/pod-{}/keys/x", ["x7", "q9", "k2"][run as usize]),
                        run,
                    )
                })
                .collect();
            assert_eq!(tokens(&replicas, policy).len(), 3);
        }
        let tree: Vec<_> = (0..8)
            .map(|depth| (format!("/srv/app/{}{depth}x{depth}", "d/".repeat(depth)), 0))
            .chain([("/srv/app/d/.ssh/config".to_owned(), 0)])
            .collect();
        assert!(tokens(&tree, Policy::Wide).contains("/srv/app/d/.ssh/config"));
        assert!(!tokens(&tree, Policy::Wide).contains("/srv/app/**"));
    }

    #[test]
    fn only_the_wide_policy_opens_trees() {
        let seen: Vec<_> = (b'p'..)
            .take(8)
            .enumerate()
            .map(|(depth, name)| {
                let directories = "d/".repeat(depth);
                (format!("/srv/app/{directories}{}", char::from(name)), 0)
            })
            .chain([("/srv/app/".to_owned(), 0)])
            .collect();
        assert_eq!(tokens(&seen, Policy::Safe).len(), 9);
        assert_eq!(
            tokens(&seen, Policy::Wide),
            set(&["/srv/app/**", "/srv/app/"])
        );
    }
}
