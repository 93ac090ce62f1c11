//! SELinux policy as people have it for a workload: CIL, and the objects of the Security Profiles Operator.
//!
//! Only what says what a domain may do is read: blocks, what they inherit, their attributes, `typepermissive`
//! and `allow`. What else a file has is kept by its keyword, so that an audit can say that it was not looked at.

mod cil;
mod object;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::Form;
pub(super) use cil::{is_text, text};
pub(super) use object::{raw, resource};

/// Most rules of a file.
const MAX_RULES: usize = 20_000;

/// What a file says of one domain.
#[derive(Clone, Debug)]
pub struct Selinux {
    /// How it is written.
    pub form: Form,
    /// The name of its block or object; `None` for rules outside of blocks.
    pub name: Option<String>,
    /// Where it stands.
    pub(crate) span: Range<usize>,
    /// What it inherits: names of blocks and profiles.
    pub(crate) inherits: Vec<Word>,
    /// Attributes that its type has.
    pub(crate) attributes: Vec<Word>,
    /// Where it says that the domain is permissive.
    pub(crate) permissive: Option<Range<usize>>,
    /// What is allowed.
    pub(crate) rules: Vec<Allow>,
    /// Statements that were not read.
    pub(crate) unread: Vec<Word>,
}

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Allow {
    /// The source, in the block's own words: `process`.
    pub(crate) source: String,
    /// The target; `process`, `self` and `@self` are the domain.
    pub(crate) target: String,
    pub(crate) class: String,
    /// The permissions; `all` among them is every one.
    pub(crate) permissions: Vec<String>,
    pub(crate) span: Range<usize>,
}

impl Allow {
    /// Whether the domain itself is the target.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.target.as_str(), "self" | "@self") || self.target == self.source
    }
}

impl Selinux {
    fn new(form: Form, name: Option<String>, span: Range<usize>) -> Self {
        Self {
            form,
            name,
            span,
            inherits: Vec::new(),
            attributes: Vec::new(),
            permissive: None,
            rules: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// What the domain may do: (target, class) and the permissions; a target of `None` is the domain itself.
    pub fn permissions(&self) -> BTreeMap<(Option<&str>, &str), BTreeSet<&str>> {
        let mut all: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for rule in self.rules.iter().filter(|it| self.is_of_domain(it)) {
            let target = (!rule.is_own()).then_some(rule.target.as_str());
            let known = all.entry((target, rule.class.as_str())).or_default();
            known.extend(rule.permissions.iter().map(String::as_str));
        }
        all
    }

    /// Whether a rule is of what the domain may do, and not of what others may do to it. Rules outside of
    /// blocks are each of their own domain.
    pub(crate) fn is_of_domain(&self, rule: &Allow) -> bool {
        let Some(name) = &self.name else { return true };
        let source = rule.source.as_str();
        matches!(source, "process" | "self" | "@self")
            || source.strip_suffix(".process") == Some(name.as_str())
            || self.attributes.iter().any(|it| it.text == source)
    }

    /// Whether a rule is of what others may do to the domain.
    pub(crate) fn is_to_domain(&self, rule: &Allow) -> bool {
        let target = rule.target.as_str();
        target == "process" || target.strip_suffix(".process") == self.name.as_deref()
    }
}
