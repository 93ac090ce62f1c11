//! From single observations to the list of a recording.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use syscalls::arguments::RECORDABLE_ARGUMENTS;

use super::{
    Arguments, Blocked, Evidence, Executable, FirstSeen, Phase, Syscall, SyscallId,
    arguments::ArgumentSet, estimate::Incidence,
};
use syscalls::arguments;

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The call.
    pub call: SyscallId,
    /// Index of the instance.
    pub instance: u32,
    /// The phase.
    pub phase: Phase,
    /// The executable.
    pub executable: Executable,
    /// What the program saw, when a filter stopped the call.
    pub blocked: Option<Blocked>,
    /// The first time, if it is known.
    pub first: Option<FirstSeen>,
}

/// The values that a call was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedArguments {
    /// The call.
    pub call: SyscallId,
    /// Index of the instance.
    pub instance: u32,
    /// The phase.
    pub phase: Phase,
    /// The executable.
    pub executable: Executable,
    /// The first arguments, under their masks; `None` when there was something that was not kept.
    pub values: Option<[u64; RECORDABLE_ARGUMENTS]>,
}

/// Who gave the values: instance, phase, executable.
type Caller = (u32, Phase, Executable);

/// As in [`ObservedArguments::values`].
type Values = BTreeSet<Option<[u64; RECORDABLE_ARGUMENTS]>>;

/// Who made a call, and whether a filter stopped it: instance, phase, executable, blocked.
type Actor = (u32, Phase, Executable, Option<Blocked>);

/// A set of observations: adding is commutative, associative and idempotent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    calls: BTreeMap<SyscallId, BTreeMap<Actor, Option<FirstSeen>>>,
    arguments: BTreeMap<SyscallId, BTreeMap<Caller, Values>>,
}

impl Observations {
    /// Adds one. Of two first times the earlier one stays; a known one stays before an unknown.
    /// Returns whether it was not known before.
    pub fn add(&mut self, observation: Observation) -> bool {
        let who = (
            observation.instance,
            observation.phase,
            observation.executable,
            observation.blocked,
        );
        match self.calls.entry(observation.call).or_default().entry(who) {
            Entry::Vacant(place) => {
                place.insert(observation.first);
                true
            }
            Entry::Occupied(mut known) => {
                let first = known.get_mut();
                *first = earlier(first.take(), observation.first);
                false
            }
        }
    }

    /// Adds the values that a call was given. Returns whether they were not known before.
    pub fn add_arguments(&mut self, given: ObservedArguments) -> bool {
        let giver = (given.instance, given.phase, given.executable);
        self.arguments
            .entry(given.call)
            .or_default()
            .entry(giver)
            .or_default()
            .insert(given.values)
    }

    /// Takes in another set.
    pub fn merge(&mut self, other: Self) {
        for (call, who) in other.calls {
            let known = self.calls.entry(call).or_default();
            for (actor, first) in who {
                let at = known.entry(actor).or_default();
                *at = earlier(at.take(), first);
            }
        }
        for (call, givers) in other.arguments {
            let known = self.arguments.entry(call).or_default();
            for (giver, values) in givers {
                known.entry(giver).or_default().extend(values);
            }
        }
    }

    /// How many different calls there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether a call was seen, by anyone.
    pub fn contains(&self, call: SyscallId) -> bool {
        self.calls.contains_key(&call)
    }

    /// Parts of it: `place` tells of an instance which part it belongs to and its number there;
    /// what it does not place is left out.
    pub fn split(self, parts: usize, place: impl Fn(u32) -> Option<(usize, u32)>) -> Vec<Self> {
        let mut split = vec![Self::default(); parts];
        for (call, who) in self.calls {
            for ((instance, phase, executable, blocked), first) in who {
                let placed = place(instance)
                    .and_then(|(part, instance)| split.get_mut(part).map(|part| (part, instance)));
                if let Some((part, instance)) = placed {
                    part.add(Observation {
                        call,
                        instance,
                        phase,
                        executable,
                        blocked,
                        first,
                    });
                }
            }
        }
        for (call, givers) in self.arguments {
            for ((instance, phase, executable), values) in givers {
                let placed = place(instance)
                    .and_then(|(part, instance)| split.get_mut(part).map(|part| (part, instance)));
                if let Some((part, instance)) = placed {
                    let giver = (instance, phase, executable);
                    let known = part.arguments.entry(call).or_default();
                    known.entry(giver).or_default().extend(values);
                }
            }
        }
        split
    }

