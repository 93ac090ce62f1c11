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
    /// `SECCOMP_SET_MODE_STRICT` and `SECCOMP_SET_MODE_FILTER` (include/uapi/linux/seccomp.h); the others load none.
    const SET_MODE: [u64; 2] = [0, 1];
    let is_own = |phase: Phase| !matches!(phase, Phase::Setup | Phase::RuntimeInit);
    let is_made = |it: &Evidence| {
        it.blocked.is_none() && it.executable != Executable::Launcher && is_own(it.phase)
    };
    let operations: &[u64] = match syscall.abi.syscall_name(syscall.nr) {
        Some("seccomp") => &SET_MODE,
        Some("prctl") => &[PR_SET_SECCOMP],
        _ => return false,
    };
    let loads = syscall.arguments.as_ref().is_none_or(|arguments| {
        let mut own = arguments.seen.iter().filter(|it| is_own(it.phase));
        let is_first = arguments.indices.first() == Some(&0);
        let may_load = |values: &[u64]| {
            let operation = values.first().filter(|_| is_first);
            operation.is_none_or(|it| operations.contains(it))
        };
        arguments.cut.iter().any(|phase| is_own(*phase)) || own.any(|it| may_load(&it.values))
    });
    loads && syscall.evidence.iter().any(is_made)
}

#[cfg(test)]
mod tests {
    use crate::{
        profile::seccomp::fixture::{path, recording},
        recording::{Arguments, Combination},
    };
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

    #[test]
    fn asking_what_seccomp_can_do_loads_no_filter() {
        const SECCOMP: u32 = 317;
        for (operation, loaders) in [
            (0, &[FilterLoader::Workload][..]),
            (1, &[FilterLoader::Workload]),
            // SECCOMP_GET_ACTION_AVAIL, SECCOMP_GET_NOTIF_SIZES
            (2, &[]),
            (3, &[]),
        ] {
            let by = path("/bin/web");
            let mut it = recording(&[(Abi::X86_64, SECCOMP, Phase::Run, by.clone())]);
            it.syscalls[0].arguments = Some(Arguments {
                indices: vec![0],
                seen: vec![Combination {
                    phase: Phase::Run,
                    values: vec![operation],
                    executables: [by].into(),
                }],
                cut: [].into(),
            });
            assert_eq!(it.filter_loaders(), loaders, "{operation}");
        }
    }
}
