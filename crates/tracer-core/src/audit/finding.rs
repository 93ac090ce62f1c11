//! One result of an audit, and how rules report them.

use std::{collections::BTreeMap, fmt, ops::Range, str::FromStr};

use serde::Serialize;

use super::{fix::Edit, rules::Rule};
use crate::parse::{Input, Location};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// Untidy, or a surprise for whoever reads the profile.
    Low,
    /// It weakens the profile or will cost somebody an afternoon.
    Medium,
    /// The profile does not do what it is there for.
    High,
    /// It does nothing at all, or the workload cannot run.
    Critical,
}

impl Severity {
    /// All of them, ascending.
    pub const ALL: [Self; 5] = [
        Self::Info,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|one| one.as_str() == text);
        named.ok_or_else(|| "known are info, low, medium, high and critical".to_owned())
    }
}

/// One result of an audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name, for `--explain`.
    pub id: &'static str,
    /// How bad it is here; the rule's own severity, or what the rule made of the case.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// Where in it.
    pub place: Location,
    /// What was found, in a sentence.
    pub message: String,
    /// What it rests on.
    pub evidence: Vec<String>,
    /// The change that mends it.
    #[serde(rename = "remediation")]
    pub fix: String,
    /// The same change, for `--fix`.
    #[serde(skip)]
    pub(crate) edits: Vec<Edit>,
    /// What it is about, where several findings of a rule are of one file: an end, a call.
    #[serde(skip)]
    pub(crate) subject: String,
}

impl Finding {
    /// Whether `audit::fixed` changes the file for it.
    pub const fn is_fixable(&self) -> bool {
        !self.edits.is_empty()
    }
}

/// Most findings of one rule that are listed of a file. A file may have ten thousand lines that are all wrong
/// in one way.
const MAX_FINDINGS_PER_RULE: usize = 200;

/// Collects the findings of one file.
#[derive(Debug)]
pub struct Findings<'input> {
    input: &'input Input,
    list: Vec<Finding>,
}

impl<'input> Findings<'input> {
    pub(super) fn new(input: &'input Input) -> Self {
        Self {
            input,
            list: Vec::new(),
        }
    }

    /// Adds one with the rule's own severity and way to mend it. What is returned can be changed.
    pub(super) fn add(
        &mut self,
        rule: &'static Rule,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Added<'_> {
        self.list.push(Finding {
            id: rule.id,
            severity: rule.severity,
            file: self.input.name().to_owned(),
            place: self.input.place(span),
            message: message.into(),
            evidence: Vec::new(),
            fix: rule.fix.to_owned(),
            edits: Vec::new(),
            subject: String::new(),
        });
        Added(self.list.last_mut())
    }

    pub(super) fn input(&self) -> &'input Input {
        self.input
    }

    /// Keeps the findings that `keep` says; returns how many are gone.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Finding) -> bool) -> usize {
        let before = self.list.len();
        self.list.retain(keep);
        before - self.list.len()
    }

    /// How many there are so far.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// Takes the changes off all findings but the first `before`: their text is not the file's own.
    pub(super) fn without_edits(&mut self, before: usize) {
        for finding in self.list.iter_mut().skip(before) {
            finding.edits.clear();
        }
    }

    /// The calls that the fixes of findings so far would deny.
    pub(super) fn to_be_denied(&self) -> impl Iterator<Item = &str> {
        let edits = self.list.iter().flat_map(|finding| &finding.edits);
        edits
            .filter_map(|edit| match edit {
                Edit::Append(entry) => Some(entry.names.iter().map(String::as_str)),
                Edit::Remove { .. } | Edit::Condition { .. } => None,
            })
            .flatten()
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| {
            (&a.place, b.severity, a.id, &a.message).cmp(&(&b.place, a.severity, b.id, &b.message))
        });
        // A document that is named twice is one document.
        self.list.dedup();
        self.cut()
    }

    /// Keeps the first findings of each rule; the last one that is kept says how many more there are.
    fn cut(self) -> Vec<Finding> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.list {
            *counts.entry(finding.id).or_default() += 1;
        }
        let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
        let mut list = Vec::new();
        for mut finding in self.list {
            let so_far = kept.entry(finding.id).or_default();
            *so_far += 1;
            let all = counts.get(finding.id).copied().unwrap_or_default();
            if *so_far == MAX_FINDINGS_PER_RULE && all > MAX_FINDINGS_PER_RULE {
                let more = all - MAX_FINDINGS_PER_RULE;
                finding.evidence.push(format!(
                    "{more} more findings of {} in this file are not listed",
                    finding.id
                ));
            }
            if *so_far <= MAX_FINDINGS_PER_RULE {
                list.push(finding);
            }
        }
        list
    }
}

/// A finding that was just added.
pub(super) struct Added<'list>(Option<&'list mut Finding>);

impl Added<'_> {
    pub(super) fn severity(self, severity: Severity) -> Self {
        self.with(|finding| finding.severity = severity)
    }

    pub(super) fn evidence(self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.with(|finding| finding.evidence.extend(evidence))
    }

    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        self.with(|finding| finding.fix = fix.into())
    }

    /// Changes of the profile that close it.
    pub(super) fn edits(self, edits: Vec<Edit>) -> Self {
        self.with(|finding| finding.edits = edits)
    }

    /// What it is about.
    pub(super) fn about(self, subject: impl Into<String>) -> Self {
        self.with(|finding| finding.subject = subject.into())
    }

    fn with(mut self, change: impl FnOnce(&mut Finding)) -> Self {
        if let Some(finding) = &mut self.0 {
            change(finding);
        }
        self
    }
}