    /// A copy of what some instances did: `number` gives each of them its number in the copy.
    pub fn copy(&self, number: impl Fn(u32) -> Option<u32>) -> Self {
        let mut copy = Self::default();
        for (call, who) in &self.calls {
            let of_these: BTreeMap<_, _> = who
                .iter()
                .filter_map(|((instance, phase, executable, blocked), first)| {
                    let who = (number(*instance)?, *phase, executable.clone(), *blocked);
                    Some((who, first.clone()))
                })
                .collect();
            if !of_these.is_empty() {
                copy.calls.insert(*call, of_these);
            }
        }
        for (call, givers) in &self.arguments {
            let of_these: BTreeMap<_, _> = givers
                .iter()
                .filter_map(|((instance, phase, executable), values)| {
                    let giver = (number(*instance)?, *phase, executable.clone());
                    Some((giver, values.clone()))
                })
                .collect();
            if !of_these.is_empty() {
                copy.arguments.insert(*call, of_these);
            }
        }
        copy
    }

    /// Takes out what an instance did.
    pub fn forget(&mut self, instance: u32) {
        self.calls.retain(|_, who| {
            let its: Vec<Actor> = actors_of(who, instance).cloned().collect();
            for actor in its {
                who.remove(&actor);
            }
            !who.is_empty()
        });
        self.arguments.retain(|_, givers| {
            let first = (instance, Phase::Setup, Executable::Path(String::new()));
            let its = givers.range(first..).map(|(giver, _)| giver);
            let its: Vec<Caller> = its
                .take_while(|(of, ..)| *of == instance)
                .cloned()
                .collect();
            for giver in its {
                givers.remove(&giver);
            }
            !givers.is_empty()
        });
    }

    /// Keeps, of what runtimes did to prepare containers, only the first instance's evidence for
    /// each call: it is in no profile, and the same each time.
    pub fn fold_setup(&mut self) {
        for who in self.calls.values_mut() {
            let mut told = BTreeSet::new();
            who.retain(|(_, phase, executable, blocked), _| {
                *phase != Phase::Setup || told.insert((executable.clone(), *blocked))
            });
        }
    }

    /// In how many of these instances each call was seen.
    pub fn incidence(&self, instances: &BTreeSet<u32>) -> Incidence {
        let seen = self.calls.iter().flat_map(|(call, who)| {
            who.keys()
                .map(|(instance, phase, _, blocked)| (*call, *instance, *phase, blocked.is_some()))
        });
        let seen = seen.filter(|(_, instance, ..)| instances.contains(instance));
        Incidence::new(instances.len() as u64, seen)
    }

    /// Whether an instance did anything in a phase.
    pub fn has(&self, instance: u32, phase: Phase) -> bool {
        self.calls
            .values()
            .flat_map(|who| actors_of(who, instance))
            .any(|(_, in_phase, ..)| *in_phase == phase)
    }

    /// Whether an instance tried a call.
    pub fn attempted(&self, instance: u32, call: SyscallId) -> bool {
        self.calls
            .get(&call)
            .is_some_and(|who| actors_of(who, instance).next().is_some())
    }

    /// The list for a recording, in the order of (ABI, number).
    pub fn into_syscalls(self) -> Vec<Syscall> {
        let Self { calls, arguments } = self;
        let none = BTreeMap::new();
        calls
            .into_iter()
            .map(|(call, who)| Syscall {
                abi: call.abi,
                nr: call.nr,
                name: call.abi.syscall_name(call.nr).map(str::to_owned),
                phases: who
                    .keys()
                    .map(|(_, phase, ..)| *phase)
                    .collect::<BTreeSet<_>>(),
                blocked: who.keys().any(|(.., blocked)| blocked.is_some()),
                arguments: given(call, &who, arguments.get(&call).unwrap_or(&none)),
                evidence: who
                    .into_iter()
                    .map(|((instance, phase, executable, blocked), first)| Evidence {
                        instance,
                        phase,
                        executable,
                        blocked,
                        first,
                    })
                    .collect(),
            })
            .collect()
    }
}

/// Who made a call in one instance. Found by their order, so that it takes no longer with more instances.
fn actors_of(
    who: &BTreeMap<Actor, Option<FirstSeen>>,
    instance: u32,
) -> impl Iterator<Item = &Actor> {
    // The least of all that an instance can have.
    let first = (
        instance,
        Phase::Setup,
        Executable::Path(String::new()),
        None,
    );
    who.range(first..)
        .map(|(actor, _)| actor)
        .take_while(move |(of, ..)| *of == instance)
}

/// The values that a call was given, where they are recorded. Whoever is known to have made it, and not
/// with which values, is a gap, and is told.
fn given(
    call: SyscallId,
    who: &BTreeMap<Actor, Option<FirstSeen>>,
    givers: &BTreeMap<Caller, Values>,
) -> Option<Arguments> {
    let recorded = arguments::recorded(call.abi, call.abi.syscall_name(call.nr)?)?;
    let made = || who.keys().filter(|(.., blocked)| blocked.is_none());
    made().next()?;
    let mut set = ArgumentSet::new(recorded.indices());
    for (instance, phase, executable, _) in made() {
        let giver = (*instance, *phase, executable.clone());
        let Some(values) = givers.get(&giver) else {
            set.cut(*phase);
            continue;
        };
        for values in values {
            match values {
                Some(values) => {
                    set.add(*phase, recorded.select_values(*values), executable.clone())
                }
                None => set.cut(*phase),
            }
        }
    }
    set.finish()
}

