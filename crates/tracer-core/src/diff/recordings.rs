//! What a workload did in one recording and not in another.

use std::collections::{BTreeMap, BTreeSet};

use super::{ChangeKind, Diff, Difference, Kind, changes};
use crate::recording::{Blocked, Evidence, Phase, Recording, Syscall, SyscallId, plain_text};
use syscalls::arguments::recorded;

/// What changed from one recording to another. What runtimes do before they load a filter is left out: it
/// is in no profile. So is by whom a call is made, unless it is new.
///
/// ```
/// use tracer_core::diff::recordings;
/// # use syscalls::Abi;
/// # use tracer_core::{profile::seccomp::fixture, recording::Phase};
/// # let run = |nr| (Abi::X86_64, nr, Phase::Run, fixture::path("/bin/web"));
/// # let before = fixture::recording(&[run(0)]);
/// # let after = fixture::recording(&[run(0), run(1)]);
///
/// // The second version of the workload calls write too.
/// let changed = recordings(&before, &after);
/// assert!(!changed.changes.is_empty());
/// assert!(recordings(&after, &after).changes.is_empty());
/// ```
pub fn recordings(before: &Recording, after: &Recording) -> Diff {
    let (old, new) = (done(before), done(after));
    let calls: BTreeSet<SyscallId> = old.keys().chain(new.keys()).copied().collect();
    let differences = calls.into_iter().filter_map(|call| {
        let difference = match (old.get(&call), new.get(&call)) {
            (None, Some(new)) => Some(one_sided(new, ChangeKind::Added)),
            (Some(old), None) => Some(one_sided(old, ChangeKind::Removed)),
            (Some(old), Some(new)) => changed(old, new),
            (None, None) => None,
        };
        difference.map(|difference| (call.abi, difference))
    });
    Diff {
        of: Kind::Recordings,
        changes: changes(differences),
        notes: notes(before, after),
    }
}

/// What was done by a call.
struct Done<'a> {
    syscall: &'a Syscall,
    /// In each phase: whether it was made, and what was seen of it when a filter stopped it.
    how: BTreeSet<(Phase, Option<Blocked>)>,
    given: BTreeSet<(Phase, String)>,
}

fn done(recording: &Recording) -> BTreeMap<SyscallId, Done<'_>> {
    let counts = |phase: Phase| phase != Phase::Setup;
    recording
        .syscalls
        .iter()
        .map(|syscall| {
            let evidence = syscall.evidence.iter().filter(|it| counts(it.phase));
            let done = Done {
                syscall,
                how: evidence.map(|it| (it.phase, it.blocked)).collect(),
                given: given(syscall),
            };
            (syscall.call(), done)
        })
        .filter(|(_, done)| !done.how.is_empty())
        .collect()
}

/// The values that it was given, in words.
fn given(syscall: &Syscall) -> BTreeSet<(Phase, String)> {
    let name = syscall.abi.syscall_name(syscall.nr);
    let recorded = name.and_then(|name| recorded(syscall.abi, name));
    let Some(arguments) = &syscall.arguments else {
        return BTreeSet::new();
    };
    let known = arguments.seen.iter().map(|it| {
        let known = recorded.filter(|known| known.matches_values(&arguments.indices, &it.values));
        let text = known.map_or_else(
            || format!("{:x?}", it.values),
            |known| known.describe(&it.values),
        );
        (it.phase, text)
    });
    let more = arguments.cut.iter();
    let more = more.map(|phase| (*phase, "more than was recorded".to_owned()));
    known.chain(more).collect()
}

fn label(syscall: &Syscall) -> String {
    let name = syscall.abi.syscall_name(syscall.nr);
    name.map_or_else(|| format!("number {}", syscall.nr), str::to_owned)
}

fn one_sided(done: &Done<'_>, kind: ChangeKind) -> Difference {
    let mut lines: Vec<_> = done
        .how
        .iter()
        .map(|(phase, blocked)| {
            let made = |it: &&Evidence| (it.phase, it.blocked) == (*phase, *blocked);
            let who = done.syscall.evidence.iter().filter(made);
            let who = plain_text::executables(who.map(|it| &it.executable));
            format!("{}, by {who}", how(*phase, *blocked))
        })
        .collect();
    lines.extend(done.given.iter().map(with));
    let (before, after) = match kind {
        ChangeKind::Added => (Vec::new(), lines),
        _ => (lines, Vec::new()),
    };
    Difference {
        headroom: None,
        call: label(done.syscall),
        kind,
        grants: kind == ChangeKind::Added && done.was_made(),
        before,
        after,
    }
}

/// What is different of a call that both have.
fn changed(old: &Done<'_>, new: &Done<'_>) -> Option<Difference> {
    let gone = |of: &Done<'_>, than: &Done<'_>| -> Vec<String> {
        let how = of.how.difference(&than.how);
        let how = how.map(|(phase, blocked)| how_in(*phase, *blocked));
        let given = of.given.difference(&than.given).map(with);
        how.chain(given).collect()
    };
    let (before, after) = (gone(old, new), gone(new, old));
    if before.is_empty() && after.is_empty() {
        return None;
    }
    let same_given = old.given == new.given;
    let newly_made = new.how.difference(&old.how).any(|(_, it)| it.is_none());
    Some(Difference {
        headroom: None,
        call: label(new.syscall),
        kind: if same_given {
            ChangeKind::Phases
        } else {
            ChangeKind::Arguments
        },
        grants: newly_made || new.given.difference(&old.given).next().is_some(),
        before,
        after,
    })
}

impl Done<'_> {
    /// Whether it was let through at least once.
    fn was_made(&self) -> bool {
        self.how.iter().any(|(_, blocked)| blocked.is_none())
    }
}

fn with((phase, values): &(Phase, String)) -> String {
    format!("with {values} ({})", phase.as_str())
}

fn how(phase: Phase, blocked: Option<Blocked>) -> String {
    blocked.map_or_else(
        || phase.as_str().to_owned(),
        |saw| {
            format!(
                "{}, stopped by a filter with {}",
                phase.as_str(),
                plain_text::blocked(saw)
            )
        },
    )
}

fn how_in(phase: Phase, blocked: Option<Blocked>) -> String {
    format!("in phase {}", how(phase, blocked))
}

fn notes(before: &Recording, after: &Recording) -> Vec<String> {
    let mut notes = Vec::new();
    for (which, it) in [("first", before), ("second", after)] {
        if !it.coverage.complete {
            notes.push(format!(
                "the {which} recording is not complete: what it lacks may only not have been seen"
            ));
        }
    }
    if before.host.machine != after.host.machine {
        notes.push(format!(
            "the recordings are of different machines, {} and {}, on which the same program makes different calls",
            plain_text::plain(&before.host.machine),
            plain_text::plain(&after.host.machine)
        ));
    }
    notes
}
