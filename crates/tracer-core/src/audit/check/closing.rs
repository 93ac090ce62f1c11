//! Changes that close a gap and break nothing: conditions where they are enough, ENOSYS where callers
//! fall back, and never what every program or the runtime needs.

use std::collections::BTreeSet;

use super::{
    super::{
        fix::{Edit, entry_text},
        loaded_profile::{LoadedProfile, SyscallState},
    },
    bypass::Gap,
};
use crate::profile::seccomp::oci::{Action, Condition, Entry, Operator};
use syscalls::{
    bypass::{Bits, End, Gain, Parameter, Step},
    errno::{ENOSYS, EPERM},
    registers::{Register, register},
};

/// How a gap is closed.
pub(super) struct Closing {
    pub(super) edits: Vec<Edit>,
    /// Calls that stay, since programs or runtimes need them.
    kept: BTreeSet<&'static str>,
}

impl Closing {
    /// The same in a sentence.
    pub(super) fn words(&self, end: &End) -> String {
        let mut added = Vec::new();
        let mut removed = BTreeSet::new();
        for edit in &self.edits {
            match edit {
                Edit::Append(entry) => added.push(entry_text(entry)),
                Edit::Remove { name, .. } => {
                    removed.insert(name.as_str());
                }
                Edit::Condition { .. } => {}
            }
        }
        let mut parts = Vec::new();
        if !removed.is_empty() {
            let names: Vec<_> = removed.into_iter().collect();
            parts.push(format!(
                "remove {} from the entries that allow it",
                names.join(", ")
            ));
        }
        if !added.is_empty() {
            parts.push(format!("add to syscalls: {}", added.join(", ")));
        }
        if !self.kept.is_empty() {
            let names: Vec<_> = self.kept.iter().copied().collect();
            parts.push(format!(
                "{} cannot be denied, since programs or container runtimes need {}",
                names.join(", "),
                if names.len() == 1 { "it" } else { "them" }
            ));
        }
        if !end.instead.is_empty() && (!self.kept.is_empty() || self.edits.is_empty()) {
            parts.push(end.instead.to_owned());
        }
        parts.join("; ")
    }
}

/// The changes that close a gap.
pub(super) fn of(profile: &LoadedProfile<'_>, gap: &Gap) -> Closing {
    let mut closing = Closing {
        edits: Vec::new(),
        kept: BTreeSet::new(),
    };
    let mut whole: Vec<&Step> = Vec::new();
    for way in &gap.open {
        for call in way.to_deny() {
            if way.keep {
                closing.kept.insert(call.name);
            } else if let Some(entries) = restricted(profile, gap, call) {
                closing.replace(profile, call, entries);
            } else if profile.is_needed(call.name) {
                closing.kept.insert(call.name);
            } else {
                whole.push(call);
            }
        }
    }
    for errno in whole
        .iter()
        .map(|call| call.errno())
        .collect::<BTreeSet<_>>()
    {
        let calls: Vec<_> = whole.iter().filter(|call| call.errno() == errno).collect();
        let mut names: Vec<_> = calls.iter().map(|call| call.name.to_owned()).collect();
        names.dedup();
        for call in &calls {
            closing.remove(profile, call.name);
        }
        closing
            .edits
            .push(Edit::Append(denial(names, errno, Vec::new())));
    }
    // A fix that leaves the end open is worth its price only where less of it is much.
    let is_partial = !closing.kept.is_empty();
    if is_partial && gap.end.gain != Gain::Much {
        closing.edits.clear();
    }
    closing
}

/// Denies calls with ENOSYS, in a deny-list and in an allow-list.
pub(super) fn deny(profile: &LoadedProfile<'_>, names: &[&str]) -> Vec<Edit> {
    refusal(profile, names, ENOSYS)
}

/// Denies calls with EPERM.
pub(super) fn refuse(profile: &LoadedProfile<'_>, names: &[&str]) -> Vec<Edit> {
    refusal(profile, names, EPERM)
}

/// Denies the calls that are not denied yet.
fn refusal(profile: &LoadedProfile<'_>, names: &[&str], errno: u32) -> Vec<Edit> {
    let mut closing = Closing {
        edits: Vec::new(),
        kept: BTreeSet::new(),
    };
    let native = profile.context.native;
    let is_open = |name: &&&str| profile.state(native, name) != SyscallState::Denied;
    let open: Vec<&str> = names.iter().filter(is_open).copied().collect();
    for name in &open {
        closing.remove(profile, name);
    }
    let open = open.into_iter().map(str::to_owned).collect();
    let entry = denial(open, errno, Vec::new());
    closing.edits.push(Edit::Append(entry));
    closing.edits
}

