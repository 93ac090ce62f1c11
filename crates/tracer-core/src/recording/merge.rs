//! One recording from many: replicas, nodes, versions, architectures.
//!
//! Merging is a set union, so it is commutative, associative and idempotent, byte for byte: the order of
//! recordings, merges of merges and a recording that is there twice change nothing. What cannot be
//! united without a choice (counters, details of one run that was recorded twice) takes the larger one.
//!
//! It also has to fit into memory, however many recordings there are. A union that forgets stays a
//! union when what is forgotten depends on nothing but the whole: so of each kind of thing that grows
//! with the number of recordings, the first N in a fixed order are kept, since what is not among the
//! first N of a part is not among the first N of the whole.
//!
//! | kept | at most |
//! | --- | --- |
//! | calls, phases, what a filter did | all: an observation is never dropped |
//! | combinations of arguments of a call in a phase | 64, and whether there were more |
//! | files, capabilities and the like, of each kind | 65,536 |
//! | who did each of them | 64 (phase, executable, call), with the first time and, of the instances that are not listed, 3 |
//! | hosts | all: there are as many as kernels, machines and versions of tracer |
//! | instances with all their evidence | 100, by their names' digests |
//! | evidence of the others, for each (call, phase, executable, blocked) | 3 instances |
//! | executables that only the others have, for each (call, phase, blocked) | 64 |
//! | names of all | 65,536, 8 bytes each |
//! | kinds of instance (image, security), reasons, commands, providers | 256, 256, 16, 256 |
//!
//! Three instances, since an estimate of what is unseen asks of each call whether one, two or
//! more instances made it: it is the same as if all evidence had been kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Blocked, Coverage, Discovery, Evidence, Executable, FirstSeen, Host, Instance, InstanceKind,
    Losses, Merged, Phase, Provider, Reason, Recording, RunId, SCHEMA, Syscall, SyscallId,
    Workload,
    access::{AccessUnion, Numbers},
    arguments::ArgumentSet,
    notes::notes,
    observations::earlier,
};

/// How much is kept of what grows with the number of recordings.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Instances that are listed.
    listed: usize,
    /// Of the others: those that are named as evidence for one thing.
    witnesses: usize,
    /// Executables that are told apart when only the others have them.
    executables: usize,
    /// Names of the others.
    runs: usize,
    /// Kinds of instance; see [`InstanceKind`].
    kinds: usize,
    /// Reasons against completeness; providers.
    reasons: usize,
    /// Commands.
    commands: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            listed: 100,
            witnesses: 3,
            executables: 64,
            runs: 1 << 16,
            kinds: 256,
            reasons: 256,
            commands: 16,
        }
    }
}

/// The one recording of all of `recordings`; `None` when there is none. Its workload has the first of
/// their names.
///
/// ```
/// use tracer_core::recording::merge::merge;
/// # let one = tracer_core::profile::seccomp::fixture::mixed();
/// # let other = tracer_core::profile::apparmor::fixture::web();
///
/// // The order makes no difference, and neither does repetition.
/// let merged = merge([one.clone(), other.clone()]);
/// assert_eq!(merged, merge([other.clone(), one.clone(), other]));
/// assert!(merge([]).is_none());
/// ```
pub fn merge(recordings: impl IntoIterator<Item = Recording>) -> Option<Recording> {
    let mut merge = Merge::default();
    for recording in recordings {
        merge.add(recording);
    }
    merge.finish()
}

/// A merge under way: takes one recording after the other.
#[derive(Clone, Debug, Default)]
pub struct Merge {
    limits: Limits,
    names: BTreeSet<String>,
    commands: BTreeSet<Vec<String>>,
    hosts: BTreeSet<Host>,
    /// Without details when it will not be listed.
    runs: BTreeMap<RunId, Option<Instance>>,
    uncounted: bool,
    kinds: BTreeSet<InstanceKind>,
    providers: BTreeSet<Provider>,
    calls: BTreeMap<SyscallId, Seen>,
    accesses: AccessUnion,
    reasons: BTreeSet<Reason>,
    losses: Losses,
    /// New instances since the last time that what is too much was thrown away.
    since_compacted: usize,
}

/// What is known of a call.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: Option<String>,
    phases: BTreeSet<Phase>,
    blocked: bool,
    arguments: ArgumentSet,
    who: BTreeMap<Actor, BTreeMap<RunId, Option<FirstSeen>>>,
}

/// Evidence, but for the instance.
type Actor = (Phase, Executable, Option<Blocked>);

