//! What one profile does to calls and another does not.

use std::collections::{BTreeMap, BTreeSet};

use super::{ChangeKind, Diff, Difference, Kind, changes, headroom, permissiveness};
use crate::{
    profile::seccomp::{
        evaluate::{Decision, Filter, Verdict},
        oci::{Condition, Operator},
    },
    recording::SyscallId,
};
use syscalls::{
    Abi,
    arguments::{self, recorded},
};

/// What changed from one profile to another, as both are in force on one host: what happens to each call
/// of each ABI, not how it is written down.
pub fn profiles(before: &Filter, after: &Filter) -> Diff {
    let abis: BTreeSet<Abi> = before.abis().chain(after.abis()).collect();
    let mut differences = Vec::new();
    for abi in abis {
        let had = before.abis().any(|it| it == abi);
        let has = after.abis().any(|it| it == abi);
        if had && has {
            differences.extend(of_abi(abi, before, after));
        } else {
            differences.push((abi, whole_abi(abi, has)));
        }
    }
    Diff {
        of: Kind::Profiles,
        changes: changes(differences),
        notes: notes(before, after),
    }
}

/// An ABI that only one of them lists.
fn whole_abi(abi: Abi, has: bool) -> Difference {
    let listed = vec!["as the profile says".to_owned()];
    let killed = vec!["SCMP_ACT_KILL_THREAD: the ABI is not listed".to_owned()];
    let (before, after) = if has {
        (killed, listed)
    } else {
        (listed, killed)
    };
    Difference {
        call: format!("every call of {abi}"),
        kind: if has {
            ChangeKind::Added
        } else {
            ChangeKind::Removed
        },
        grants: has,
        headroom: None,
        before,
        after,
    }
}

fn of_abi(abi: Abi, before: &Filter, after: &Filter) -> Vec<(Abi, Difference)> {
    let mut differences = Vec::new();
    let headroom = headroom::InAbi::of(after, abi);
    let default = (before.default_verdict(), after.default_verdict());
    let mut by_default = 0;
    for (nr, name) in abi.syscalls() {
        let call = SyscallId { abi, nr };
        let (old, new) = (Behaviour::of(before, call), Behaviour::of(after, call));
        if old == new {
            continue;
        }
        if old.is_default(default.0) && new.is_default(default.1) {
            by_default += 1;
            continue;
        }
        let grants = permissiveness::is_more_permissive(before, after, call);
        let mut difference = old.difference(&new, (abi, name), grants);
        if grants && difference.kind == ChangeKind::Added {
            difference.headroom = headroom.group(after, nr, name);
        }
        differences.push((abi, difference));
    }
    if default.0 != default.1 {
        let (old, new) = (Behaviour::always(default.0), Behaviour::always(default.1));
        let grants = default.1.allows() && !default.0.allows();
        let mut difference = old.difference(&new, (abi, ""), grants);
        difference.call = format!("every call without a rule ({by_default} known ones)");
        differences.push((abi, difference));
    }
    differences
}

/// What a profile does to the calls of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Behaviour {
    /// By conditions: an order that says nothing.
    rules: BTreeMap<Vec<(u32, u64, u64, &'static str)>, Verdict>,
    otherwise: Verdict,
}

impl Behaviour {
    fn always(verdict: Verdict) -> Self {
        Self {
            rules: BTreeMap::new(),
            otherwise: verdict,
        }
    }

    fn of(filter: &Filter, call: SyscallId) -> Self {
        let decisions = filter.decisions(call);
        if let [
            Decision {
                verdict,
                conditions,
                ..
            },
        ] = decisions.as_slice()
            && conditions.is_empty()
        {
            return Self::always(*verdict);
        }
        // Without rules no argument matters, and with conditions none may hold.
        let otherwise = if decisions.is_empty() {
            filter.evaluate(call, [0; 6]).verdict
        } else {
            filter.default_verdict()
        };
        let rules = decisions.into_iter().map(|it| {
            let mut conditions: Vec<_> = it.conditions.iter().map(key).collect();
            conditions.sort_unstable();
            (conditions, it.verdict)
        });
        Self {
            rules: rules.collect(),
            otherwise,
        }
    }

    fn is_default(&self, default: Verdict) -> bool {
        self.rules.is_empty() && self.otherwise == default
    }

