//! A path, or the glob of a rule.

use std::collections::BTreeSet;

use super::{AccessExplanation, ExplainContext, RuleReason, count, known_risks};
use crate::{
    profile::{
        Layer,
        apparmor::{FileRule, Pattern, describe_access},
    },
    recording::plain_text::executables,
    recording::{FilePath, FileUse, ObservationKind, ObservedAccess},
};

/// Most paths behind a glob that are told.
const MAX_SHOWN: usize = 12;

pub(super) fn explain(of: &ExplainContext<'_>, path: &FilePath) -> AccessExplanation {
    let path = &as_seen(of, path);
    let mut it = of.blank(path.to_string(), ObservationKind::Files);
    let rules = of.profile.rules_for(path);
    let globs: Vec<_> = rules.iter().map(|(_, pattern, _)| *pattern).collect();
    let exact: Vec<_> = of
        .recording
        .files
        .iter()
        .filter(|seen| names(seen, path))
        .collect();
    // Of a path that was not seen, or of a glob, what was seen of the others behind the rule.
    let behind =
        |seen: &&ObservedAccess<FileUse>| globs.iter().any(|glob| glob.matches(&seen.what.path));
    let seen: Vec<_> = if exact.is_empty() {
        of.recording
            .files
            .iter()
            .filter(behind)
            .take(MAX_SHOWN)
            .collect()
    } else {
        exact.clone()
    };
    it.seen = seen
        .iter()
        .map(|seen| of.done(words(&seen.what), seen))
        .collect();
    let was_seen = !exact.is_empty();
    for (lines, pattern, rule) in &rules {
        it.rules.extend(lines.iter().map(|line| RuleReason {
            rule: line.clone(),
            layer: Layer::Observed.as_str(),
            reasons: reasons(pattern, rule, was_seen),
        }));
        it.known
            .extend(rule.review_reason(pattern).map(str::to_owned));
    }
    for (rule, link) in of.profile.links_for(path) {
        it.rules.push(RuleReason {
            rule,
            layer: Layer::Observed.as_str(),
            reasons: vec![format!("made by {}", executables(&link.executables))],
        });
    }
    it.allowed = !it.rules.is_empty();
    it.known
        .extend(known_risks::path_risk(path).map(str::to_owned));
    it.known.dedup();
    if it.allowed {
        it.without = without(of, &rules, &seen, was_seen);
    } else {
        it.why_not = Some(why_not(of, path, &exact));
        it.without = vec!["using it returns EACCES, and the kernel logs it".to_owned()];
    }
    it
}

/// The path, or the directory of that name when only that was seen.
fn as_seen(of: &ExplainContext<'_>, path: &FilePath) -> FilePath {
    let mut other = path.as_bytes().to_vec();
    match other.pop() {
        Some(b'/') => {}
        Some(last) => other.extend([last, b'/']),
        None => return path.clone(),
    }
    let other = FilePath::new(other);
    let has = |path: &FilePath| of.recording.files.iter().any(|seen| names(seen, path));
    if !has(path) && has(&other) {
        other
    } else {
        path.clone()
    }
}

fn names(seen: &ObservedAccess<FileUse>, path: &FilePath) -> bool {
    seen.what.path == *path || seen.what.target.as_ref() == Some(path)
}

fn words(file: &FileUse) -> String {
    let mut text = format!("{} {}", describe_access(file.access), file.path);
    if let Some(target) = &file.target {
        text.push_str(&format!(" to {target}"));
    }
    if file.owned {
        text.push_str(" (its own file)");
    }
    if file.tree {
        text.push_str(" and whatever lies below it: there were too many files to be listed");
    } else if file.more {
        text.push_str(" and more in it than are listed");
    }
    text
}

/// Why a rule is as it is.
fn reasons(pattern: &Pattern, rule: &FileRule, was_seen: bool) -> Vec<String> {
    let mut all: Vec<_> = rule
        .reasons
        .iter()
        .map(|reason| {
            let (name, sentence) = reason.explained();
            format!("a glob ({name}): {sentence}")
        })
        .collect();
    if pattern.is_glob() {
        let behind = count(
            rule.paths.len(),
            "path that was seen",
            "paths that were seen",
        );
        all.push(if was_seen {
            format!("it stands for {behind}")
        } else {
            format!("this path was not seen; the rule stands for {behind}")
        });
    }
    if !rule.executables.is_empty() {
        all.push(format!("used by {}", executables(&rule.executables)));
    }
    all
}

fn without(
    of: &ExplainContext<'_>,
    rules: &[(Vec<String>, &Pattern, &FileRule)],
    seen: &[&ObservedAccess<FileUse>],
    was_seen: bool,
) -> Vec<String> {
    let mut all = Vec::new();
    if was_seen {
        let who = of.who(seen.iter().flat_map(|seen| &seen.evidence));
        let what: BTreeSet<_> = seen
            .iter()
            .filter(|seen| !of.who(&seen.evidence).is_empty())
            .map(|seen| describe_access(seen.what.access))
            .collect();
        if !who.is_empty() {
            let what: Vec<_> = what.into_iter().collect();
            all.push(format!(
                "{} it would return EACCES to {}, and the kernel would log it",
                what.join(", "),
                executables(&who)
            ));
        }
    } else {
        all.push("nothing that was recorded would be denied of this path".to_owned());
    }
    for (_, pattern, rule) in rules {
        let others = rule.paths.len().saturating_sub(usize::from(was_seen));
        if pattern.is_glob() && others > 0 {
            let token = pattern.token().unwrap_or_default();
            let others = count(others, "other path", "other paths");
            all.push(format!(
                "without {token}, {others} that were seen would be denied too"
            ));
        }
    }
    if rules.len() > 1 {
        all.push("several rules allow it: all of them would have to be removed".to_owned());
    }
    all
}

fn why_not(of: &ExplainContext<'_>, path: &FilePath, exact: &[&ObservedAccess<FileUse>]) -> String {
    let name = path.to_string();
    let lost = of
        .profile
        .lost()
        .find(|lost| lost.what == name || lost.what.ends_with(&format!(" {name}")));
    match lost {
        Some(lost) => format!(
            "it was observed, but no AppArmor rule can express it: {}",
            lost.reason.as_str()
        ),
        None => of.why_not(exact.iter().flat_map(|seen| &seen.evidence)),
    }
}
