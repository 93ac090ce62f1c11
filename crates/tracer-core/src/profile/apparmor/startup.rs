//! What belongs to the start of a workload, which is the runtime's doing and the workload's need.

use std::collections::BTreeSet;

use crate::recording::{AccessEvidence, Executable, FileAccess, FileUse, Phase};

/// Whether an access belongs to the start of the workload: the kernel reads and maps what it executes,
/// and its interpreter, on the thread that is still the runtime's.
pub(super) fn is_workload_startup(
    file: &FileUse,
    who: &AccessEvidence,
    ran: &BTreeSet<Executable>,
) -> bool {
    let starts = matches!(
        file.access,
        FileAccess::Execute | FileAccess::MapExecutable | FileAccess::Read
    );
    match who.phase {
        _ if !starts || !is_in_exec(who) => false,
        Phase::RuntimeInit => true,
        // Hooks run in this phase too; what runs later does not.
        Phase::Setup => {
            let path = file.path.to_string();
            let runs = |path: &str| ran.contains(&Executable::Path(path.to_owned()));
            runs(&path) || path.strip_prefix("/usr").is_some_and(runs)
        }
        _ => false,
    }
}

/// Whether something was done by the kernel for a program that is executed.
pub(super) fn is_in_exec(who: &AccessEvidence) -> bool {
    who.call.is_some_and(|call| {
        let name = call.abi.syscall_name(call.nr);
        matches!(name, Some("execve" | "execveat"))
    })
}

/// Whether an executable's path means the same file the next time.
pub(super) fn is_lasting(path: &str) -> bool {
    const NAMES_OF_NO_FILE: [&str; 3] = ["/proc/", "/dev/fd/", "/memfd:"];
    // `/` is what AppArmor calls a program in memory.
    path.starts_with('/')
        && path.len() > 1
        && !NAMES_OF_NO_FILE.iter().any(|it| path.starts_with(it))
}
