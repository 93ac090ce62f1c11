//! How many system calls were recorded: the same number wherever one is shown.

use std::collections::BTreeSet;

use tracer_core::recording::{Recording, estimate::counts};

/// How many different system calls were recorded, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// That the workload made, as its profile counts them.
    pub own: usize,
    /// That only the container runtime made.
    pub runtime: usize,
    /// That a filter stopped each time.
    pub blocked: usize,
}

/// How many different system calls were recorded, by name, and of whom.
pub fn calls(recording: &Recording) -> CallCounts {
    let mut own = BTreeSet::new();
    let mut made = BTreeSet::new();
    let mut all = BTreeSet::new();
    for syscall in &recording.syscalls {
        let Some(name) = syscall.abi.syscall_name(syscall.nr) else {
            continue;
        };
        let mut evidence = syscall.evidence.iter();
        let counts = evidence.any(|it| counts(it.phase, it.blocked.is_some()));
        if counts {
            own.insert(name);
        }
        if syscall.evidence.iter().any(|it| it.blocked.is_none()) {
            made.insert(name);
        }
        all.insert(name);
    }
    CallCounts {
        own: own.len(),
        runtime: made.difference(&own).count(),
        blocked: all.difference(&made).count(),
    }
}