impl Merge {
    /// Takes in a recording.
    pub fn add(&mut self, mut recording: Recording) {
        keep(
            &mut self.commands,
            recording.commands().cloned(),
            self.limits.commands,
        );
        self.hosts.extend(recording.hosts().cloned());
        keep(
            &mut self.names,
            [std::mem::take(&mut recording.workload.name)],
            1,
        );
        let mut runs = Vec::with_capacity(recording.instances.len());
        for instance in std::mem::take(&mut recording.instances) {
            runs.push(self.add_instance(instance, &recording.host));
        }
        if let Some(merged) = recording.merged.take() {
            keep(&mut self.kinds, merged.kinds, self.limits.kinds);
            self.uncounted |= merged.uncounted;
            for run in merged.folded {
                self.runs.entry(run).or_default();
                runs.push(run);
            }
        }
        if self.accesses.add(&mut recording, &runs) {
            self.runs.entry(RunId::UNKNOWN).or_default();
        }
        keep(
            &mut self.providers,
            recording.providers,
            self.limits.reasons,
        );
        for syscall in recording.syscalls {
            self.add_syscall(syscall, &runs);
        }
        // What follows from the counters follows again from the larger ones.
        let counted = recording.coverage.losses.reasons();
        let mut reasons = recording.coverage.reasons;
        reasons.retain(|reason| !counted.contains(reason));
        keep(&mut self.reasons, reasons, self.limits.reasons);
        self.losses = self.losses.most(recording.coverage.losses);
        if self.since_compacted > self.limits.listed {
            self.compact();
        }
    }

    fn add_instance(&mut self, mut instance: Instance, host: &Host) -> RunId {
        let host = instance.host.get_or_insert_with(|| host.clone()).clone();
        self.hosts.insert(host.clone());
        keep(
            &mut self.kinds,
            [InstanceKind::from_instance(&instance)],
            self.limits.kinds,
        );
        let run = RunId::from_instance(&instance, &host);
        let known = self.runs.entry(run).or_default();
        // The same run at two times: more was known at the later one.
        if known
            .as_ref()
            .is_none_or(|known| later(&instance) > later(known))
        {
            self.since_compacted += usize::from(known.is_none());
            *known = Some(instance);
        }
        run
    }

    fn add_syscall(&mut self, syscall: Syscall, runs: &[RunId]) {
        let arguments = ArgumentSet::from_syscall(&syscall);
        let seen = self.calls.entry(syscall.call()).or_default();
        // The table's name; a recording's only when it was made with a newer table.
        seen.name = match syscall.abi.syscall_name(syscall.nr) {
            Some(name) => Some(name.to_owned()),
            None => seen.name.take().into_iter().chain(syscall.name).min(),
        };
        seen.phases.extend(syscall.phases);
        seen.blocked |= syscall.blocked;
        seen.arguments.merge(arguments);
        for evidence in syscall.evidence {
            let run = runs.get(evidence.instance as usize).copied();
            let run = run.unwrap_or_else(|| {
                self.runs.entry(RunId::UNKNOWN).or_default();
                RunId::UNKNOWN
            });
            seen.add(
                (evidence.phase, evidence.executable, evidence.blocked),
                run,
                evidence.first,
            );
        }
    }

    /// Throws away what will not be listed.
    fn compact(&mut self) {
        self.since_compacted = 0;
        let limits = self.limits;
        for seen in self.calls.values_mut() {
            seen.fold_setup(&limits);
        }
        let first_folded = self.runs.keys().nth(self.limits.listed).copied();
        self.accesses.compact(first_folded);
        let Some(first_folded) = first_folded else {
            return;
        };
        for seen in self.calls.values_mut() {
            seen.fold(first_folded, &limits);
        }
        for (_, instance) in self.runs.range_mut(first_folded..) {
            *instance = None;
        }
        if let Some(first_uncounted) = self.runs.keys().nth(self.limits.runs).copied() {
            self.uncounted = true;
            let witnesses: BTreeSet<_> = self
                .calls
                .values()
                .flat_map(|seen| seen.who.values())
                .flat_map(|runs| runs.range(first_uncounted..).map(|(run, _)| *run))
                .chain(self.accesses.witnesses())
                .collect();
            self.runs
                .retain(|run, _| *run < first_uncounted || witnesses.contains(run));
        }
    }

