//! Rules that another rule makes needless.

use std::collections::BTreeMap;

use super::{
    files::{FileRule, join},
    pattern::{Part, Pattern, Segment},
    permissions::Permissions,
};

/// Comparisons of a rule with a glob, at most: a hostile workload has rules without end, and they are left
/// out for the reader's sake alone.
const MAX_COMPARED: usize = 1 << 24;

/// Leaves out rules that a glob allows already, and tells them behind it.
pub(super) fn fold(mut rules: BTreeMap<Pattern, FileRule>) -> BTreeMap<Pattern, FileRule> {
    let mut globs: Vec<Pattern> = rules.keys().filter(|it| it.is_glob()).cloned().collect();
    if globs.len().saturating_mul(rules.len()) > MAX_COMPARED {
        globs.retain(is_of_everything);
        globs.truncate(MAX_COMPARED / rules.len().max(1));
    }
    let all: Vec<Pattern> = rules.keys().cloned().collect();
    for pattern in all {
        let Some(rule) = rules.get(&pattern) else {
            continue;
        };
        let over = globs.iter().find(|glob| {
            **glob != pattern
                && glob.covers(&pattern)
                && rules.get(glob).is_some_and(|over| allows(over, rule))
        });
        if let Some(over) = over
            && let Some(rule) = rules.remove(&pattern)
            && let Some(over) = rules.get_mut(over)
        {
            over.paths.extend(rule.paths);
            over.executables.extend(rule.executables);
            join(&mut over.by, rule.by);
        }
    }
    rules
}

/// Whether a glob is for all that is in a directory.
fn is_of_everything(pattern: &Pattern) -> bool {
    let last = pattern.segments().last();
    last.is_some_and(|name| *name == [Part::Star] || *name == [Part::Deep])
}

/// Whether a rule allows all that another one does, to the owner and to everyone. That a name may be a
/// link's is a rule of its own.
fn allows(over: &FileRule, rule: &FileRule) -> bool {
    let all = rule.permissions.without(Permissions::LINK);
    let owner = rule.owner.without(Permissions::LINK);
    over.permissions.contains(all) && (over.permissions | over.owner).contains(owner)
}

impl Pattern {
    /// Whether every path that `other` stands for is one of this pattern's. It may say no where that is
    /// so, never yes where it is not.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let (mine, its) = (self.segments(), other.segments());
        for (at, segment) in mine.iter().enumerate() {
            let Some(name) = its.get(at) else {
                return false;
            };
            if *segment == [Part::Deep] {
                return !name.is_empty() && *name != [Part::Text(Vec::new())];
            }
            if !covers_name(segment, name) {
                return false;
            }
        }
        mine.len() == its.len()
    }
}

fn covers_name(segment: &Segment, name: &Segment) -> bool {
    if segment == name {
        return true;
    }
    match name.as_slice() {
        [Part::Text(text)] => {
            let path = [b"/", text.as_slice()].concat();
            Pattern::of(vec![segment.clone()]).matches(&crate::recording::FilePath::new(path))
        }
        [] | [Part::Deep] => false,
        _ => *segment == [Part::Star],
    }
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
    fn globs_cover_what_they_contain() {
        let deep = pattern(&[&[text("srv")], &[Part::Deep]]);
        let star = pattern(&[&[text("srv")], &[Part::Star]]);
        let log = pattern(&[&[text("srv")], &[Part::Digits, text(".log")]]);
        let below = pattern(&[&[text("srv")], &[text("a")], &[Part::Star]]);
        let directory = Pattern::literal(&"/srv/".into());
        let one = Pattern::literal(&"/srv/7.log".into());
        for (over, under, expected) in [
            (&deep, &star, true),
            (&deep, &below, true),
            (&deep, &directory, false),
            (&star, &log, true),
            (&star, &below, false),
            (&star, &deep, false),
            (&star, &directory, false),
            (&log, &one, true),
            (&one, &log, false),
        ] {
            assert_eq!(over.covers(under), expected, "{over:?} {under:?}");
        }
    }
}
