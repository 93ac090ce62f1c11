//! Recordings of schema v1, which held English sentences where v2 holds codes.
//!
//! A v1 file is read with the same checks as ever and becomes a [`super::Recording`]. A sentence that
//! tracer wrote becomes its code; any other one is kept as it is, in the code `other`. Parts that did
//! not change between the versions are read as the types of v2.

mod container;
mod sentences;

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{
    Blocked, CapabilityUse, Executable, FileUse, FirstAccess, FirstSeen, Host, Losses, MountUse,
    NoteCode, ObservationKind, ReasonCode, RunId, SignalUse, SocketUse, Source, SyscallId,
    TraceUse, Workload,
    arguments::{InvalidArguments, Unchecked},
    estimate::Unseen,
    model::{ByCall, unique_syscalls},
    notes::notes,
};
use container::Container;
use syscalls::Abi;

/// The `schema` of these recordings.
pub(super) const SCHEMA: &str = "tracer.recording/v1";

/// A recording of schema v1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recording {
    /// Always [`SCHEMA`]; whoever reads one has looked.
    #[expect(dead_code, reason = "a field of the file, which must be there")]
    schema: String,
    workload: Workload,
    host: Host,
    instances: Vec<Instance>,
    providers: Vec<Provider>,
    #[serde(deserialize_with = "unique_syscalls")]
    syscalls: Vec<Syscall>,
    #[serde(default)]
    files: Vec<ObservedAccess<FileUse>>,
    #[serde(default)]
    capabilities: Vec<ObservedAccess<CapabilityUse>>,
    #[serde(default)]
    sockets: Vec<ObservedAccess<SocketUse>>,
    #[serde(default)]
    signals: Vec<ObservedAccess<SignalUse>>,
    #[serde(default)]
    traces: Vec<ObservedAccess<TraceUse>>,
    #[serde(default)]
    mounts: Vec<ObservedAccess<MountUse>>,
    coverage: Coverage,
    #[serde(default)]
    merged: Option<Merged>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Instance {
    source: Source,
    #[serde(default)]
    host: Option<Host>,
    cgroup: String,
    began: String,
    ended: String,
    start_observed: bool,
    container: Option<Container>,
    calls: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    kind: ObservationKind,
    provider: String,
    cannot_see: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Syscall {
    abi: Abi,
    nr: u32,
    name: Option<String>,
    phases: BTreeSet<Phase>,
    blocked: bool,
    #[serde(default)]
    arguments: Option<Arguments>,
    evidence: Vec<Evidence>,
}

/// The same as of v2, with the old name of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Setup,
    #[serde(rename = "window")]
    RuntimeInit,
    Run,
    Exec,
    Terminal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    instance: u32,
    phase: Phase,
    executable: Executable,
    blocked: Option<Blocked>,
    first: Option<FirstSeen>,
}

