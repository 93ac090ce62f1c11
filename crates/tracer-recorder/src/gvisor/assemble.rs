//! From what is known of containers to recordings.

use jiff::Timestamp;
use syscalls::Abi;
use tracer_core::recording::{
    BlindSpot, Container, Coverage, Discovery, Host, Instance, Mechanism, ObservationKind,
    Observations, Provider, Reason, Recording, RecordingEnd, SCHEMA, Source, SyscallId, Workload,
};

use super::{container::ContainerFacts, facts::Facts, session::Points};
use crate::bpf::support::{kernel_release, machine_name};

/// What the name of a workload can be made of.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its name in its pod or engine.
    pub name: Option<&'a str>,
    /// Its command.
    pub command: &'a [String],
}

/// What a recording is made with.
pub(super) struct Ending<'a> {
    /// How the recording ended, for containers that still run.
    pub(super) end: RecordingEnd,
    /// What holds for all of them.
    pub(super) reasons: Vec<Reason>,
    /// Whether profiles in bundles are in force.
    pub(super) applies_seccomp: bool,
    /// The workload's name.
    pub(super) name: &'a dyn Fn(&Guest<'_>) -> String,
}

/// A recording for each workload.
pub(super) fn recordings(facts: &Facts, ending: &Ending<'_>) -> Vec<Recording> {
    let mut made: Vec<Recording> = Vec::new();
    let mut parts: Vec<(Vec<Observations>, Vec<Reason>)> = Vec::new();
    for (container, losses, is_connected) in facts.containers() {
        let about = container.bundle.as_ref().map(|bundle| &bundle.annotations);
        // A pod's sandbox is nobody's workload.
        if about.is_some_and(|about| about.sandbox) {
            continue;
        }
        let name = (ending.name)(&Guest {
            id: &container.id,
            name: about.and_then(|about| about.name.as_deref()),
            command: &container.command,
        });
        let place = made.iter().position(|it| it.workload.name == name);
        let place = place.unwrap_or_else(|| {
            made.push(empty(facts, container, name.clone()));
            parts.push((Vec::new(), ending.reasons.clone()));
            made.len() - 1
        });
        let (Some(recording), Some((observations, reasons))) =
            (made.get_mut(place), parts.get_mut(place))
        else {
            continue;
        };
        reasons.extend(reasons_of(container, is_connected, ending));
        recording.coverage.losses = recording.coverage.losses + losses;
        recording.instances.push(instance(container));
        observations.push(container.observations.clone());
    }
    for (recording, (observations, mut reasons)) in made.iter_mut().zip(parts) {
        let native = facts.settings().native;
        let all = united(observations);
        if uses_io_uring(&all, native) {
            reasons.push(Reason::IoUring {});
        }
        recording.syscalls = all.into_syscalls();
        recording.coverage = Coverage::new(reasons, recording.coverage.losses);
        recording.coverage.discovery = Some(Discovery::from_recording(recording));
    }
    made
}

fn empty(facts: &Facts, container: &ContainerFacts, name: String) -> Recording {
    let settings = facts.settings();
    Recording {
        schema: SCHEMA.to_owned(),
        workload: Workload {
            name,
            command: container.command.clone(),
        },
        host: Host {
            kernel: kernel_release(),
            machine: machine_name(),
            tracer: env!("CARGO_PKG_VERSION").to_owned(),
        },
        instances: Vec::new(),
        providers: providers(settings.native, &settings.points),
        syscalls: Vec::new(),
        files: Vec::new(),
        capabilities: Vec::new(),
        sockets: Vec::new(),
        signals: Vec::new(),
        traces: Vec::new(),
        mounts: Vec::new(),
        selinux: Vec::new(),
        coverage: Coverage::default(),
        merged: None,
    }
}

/// The observations of several instances, each under its own number.
fn united(parts: Vec<Observations>) -> Observations {
    let mut all = Observations::default();
    for (part, number) in parts.into_iter().zip(0..) {
        let renumbered = part.split(1, |_| Some((0, number)));
        renumbered.into_iter().for_each(|part| all.merge(part));
    }
    all
}

fn instance(container: &ContainerFacts) -> Instance {
    Instance {
        source: Source::Container,
        host: None,
        // The cgroup holds the sandbox; the guest has none of this kernel's.
        cgroup: String::new(),
        began: container.began.to_string(),
        ended: container.ended.unwrap_or_else(Timestamp::now).to_string(),
        start_observed: container.start_observed,
        container: Some(described(container)),
        calls: Some(container.calls),
        failed: None,
    }
}

/// What a container's id and annotations say of it.
fn described(container: &ContainerFacts) -> Container {
    let bundle = container.bundle.as_ref();
    let about = bundle.map(|it| it.annotations.clone()).unwrap_or_default();
    let engine = about.engine.map_or("runsc", |engine| engine.as_str());
    let pod = about.pod.zip(about.namespace);
    Container {
        engine: engine.to_owned(),
        runtime: None,
        id: container.id.clone(),
        name: about.name,
        pod: pod.map(|(pod, namespace)| format!("{namespace}/{pod}")),
        owner: None,
        role: None,
        labels: about.labels.unwrap_or_default(),
        image: about.image,
        image_digest: about.digest,
        security: None,
        warnings: Vec::new(),
        unresolved: Vec::new(),
    }
}

fn reasons_of(container: &ContainerFacts, is_connected: bool, ending: &Ending<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !container.start_observed {
        reasons.push(Reason::GuestStartNotObserved {});
    }
    // Messages at the very end may be missing, and no later one counts them: the end itself tells.
    if is_connected || !container.has_exited {
        reasons.push(Reason::StillRunning { after: ending.end });
    }
    let bundle = container.bundle.as_ref();
    if ending.applies_seccomp && bundle.is_none_or(|bundle| bundle.has_profile) {
        reasons.push(Reason::FilterInPlace {
            loaded_by: Vec::new(),
        });
    }
    reasons
}

fn uses_io_uring(observations: &Observations, native: Abi) -> bool {
    ["io_uring_setup", "io_uring_enter", "io_uring_register"]
        .into_iter()
        .filter_map(|name| native.syscall_number(name))
        .any(|nr| observations.contains(SyscallId { abi: native, nr }))
}

/// What gVisor reports, and what it does not.
fn providers(native: Abi, points: &Points) -> Vec<Provider> {
    let mut cannot_see = vec![
        BlindSpot::IoUring,
        BlindSpot::UnmonitoredNumbers {
            first: points.first_unmonitored(),
        },
        BlindSpot::FilteredInGuest,
    ];
    if native == Abi::X86_64 {
        cannot_see.push(BlindSpot::GvisorInt80);
    }
    let provider = |kind, cannot_see| Provider {
        kind,
        provider: Mechanism::Gvisor,
        cannot_see,
    };
    let mut providers = vec![
        provider(ObservationKind::Arguments, vec![BlindSpot::PointedToMemory]),
        provider(ObservationKind::Syscalls, cannot_see),
    ];
    providers.sort();
    providers
}
