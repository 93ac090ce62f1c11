//! The union of what several recordings saw, bounded as [`merge`](crate::recording::merge) says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    AccessEvidence, Actor, CapabilityUse, FileUse, FirstAccess, MountUse, ObservedAccess,
    SelinuxUse, SignalUse, SocketUse, TraceUse, set::earlier,
};
use crate::recording::{Phase, Recording, RunId};

/// Things that are kept of one kind.
const MAX_ACCESSES: usize = 1 << 16;

/// Who did one thing: so many are kept.
pub(crate) const MAX_EVIDENCE: usize = 64;

/// Of the runs that are not listed any more, those that are kept as witnesses.
const MAX_FOLDED: usize = 3;

/// The index of each run in the merged recording.
pub(in crate::recording) type Numbers = HashMap<RunId, u32>;

/// What is known of who did something.
#[derive(Clone, Debug, Default)]
struct Known {
    runs: BTreeSet<RunId>,
    first: Option<FirstAccess>,
}

/// A union of one kind.
#[derive(Clone, Debug)]
struct Union<T>(BTreeMap<T, BTreeMap<Actor, Known>>);

impl<T> Default for Union<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord> Union<T> {
    fn add(&mut self, seen: Vec<ObservedAccess<T>>, runs: &[RunId]) {
        for ObservedAccess { what, evidence } in seen {
            let who = self.0.entry(what).or_default();
            for witness in evidence {
                let key = (witness.phase, witness.executable, witness.call);
                let known = who.entry(key).or_default();
                let named = witness.instances.iter();
                known.runs.extend(named.map(|index| {
                    let run = runs.get(*index as usize);
                    run.copied().unwrap_or(RunId::UNKNOWN)
                }));
                known.first = earlier(known.first.take(), witness.first);
            }
        }
    }

    /// Throws away what will not be listed. Each limit keeps the first in an order that depends on
    /// nothing else, so that a part forgets nothing that the whole would keep.
    fn compact(&mut self, first_folded: Option<RunId>) {
        while self.0.len() > MAX_ACCESSES {
            self.0.pop_last();
        }
        for who in self.0.values_mut() {
            while who.len() > MAX_EVIDENCE {
                who.pop_last();
            }
            for ((phase, ..), known) in who {
                let listed = first_folded
                    .map_or(known.runs.len(), |first| known.runs.range(..first).count());
                let most = if *phase == Phase::Setup {
                    1
                } else {
                    listed + MAX_FOLDED
                };
                while known.runs.len() > most {
                    known.runs.pop_last();
                }
            }
        }
    }

    fn witnesses(&self) -> impl Iterator<Item = RunId> {
        let known = self.0.values().flat_map(BTreeMap::values);
        known.flat_map(|known| known.runs.iter().copied())
    }

    fn finish(self, numbers: &Numbers) -> Vec<ObservedAccess<T>> {
        let seen = self.0.into_iter().map(|(what, who)| ObservedAccess {
            what,
            evidence: who
                .into_iter()
                .map(|((phase, executable, call), known)| {
                    let mut instances: Vec<_> = known
                        .runs
                        .iter()
                        .filter_map(|run| numbers.get(run).copied())
                        .collect();
                    instances.sort_unstable();
                    AccessEvidence {
                        phase,
                        executable,
                        call,
                        instances,
                        first: known.first,
                    }
                })
                .collect(),
        });
        seen.collect()
    }
}

/// The union of all kinds.
#[derive(Clone, Debug, Default)]
pub(in crate::recording) struct AccessUnion {
    files: Union<FileUse>,
    capabilities: Union<CapabilityUse>,
    sockets: Union<SocketUse>,
    signals: Union<SignalUse>,
    traces: Union<TraceUse>,
    mounts: Union<MountUse>,
    selinux: Union<SelinuxUse>,
}

macro_rules! each {
    ($method:ident($($kind:ident)*)) => {$( $method!($kind); )*};
    ($method:ident) => { each!($method(files capabilities sockets signals traces mounts selinux)) };
}

impl AccessUnion {
    /// Takes the lists out of a recording, whose instances are `runs`. Returns whether it names one
    /// that is not among them.
    pub(in crate::recording) fn add(&mut self, recording: &mut Recording, runs: &[RunId]) -> bool {
        let mut unknown = false;
        macro_rules! add {
            ($kind:ident) => {
                let seen = std::mem::take(&mut recording.$kind);
                let mut named = seen
                    .iter()
                    .flat_map(|seen| &seen.evidence)
                    .flat_map(|witness| &witness.instances);
                unknown |= named.any(|index| *index as usize >= runs.len());
                self.$kind.add(seen, runs);
            };
        }
        each!(add);
        unknown
    }

    /// Throws away what will not be listed; runs from `first_folded` on are not.
    pub(in crate::recording) fn compact(&mut self, first_folded: Option<RunId>) {
        macro_rules! compact {
            ($kind:ident) => {
                self.$kind.compact(first_folded);
            };
        }
        each!(compact);
    }

    /// The runs that it names.
    pub(in crate::recording) fn witnesses(&self) -> BTreeSet<RunId> {
        let mut witnesses = BTreeSet::new();
        macro_rules! witnesses {
            ($kind:ident) => {
                witnesses.extend(self.$kind.witnesses());
            };
        }
        each!(witnesses);
        witnesses
    }

    /// Puts the lists into a recording whose instances have these numbers.
    pub(in crate::recording) fn finish(self, recording: &mut Recording, numbers: &Numbers) {
        macro_rules! finish {
            ($kind:ident) => {
                recording.$kind = self.$kind.finish(numbers);
            };
        }
        each!(finish);
    }
}
