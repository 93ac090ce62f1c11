//! `report.html`: a recording and what is made of it, as one page that needs nothing else.
//!
//! **The page is the data.** Each rule is a row of a table in the page, and the script only hides rows. There is no copy of
//! them as JSON for a script to render: that would be a second thing to escape, would leave the page empty without a script
//! and on paper, and would be no faster. What keeps 20,000 rules fluid is that they are grouped by directory in
//! `<details>`, closed when there are many: a browser parses what is in a closed one and neither lays it out nor paints it.
//! On paper a closed group is its summary line.
//!
//! **Nothing of a workload's becomes markup.** Templates are `maud`'s, which escape what they are given, and what a workload
//! chose passes [`text`] first, which spells out everything but printable ASCII. The content security policy allows this
//! one style sheet and this one script, by their hashes, and nothing else: no image, no font, no connection.

mod apply;
mod attention;
mod calls;
mod certainty;
mod changes;
mod curve;
mod files;
mod gaps;
mod groups;
mod others;
mod overview;
mod page;
mod surface;
mod text;

use crate::{
    diff::Diff,
    profile::{apparmor::AppArmorProfile, capabilities::Capabilities, seccomp::SeccompProfile},
    recording::Recording,
};

/// What a page is about.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was recorded; of several recordings, their union.
    pub recording: &'a Recording,
    /// The profiles that were made of it.
    pub seccomp: &'a SeccompProfile,
    /// None where no files were recorded.
    pub apparmor: Option<&'a AppArmorProfile>,
    /// None where no capabilities were recorded.
    pub capabilities: Option<&'a Capabilities>,
    /// The files to apply: their names and texts.
    pub files: &'a [(String, String)],
    /// What changed since an older profile or recording.
    pub since: Option<&'a Since>,
}

/// What changed since an older profile or recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// What the older one is called.
    pub label: String,
    /// The calls that changed; `None` when the older one says nothing of calls.
    pub calls: Option<Diff>,
    /// The lines of the AppArmor profile that changed; `None` when one of the two says nothing of them.
    pub rules: Option<RuleChanges>,
}

/// The rules that only one of two AppArmor profiles has, as their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleChanges {
    /// The older one has them not.
    pub added: Vec<String>,
    /// The newer one has them not.
    pub removed: Vec<String>,
}

impl RuleChanges {
    /// Those between two profiles, as their texts; comments and the order of rules do not count.
    pub fn between(before: &str, after: &str) -> Self {
        let rules = |text: &str| -> std::collections::BTreeSet<String> {
            let lines = text.lines().map(str::trim);
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned)
                .collect()
        };
        let (before, after) = (rules(before), rules(after));
        Self {
            added: after.difference(&before).cloned().collect(),
            removed: before.difference(&after).cloned().collect(),
        }
    }
}

impl Report<'_> {
    /// The page. The same input gives the same bytes.
    pub fn to_html(&self) -> String {
        page::page(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_compared_whatever_their_order_and_comments() {
        let before = "# Of old.\nprofile x {\n  /a r,\n  /b r,\n}\n";
        let after = "profile x {\n  # New.\n  /c rw,\n  /b r,\n}\n";
        let changes = RuleChanges::between(before, after);
        assert_eq!(changes.added, ["/c rw,"]);
        assert_eq!(changes.removed, ["/a r,"]);
        assert_eq!(RuleChanges::between(after, after), RuleChanges::default());
    }
}