    /// Whether it lets through all calls, some, or none.
    fn allows(&self) -> Permissiveness {
        let mut all = self.rules.values().chain([&self.otherwise]);
        let allows = |verdict: &Verdict| verdict.allows();
        match (all.clone().all(allows), all.any(allows)) {
            (true, _) => Permissiveness::All,
            (false, true) => Permissiveness::Some,
            (false, false) => Permissiveness::None,
        }
    }

    fn difference(&self, new: &Self, (abi, name): (Abi, &str), grants: bool) -> Difference {
        let (was, is) = (self.allows(), new.allows());
        let kind = match (was, is) {
            (Permissiveness::None, Permissiveness::Some | Permissiveness::All) => ChangeKind::Added,
            (Permissiveness::Some | Permissiveness::All, Permissiveness::None) => {
                ChangeKind::Removed
            }
            (Permissiveness::None, Permissiveness::None)
            | (Permissiveness::All, Permissiveness::All) => ChangeKind::Action,
            _ => ChangeKind::Arguments,
        };
        Difference {
            call: name.to_owned(),
            kind,
            grants,
            headroom: None,
            before: self.lines(new, abi, name),
            after: new.lines(self, abi, name),
        }
    }

    /// The rules that the other one does not have.
    fn only_here<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a Vec<(u32, u64, u64, &'static str)>, &'a Verdict)> {
        let is_new = move |(conditions, verdict): &(&Vec<_>, &Verdict)| {
            other.rules.get(*conditions) != Some(*verdict)
        };
        self.rules.iter().filter(is_new)
    }

    /// What the other one does not say.
    fn lines(&self, other: &Self, abi: Abi, name: &str) -> Vec<String> {
        let rules = self.only_here(other).map(|(conditions, verdict)| {
            let conditions: Vec<_> = conditions
                .iter()
                .map(|condition| words(abi, name, condition))
                .collect();
            format!("{verdict} when {}", conditions.join(" and "))
        });
        let mut lines: Vec<_> = rules.collect();
        if self.rules.is_empty() {
            lines.push(self.otherwise.to_string());
        } else if other.rules.is_empty() || other.otherwise != self.otherwise {
            lines.push(format!("{} otherwise", self.otherwise));
        }
        lines
    }
}

/// How much of a call is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permissiveness {
    None,
    Some,
    All,
}

fn key(it: &Condition) -> (u32, u64, u64, &'static str) {
    let operator = match it.op {
        Operator::Ne => "!=",
        Operator::Lt => "<",
        Operator::Le => "<=",
        Operator::Eq => "=",
        Operator::Ge => ">=",
        Operator::Gt => ">",
        Operator::MaskedEq => "&",
    };
    (it.index, it.value, it.value_two, operator)
}

/// A condition, with the manual's name of the value where it has one.
fn words(abi: Abi, name: &str, condition: &(u32, u64, u64, &'static str)) -> String {
    let (index, value, value_two, operator) = *condition;
    let (text, compared, mask) = match operator {
        "&" => (
            format!("argument {index} & {value:#x} = {value_two:#x}"),
            value_two,
            value,
        ),
        _ => (
            format!("argument {index} {operator} {value:#x}"),
            value,
            u64::MAX,
        ),
    };
    let named = recorded(abi, name)
        .filter(|it| !it.behind_pointer)
        .and_then(|it| {
            let first = it.arguments.first()?;
            let says_all = first.index == index
                && mask & first.mask == first.mask
                && matches!(operator, "&" | "=" | "!=");
            let is_flags = matches!(first.meaning, arguments::Meaning::CloneFlags);
            (says_all && !is_flags).then(|| it.describe(&[compared & first.mask]))
        });
    named.map_or(text.clone(), |named| format!("{text} ({named})"))
}

/// What is written and means nothing.
fn notes(before: &Filter, after: &Filter) -> Vec<String> {
    let mut notes = Vec::new();
    for (which, it) in [("first", before), ("second", after)] {
        let idle: BTreeSet<_> = it.without_effect().map(|(_, name)| name).collect();
        if !idle.is_empty() {
            let shown: Vec<_> = idle.iter().take(8).map(|it| format!("{it:?}")).collect();
            let more = idle.len().saturating_sub(shown.len());
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            notes.push(format!(
                "the {which} profile names what no listed ABI has, which does nothing: {}{more}",
                shown.join(", ")
            ));
        }
    }
    notes
}
