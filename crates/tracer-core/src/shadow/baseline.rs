//! What an accepted recording has: all else is drift.

use std::collections::{BTreeMap, BTreeSet};

use super::{ObservedCall, ObservedThing};
use crate::{
    profile::{
        apparmor::{AppArmorProfile, Options, Permissions},
        seccomp::ExecPolicy,
    },
    recording::{
        CapabilityUse, FileAccess, FileUse, MountUse, ObservationKind, Phase, Recording, SignalUse,
        SyscallId, TraceUse,
    },
};

/// What a workload did when it was recorded.
///
/// Calls, argument values, capabilities, kinds of socket, signals and mounts are compared as they are. Paths
/// are compared with the rules of the AppArmor profile that the recording makes: process ids and temporary
/// names differ in each run.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Values by call; `None` among them: not all are known.
    calls: BTreeMap<SyscallId, BTreeSet<Option<Vec<u64>>>>,
    files: Option<AppArmorProfile>,
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
        for syscall in &recording.syscalls {
            let mut made = syscall.evidence.iter();
            if !made.any(|it| it.blocked.is_none() && it.phase != Phase::Setup) {
                continue;
            }
            let values = calls.entry(syscall.call()).or_default();
            if let Some(arguments) = &syscall.arguments {
                values.extend(arguments.seen.iter().map(|it| Some(it.values.clone())));
                values.extend(arguments.cut.iter().map(|_| None));
            }
        }
        let options = Options {
            exec: ExecPolicy::All,
            ..Options::default()
        };
        let profile = AppArmorProfile::from_recordings(std::slice::from_ref(recording), &options);
        Self {
            calls,
            files: profile,
            capabilities: recording.capabilities.iter().map(|it| it.what).collect(),
            sockets: recording
                .sockets
                .iter()
                .map(|it| (it.what.family, it.what.kind))
                .collect(),
            signals: recording.signals.iter().map(|it| it.what).collect(),
            traces: recording.traces.iter().map(|it| it.what).collect(),
            mounts: recording.mounts.iter().map(|it| it.what.clone()).collect(),
            observed: recording.providers.iter().map(|it| it.kind).collect(),
        }
    }

    /// Kinds that it did not observe, and of which nothing is drift.
    pub fn not_observed(&self) -> impl Iterator<Item = ObservationKind> + '_ {
        const KINDS: [ObservationKind; 7] = [
            ObservationKind::Syscalls,
            ObservationKind::Files,
            ObservationKind::Capabilities,
            ObservationKind::Sockets,
            ObservationKind::Signals,
            ObservationKind::Traces,
            ObservationKind::Mounts,
        ];
        KINDS
            .into_iter()
            .filter(|kind| !self.observed.contains(kind))
    }

    /// Whether the recording has a thing, or could not have it. The second value: whether it is new by its
    /// arguments alone.
    pub(super) fn is_new(&self, thing: &ObservedThing) -> Option<NewBy> {
        if !self.observed.contains(&thing.kind()) {
            return None;
        }
        let is_known = match thing {
            ObservedThing::Call(call) => return self.call(call),
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

    fn call(&self, call: &ObservedCall) -> Option<NewBy> {
        // One that is stopped was not made.
        if call.blocked.is_some() {
            return None;
        }
        let Some(known) = self.calls.get(&call.call) else {
            return Some(NewBy::Itself);
        };
        let values = call.values.as_ref()?;
        let is_known = known.is_empty()
            || known.contains(&None)
            || known.iter().flatten().any(|known| known == values);
        (!is_known).then_some(NewBy::Arguments)
    }

    fn has_file(&self, file: &FileUse) -> bool {
        // Of a path that is not whole nothing can be said.
        let Some(profile) = &self.files else {
            return true;
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
