//! The types of a recording.

use std::{collections::BTreeSet, marker::PhantomData};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use super::{
    Accesses, Arguments, CapabilityUse, Container, Coverage, FileUse, InstanceKind, Mechanism,
    Merged, MountUse, ObservationKind, ObservedAccess, Provider, SelinuxUse, SignalUse, SocketUse,
    TraceUse,
};
use syscalls::Abi;

/// The `schema` of the recordings that this version writes. It reads `tracer.recording/v1` too.
pub const SCHEMA: &str = "tracer.recording/v2";

/// Everything observed of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What was recorded.
    pub workload: Workload,
    /// Where; of a merged recording the first of its hosts, see [`hosts`](Self::hosts).
    pub host: Host,
    /// The runs of the workload; evidence refers to them by index. The indices after the last one are
    /// those of `merged.folded`.
    pub instances: Vec<Instance>,
    /// Which provider served each kind of observation, and what it cannot see. A kind that is not
    /// listed was not observed.
    pub providers: Vec<Provider>,
    /// Every (ABI, number) that was seen, in that order, once each.
    #[serde(deserialize_with = "unique_syscalls")]
    pub syscalls: Vec<Syscall>,
    /// Accesses to files; of these and the kinds below each different thing is there once, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ObservedAccess<FileUse>>,
    /// Capabilities that were asked for and granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<ObservedAccess<CapabilityUse>>,
    /// Sockets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<ObservedAccess<SocketUse>>,
    /// Signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<ObservedAccess<SignalUse>>,
    /// What needs a debugger's rights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<ObservedAccess<TraceUse>>,
    /// Changes of the mount tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<ObservedAccess<MountUse>>,
    /// What the SELinux policy did not allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selinux: Vec<ObservedAccess<SelinuxUse>>,
    /// How sure all this is.
    pub coverage: Coverage,
    /// What only a recording that was merged from others has; absent when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
}

impl Recording {
    /// Whether a program of the workload was observed: what a runtime does to prepare a container is not
    /// the workload's, and a profile of it alone would be of nothing.
    pub fn has_program(&self) -> bool {
        let evidence = self.syscalls.iter().flat_map(|it| &it.evidence);
        let mut evidence = evidence.filter(|it| it.executable != Executable::Launcher);
        evidence.any(|it| !matches!(it.phase, Phase::Setup | Phase::RuntimeInit))
    }

    /// Whether it is of guests of gVisor, and of nothing else: no runtime does anything under their profile.
    pub fn is_of_gvisor(&self) -> bool {
        let mut calls = self
            .providers
            .iter()
            .filter(|it| it.kind == ObservationKind::Syscalls)
            .peekable();
        calls.peek().is_some() && calls.all(|it| it.provider == Mechanism::Gvisor)
    }

    /// Every host that a part of it was recorded on.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        let others = self.merged.iter().flat_map(|merged| &merged.hosts);
        std::iter::once(&self.host).chain(others)
    }

    /// Every command that was recorded; none when only running cgroups were.
    pub fn commands(&self) -> impl Iterator<Item = &Vec<String>> {
        let others = self.merged.iter().flat_map(|merged| &merged.commands);
        std::iter::once(&self.workload.command)
            .chain(others)
            .filter(|command| !command.is_empty())
    }

    /// The kinds of its instances, those that are not listed any more included.
    pub fn kinds(&self) -> BTreeSet<InstanceKind> {
        let others = self.merged.iter().flat_map(|merged| &merged.kinds);
        let listed = self.instances.iter().map(InstanceKind::from_instance);
        listed.chain(others.cloned()).collect()
    }

    /// Takes over what was seen of files, capabilities, sockets, signals, ptrace, mounts and SELinux.
    pub fn set_accesses(&mut self, accesses: Accesses) {
        self.files = accesses.files.into_seen();
        self.capabilities = accesses.capabilities.into_seen();
        self.sockets = accesses.sockets.into_seen();
        self.signals = accesses.signals.into_seen();
        self.traces = accesses.traces.into_seen();
        self.mounts = accesses.mounts.into_seen();
        self.selinux = accesses.selinux.into_seen();
    }

    /// How many runs it is of, those that are not listed any more included.
    pub fn runs(&self) -> usize {
        let folded = self.merged.as_ref().map_or(0, |merged| merged.folded.len());
        self.instances.len() + folded
    }
}

/// What gets one profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// The name of its directory.
    pub name: String,
    /// The command and its arguments; empty when a running cgroup was recorded.
    pub command: Vec<String>,
}

/// The machine a recording was made on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
    /// The version of tracer that recorded.
    pub tracer: String,
}