impl Closing {
    fn replace(&mut self, profile: &LoadedProfile<'_>, call: &Step, entries: Vec<Entry>) {
        self.remove(profile, call.name);
        for edit in entries.into_iter().map(Edit::Append) {
            if !self.edits.contains(&edit) {
                self.edits.push(edit);
            }
        }
    }

    /// In an allow-list, takes a name out of what allows it for any arguments.
    fn remove(&mut self, profile: &LoadedProfile<'_>, name: &str) {
        if profile.allows_by_default() {
            return;
        }
        for (at, entry) in profile.entries_of(name) {
            if entry.args.is_empty() && matches!(entry.action, Action::Allow | Action::Log) {
                let edit = Edit::Remove {
                    entry: profile.entry(at),
                    name: name.to_owned(),
                };
                if !self.edits.contains(&edit) {
                    self.edits.push(edit);
                }
            }
        }
    }
}

fn denial(names: Vec<String>, errno: u32, args: Vec<Condition>) -> Entry {
    Entry {
        names,
        action: Action::Errno,
        errno_ret: Some(errno),
        args,
    }
}

/// The entries that restrict a call by its arguments; `None` when it has to be denied as a whole.
fn restricted(profile: &LoadedProfile<'_>, gap: &Gap, call: &Step) -> Option<Vec<Entry>> {
    if call.deny.is_empty() {
        return if gap.is_whole {
            None
        } else {
            translated(profile, gap, call)
        };
    }
    // Of flags, those that are denied to the other call.
    let is_denied = |all: &&&[Bits]| match all {
        [bits] if matches!(call.parameter, Parameter::Argument(_)) => {
            gap.end.only_conditional || gap.is_whole || gap.values.contains(&bits.value)
        }
        _ => true,
    };
    let chosen: Vec<&[Bits]> = call.deny.iter().filter(is_denied).copied().collect();
    if profile.allows_by_default() {
        let entries = chosen.iter().map(|all| {
            let args = all.iter().map(condition).collect();
            denial(vec![call.name.to_owned()], call.errno(), args)
        });
        return Some(entries.collect());
    }
    // An allow-list has to say what is left: none of the bits.
    let mut mask = 0;
    let mut index = None;
    for all in chosen {
        let [bits] = *all else { return None };
        if bits.mask != bits.value || *index.get_or_insert(bits.index) != bits.index {
            return None;
        }
        mask |= bits.mask;
    }
    Some(vec![Entry {
        names: vec![call.name.to_owned()],
        action: Action::Allow,
        errno_ret: None,
        args: vec![condition(&Bits {
            index: index?,
            mask,
            value: 0,
        })],
    }])
}

fn condition(bits: &Bits) -> Condition {
    Condition {
        index: bits.index,
        value: bits.mask,
        value_two: bits.value,
        op: Operator::MaskedEq,
    }
}

/// The conditions that a denied call has on the end's parameter, for another call that takes it too.
fn translated(profile: &LoadedProfile<'_>, gap: &Gap, call: &Step) -> Option<Vec<Entry>> {
    let Parameter::Argument(to) = call.parameter else {
        return None;
    };
    let to = u32::try_from(to).ok()?;
    let model = gap
        .denied
        .iter()
        .find(|denied| matches!(denied.parameter, Parameter::Argument(_)))?;
    let Parameter::Argument(from) = model.parameter else {
        return None;
    };
    let mut entries = Vec::new();
    for (_, entry) in profile.entries_of(model.name) {
        let says_more =
            matches!(entry.action, Action::Allow | Action::Log) != profile.allows_by_default();
        if entry.args.is_empty() || !says_more {
            continue;
        }
        let is_on_it = |condition: &Condition| usize::try_from(condition.index) == Ok(from);
        if !entry.args.iter().all(is_on_it) {
            return None;
        }
        let args = entry
            .args
            .iter()
            .map(|condition| moved(condition, call.name, to));
        entries.push(Entry {
            names: vec![call.name.to_owned()],
            args: args.collect(),
            ..entry.clone()
        });
    }
    (!entries.is_empty()).then_some(entries)
}

/// A condition on another argument, which compares no bit that the kernel does not read.
fn moved(condition: &Condition, name: &str, index: u32) -> Condition {
    match (condition.op, register(name, index)) {
        (Operator::Eq, Some(Register::Cut(bits))) => Condition {
            index,
            value: (1 << bits) - 1,
            value_two: condition.value,
            op: Operator::MaskedEq,
        },
        (Operator::MaskedEq, _) => Condition {
            index,
            // libseccomp compares with these bits alone.
            value_two: condition.value & condition.value_two,
            ..condition.clone()
        },
        _ => Condition {
            index,
            ..condition.clone()
        },
    }
}
