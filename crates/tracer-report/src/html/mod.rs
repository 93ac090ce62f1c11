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
mod certainty;
mod changes;
mod curve;
mod files;
mod gaps;
mod groups;
mod other_accesses;
mod overview;
mod page;
mod surface;
mod syscalls;
mod text;

use tracer_core::{
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
    /// `localhostProfile` of the seccomp profile in Kubernetes.
    pub localhost: &'a str,
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
    /// The rules of the AppArmor profile that changed; `None` when one of the two says nothing of them.
    pub rules: Option<Diff>,
}

impl Report<'_> {
    /// The page. The same input gives the same bytes.
    pub fn to_html(&self) -> String {
        page::page(self)
    }
}
