//! From what a session saw to the recordings of its workloads. Pure.

use std::collections::HashMap;

use super::{convert, instance::TrackedInstance, selinux::SelinuxWatch};
use crate::bpf::Mechanisms;
use syscalls::Machine;
use tracer_core::recording::{
    Accesses, Coverage, Discovery, Host, Instance, Losses, Observations, Phase, Reason, Recording,
    SCHEMA, SyscallId, Workload,
};

/// A workload to make a recording of, when a session ends.
#[derive(Clone, Debug)]
pub struct FinishedWorkload {
    /// What was recorded.
    pub workload: Workload,
    /// Its instances, by number.
    pub instances: Vec<u32>,
    /// The reasons against its completeness that only the caller knows.
    pub reasons: Vec<Reason>,
    /// Which part of a supervised recording it is.
    pub part: WorkloadPart,
}

/// A supervised recording hands over the instances of each image by themselves, and those that have ended apart
/// from those that are still recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadPart {
    /// The image's digest.
    pub image: String,
    /// Whether its instances have ended and will not be handed over again.
    pub is_final: bool,
}

/// What is known of the session and not of a workload.
pub(super) struct SessionTotals {
    pub(super) host: Host,
    pub(super) machine: Machine,
    /// Calls counted; `None` when not all of them were the workload's.
    pub(super) calls: Option<u64>,
    pub(super) losses: Losses,
    /// What served the kinds of access.
    pub(super) mechanisms: Mechanisms,
    /// What is known of SELinux.
    pub(super) selinux: SelinuxWatch,
}

/// A recording of each workload.
pub(super) fn recordings(
    mut finished_workloads: Vec<FinishedWorkload>,
    instances: &[TrackedInstance],
    observations: Observations,
    accesses: Accesses,
    whole: &SessionTotals,
) -> Vec<Recording> {
    for ending in &mut finished_workloads {
        // Numbers of what was left are used again: they say nothing of who came first.
        let began = |number: &u32| instances.get(*number as usize).map(|watched| watched.began);
        ending.instances.sort_by_key(began);
    }
    let places: HashMap<u32, (usize, u32)> = finished_workloads
        .iter()
        .enumerate()
        .flat_map(|(part, ending)| {
            let numbers = ending.instances.iter().zip(0..);
            numbers.map(move |(of, number)| (*of, (part, number)))
        })
        .collect();
    let losses: Vec<Losses> = finished_workloads
        .iter()
        .map(|ending| losses_of(ending, instances, whole.losses))
        .collect();
    let reasons: Vec<Vec<Reason>> = finished_workloads
        .iter()
        .map(|ending| reasons_of(ending, instances, &observations))
        .collect();
    let parts = observations.split(finished_workloads.len(), |number| {
        places.get(&number).copied()
    });
    let accesses = accesses.split(finished_workloads.len(), |number| {
        places.get(&number).copied()
    });
    finished_workloads
        .into_iter()
        .zip(reasons.into_iter().zip(losses))
        .zip(parts.into_iter().zip(accesses))
        .map(
            |((ending, (of_instances, losses)), (mut observations, mut accesses))| {
                // Not before each workload has its own: another one's would be taken for it.
                if ending.instances.len() > 1 {
                    observations.fold_setup();
                    accesses.fold_setup();
                }
                let mut reasons = ending.reasons;
                reasons.extend(of_instances);
                reasons.extend(workload_reasons(&observations, whole));
                reasons.extend(whole.selinux.reasons(&accesses));
                let mut recording = Recording {
                    schema: SCHEMA.to_owned(),
                    workload: ending.workload,
                    host: whole.host.clone(),
                    instances: ending
                        .instances
                        .iter()
                        .filter_map(|number| instances.get(*number as usize))
                        .map(|watched| instance(watched, whole.calls))
                        .collect(),
                    providers: convert::providers(whole.machine.native, &whole.mechanisms),
                    syscalls: observations.into_syscalls(),
                    files: Vec::new(),
                    capabilities: Vec::new(),
                    sockets: Vec::new(),
                    signals: Vec::new(),
                    traces: Vec::new(),
                    mounts: Vec::new(),
                    selinux: Vec::new(),
                    coverage: Coverage::new(reasons, losses),
                    merged: None,
                };
                recording.set_accesses(accesses);
                let loaders = recording.filter_loaders();
                for reason in &mut recording.coverage.reasons {
                    if let Reason::FilterInPlace { loaded_by } = reason {
                        loaded_by.clone_from(&loaders);
                    }
                }
                recording.coverage.discovery = Some(Discovery::from_recording(&recording));
                recording
            },
        )
        .collect()
}

/// What was lost of a workload: what nobody knows the owner of counts for each.
fn losses_of(workload: &FinishedWorkload, instances: &[TrackedInstance], of_all: Losses) -> Losses {
    let numbers = workload.instances.iter();
    numbers
        .filter_map(|number| instances.get(*number as usize))
        .fold(of_all, |sum, instance| sum + instance.losses)
}

/// What is known of a workload's instances against its completeness.
fn reasons_of(
    workload: &FinishedWorkload,
    instances: &[TrackedInstance],
    observations: &Observations,
) -> Vec<Reason> {
    let of = |number: &u32| {
        let instance = instances.get(*number as usize)?;
        Some(instance_reasons(instance, *number, observations))
    };
    workload.instances.iter().filter_map(of).flatten().collect()
}

fn instance(watched: &TrackedInstance, calls: Option<u64>) -> Instance {
    Instance {
        source: watched.subject.source,
        host: None,
        cgroup: watched.cgroup.path.display().to_string(),
        began: watched.began.to_string(),
        ended: watched.ended.unwrap_or(watched.began).to_string(),
        start_observed: watched.subject.start_observed,
        container: watched.subject.container.clone(),
        calls,
        failed: None,
    }
}

/// What is known of an instance against its completeness.
fn instance_reasons(
    watched: &TrackedInstance,
    number: u32,
    observations: &Observations,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !watched.subject.start_observed {
        reasons.push(Reason::StartNotObserved {});
    }
    if watched.state.missed_filter {
        reasons.push(Reason::FilterInPlace {
            loaded_by: Vec::new(),
        });
    }
    if watched.state.escaped {
        reasons.push(Reason::LeftCgroup {});
    }
    // Restored from a checkpoint, or put there by hand: no program is ever started, and nothing
    // tells the workload from a runtime.
    if watched.kind.is_prestart()
        && !watched.state.started
        && (observations.has(number, Phase::Setup) || observations.has(number, Phase::RuntimeInit))
    {
        reasons.push(Reason::NotStarted {});
    }
    reasons
}

/// What the observations themselves say, and the session.
fn workload_reasons(observations: &Observations, whole: &SessionTotals) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let io_uring = whole.machine.abis().into_iter().any(|abi| {
        ["io_uring_setup", "io_uring_enter", "io_uring_register"]
            .into_iter()
            .filter_map(|name| abi.syscall_number(name))
            .any(|nr| observations.contains(SyscallId { abi, nr }))
    });
    if io_uring {
        reasons.push(Reason::IoUring {});
    }
    reasons
}
