//! Who loaded the seccomp filters that were active while a workload was recorded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Executable, Phase, Recording, Syscall, Warning};

/// Who loaded a seccomp filter.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FilterLoader {
    /// A program of the workload.
    Workload,
    /// The container runtime, as the container's files say.
    Runtime,
}

impl Recording {
    /// Who is known to have loaded a filter; nobody where it was there before the recording, as that of a
    /// service manager is.
    pub fn filter_loaders(&self) -> Vec<FilterLoader> {
        let mut loaders = Vec::new();
        if self.syscalls.iter().any(loads_a_filter) {
            loaders.push(FilterLoader::Workload);
        }
        let containers = self.kinds().into_iter().filter_map(|it| it.container);
        let has_filter = |it: &Warning| matches!(it, Warning::FilterInPlace { .. });
        if containers
            .flat_map(|it| it.warnings)
            .any(|it| has_filter(&it))
        {
            loaders.push(FilterLoader::Runtime);
        }
        loaders
    }
}

/// Whether a program of the workload made this call, and it may have loaded a filter.
fn loads_a_filter(syscall: &Syscall) -> bool {
    /// `PR_SET_SECCOMP` (include/uapi/linux/prctl.h).
    const PR_SET_SECCOMP: u64 = 22;
    let is_own = |phase: Phase| !matches!(phase, Phase::Setup | Phase::RuntimeInit);
    let is_made = |it: &Evidence| {
        it.blocked.is_none() && it.executable != Executable::Launcher && is_own(it.phase)
    };
    let loads = match syscall.abi.syscall_name(syscall.nr) {
        Some("seccomp") => true,
        Some("prctl") => syscall.arguments.as_ref().is_none_or(|arguments| {
            let mut own = arguments.seen.iter().filter(|it| is_own(it.phase));
            arguments.cut.iter().any(|phase| is_own(*phase))
                || own.any(|it| it.values.first() == Some(&PR_SET_SECCOMP))
        }),
        _ => false,
    };
    loads && syscall.evidence.iter().any(is_made)
}

#[cfg(test)]
mod tests {
    use crate::profile::seccomp::fixture::{path, recording};
    use syscalls::Abi;

    use super::*;

    #[test]
    fn workload_and_runtime_are_told_apart() {
        let of = |nr, phase| recording(&[(Abi::X86_64, nr, phase, path("/bin/web"))]);
        const SECCOMP: u32 = 317;
        let own = of(SECCOMP, Phase::Run);
        assert_eq!(own.filter_loaders(), [FilterLoader::Workload]);
        assert_eq!(of(SECCOMP, Phase::RuntimeInit).filter_loaders(), []);
        assert_eq!(of(0, Phase::Run).filter_loaders(), []);
    }
}
