//! What changed between two recordings, or between two profiles, riskiest first. Pure.

mod apparmor;
mod headroom;
mod permissiveness;
mod profiles;
mod recordings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use apparmor::apparmor;
pub use profiles::profiles;
pub use recordings::recordings;

use syscalls::{Abi, capability_requirements, risk};

/// What changed from one thing to another of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// What was compared.
    pub of: Kind,
    /// In the order of output: what lets more through comes first, and of that what is known to be
    /// dangerous.
    pub changes: Vec<Change>,
    /// What has to be known to judge them.
    pub notes: Vec<String>,
}

/// A kind of thing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Recordings: what the workload did.
    Recordings,
    /// Seccomp profiles: what happens to calls.
    Profiles,
    /// AppArmor profiles: what rules say.
    #[serde(rename = "apparmor")]
    AppArmor,
}

/// A call that changed, or what a rule of AppArmor is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name, or what else it is called by.
    pub call: String,
    /// The ABIs in which it did, all in the same way; of AppArmor none.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub abis: BTreeSet<Abi>,
    /// How.
    pub kind: ChangeKind,
    /// Whether something is done, or let through, that was not.
    pub grants: bool,
    /// What was, and is not any more, in words.
    pub before: Vec<String>,
    /// What is, and was not.
    pub after: Vec<String>,
    /// What it gives to somebody who has taken over the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<&'static str>,
    /// The group of the layer `headroom` that it belongs to, when it lets through no more than that
    /// layer does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headroom: Option<&'static str>,
    /// The capabilities that it takes, for some purposes at least.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<&'static str>,
}

/// How a call changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is made, or let through, and was not.
    Added,
    /// It was, and is not.
    Removed,
    /// It is for other arguments.
    Arguments,
    /// A profile says something else of it, which lets through neither more nor less.
    Action,
    /// It is in other phases, or a filter stopped it in the one and not in the other.
    Phases,
}

impl ChangeKind {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Arguments => "arguments",
            Self::Action => "action",
            Self::Phases => "phases",
        }
    }
}

/// What differs of one call in one ABI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    call: String,
    kind: ChangeKind,
    grants: bool,
    headroom: Option<&'static str>,
    before: Vec<String>,
    after: Vec<String>,
}

/// Joins what is the same in several ABIs, and puts it in order.
fn changes(differences: impl IntoIterator<Item = (Abi, Difference)>) -> Vec<Change> {
    let mut joined: BTreeMap<Difference, BTreeSet<Abi>> = BTreeMap::new();
    for (abi, difference) in differences {
        joined.entry(difference).or_default().insert(abi);
    }
    let mut changes: Vec<_> = joined
        .into_iter()
        .map(|(it, abis)| Change {
            risk: known_against(&it.call),
            capabilities: capability_requirements::capability_requirements(&it.call)
                .map(|it| it.capability)
                .collect(),
            call: it.call,
            abis,
            kind: it.kind,
            grants: it.grants,
            headroom: it.headroom,
            before: it.before,
            after: it.after,
        })
        .collect();
    // Stable: of equals the one whose name comes first.
    changes.sort_by_key(rank);
    changes
}

fn known_against(call: &str) -> Option<&'static str> {
    let open = risk::ALLOWED_BY_ARGUMENT.iter().find(|(of, _)| *of == call);
    risk::risk(call)
        .map(|risk| risk.sentence)
        .or(open.map(|(_, what)| *what))
}

/// The smaller, the riskier.
fn rank(change: &Change) -> u8 {
    match (change.grants, change.is_of_many(), change.kind) {
        (true, true, _) => 0,
        (true, ..) if change.headroom.is_some() => 4,
        (true, ..) if change.risk.is_some() => 1,
        (true, ..) if !change.capabilities.is_empty() => 2,
        (true, ..) => 3,
        (false, _, ChangeKind::Action | ChangeKind::Phases) => 5,
        (false, ..) => 6,
    }
}

impl Change {
    /// Whether it speaks of more than one call.
    pub fn is_of_many(&self) -> bool {
        self.call.starts_with("every call")
    }
}
