//! What is known of a process, as the documentation of the programs has it: one thing after the other,
//! without maps, slots or epochs.

use tracer_abi::{EXE_LAUNCHER, Phase, kind};

/// A recorded instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// One of [`kind`].
    pub(crate) kind: u32,
    /// The executable of processes that were not seen to exec.
    pub(crate) first_exe: u64,
    /// Whether all its processes are known.
    pub(crate) introduced: bool,
    /// Whether its workload was started.
    pub(crate) started: bool,
    /// Grows when what its calls are filed under may change.
    pub(crate) version: u64,
    /// Whether it is recorded still.
    pub(crate) watched: bool,
    /// Whether it is uncertain if, and when, its workload was started.
    pub(crate) uncertain: bool,
}

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) exe: u64,
    pub(crate) instance: u64,
    pub(crate) filter: u64,
    pub(crate) phase: Phase,
    pub(crate) late: bool,
}

impl Known {
    /// A process comes into a recorded cgroup.
    pub(crate) fn enter(
        known: Option<Self>,
        number: u64,
        instance: &Instance,
        filter: u64,
    ) -> Option<Self> {
        match known {
            Some(known) if known.instance == number => return Some(known),
            None if !instance.introduced => return None,
            _ => {}
        }
        if instance.kind == kind::CONTAINER {
            return Some(Self {
                exe: EXE_LAUNCHER,
                instance: number,
                filter,
                phase: Phase::Setup,
                late: instance.started,
            });
        }
        known.map(|known| Self {
            exe: known.exe,
            instance: number,
            filter,
            phase: Phase::Run,
            late: instance.started,
        })
    }

    /// A process of a recorded cgroup executes a program. Returns whether that starts the workload.
    pub(crate) fn exec(
        known: Option<Self>,
        number: u64,
        instance: &Instance,
        exe: u64,
        is_hook: bool,
    ) -> (Self, bool) {
        let mut now = known.unwrap_or(Self {
            exe: EXE_LAUNCHER,
            instance: number,
            filter: 0,
            phase: Phase::Run,
            late: false,
        });
        let mut starts = false;
        if instance.kind == kind::CONTAINER {
            if known.is_none() && !instance.started {
                now.phase = Phase::Setup;
            }
            if now.phase == Phase::Setup && !is_hook {
                now.phase = if now.late { Phase::Exec } else { Phase::Run };
                starts = !now.late;
            }
        }
        now.exe = exe;
        (now, starts)
    }

    /// Under which phase and executable its calls are filed.
    pub(crate) fn files(known: Option<Self>, instance: &Instance, filter: u64) -> (u64, Phase) {
        let exe = known.map_or(instance.first_exe, |known| known.exe);
        if instance.kind == kind::PLAIN {
            return (exe, Phase::Run);
        }
        let phase = match known {
            Some(known) if known.phase == Phase::Setup => {
                if filter == known.filter {
                    Phase::Setup
                } else {
                    Phase::RuntimeInit
                }
            }
            Some(known) => known.phase,
            None if instance.started => Phase::Run,
            None => Phase::Setup,
        };
        (exe, phase)
    }
}
