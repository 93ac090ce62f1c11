//! What an accepted recording has: all else is drift.

use std::collections::{BTreeMap, BTreeSet};

use super::{ObservedCall, ObservedThing};
use crate::{
    profile::{
        apparmor::{AppArmorProfile, Options, Permissions},
        seccomp::ExecPolicy,
    },
    recording::{
        CapabilityUse, FileAccess, FileUse, MountUse, ObservationKind, ObservedAccess, Phase,
        Recording, SignalUse, SyscallId, TraceUse,
    },
};

/// The phases in which the workload and what was put into its container are at work.
const WORKLOAD: [Phase; 3] = [Phase::Run, Phase::Exec, Phase::Terminal];

/// The kinds that are compared.
const KINDS: [ObservationKind; 7] = [
    ObservationKind::Syscalls,
    ObservationKind::Files,
    ObservationKind::Capabilities,
    ObservationKind::Sockets,
    ObservationKind::Signals,
    ObservationKind::Traces,
    ObservationKind::Mounts,
];

/// What was observed of the workload, and not of the runtime that starts it.
fn of_workload<T>(all: &[ObservedAccess<T>]) -> impl Iterator<Item = &T> {
    all.iter()
        .filter(|it| it.is_in(&WORKLOAD))
        .map(|it| &it.what)
}

/// What a workload did when it was recorded.
///
/// Calls, argument values, capabilities, kinds of socket, signals and mounts are compared as they are. Paths
/// are compared with the rules of the AppArmor profile that the recording makes: process ids and temporary
/// names differ in each run.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Values by call that the workload made; `None` among them: not all are known.
    calls: BTreeMap<SyscallId, BTreeSet<Option<Vec<u64>>>>,
    /// What the container runtime called before it started the workload.
    runtime_init: BTreeSet<SyscallId>,
    files: Option<AppArmorProfile>,
    /// Whether the workload does nothing at all, so that every file is new.
    does_nothing: bool,
    capabilities: BTreeSet<CapabilityUse>,
    sockets: BTreeSet<(u16, u16)>,
    signals: BTreeSet<SignalUse>,
    traces: BTreeSet<TraceUse>,
    mounts: BTreeSet<MountUse>,
    observed: BTreeSet<ObservationKind>,
}

impl Baseline {
    /// The baseline of a recording.
    pub fn new(recording: &Recording) -> Self {
        let mut calls: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut runtime_init = BTreeSet::new();
        for syscall in &recording.syscalls {
            let made = syscall.evidence.iter().filter(|it| it.blocked.is_none());
            let phases: BTreeSet<_> = made.map(|it| it.phase).collect();
            if phases.contains(&Phase::RuntimeInit) {
                runtime_init.insert(syscall.call());
            }
            if !WORKLOAD.iter().any(|phase| phases.contains(phase)) {
                continue;
            }
            let values = calls.entry(syscall.call()).or_default();
            if let Some(arguments) = &syscall.arguments {
                let seen = arguments.seen.iter();
                let seen = seen.filter(|it| WORKLOAD.contains(&it.phase));
                values.extend(seen.map(|it| Some(it.values.clone())));
                let cut = arguments.cut.iter().filter(|it| WORKLOAD.contains(it));
                values.extend(cut.map(|_| None));
            }
        }
        let options = Options {
            exec: ExecPolicy::All,
            ..Options::default()
        };
        let profile = AppArmorProfile::from_recordings(std::slice::from_ref(recording), &options);
        Self {
            calls,
            runtime_init,
            files: profile,
            does_nothing: false,
            capabilities: of_workload(&recording.capabilities).copied().collect(),
            sockets: of_workload(&recording.sockets)
                .map(|it| (it.family, it.kind))
                .collect(),
            signals: of_workload(&recording.signals).copied().collect(),
            traces: of_workload(&recording.traces).copied().collect(),
            mounts: of_workload(&recording.mounts).cloned().collect(),
            observed: recording.providers.iter().map(|it| it.kind).collect(),
        }
    }

    /// Of a workload that does nothing: all that it does is new.
    pub fn nothing() -> Self {
        Self {
            calls: BTreeMap::new(),
            runtime_init: BTreeSet::new(),
            files: None,
            does_nothing: true,
            capabilities: BTreeSet::new(),
            sockets: BTreeSet::new(),
            signals: BTreeSet::new(),
            traces: BTreeSet::new(),
            mounts: BTreeSet::new(),
            observed: KINDS.into_iter().collect(),
        }
    }

    /// Kinds that it did not observe, and of which nothing is drift.
    pub fn not_observed(&self) -> impl Iterator<Item = ObservationKind> + '_ {
        KINDS
            .into_iter()
            .filter(|kind| !self.observed.contains(kind))
    }

    /// Whether the recording has a thing, or could not have it. The second value: whether it is new by its
    /// arguments alone.
    pub(super) fn is_new(&self, thing: &ObservedThing, phase: Phase) -> Option<NewBy> {
        if !self.observed.contains(&thing.kind()) {
            return None;
        }
        let is_known = match thing {
            ObservedThing::Call(call) => return self.call(call, phase),
            ObservedThing::File(file) => self.has_file(file),
            ObservedThing::Capability(used) => {
                // How it was used, and for whom it was checked, is no news.
                let same = |it: &&CapabilityUse| it.capability == used.capability;
                let mut same = self.capabilities.iter().filter(same);
                used.audited == Some(false)
                    || same.any(|it| it.audited != Some(false) || used.own_namespace)
            }
            ObservedThing::Socket(socket) => self.sockets.contains(&(socket.family, socket.kind)),
            ObservedThing::Signal(signal) => self.signals.contains(signal),
            ObservedThing::Trace(trace) => self.traces.contains(trace),
            ObservedThing::Mount(mount) => self.mounts.contains(mount),
        };
        (!is_known).then_some(NewBy::Itself)
    }

    fn call(&self, call: &ObservedCall, phase: Phase) -> Option<NewBy> {
        // One that is stopped was not made.
        if call.blocked.is_some() {
            return None;
        }
        // The runtime's own calls allow the workload nothing.
        if phase == Phase::RuntimeInit && self.runtime_init.contains(&call.call) {
            return None;
        }
        let Some(known) = self.calls.get(&call.call) else {
            return Some(NewBy::Itself);
        };
        let Some(values) = &call.values else {
            // More values than are told apart, where the recording has all: one of them is new.
            let is_more = call.is_cut && !known.is_empty() && !known.contains(&None);
            return is_more.then_some(NewBy::Arguments);
        };
        let is_known = known.is_empty()
            || known.contains(&None)
            || known.iter().flatten().any(|known| known == values);
        (!is_known).then_some(NewBy::Arguments)
    }

    fn has_file(&self, file: &FileUse) -> bool {
        // Of a path that is not whole nothing can be said.
        let Some(profile) = &self.files else {
            return !self.does_nothing;
        };
        // Nor of a directory that stands for more files, which were told one by one before.
        if file.detached || file.truncated || file.more {
            return true;
        }
        let needed = match file.access {
            FileAccess::Execute => Permissions::EXECUTE,
            FileAccess::Link => return !profile.links_for(&file.path).is_empty(),
            access => Permissions::needed_by(access),
        };
        profile.allows(&file.path, needed, file.owned)
    }
}

/// What is new of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewBy {
    /// The thing.
    Itself,
    /// Its arguments.
    Arguments,
}