/// Checked as those of v2 are, with the error where they end.
#[derive(Deserialize)]
#[serde(try_from = "UncheckedArguments")]
struct Arguments(super::Arguments);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedArguments {
    indices: Vec<u32>,
    seen: Vec<Combination>,
    cut: BTreeSet<Phase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Combination {
    phase: Phase,
    values: Vec<u64>,
    executables: BTreeSet<Executable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObservedAccess<T> {
    what: T,
    evidence: Vec<AccessEvidence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessEvidence {
    phase: Phase,
    executable: Executable,
    #[serde(default)]
    call: Option<SyscallId>,
    instances: Vec<u32>,
    #[serde(default)]
    first: Option<FirstAccess>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coverage {
    complete: bool,
    reasons: Vec<Sentence<ReasonCode>>,
    losses: Losses,
    #[serde(default)]
    notes: Vec<Sentence<NoteCode>>,
    #[serde(default)]
    discovery: Option<Discovery>,
}

/// A code for programs, and a sentence for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentence<Code> {
    code: Code,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discovery {
    calls: u64,
    instances: u64,
    in_one: u64,
    in_two: u64,
    recorded_s: Option<u64>,
    quiet_s: Option<u64>,
    unseen: Estimate,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Estimate {
    Chao2(Unseen),
    Refused(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merged {
    hosts: Vec<Host>,
    commands: Vec<Vec<String>>,
    folded: Vec<RunId>,
    uncounted: bool,
    kinds: Vec<InstanceKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceKind {
    source: Source,
    start_observed: bool,
    container: Option<Container>,
}

impl From<Recording> for super::Recording {
    fn from(old: Recording) -> Self {
        let mut new = Self {
            schema: super::SCHEMA.to_owned(),
            workload: old.workload,
            host: old.host,
            instances: all(old.instances),
            providers: all(old.providers),
            syscalls: all(old.syscalls),
            files: all(old.files),
            capabilities: all(old.capabilities),
            sockets: all(old.sockets),
            signals: all(old.signals),
            traces: all(old.traces),
            mounts: all(old.mounts),
            selinux: Vec::new(),
            coverage: super::Coverage::default(),
            merged: old.merged.map(Into::into),
        };
        // The notes of a merged recording follow from the rest of it.
        new.coverage = old.coverage.convert(&notes(&new));
        new
    }
}

/// Each of a list as what it is in v2.
fn all<New, List: FromIterator<New>>(old: impl IntoIterator<Item: Into<New>>) -> List {
    old.into_iter().map(Into::into).collect()
}

impl From<Instance> for super::Instance {
    fn from(old: Instance) -> Self {
        Self {
            source: old.source,
            host: old.host,
            cgroup: old.cgroup,
            began: old.began,
            ended: old.ended,
            start_observed: old.start_observed,
            container: old.container.map(Into::into),
            calls: old.calls,
            failed: None,
        }
    }
}

impl From<Provider> for super::Provider {
    fn from(old: Provider) -> Self {
        Self {
            kind: old.kind,
            provider: sentences::mechanism(old.provider),
            cannot_see: old
                .cannot_see
                .into_iter()
                .map(sentences::blind_spot)
                .collect(),
        }
    }
}

impl ByCall for Syscall {
    fn call(&self) -> SyscallId {
        SyscallId {
            abi: self.abi,
            nr: self.nr,
        }
    }
}

impl From<Syscall> for super::Syscall {
    fn from(old: Syscall) -> Self {
        Self {
            abi: old.abi,
            nr: old.nr,
            name: old.name,
            phases: all(old.phases),
            blocked: old.blocked,
            arguments: old.arguments.map(|Arguments(arguments)| arguments),
            evidence: all(old.evidence),
        }
    }
}

impl From<Phase> for super::Phase {
    fn from(old: Phase) -> Self {
        match old {
            Phase::Setup => Self::Setup,
            Phase::RuntimeInit => Self::RuntimeInit,
            Phase::Run => Self::Run,
            Phase::Exec => Self::Exec,
            Phase::Terminal => Self::Terminal,
        }
    }
}

impl From<Evidence> for super::Evidence {
    fn from(old: Evidence) -> Self {
        Self {
            instance: old.instance,
            phase: old.phase.into(),
            executable: old.executable,
            blocked: old.blocked,
            first: old.first,
        }
    }
}

impl TryFrom<UncheckedArguments> for Arguments {
    type Error = InvalidArguments;

    fn try_from(old: UncheckedArguments) -> Result<Self, InvalidArguments> {
        let new = Unchecked {
            indices: old.indices,
            seen: all(old.seen),
            cut: all(old.cut),
        };
        new.try_into().map(Self)
    }
}

impl From<Combination> for super::Combination {
    fn from(old: Combination) -> Self {
        Self {
            phase: old.phase.into(),
            values: old.values,
            executables: old.executables,
        }
    }
}

impl<T> From<ObservedAccess<T>> for super::ObservedAccess<T> {
    fn from(old: ObservedAccess<T>) -> Self {
        Self {
            what: old.what,
            evidence: all(old.evidence),
        }
    }
}

impl From<AccessEvidence> for super::AccessEvidence {
    fn from(old: AccessEvidence) -> Self {
        Self {
            phase: old.phase.into(),
            executable: old.executable,
            call: old.call,
            instances: old.instances,
            first: old.first,
        }
    }
}

impl Coverage {
    /// `notes` are those that follow from the recording.
    fn convert(self, notes: &[super::Note]) -> super::Coverage {
        let losses = self.losses;
        super::Coverage {
            complete: self.complete,
            reasons: self
                .reasons
                .into_iter()
                .map(|it| sentences::reason(it, &losses))
                .collect(),
            losses,
            notes: self
                .notes
                .into_iter()
                .map(|it| sentences::note(it, notes))
                .collect(),
            discovery: self.discovery.map(Into::into),
        }
    }
}

impl From<Discovery> for super::Discovery {
    fn from(old: Discovery) -> Self {
        let unseen = match old.unseen {
            Estimate::Chao2(unseen) => super::estimate::Estimate::Chao2(unseen),
            Estimate::Refused(why) => {
                super::estimate::Estimate::Refused(sentences::refusal(why, old.instances))
            }
        };
        Self {
            calls: old.calls,
            instances: old.instances,
            in_one: old.in_one,
            in_two: old.in_two,
            recorded_s: old.recorded_s,
            quiet_s: old.quiet_s,
            unseen,
        }
    }
}

impl From<Merged> for super::Merged {
    fn from(old: Merged) -> Self {
        Self {
            hosts: old.hosts,
            commands: old.commands,
            folded: old.folded,
            uncounted: old.uncounted,
            kinds: all(old.kinds),
        }
    }
}

impl From<InstanceKind> for super::InstanceKind {
    fn from(old: InstanceKind) -> Self {
        Self {
            source: old.source,
            start_observed: old.start_observed,
            container: old.container.map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests;
