//! Lists that grow while a recording is made.

use std::collections::BTreeMap;

use super::{
    AccessEvidence, CapabilityUse, FileUse, FirstAccess, MountUse, ObservedAccess, SelinuxUse,
    SignalUse, SocketUse, TraceUse,
};
use crate::recording::{Executable, Phase, SyscallId};

/// Who did something: everything of a [`AccessEvidence`] but instances and time.
pub type Actor = (Phase, Executable, Option<SyscallId>);

/// One thing that was seen, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRecord<T> {
    /// What.
    pub what: T,
    /// Index of the instance.
    pub instance: u32,
    /// Phase, executable and call.
    pub who: Actor,
    /// When, if it is known.
    pub first: Option<FirstAccess>,
}

/// What is new about something that was added to [`AccessRecords`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// The thing itself.
    Thing,
    /// Who did it.
    Actor,
    /// That it was done in this instance.
    Instance,
    /// Nothing.
    Nothing,
}

/// Instances by number, and the first time of each.
type Times = BTreeMap<u32, Option<FirstAccess>>;

/// A set of things that were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRecords<T>(pub(super) BTreeMap<T, BTreeMap<Actor, Times>>);

impl<T> Default for AccessRecords<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Clone> AccessRecords<T> {
    /// Adds one. Returns what is new about it.
    pub fn add(&mut self, one: AccessRecord<T>) -> Novelty {
        let who = self.0.entry(one.what).or_default();
        let is_new = who.is_empty();
        let times = who.entry(one.who).or_default();
        let (is_new_actor, instances) = (times.is_empty(), times.len());
        let known = times.entry(one.instance).or_default();
        *known = earlier(known.take(), one.first);
        let is_new_instance = times.len() > instances;
        match (is_new, is_new_actor, is_new_instance) {
            (true, ..) => Novelty::Thing,
            (_, true, _) => Novelty::Actor,
            (.., true) => Novelty::Instance,
            _ => Novelty::Nothing,
        }
    }

    /// What an instance did.
    pub fn of(&self, instance: u32) -> impl Iterator<Item = &T> {
        let is_its = move |who: &BTreeMap<Actor, Times>| {
            who.values().any(|times| times.contains_key(&instance))
        };
        self.0
            .iter()
            .filter(move |(_, who)| is_its(who))
            .map(|(what, _)| what)
    }

    /// Each different thing.
    pub fn things(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }

    /// Each thing that was done after the runtime had started the workload.
    pub fn in_program(&self) -> impl Iterator<Item = &T> {
        let is_program = |who: &BTreeMap<Actor, Times>| {
            who.keys()
                .any(|(phase, ..)| !matches!(phase, Phase::Setup | Phase::RuntimeInit))
        };
        self.0
            .iter()
            .filter(move |(_, who)| is_program(who))
            .map(|(what, _)| what)
    }

    /// How many different things there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn each(self) -> impl Iterator<Item = AccessRecord<T>> {
        self.0.into_iter().flat_map(|(what, who)| {
            who.into_iter().flat_map(move |(who, times)| {
                let what = what.clone();
                times
                    .into_iter()
                    .map(move |(instance, first)| AccessRecord {
                        what: what.clone(),
                        instance,
                        who: who.clone(),
                        first,
                    })
            })
        })
    }

    fn split(self, parts: usize, place: &impl Fn(u32) -> Option<(usize, u32)>) -> Vec<Self> {
        let mut split = vec![Self::default(); parts];
        for one in self.each() {
            let placed = place(one.instance)
                .and_then(|(part, instance)| split.get_mut(part).map(|part| (part, instance)));
            if let Some((part, instance)) = placed {
                part.add(AccessRecord { instance, ..one });
            }
        }
        split
    }

    fn copy(&self, number: &impl Fn(u32) -> Option<u32>) -> Self {
        let mut copy = BTreeMap::new();
        for (what, who) in &self.0 {
            let of_these: BTreeMap<_, _> = who
                .iter()
                .filter_map(|(who, times)| {
                    let times: Times = times
                        .iter()
                        .filter_map(|(instance, first)| Some((number(*instance)?, first.clone())))
                        .collect();
                    (!times.is_empty()).then(|| (who.clone(), times))
                })
                .collect();
            if !of_these.is_empty() {
                copy.insert(what.clone(), of_these);
            }
        }
        Self(copy)
    }

    fn forget(&mut self, instance: u32) {
        self.0.retain(|_, who| {
            who.retain(|_, times| {
                times.remove(&instance);
                !times.is_empty()
            });
            !who.is_empty()
        });
    }

    /// Keeps, of what runtimes did to prepare containers, the first instance's evidence.
    fn fold_setup(&mut self) {
        for who in self.0.values_mut() {
            for ((phase, ..), times) in who {
                while *phase == Phase::Setup && times.len() > 1 {
                    times.pop_last();
                }
            }
        }
    }

    /// The list for a recording.
    pub fn into_seen(self) -> Vec<ObservedAccess<T>> {
        self.0
            .into_iter()
            .map(|(what, who)| ObservedAccess {
                what,
                evidence: who.into_iter().map(witness).collect(),
            })
            .collect()
    }
}

