//! How many system calls were recorded: the same number wherever one is shown.

use std::collections::BTreeSet;

use tracer_core::recording::{Recording, estimate::counts};

/// How many different system calls the workload made, by name, as its profile counts them; and how many
/// more only the container runtime made.
pub fn calls(recording: &Recording) -> (usize, usize) {
    let mut own = BTreeSet::new();
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
        all.insert(name);
    }
    let others = all.difference(&own).count();
    (own.len(), others)
}
