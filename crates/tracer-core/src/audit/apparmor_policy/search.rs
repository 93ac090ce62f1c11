//! Paths that some patterns stand for and others do not.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

use super::glob::{Bytes, Glob, State};

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// A shortest path that answers it.
    Found(String),
    /// There is no such path.
    Nothing,
    /// It takes too long to tell.
    Unknown,
}

/// How many steps the searches of a file may take. The largest profile of a distribution takes a tenth of it.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(4_000_000)
    }

    /// Whether nothing is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.0 == 0
    }

    /// Takes steps; `None` when there are none left.
    pub(crate) fn spend(&mut self, steps: usize) -> Option<()> {
        let left = self.0.checked_sub(steps.max(1));
        self.0 = left.unwrap_or_default();
        left.map(|_| ())
    }
}

/// The states that each pattern may be in.
type Key = Vec<Vec<usize>>;

/// Looks for a path that one of each list of `all` stands for and none of `none`.
pub(crate) fn find(all: &[&[Glob]], none: &[&Glob], budget: &mut Budget) -> Search {
    if budget.spend(1).is_none() {
        return Search::Unknown;
    }
    let mut unknown = false;
    let mut chosen = Vec::new();
    let found = choose(
        all,
        &mut chosen,
        &mut |globs| match find_one(globs, none, budget) {
            Search::Found(path) => Some(path),
            Search::Nothing => None,
            Search::Unknown => {
                unknown = true;
                None
            }
        },
    );
    match found {
        Some(path) => Search::Found(path),
        None if unknown => Search::Unknown,
        None => Search::Nothing,
    }
}

/// Tries one pattern of each list, as long as what they begin with fits.
fn choose<'a>(
    all: &[&'a [Glob]],
    chosen: &mut Vec<&'a Glob>,
    found: &mut dyn FnMut(&[&Glob]) -> Option<String>,
) -> Option<String> {
    let Some((first, rest)) = all.split_first() else {
        return found(chosen);
    };
    for glob in *first {
        if chosen.iter().all(|other| compatible(glob, other)) {
            chosen.push(glob);
            let path = choose(rest, chosen, found);
            chosen.pop();
            if path.is_some() {
                return path;
            }
        }
    }
    None
}

/// Whether two patterns may stand for the same path, by what they begin and end with.
pub(super) fn compatible(one: &Glob, other: &Glob) -> bool {
    let length = one.prefix.len().min(other.prefix.len());
    let mut ends = one.ends_with.iter().zip(&other.ends_with);
    one.prefix.get(..length) == other.prefix.get(..length)
        && ends.all(|(one, other)| !one.and(*other).is_empty())
}

fn find_one(all: &[&Glob], none: &[&Glob], budget: &mut Budget) -> Search {
    if let Some(path) = all.iter().find_map(|glob| glob.only_path()) {
        if budget.spend(path.len()).is_none() {
            return Search::Unknown;
        }
        let is_found = all.iter().all(|glob| glob.matches(path))
            && !none.iter().any(|glob| glob.matches(path));
        return match is_found {
            true => Search::Found(String::from_utf8_lossy(path).into_owned()),
            false => Search::Nothing,
        };
    }
    // Each pattern that is watched makes the search larger. So only those are watched that a path ran into.
    let mut watched: Vec<&Glob> = Vec::new();
    loop {
        let found = find_beside(all, &watched, budget);
        let Search::Found(path) = &found else {
            return found;
        };
        let mut left = none
            .iter()
            .filter(|glob| !watched.iter().any(|it| std::ptr::eq(*it, **glob)));
        match left.find(|glob| glob.matches(path.as_bytes())) {
            Some(blocker) => watched.push(blocker),
            None => return found,
        }
        if budget.spend(none.len()).is_none() {
            return Search::Unknown;
        }
    }
}

