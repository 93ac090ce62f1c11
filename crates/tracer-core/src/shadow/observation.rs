//! One new thing that a workload did, as a recorder reports it or as a recording holds it.

use crate::recording::{
    AccessEvidence, Blocked, CapabilityUse, Container, Evidence, Executable, FileUse, MountUse,
    ObservationKind, ObservedAccess, Phase, Recording, SignalUse, SocketUse, Syscall, SyscallId,
    TraceUse,
};

/// Something that was done, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObservation {
    /// What.
    pub what: ObservedThing,
    /// Where in the workload's life.
    pub phase: Phase,
    /// By which program.
    pub executable: Executable,
    /// By which process, in the host's pid namespace; `None` when that was lost.
    pub process: Option<ObservedProcess>,
    /// In which container.
    pub container: Option<ContainerName>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ObservedProcess {
    /// Its id, in the host's pid namespace.
    pub pid: u32,
    /// The name of its thread.
    pub comm: String,
}

/// A container, as a person knows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ContainerName {
    /// Its id.
    pub id: String,
    /// Its name, where the runtime has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObservedThing {
    /// A system call.
    Call(ObservedCall),
    /// An access to a file; to execute one is [`FileAccess::Execute`](crate::recording::FileAccess::Execute).
    File(FileUse),
    /// A capability.
    Capability(CapabilityUse),
    /// A socket.
    Socket(SocketUse),
    /// A signal.
    Signal(SignalUse),
    /// A debugger's rights.
    Trace(TraceUse),
    /// A change of the mount tree.
    Mount(MountUse),
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObservedCall {
    /// The call.
    pub call: SyscallId,
    /// The values of its recorded arguments, in the order of their indices; `None` when the call has none, or
    /// they are not known.
    pub values: Option<Vec<u64>>,
    /// All registers, where they are known.
    pub registers: Option<[u64; 6]>,
    /// Whether the values of its recorded arguments are missing.
    pub is_cut: bool,
    /// What the program saw, when a filter that is enforced stopped it.
    pub blocked: Option<Blocked>,
}

impl ObservedThing {
    /// The kind.
    pub const fn kind(&self) -> ObservationKind {
        match self {
            Self::Call(_) => ObservationKind::Syscalls,
            Self::File(_) => ObservationKind::Files,
            Self::Capability(_) => ObservationKind::Capabilities,
            Self::Socket(_) => ObservationKind::Sockets,
            Self::Signal(_) => ObservationKind::Signals,
            Self::Trace(_) => ObservationKind::Traces,
            Self::Mount(_) => ObservationKind::Mounts,
        }
    }
}

/// Everything that a recording holds, but for what runtimes did to prepare containers.
pub fn observations(recording: &Recording) -> impl Iterator<Item = NewObservation> + '_ {
    let calls = recording.syscalls.iter();
    let calls = calls.flat_map(|syscall| calls_of(recording, syscall));
    macro_rules! accesses {
        ($kind:ident, $thing:ident) => {
            recording
                .$kind
                .iter()
                .flat_map(|access| accesses_of(recording, access, ObservedThing::$thing))
        };
    }
    calls
        .chain(accesses!(files, File))
        .chain(accesses!(capabilities, Capability))
        .chain(accesses!(sockets, Socket))
        .chain(accesses!(signals, Signal))
        .chain(accesses!(traces, Trace))
        .chain(accesses!(mounts, Mount))
        .filter(|it| it.phase != Phase::Setup)
}

fn calls_of(recording: &Recording, syscall: &Syscall) -> Vec<NewObservation> {
    let mut all = Vec::new();
    for evidence in &syscall.evidence {
        let call = |values, is_cut| {
            call_of(
                recording,
                evidence,
                ObservedCall {
                    call: syscall.call(),
                    values,
                    registers: evidence.first.as_ref().map(|first| first.args),
                    is_cut,
                    blocked: evidence.blocked,
                },
            )
        };
        let arguments = syscall
            .arguments
            .as_ref()
            .filter(|_| evidence.blocked.is_none());
        let Some(arguments) = arguments else {
            all.push(call(None, false));
            continue;
        };
        let is_of = |it: &&crate::recording::Combination| {
            it.phase == evidence.phase && it.executables.contains(&evidence.executable)
        };
        let mut given = arguments.seen.iter().filter(is_of).peekable();
        if given.peek().is_none() || arguments.cut.contains(&evidence.phase) {
            all.push(call(None, true));
        }
        all.extend(given.map(|it| call(Some(it.values.clone()), false)));
    }
    all
}

fn call_of(recording: &Recording, evidence: &Evidence, call: ObservedCall) -> NewObservation {
    NewObservation {
        what: ObservedThing::Call(call),
        phase: evidence.phase,
        executable: evidence.executable.clone(),
        process: evidence.first.as_ref().map(|first| ObservedProcess {
            pid: first.pid,
            comm: first.comm.clone(),
        }),
        container: container(recording, evidence.instance),
    }
}

fn accesses_of<'a, T: Clone>(
    recording: &'a Recording,
    access: &'a ObservedAccess<T>,
    thing: impl Fn(T) -> ObservedThing + 'a,
) -> impl Iterator<Item = NewObservation> + 'a {
    access
        .evidence
        .iter()
        .map(move |evidence: &AccessEvidence| {
            let instance = evidence.instances.first().copied();
            NewObservation {
                what: thing(access.what.clone()),
                phase: evidence.phase,
                executable: evidence.executable.clone(),
                process: evidence.first.as_ref().map(|first| ObservedProcess {
                    pid: first.pid,
                    comm: first.comm.clone(),
                }),
                container: instance.and_then(|instance| container(recording, instance)),
            }
        })
}

fn container(recording: &Recording, instance: u32) -> Option<ContainerName> {
    let instance = recording.instances.get(usize::try_from(instance).ok()?)?;
    let Container { id, name, .. } = instance.container.as_ref()?;
    Some(ContainerName {
        id: id.clone(),
        name: name.clone(),
    })
}
