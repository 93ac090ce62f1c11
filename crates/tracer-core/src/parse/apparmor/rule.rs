//! What a statement says.

use super::Statement;

/// A rule by its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) denies: bool,
    /// `audit`, `deny`, `owner` and the like.
    pub(crate) qualifiers: &'a [String],
    /// The words behind the qualifiers.
    pub(crate) words: &'a [String],
    pub(crate) path: Option<&'a str>,
    pub(crate) permissions: &'a str,
    /// What stands behind the path and the permissions: the arrow and the profile of an exec, the target
    /// of a link.
    pub(crate) rest: &'a [String],
}

impl<'a> Rule<'a> {
    pub(crate) fn from_statement(statement: &'a Statement) -> Self {
        let is_qualifier = |word: &String| {
            matches!(
                word.as_str(),
                "audit"
                    | "deny"
                    | "allow"
                    | "owner"
                    | "quiet"
                    | "other"
                    | "prompt"
                    | "safe"
                    | "unsafe"
            ) || word.starts_with("priority=")
        };
        let count = statement
            .words
            .iter()
            .take_while(|word| is_qualifier(word))
            .count();
        let (qualifiers, words) = statement.words.split_at(count);
        let mut rule = Self {
            denies: qualifiers.iter().any(|word| word == "deny"),
            qualifiers,
            words,
            path: None,
            permissions: "",
            rest: &[],
        };
        let file = match words.split_first() {
            Some((first, rest)) if first == "file" && !rest.is_empty() => rest,
            _ => words,
        };
        // `PATH PERMISSIONS` or `PERMISSIONS PATH`, and perhaps a target behind an arrow.
        if let [first, second, rest @ ..] = file
            && !statement.is_head
        {
            if is_path(first) && is_permissions(second) {
                (rule.path, rule.permissions, rule.rest) = (Some(first.as_str()), second, rest);
            } else if is_path(second) && is_permissions(first) {
                (rule.path, rule.permissions, rule.rest) = (Some(second.as_str()), first, rest);
            }
        }
        rule
    }

    /// Whether a path of another rule is one of this one's, as far as can be told from the texts.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (Some(own), Some(its)) = (self.path, other.path) else {
            return false;
        };
        own == its
            || own
                .strip_suffix("**")
                .is_some_and(|before| its.len() > before.len() && its.starts_with(before))
    }
}

pub(super) fn is_path(word: &str) -> bool {
    word.starts_with(['/', '{']) || word.starts_with("@{") || word.starts_with("**")
}

fn is_permissions(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| "rwamlkxipPcCuU".contains(c))
}
