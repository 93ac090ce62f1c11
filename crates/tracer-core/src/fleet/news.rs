//! What a node has to ship: what is new against what it has shipped.

use std::collections::BTreeMap;

use super::{
    Object,
    object::Gathering,
    part::{Choose, ListOf, part, runs},
};
use crate::recording::{AccessEvidence, Evidence, Instance, Recording, RunId, Syscall};

/// What there is to ship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing: all of it was shipped.
    Nothing,
    /// Only that known instances still run, or ran longer, and did nothing new.
    Later(Box<Object>),
    /// Something new.
    Facts(Box<Object>),
}

/// The part of `now` that is not in `shipped`: merged with that, it is the same as all of `now`.
///
/// Both are of one key. What cannot be told apart is in the part: it is never too small.
pub fn news(shipped: Option<&Object>, now: &Object) -> News {
    let Some(shipped) = shipped else {
        return News::Facts(Box::new(now.clone()));
    };
    let whole = together(shipped, now);
    if whole.as_ref() == Some(shipped) {
        return News::Nothing;
    }
    let mut choose = Unshipped::new(&shipped.recording, &now.recording);
    let recording = part(&now.recording, &mut choose);
    let has_facts = choose.has_facts
        || has_more_around(&shipped.recording, &now.recording)
        || says_otherwise(shipped, now);
    let mut object = Object {
        recording,
        ..now.clone()
    };
    if together(shipped, &object) != whole {
        object.recording = now.recording.clone();
    }
    let object = Box::new(object);
    if has_facts {
        News::Facts(object)
    } else {
        News::Later(object)
    }
}

/// In milliseconds.
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// The longest time between two objects of a node whose instances run, in milliseconds.
const LONGEST: u64 = 7 * DAY;

/// How old the last object of a workload has to be before the workload may be deleted from a store, in milliseconds.
pub const MIN_AGE_OF_GARBAGE: u64 = 2 * LONGEST;

/// Whether what a node shipped of a workload may have been deleted from the store since: then it ships all of it again.
/// A day earlier than it may be, since the clocks of a node and of a store differ.
pub fn may_be_deleted(shipped_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(shipped_ms) >= MIN_AGE_OF_GARBAGE - DAY
}

/// Whether it is time to ship that nothing happened, after `shipped_ms` and at `now_ms`: when the time since instances
/// began to run quietly has doubled, at most once an hour, and once a week at least.
pub fn is_due(began_ms: u64, shipped_ms: u64, now_ms: u64) -> bool {
    let quiet = shipped_ms.saturating_sub(began_ms).clamp(HOUR, LONGEST);
    now_ms.saturating_sub(shipped_ms) >= quiet
}

fn together(one: &Object, other: &Object) -> Option<Object> {
    let mut gathering = Gathering::default();
    gathering.add(one.clone());
    gathering.add(other.clone());
    let mut object = gathering.finish()?;
    object.compacted = one.compacted;
    Some(object)
}

/// Whether something besides observations and runs is new: hosts, commands, providers, reasons, losses.
fn has_more_around(shipped: &Recording, now: &Recording) -> bool {
    let is_known = |it: &crate::recording::Host| shipped.hosts().any(|known| known == it);
    let has_command = |it: &Vec<String>| shipped.commands().any(|known| known == it);
    let coverage = &now.coverage;
    !now.hosts().all(is_known)
        || !now.commands().all(has_command)
        || !now
            .providers
            .iter()
            .all(|it| shipped.providers.contains(it))
        || !coverage
            .reasons
            .iter()
            .all(|it| shipped.coverage.reasons.contains(it))
        || shipped.coverage.losses.most(coverage.losses) != shipped.coverage.losses
        || !now.kinds().is_subset(&shipped.kinds())
}

/// Whether a node says something else of what still runs.
fn says_otherwise(shipped: &Object, now: &Object) -> bool {
    now.nodes.iter().any(|(name, state)| {
        let known = shipped.nodes.get(name);
        known.is_none_or(|known| known.still_running != state.still_running)
    })
}