/// One run of the workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// How it was recorded.
    pub source: Source,
    /// Where; absent when it is the recording's `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Path of its cgroup below the v2 mount.
    pub cgroup: String,
    /// When its recording began, RFC 3339.
    pub began: String,
    /// When that ended, RFC 3339.
    pub ended: String,
    /// Whether it was recorded from its first call.
    pub start_observed: bool,
    /// The container that it is; `null` when it is none, or nothing said so.
    pub container: Option<Container>,
    /// Calls counted; `null` when several instances were recorded at once, which are not counted
    /// apart.
    pub calls: Option<u64>,
    /// How the command failed that tracer ran; absent when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<CommandFailure>,
}

/// How a command ended that failed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CommandFailure {
    /// With this exit status.
    ExitStatus(i32),
    /// By this signal.
    Signal(i32),
}

/// How an instance came to be recorded.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// tracer ran the command.
    Command,
    /// tracer attached to a cgroup.
    Cgroup,
    /// tracer recorded a container.
    Container,
    /// A log told what a profile denied, or would have denied: nothing else was seen.
    Log,
}

/// A system call that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syscall {
    /// The calling convention.
    pub abi: Abi,
    /// The number as the kernel got it.
    pub nr: u32,
    /// Its name; `null` when it has none in tracer's tables.
    pub name: Option<String>,
    /// Where in the workload's life it was seen.
    pub phases: BTreeSet<Phase>,
    /// Whether it was attempted, at least once, and stopped by a filter that was already in place;
    /// the evidence tells by whom, and whether it was let through for others.
    pub blocked: bool,
    /// The values that it was given; absent when none are recorded of this call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Arguments>,
    /// Who made it: one entry for each (instance, phase, executable, blocked), in that order.
    pub evidence: Vec<Evidence>,
}

impl Syscall {
    /// What it is called in a sentence: its name, or its number.
    pub fn label(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("number {}", self.nr))
    }

    /// The (ABI, number) it is known by.
    pub fn call(&self) -> SyscallId {
        SyscallId {
            abi: self.abi,
            nr: self.nr,
        }
    }
}

/// What names a system call: its number means nothing without its ABI.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct SyscallId {
    /// The calling convention.
    pub abi: Abi,
    /// The number as the kernel got it.
    pub nr: u32,
}

/// Where in the life of a workload a call was made.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The runtime prepares the container.
    Setup,
    /// Between filter load and exec: these calls must be in the profile.
    RuntimeInit,
    /// The workload.
    Run,
    /// A process put into the container later: a probe, `kubectl exec`.
    Exec,
    /// The same, with a terminal: somebody's interactive session.
    Terminal,
}

impl Phase {
    /// The name in recordings and reviews.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::RuntimeInit => "runtime-init",
            Self::Run => "run",
            Self::Exec => "exec",
            Self::Terminal => "terminal",
        }
    }
}

/// What a program saw of a call that a filter stopped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// This error number.
    Errno(u16),
    /// An error number above 200.
    OtherErrno,
    /// SIGSYS: the filter traps or kills.
    Signal,
    /// A value: the filter has a supervisor that answered, or returns error 0.
    Value,
}

/// Who made a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Index into `instances`.
    pub instance: u32,
    /// The phase.
    pub phase: Phase,
    /// The executable.
    pub executable: Executable,
    /// What the program saw, when a filter stopped the call; `null` when it was made.
    pub blocked: Option<Blocked>,
    /// The first such call; `null` when the ring was full at that moment.
    pub first: Option<FirstSeen>,
}

/// The executable a process was running.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Executable {
    /// The path it was started by.
    Path(String),
    /// A part of a path that was too long to keep: its beginning or its end.
    Truncated(String),
    /// What starts the workload: the call was made before the first exec.
    Launcher,
    /// It is not known.
    Unknown,
}

/// The first time a call was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstSeen {
    /// Nanoseconds since the recording began.
    pub after_ns: u64,
    /// Process id, in the host's pid namespace.
    pub pid: u32,
    /// Thread id, in the host's pid namespace.
    pub tid: u32,
    /// The thread's command name.
    pub comm: String,
    /// The six argument registers.
    pub args: [u64; 6],
}

/// Something of a file that is known by its call.
pub(super) trait ByCall {
    /// The call.
    fn call(&self) -> SyscallId;
}

impl ByCall for Syscall {
    fn call(&self) -> SyscallId {
        self.call()
    }
}

/// Refuses two entries for one call where the second one stands, so that the error has its line
/// and column.
pub(super) fn unique_syscalls<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + ByCall,
{
    struct Unique<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de> + ByCall> Visitor<'de> for Unique<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of system calls")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut seen = BTreeSet::new();
            let mut syscalls = Vec::new();
            while let Some(syscall) = seq.next_element::<T>()? {
                let SyscallId { abi, nr } = syscall.call();
                if !seen.insert(syscall.call()) {
                    return Err(de::Error::custom(format_args!(
                        "duplicate system call {abi} {nr}"
                    )));
                }
                syscalls.push(syscall);
            }
            syscalls.sort_by_key(T::call);
            Ok(syscalls)
        }
    }

    deserializer.deserialize_seq(Unique(PhantomData))
}