/// Of two first times the earlier one; a known one before an unknown.
pub(super) fn earlier(a: Option<FirstSeen>, b: Option<FirstSeen>) -> Option<FirstSeen> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if order(&b) < order(&a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Total, so that the result does not depend on the order of adding.
fn order(first: &FirstSeen) -> (u64, u32, u32, &str, &[u64; 6]) {
    (
        first.after_ns,
        first.pid,
        first.tid,
        &first.comm,
        &first.args,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::seccomp::fixture;
    use syscalls::Abi;

    fn observation() -> impl Strategy<Value = Observation> {
        let first = (0u64..4, 0u32..3).prop_map(|(after_ns, pid)| FirstSeen {
            after_ns,
            pid,
            tid: pid,
            comm: "c".to_owned(),
            args: [0; 6],
        });
        (0u32..3, 0u32..2, 0u8..3, proptest::option::of(first)).prop_map(
            |(nr, instance, exe, first)| Observation {
                call: SyscallId {
                    abi: Abi::X86_64,
                    nr,
                },
                instance,
                phase: Phase::Run,
                executable: match exe {
                    0 => Executable::Launcher,
                    1 => Executable::Unknown,
                    _ => Executable::Path("/bin/x".to_owned()),
                },
                blocked: (exe == 1).then_some(Blocked::Errno(1)),
                first,
            },
        )
    }

    fn all(observations: impl IntoIterator<Item = Observation>) -> Observations {
        let mut all = Observations::default();
        for observation in observations {
            all.add(observation);
        }
        all
    }

    proptest! {
        /// The ring and the marks tell the same things in any order, and more than once.
        #[test]
        fn adding_is_commutative_and_idempotent(
            observations in proptest::collection::vec(observation(), 0..20)
        ) {
            let forward = all(observations.clone());
            let backward = all(observations.iter().rev().cloned());
            let twice = all(observations.iter().chain(&observations).cloned());
            prop_assert_eq!(&forward, &backward);
            prop_assert_eq!(forward, twice);
        }

        /// The parts of a split, taken together, are the whole again.
        #[test]
        fn merge_is_the_inverse_of_split(
            observations in proptest::collection::vec(observation(), 0..20)
        ) {
            let whole = all(observations);
            let parts = whole.clone().split(2, |instance| Some((instance as usize, instance)));
            let mut united = Observations::default();
            parts.into_iter().rev().for_each(|part| united.merge(part));
            prop_assert_eq!(united, whole);
        }

        /// A copy of some instances is what a split of a clone would give.
        #[test]
        fn copy_of_some_instances_is_their_part(
            observations in proptest::collection::vec(observation(), 0..20)
        ) {
            let whole = all(observations);
            let number = |instance: u32| (instance == 1).then_some(0);
            let part = whole.clone().split(1, |instance| Some((0, number(instance)?)));
            prop_assert_eq!(Some(&whole.copy(number)), part.first());
        }

        /// What is estimated while it is recorded is what is estimated of the recording.
        #[test]
        fn incidence_matches_the_recording(
            observations in proptest::collection::vec(observation(), 0..20)
        ) {
            let whole = all(observations);
            let mut recording = fixture::recording(&[]);
            recording.instances.push(recording.instances[0].clone());
            recording.syscalls = whole.clone().into_syscalls();
            prop_assert_eq!(whole.incidence(&(0..2).collect()), Incidence::from_recording(&recording));
        }

        /// Parts hold what their instances did, and nothing else.
        #[test]
        fn parts_add_up_to_the_whole(observations in proptest::collection::vec(observation(), 0..20)) {
            let whole = all(observations);
            let parts = whole.clone().split(2, |instance| Some((instance as usize, 0)));
            let mut again = Observations::default();
            for (instance, part) in (0..).zip(parts) {
                for (call, who) in part.calls {
                    for ((zero, phase, executable, blocked), first) in who {
                        prop_assert_eq!(zero, 0);
                        again.add(Observation { call, instance, phase, executable, blocked, first });
                    }
                }
            }
            prop_assert_eq!(&whole, &again);
            // And what is forgotten is as if it had never been.
            let mut without = whole.clone();
            without.forget(0);
            let kept = whole.split(1, |instance| (instance == 1).then_some((0, 1)));
            prop_assert_eq!(vec![without], kept);
        }
    }
}
