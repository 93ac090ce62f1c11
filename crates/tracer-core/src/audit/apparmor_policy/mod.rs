//! AppArmor profiles as they would be loaded: includes followed, variables replaced, blocks and conditions resolved,
//! each rule with the profile that it is of. Audit rules ask questions of these, not of the text.
//!
//! What could not be resolved is a [`Problem`] with its place; nothing is left out in silence.

mod build;
mod decide;
mod flags;
mod glob;
mod includes;
mod parts;
mod rule;
mod search;
mod variables;

use std::{ops::Range, sync::Arc};

pub use includes::Included;
pub(crate) use {
    decide::{Decision, decide_capability, decide_mount, decide_socket},
    glob::Glob,
    parts::Parts,
    rule::{Execute, FileRule, Rule, What},
    search::{Budget, Search, find},
};

use super::{Input, ParseError};
use crate::parse::AppArmor;
use rule::Scope;
use variables::Variables;

/// Finds files that profiles include, by the name between the brackets or by a path.
pub type Includes<'a> = &'a dyn Fn(&str) -> Included;

/// The profiles of a file.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) profiles: Vec<Profile>,
    pub(crate) problems: Vec<Problem>,
    variables: Variables,
}

/// A profile, a child profile or a hat.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// What it is called; of a child, with its parents before it.
    pub(crate) name: String,
    /// Where its head stands.
    pub(crate) span: Range<usize>,
    pub(crate) flags: Vec<String>,
    /// The profile around it.
    pub(crate) parent: Option<usize>,
    /// Whether its rules are those of a file without a profile, such as an abstraction.
    pub(crate) is_part: bool,
    /// Whether it is written in an included file.
    pub(crate) from: Option<Arc<str>>,
    pub(crate) rules: Vec<Rule>,
    /// The numbers of the rules that may take back what others give.
    blocking: Vec<usize>,
}

/// What could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) span: Range<usize>,
    /// The included file that it is in.
    pub(crate) from: Option<Arc<str>>,
    pub(crate) what: ProblemKind,
}

/// Why something could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// A rule, and what is wrong.
    NotUnderstood { rule: String, why: String },
    /// A rule has a variable without a value.
    Undefined { rule: String, why: String },
    /// An included file was not read; its name, and why.
    NotIncluded { name: String, why: String },
}

impl Policy {
    /// Resolves what was read.
    pub fn new(read: &AppArmor, includes: Includes<'_>) -> Self {
        build::policy(read, includes)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When it is no AppArmor text.
    pub fn from_input(input: &Input, includes: Includes<'_>) -> Result<Self, ParseError> {
        Ok(Self::new(&AppArmor::from_text(input)?, includes))
    }

    /// How many rules the profiles have, with those of included files.
    pub fn rule_count(&self) -> usize {
        self.profiles
            .iter()
            .map(|profile| profile.rules.len())
            .sum()
    }

    /// The names of the profiles.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name.as_str())
    }

    /// What the paths of the rules begin with, up to their first pattern.
    pub fn literal_paths(&self) -> Vec<Vec<u8>> {
        let rules = self.profiles.iter().flat_map(|profile| &profile.rules);
        let files = rules.filter_map(Rule::file);
        let all = files.flat_map(|file| file.globs.iter().map(|glob| glob.prefix.clone()));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What the rules of a profile allow somebody to do with a file, in the letters of a rule: `r`, `w`, `a`, `l`,
    /// `k`, `m` and `x`. As apparmor_parser compiles them: a deny counts against all.
    pub fn allowed(&self, profile: &str, path: &[u8], owner: bool) -> String {
        let rules = self.profiles.iter().find(|it| it.name == profile);
        let rules = rules.map_or(&[][..], |profile| &profile.rules);
        let of_path: Vec<(&Rule, &FileRule)> = rules
            .iter()
            .filter_map(|rule| Some((rule, rule.file()?)))
            .filter(|(rule, _)| owner || !rule.qualifiers.owner)
            .filter(|(_, file)| file.globs.iter().any(|glob| glob.matches(path)))
            .collect();
        let top = of_path
            .iter()
            .map(|(rule, _)| rule.qualifiers.priority)
            .max();
        let has = |letter: char, denies: bool| {
            of_path.iter().any(|(rule, file)| {
                Some(rule.qualifiers.priority) == top
                    && rule.qualifiers.denies == denies
                    && file.permissions.has(letter)
            })
        };
        "rwalkmx"
            .chars()
            .filter(|letter| has(*letter, false) && !has(*letter, true))
            .collect()
    }

    /// Patterns for labels, as a rule of a profile has them.
    pub(crate) fn labels(&self, text: &str, profile: &str) -> Vec<Glob> {
        let scope = Scope {
            variables: &self.variables,
            profile,
        };
        scope.labels(text).unwrap_or_default()
    }

    /// Patterns for paths, as a rule of a profile has them.
    pub(crate) fn paths(&self, text: &str, profile: &str) -> Vec<Glob> {
        let scope = Scope {
            variables: &self.variables,
            profile,
        };
        scope.globs(text).unwrap_or_default()
    }
}

impl Profile {
    /// Whether it has a flag.
    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|it| it == flag)
    }

    /// Rules that allow something.
    pub(crate) fn allowing(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| !rule.qualifiers.denies)
    }

    /// Rules of files that allow something.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Rule, &FileRule)> {
        self.allowing()
            .filter_map(|rule| Some((rule, rule.file()?)))
    }

    /// Rules that begin with a keyword, and allow something that no bare `deny KEYWORD` takes back.
    pub(crate) fn of_keyword(
        &self,
        keyword: &'static str,
    ) -> impl Iterator<Item = (&Rule, &Parts)> {
        let is_denied = self.rules.iter().any(|rule| {
            rule.qualifiers.denies
                && rule
                    .parts(keyword)
                    .is_some_and(|parts| parts.words.is_empty() && parts.conditions.is_empty())
        });
        self.allowing()
            .filter(move |_| !is_denied)
            .filter_map(move |rule| Some((rule, rule.parts(keyword)?)))
    }

    /// Finds out which rules may take back what others give.
    fn find_blocking(&mut self) {
        let has_priorities = self.rules.iter().any(|it| it.qualifiers.priority != 0);
        let rules = self.rules.iter().enumerate();
        let blocking = rules.filter(|(_, rule)| has_priorities || rule.qualifiers.denies);
        self.blocking = blocking.map(|(at, _)| at).collect();
    }

    /// How many rules may take back what others give.
    pub(crate) fn blocking_count(&self) -> usize {
        self.blocking.len()
    }

    /// Patterns of rules that take a permission back which these rules give.
    pub(crate) fn blockers(&self, rules: &[&Rule], letter: char) -> Vec<&Glob> {
        // Somebody who owns the file is under all denials, and rules for owners count for them alone.
        let as_owner = rules.iter().any(|rule| rule.qualifiers.owner);
        let priority = rules.iter().map(|rule| rule.qualifiers.priority).max();
        let priority = priority.unwrap_or_default();
        let blocks = |rule: &Rule, file: &FileRule| {
            let it = rule.qualifiers;
            let denies = it.denies && file.permissions.has(letter) && it.priority >= priority;
            let overrides = it.priority > priority && (it.denies || !file.permissions.has(letter));
            (denies || overrides) && (as_owner || !it.owner)
        };
        self.blocking
            .iter()
            .filter_map(|at| self.rules.get(*at))
            .filter_map(|rule| Some((rule, rule.file()?)))
            .filter(|(rule, file)| blocks(rule, file))
            .flat_map(|(_, file)| &file.globs)
            .collect()
    }
}