/// Looks for a shortest path that all of `all` stand for and none of `none`.
fn find_beside(all: &[&Glob], none: &[&Glob], budget: &mut Budget) -> Search {
    let globs: Vec<&Glob> = all.iter().chain(none).copied().collect();
    let start: Key = globs
        .iter()
        .map(|glob| glob.closure([glob.start]))
        .collect();
    let is_end = |key: &Key| {
        let mut ends = globs
            .iter()
            .zip(key)
            .map(|(glob, states)| glob.accepts(states));
        ends.by_ref().take(all.len()).all(|end| end) && !ends.any(|end| end)
    };
    // Each state with the one before it and the byte between.
    let mut seen: HashMap<Key, usize> = HashMap::from([(start.clone(), 0)]);
    let mut trail: Vec<(usize, u8)> = vec![(0, 0)];
    let mut queue = VecDeque::from([(start, 0)]);
    while let Some((key, at)) = queue.pop_front() {
        if is_end(&key) {
            return Search::Found(path(&trail, at));
        }
        for class in classes(&globs, &key, all.len()) {
            let Some(byte) = class.example() else {
                continue;
            };
            let next: Key = globs
                .iter()
                .zip(&key)
                .map(|(glob, states)| glob.step(states, byte))
                .collect();
            if budget.spend(key.iter().map(Vec::len).sum()).is_none() {
                return Search::Unknown;
            }
            if next.iter().take(all.len()).any(Vec::is_empty) {
                continue;
            }
            if let Entry::Vacant(entry) = seen.entry(next.clone()) {
                entry.insert(trail.len());
                trail.push((at, byte));
                queue.push_back((next, trail.len() - 1));
            }
        }
    }
    Search::Nothing
}

/// Bytes that no pattern tells apart, as sets. Of those that the first patterns do not read none is left.
fn classes(globs: &[&Glob], key: &Key, needed: usize) -> Vec<Bytes> {
    let mut labels: Vec<Bytes> = Vec::new();
    let mut classes = vec![Bytes::ANY];
    for (number, (glob, states)) in globs.iter().zip(key).enumerate() {
        let of_glob = states.iter().filter_map(|at| match glob.states.get(*at) {
            Some(State::Byte(set, _)) => Some(*set),
            _ => None,
        });
        let mut read = Bytes::NONE;
        for label in of_glob {
            read = read.or(label);
            if !labels.contains(&label) {
                labels.push(label);
                classes = split(&classes, label);
            }
        }
        if number < needed {
            classes.retain(|class| !class.and(read).is_empty());
        }
    }
    classes
}

fn split(classes: &[Bytes], label: Bytes) -> Vec<Bytes> {
    let parts = classes
        .iter()
        .flat_map(|class| [class.and(label), class.without(label)]);
    parts.filter(|part| !part.is_empty()).collect()
}

fn path(trail: &[(usize, u8)], mut at: usize) -> String {
    let mut bytes = Vec::new();
    while at != 0 {
        let Some((before, byte)) = trail.get(at) else {
            break;
        };
        bytes.push(*byte);
        at = *before;
    }
    bytes.reverse();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| Glob::new(text).unwrap()).collect()
    }

    #[test]
    fn finds_a_path_in_all_and_none() {
        let (tmp, all) = (globs(&["/tmp/**"]), globs(&["/**"]));
        let mut budget = Budget::new();
        let mut find = |all: &[&[Glob]], none: &[&Glob]| find(all, none, &mut budget);
        assert_eq!(find(&[&tmp, &all], &[]), Search::Found("/tmp/a".to_owned()));
        assert_eq!(find(&[&tmp, &all], &[&all[0]]), Search::Nothing);
        let some = globs(&["/tmp/[a-z]*", "/tmp/*[0-9]"]);
        let none: Vec<&Glob> = some.iter().collect();
        assert_eq!(find(&[&tmp], &none), Search::Found("/tmp/A".to_owned()));
        let more = globs(&["/tmp/a"]);
        assert_eq!(
            find(&[&tmp], &[&more[0]]),
            Search::Found("/tmp/b".to_owned())
        );
        let other = globs(&["/var/**", "/tmp/x"]);
        assert_eq!(find(&[&tmp, &other], &[]), Search::Found("/tmp/x".into()));
        assert_eq!(
            find(&[&globs(&["/a"]), &globs(&["/b"])], &[]),
            Search::Nothing
        );
    }

    #[test]
    fn ends_tell_patterns_apart_without_a_search() {
        let (one, other) = (globs(&["/**.[aA][iI]"]), globs(&["/usr/*/x.so"]));
        let mut budget = Budget::new();
        let before = budget.0;
        assert_eq!(find(&[&one, &other], &[], &mut budget), Search::Nothing);
        assert_eq!(before - budget.0, 1);
        assert_eq!(
            find(&[&one, &globs(&["/usr/*.?i"])], &[], &mut budget),
            Search::Found("/usr/.ai".to_owned())
        );
    }

    #[test]
    fn hostile_patterns_are_given_up() {
        let text = format!("/{}**", "**a?????????".repeat(6));
        let (one, other) = (globs(&[&text]), globs(&[&text.replace('a', "b")]));
        let none = globs(&["/**c???????????????????", "/**d????????????????????"]);
        let none: Vec<&Glob> = none.iter().collect();
        let result = find(&[&one, &other], &none, &mut Budget(20_000));
        assert_eq!(result, Search::Unknown);
    }
}
