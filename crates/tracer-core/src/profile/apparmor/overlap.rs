//! Whether two patterns have a path in common.

use std::collections::BTreeSet;

use super::pattern::{Part, Pattern};

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Class([u64; 4]);

impl Class {
    const ANY: Self = Self([u64::MAX; 4]);

    fn of(byte: u8) -> Self {
        let mut class = Self([0; 4]);
        if let Some(word) = class.0.get_mut(usize::from(byte / 64)) {
            *word = 1 << (byte % 64);
        }
        class
    }

    fn digits() -> Self {
        (b'0'..=b'9').fold(Self([0; 4]), |all, byte| {
            let one = Self::of(byte);
            Self(std::array::from_fn(|at| all.0[at] | one.0[at]))
        })
    }

    fn no_slash() -> Self {
        let slash = Self::of(b'/');
        Self(std::array::from_fn(|at| !slash.0[at]))
    }

    fn meets(self, other: Self) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .any(|(one, other)| one & other != 0)
    }
}

/// A byte of a class, or any number of them.
#[derive(Clone, Copy)]
struct Step {
    class: Class,
    repeats: bool,
}

impl Pattern {
    /// Whether a path exists that both stand for.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        if !self.is_glob() && !other.is_glob() {
            return self == other;
        }
        if !prefixes_agree(self, other) {
            return false;
        }
        meet(&steps(self), &steps(other))
    }
}

/// A quick no: the names before the first one that is not fixed must be the same.
fn prefixes_agree(one: &Pattern, other: &Pattern) -> bool {
    let fixed = |pattern: &Pattern, at| pattern.text_at(at).map(<[u8]>::to_vec);
    let common = one.segments().len().min(other.segments().len());
    for at in 0..common {
        match (fixed(one, at), fixed(other, at)) {
            (Some(one), Some(other)) if one != other => return false,
            (Some(_), Some(_)) => {}
            _ => return true,
        }
    }
    true
}

fn steps(pattern: &Pattern) -> Vec<Step> {
    let once = |class| Step {
        class,
        repeats: false,
    };
    let many = |class| Step {
        class,
        repeats: true,
    };
    let (digits, name) = (Class::digits(), Class::no_slash());
    let mut steps = Vec::new();
    for segment in pattern.segments() {
        steps.push(once(Class::of(b'/')));
        for part in segment {
            match part {
                Part::Text(text) => steps.extend(text.iter().map(|byte| once(Class::of(*byte)))),
                Part::Pid | Part::Tid => steps.extend([once(digits), many(digits)]),
                Part::Digits => steps.extend([once(digits), many(name)]),
                Part::Any(count) => steps.extend(std::iter::repeat_n(once(name), *count)),
                Part::Star if segment.len() == 1 => steps.extend([once(name), many(name)]),
                Part::Star => steps.push(many(name)),
                Part::Deep => steps.extend([once(name), many(Class::ANY)]),
            }
        }
    }
    steps
}

/// Walks both at once: a pair of places is reached when some text leads to both.
fn meet(one: &[Step], other: &[Step]) -> bool {
    let mut seen = BTreeSet::new();
    let mut todo = vec![(0, 0)];
    while let Some((i, j)) = todo.pop() {
        if i == one.len() && j == other.len() {
            return true;
        }
        if !seen.insert((i, j)) {
            continue;
        }
        let (a, b) = (one.get(i), other.get(j));
        if a.is_some_and(|step| step.repeats) {
            todo.push((i + 1, j));
        }
        if b.is_some_and(|step| step.repeats) {
            todo.push((i, j + 1));
        }
        if let (Some(a), Some(b)) = (a, b)
            && a.class.meets(b.class)
        {
            todo.push((i + usize::from(!a.repeats), j + usize::from(!b.repeats)));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(segments: &[&[Part]]) -> Pattern {
        Pattern::of(segments.iter().map(|segment| segment.to_vec()).collect())
    }

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    #[test]
    fn overlap_is_symmetric_for_paths_and_globs() {
        let log = Pattern::literal(&"/var/log/a.log".into());
        let logs = pattern(&[&[text("var")], &[text("log")], &[Part::Star]]);
        let deep = pattern(&[&[text("var")], &[Part::Deep]]);
        let pid = pattern(&[&[text("proc")], &[Part::Pid], &[text("stat")]]);
        let name = pattern(&[&[text("proc")], &[Part::Pid], &[Part::Star]]);
        let other = pattern(&[&[text("proc")], &[Part::Pid], &[text("maps")]]);
        let random = pattern(&[&[text("var")], &[text("log")], &[text("b"), Part::Any(4)]]);
        for (one, two, expected) in [
            (&log, &log, true),
            (&log, &logs, true),
            (&logs, &deep, true),
            (&log, &random, false),
            (&logs, &random, true),
            (&pid, &name, true),
            (&pid, &other, false),
            (&pid, &deep, false),
        ] {
            assert_eq!(one.overlaps(two), expected, "{one:?} {two:?}");
            assert_eq!(two.overlaps(one), expected, "{two:?} {one:?}");
        }
    }
}