    /// The recording, when there was any.
    pub fn finish(mut self) -> Option<Recording> {
        self.compact();
        let name = self.names.pop_first()?;
        let host = self.hosts.pop_first()?;
        let mut listed = Vec::new();
        let mut folded = Vec::new();
        for (run, instance) in self.runs {
            match instance {
                Some(instance) => listed.push((run, instance)),
                None => folded.push(run),
            }
        }
        listed.sort_by_cached_key(|(run, instance)| {
            let began: Option<Timestamp> = instance.began.parse().ok();
            (began, instance.cgroup.clone(), *run)
        });
        let runs = listed
            .iter()
            .map(|(run, _)| *run)
            .chain(folded.iter().copied());
        let numbers: Numbers = runs.zip(0..).collect();
        let instances: Vec<_> = listed
            .into_iter()
            .map(|(_, mut instance)| {
                instance.host = instance.host.filter(|its| *its != host);
                instance
            })
            .collect();

        let listed_kinds: BTreeSet<_> = instances.iter().map(InstanceKind::from_instance).collect();
        let mut commands = self.commands.into_iter();
        let workload = Workload {
            name,
            command: commands.next().unwrap_or_default(),
        };
        let merged = Merged {
            hosts: self.hosts.into_iter().collect(),
            commands: commands.collect(),
            folded,
            uncounted: self.uncounted,
            kinds: self.kinds.difference(&listed_kinds).cloned().collect(),
        };
        let mut recording = Recording {
            schema: SCHEMA.to_owned(),
            workload,
            host,
            instances,
            providers: self.providers.into_iter().collect(),
            syscalls: self
                .calls
                .into_iter()
                .map(|(call, seen)| seen.into_syscall(call, &numbers))
                .collect(),
            files: Vec::new(),
            capabilities: Vec::new(),
            sockets: Vec::new(),
            signals: Vec::new(),
            traces: Vec::new(),
            mounts: Vec::new(),
            selinux: Vec::new(),
            coverage: Coverage::new(self.reasons.into_iter().collect(), self.losses),
            merged: Some(merged).filter(|merged| !merged.is_empty()),
        };
        self.accesses.finish(&mut recording, &numbers);
        recording.coverage.notes = notes(&recording);
        recording.coverage.discovery = Some(Discovery::from_recording(&recording));
        Some(recording)
    }
}

impl Seen {
    fn add(&mut self, who: Actor, run: RunId, first: Option<FirstSeen>) {
        let known = self.who.entry(who).or_default().entry(run).or_default();
        *known = earlier(known.take(), first);
    }

    /// Keeps, of what runtimes did to prepare containers, one instance's evidence: it is in no profile,
    /// and the same each time.
    fn fold_setup(&mut self, limits: &Limits) {
        let mut first = BTreeMap::<_, usize>::new();
        let mut others = Vec::new();
        self.who.retain(|(phase, executable, blocked), runs| {
            if *phase != Phase::Setup {
                return true;
            }
            while runs.len() > 1 {
                runs.pop_last();
            }
            if *executable == Executable::Unknown {
                return true;
            }
            let so_far = first.entry(*blocked).or_default();
            *so_far += 1;
            if *so_far > limits.executables {
                others.extend(runs.keys().map(|run| (*blocked, *run)));
            }
            *so_far <= limits.executables
        });
        for (blocked, run) in others {
            let who = (Phase::Setup, Executable::Unknown, blocked);
            self.add(who.clone(), run, None);
            if let Some(runs) = self.who.get_mut(&who) {
                while runs.len() > 1 {
                    runs.pop_last();
                }
            }
        }
    }

    /// Keeps, of the instances from `first_folded` on, what [`Limits`] says.
    fn fold(&mut self, first_folded: RunId, limits: &Limits) {
        let mut so_far = BTreeMap::<_, usize>::new();
        let mut others = Vec::new();
        for ((phase, executable, blocked), runs) in &mut self.who {
            let folded = runs.range(first_folded..).count();
            if *phase == Phase::Setup || *executable == Executable::Unknown || folded == 0 {
                continue;
            }
            let so_far = so_far.entry((*phase, *blocked)).or_default();
            *so_far += 1;
            if *so_far > limits.executables {
                let runs = runs.split_off(&first_folded).into_keys();
                others.extend(runs.map(|run| ((*phase, Executable::Unknown, *blocked), run)));
            }
        }
        for (who, run) in others {
            // Not when: of several executables it would be one or the other's.
            self.add(who, run, None);
        }
        self.who.retain(|_, runs| !runs.is_empty());
        for runs in self.who.values_mut() {
            let most = runs.range(..first_folded).count() + limits.witnesses;
            while runs.len() > most {
                runs.pop_last();
            }
        }
    }

    fn into_syscall(self, call: SyscallId, numbers: &Numbers) -> Syscall {
        let mut evidence: Vec<_> = self
            .who
            .into_iter()
            .flat_map(|((phase, executable, blocked), runs)| {
                runs.into_iter().filter_map(move |(run, first)| {
                    Some(Evidence {
                        instance: *numbers.get(&run)?,
                        phase,
                        executable: executable.clone(),
                        blocked,
                        first,
                    })
                })
            })
            .collect();
        // Stable: within an instance it is in the order of phase, executable, blocked already.
        evidence.sort_by_key(|evidence| evidence.instance);
        Syscall {
            abi: call.abi,
            nr: call.nr,
            name: self.name,
            phases: self.phases,
            blocked: self.blocked,
            arguments: self.arguments.finish(),
            evidence,
        }
    }
}

/// Adds to a set, of which the first `most` are kept.
fn keep<T: Ord>(set: &mut BTreeSet<T>, more: impl IntoIterator<Item = T>, most: usize) {
    for one in more {
        if set.len() < most || set.last().is_some_and(|last| one < *last) {
            set.insert(one);
        }
        if set.len() > most {
            set.pop_last();
        }
    }
}

/// The order of what was known of a run: by the end of its recording, and total.
fn later(instance: &Instance) -> (Option<Timestamp>, &Instance) {
    (instance.ended.parse().ok(), instance)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