fn witness(((phase, executable, call), times): (Actor, Times)) -> AccessEvidence {
    AccessEvidence {
        phase,
        executable,
        call,
        instances: times.keys().copied().collect(),
        first: times.into_values().fold(None, earlier),
    }
}

/// Of two times the earlier one; a known one before an unknown.
pub(super) fn earlier(a: Option<FirstAccess>, b: Option<FirstAccess>) -> Option<FirstAccess> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// All kinds together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accesses {
    /// Files.
    pub files: AccessRecords<FileUse>,
    /// Capabilities.
    pub capabilities: AccessRecords<CapabilityUse>,
    /// Sockets.
    pub sockets: AccessRecords<SocketUse>,
    /// Signals.
    pub signals: AccessRecords<SignalUse>,
    /// What needs a debugger's rights.
    pub traces: AccessRecords<TraceUse>,
    /// Mounts.
    pub mounts: AccessRecords<MountUse>,
    /// What the SELinux policy did not allow.
    pub selinux: AccessRecords<SelinuxUse>,
}

impl Accesses {
    /// How many different things there are.
    pub fn len(&self) -> usize {
        self.files.len()
            + self.capabilities.len()
            + self.sockets.len()
            + self.signals.len()
            + self.traces.len()
            + self.mounts.len()
            + self.selinux.len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parts of it: `place` tells of an instance which part it belongs to and its number there;
    /// what it does not place is left out.
    pub fn split(self, parts: usize, place: impl Fn(u32) -> Option<(usize, u32)>) -> Vec<Self> {
        let mut split = vec![Self::default(); parts];
        macro_rules! each {
            ($($kind:ident)*) => {$(
                for (part, uses) in split.iter_mut().zip(self.$kind.split(parts, &place)) {
                    part.$kind = uses;
                }
            )*};
        }
        each!(files capabilities sockets signals traces mounts selinux);
        split
    }

    /// A copy of what some instances did: `number` gives each of them its number in the copy.
    pub fn copy(&self, number: impl Fn(u32) -> Option<u32>) -> Self {
        let mut copy = Self::default();
        macro_rules! each {
            ($($kind:ident)*) => {$( copy.$kind = self.$kind.copy(&number); )*};
        }
        each!(files capabilities sockets signals traces mounts selinux);
        copy
    }

    /// Takes out what an instance did.
    pub fn forget(&mut self, instance: u32) {
        macro_rules! each {
            ($($kind:ident)*) => {$( self.$kind.forget(instance); )*};
        }
        each!(files capabilities sockets signals traces mounts selinux);
    }

    /// Keeps, of what runtimes did to prepare containers, only the first instance's evidence: it is
    /// in no profile, and the same each time.
    pub fn fold_setup(&mut self) {
        macro_rules! each {
            ($($kind:ident)*) => {$( self.$kind.fold_setup(); )*};
        }
        each!(files capabilities sockets signals traces mounts selinux);
    }
}