/// Chooses what is not known.
struct Unshipped<'a> {
    shipped: &'a Recording,
    /// The runs that were shipped, by index.
    shipped_runs: Vec<RunId>,
    /// The same by name, with what was known of them.
    known: BTreeMap<RunId, Option<&'a Instance>>,
    now: &'a Recording,
    now_runs: Vec<RunId>,
    has_facts: bool,
}

impl<'a> Unshipped<'a> {
    fn new(shipped: &'a Recording, now: &'a Recording) -> Self {
        let shipped_runs = runs(shipped);
        let known = shipped_runs
            .iter()
            .enumerate()
            .map(|(index, run)| (*run, shipped.instances.get(index)))
            .collect();
        Self {
            shipped,
            known,
            shipped_runs,
            now,
            now_runs: runs(now),
            has_facts: false,
        }
    }

    fn run_of(&self, index: u32) -> Option<RunId> {
        self.now_runs.get(index as usize).copied()
    }

    fn shipped_run(&self, index: u32) -> Option<RunId> {
        self.shipped_runs.get(index as usize).copied()
    }

    fn note(&mut self, is_new: bool) -> bool {
        self.has_facts |= is_new;
        is_new
    }
}

impl Choose for Unshipped<'_> {
    fn call(&mut self, call: &Syscall, evidence: Option<&Evidence>) -> bool {
        let at = self
            .shipped
            .syscalls
            .binary_search_by_key(&call.call(), Syscall::call);
        let known = at.ok().and_then(|at| self.shipped.syscalls.get(at));
        let is_known = known.is_some_and(|known| {
            let same = known.phases.is_superset(&call.phases)
                && known.blocked >= call.blocked
                && known.name == call.name
                && known.arguments == call.arguments;
            same && evidence.is_none_or(|evidence| {
                let run = self.run_of(evidence.instance);
                known.evidence.iter().any(|known| {
                    self.shipped_run(known.instance) == run
                        && known.phase == evidence.phase
                        && known.executable == evidence.executable
                        && known.blocked == evidence.blocked
                        && (evidence.first.is_none() || known.first == evidence.first)
                })
            })
        });
        self.note(!is_known)
    }

    fn access<T: Ord>(
        &mut self,
        list: ListOf<T>,
        what: &T,
        evidence: Option<&AccessEvidence>,
    ) -> bool {
        let all = list(self.shipped);
        let at = all.binary_search_by(|known| known.what.cmp(what));
        let known = at.ok().and_then(|at| all.get(at));
        let is_known = known.is_some_and(|known| {
            evidence.is_none_or(|evidence| {
                known.evidence.iter().any(|known| {
                    let mut its = evidence.instances.iter();
                    let shipped: Vec<_> = known
                        .instances
                        .iter()
                        .map(|index| self.shipped_run(*index))
                        .collect();
                    known.phase == evidence.phase
                        && known.executable == evidence.executable
                        && known.call == evidence.call
                        && (evidence.first.is_none() || known.first == evidence.first)
                        && its.all(|index| shipped.contains(&self.run_of(*index)))
                })
            })
        });
        self.note(!is_known)
    }

    fn run(&mut self, index: usize, _: bool) -> bool {
        let Some(run) = self.now_runs.get(index) else {
            return false;
        };
        let now = self.now.instances.get(index);
        match (self.known.get(run), now) {
            (None, _) => self.note(true),
            (Some(known), Some(now)) => !known.is_some_and(|known| {
                let of_host = |instance: &Instance, recording: &Recording| {
                    instance
                        .host
                        .clone()
                        .unwrap_or_else(|| recording.host.clone())
                };
                of_host(known, self.shipped) == of_host(now, self.now)
                    && Instance {
                        host: now.host.clone(),
                        ..known.clone()
                    } == *now
            }),
            (Some(_), None) => false,
        }
    }
}
