//! Whether a workload may have used a debugger's rights, where nothing looked for that.

use crate::{
    profile::seccomp::ExecPolicy,
    recording::{AccessEvidence, Recording, Syscall},
};

/// Calls in which the kernel asks for these rights (callers of `ptrace_may_access` and `mm_access`, Linux
/// 6.18), or by which a process gives itself up to be traced. `/proc` asks too.
const ASKING: [&str; 11] = [
    "get_robust_list",
    "kcmp",
    "migrate_pages",
    "move_pages",
    "perf_event_open",
    "pidfd_getfd",
    "process_madvise",
    "process_mrelease",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
];

/// `PR_SCHED_CORE` (include/uapi/linux/prctl.h), which asks for them too.
const PR_SCHED_CORE: u64 = 62;

/// Whether anything that was recorded may have asked for them.
pub(super) fn may_use_ptrace(recording: &Recording, exec: ExecPolicy) -> bool {
    let calls = recording.syscalls.iter();
    let mut counting = calls.filter(|call| call.evidence.iter().any(|who| exec.counts(who.phase)));
    counting.any(|call| asks(call, exec))
        || recording.files.iter().any(|seen| {
            let counts = |who: &AccessEvidence| exec.counts(who.phase);
            is_of_a_process(seen.what.path.as_bytes()) && seen.evidence.iter().any(counts)
        })
}

fn asks(call: &Syscall, exec: ExecPolicy) -> bool {
    match call.abi.syscall_name(call.nr) {
        // A number without a name may be anything.
        None => true,
        Some("prctl") => may_be_prctl(call, PR_SCHED_CORE, exec),
        Some(name) => ASKING.contains(&name),
    }
}

/// Whether a call may have been prctl(2) with an operation.
pub(super) fn may_be_prctl(call: &Syscall, operation: u64, exec: ExecPolicy) -> bool {
    let is_prctl = call.abi.syscall_name(call.nr) == Some("prctl");
    is_prctl
        && call.arguments.as_ref().is_none_or(|arguments| {
            let first = arguments.indices.iter().position(|index| *index == 0);
            let is_that =
                |values: &[u64]| first.is_none_or(|at| values.get(at) == Some(&operation));
            arguments.cut.iter().any(|phase| exec.counts(*phase))
                || arguments
                    .seen
                    .iter()
                    .any(|it| exec.counts(it.phase) && is_that(&it.values))
        })
}

/// Whether a path is that of a process's own file in `/proc`: whose, a recording does not say.
fn is_of_a_process(path: &[u8]) -> bool {
    path.strip_prefix(b"/proc/")
        .and_then(|rest| rest.first())
        .is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_files_of_processes() {
        for (path, expected) in [
            (&b"/proc/1/maps"[..], true),
            (b"/proc/meminfo", false),
            (b"/proc/", false),
            (b"/srv/proc/1/maps", false),
        ] {
            assert_eq!(is_of_a_process(path), expected);
        }
    }
}
