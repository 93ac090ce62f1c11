//! Calls that a profile answers with ENOSYS on purpose, and whose callers go on: no denials.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{Answer, answer};
use crate::{
    profile::seccomp::{
        evaluate::{Filter, PossibleVerdicts, Register, Verdict},
        flags_for_clone,
    },
    recording::{EvidenceSummary, Recording, SyscallId},
};
use syscalls::{
    Abi,
    arguments::NAMESPACES,
    errno,
    fallbacks::on_enosys,
    introduced::{self, LinuxVersion},
};

/// A call that would return ENOSYS, and whose callers go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Its name, or its number.
    pub call: String,
    /// The ABI.
    pub abi: Abi,
    /// The number.
    pub nr: u32,
    /// With which arguments, by the manuals' names; none: any, or they are not recorded.
    pub given: Vec<String>,
    /// Why it is no denial.
    #[serde(flatten)]
    pub why: IntendedRefusal,
    /// On which runtimes.
    pub runtimes: BTreeSet<&'static str>,
    /// Who made it.
    pub evidence: Vec<EvidenceSummary>,
}

/// Why ENOSYS is no denial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum IntendedRefusal {
    /// The callers do the same by other calls, which the profile allows.
    FallsBack {
        /// These calls; none: callers go on without.
        to: Vec<&'static str>,
    },
    /// No kernel has the number, so the kernel answers the same.
    NoSuchCall,
    /// The kernels of the recording did not have it yet, so they answered the same.
    NewerThanKernel {
        /// The version that it came with.
        since: String,
        /// The newest version that was recorded on.
        recorded_on: String,
    },
}

impl fmt::Display for IntendedRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FallsBack { to } if to.is_empty() => f.write_str("callers go on without it"),
            Self::FallsBack { to } => write!(f, "callers fall back to {}", to.join(" and ")),
            Self::NoSuchCall => f.write_str("no kernel has this call"),
            Self::NewerThanKernel { since, recorded_on } => write!(
                f,
                "it came with Linux {since}, and was recorded on {recorded_on}"
            ),
        }
    }
}

/// The kernels that a recording was made on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    /// The newest; `None` where a release is not understood, or may have calls of later versions.
    newest: Option<LinuxVersion>,
}

impl Kernels {
    pub(crate) fn of(recording: &Recording) -> Self {
        let more = recording.instances.iter().filter_map(|it| it.host.as_ref());
        let hosts = std::iter::once(&recording.host).chain(more);
        let versions: Option<Vec<_>> = hosts.map(|host| version(&host.kernel)).collect();
        Self {
            newest: versions.and_then(|all| all.into_iter().max()),
        }
    }

    /// One kernel, by its release.
    pub(crate) fn from_release(release: &str) -> Self {
        Self {
            newest: version(release),
        }
    }

    /// Why a call that may have these verdicts is not denied although it is not made. `values`: what is
    /// recorded of its arguments.
    pub(super) fn intended(
        self,
        call: SyscallId,
        values: Option<&[u64]>,
        possible: &PossibleVerdicts,
        filter: &Filter,
    ) -> Option<IntendedRefusal> {
        let is_enosys = |verdict: &Verdict| matches!(verdict, Verdict::Errno(number) if u32::from(*number) == errno::ENOSYS);
        if !possible.verdicts.keys().all(is_enosys) || possible.verdicts.is_empty() {
            return None;
        }
        self.lacks(call).or_else(|| {
            let flags = values.and_then(<[u64]>::first).copied();
            falls_back(call, CloneFlags::Recorded(flags), filter)
        })
    }

    /// Why the kernels themselves returned ENOSYS.
    pub(super) fn lacks(self, call: SyscallId) -> Option<IntendedRefusal> {
        let newest = self.newest?;
        let Some(name) = call.abi.syscall_name(call.nr) else {
            return (newest <= introduced::newest_known()).then_some(IntendedRefusal::NoSuchCall);
        };
        let since = introduced::introduced_in(name).filter(|since| *since > newest)?;
        Some(IntendedRefusal::NewerThanKernel {
            since: since.to_string(),
            recorded_on: newest.to_string(),
        })
    }
}

/// Red Hat's kernels keep their version and get calls of later ones.
fn version(release: &str) -> Option<LinuxVersion> {
    LinuxVersion::from_release(release).filter(|_| !release.contains(".el"))
}

/// What is known of the flags that clone3 was given.
#[derive(Clone, Copy, Debug)]
pub(super) enum CloneFlags {
    /// These were recorded; `None`: none were, so that a flag which clone lacks may be among them.
    Recorded(Option<u64>),
    /// It is seen in another way that clone can do the work, and no namespace is made.
    EnoughForClone,
}

/// What the callers of `call` fall back to when it returns ENOSYS, if `filter` allows that.
pub(super) fn falls_back(
    call: SyscallId,
    flags: CloneFlags,
    filter: &Filter,
) -> Option<IntendedRefusal> {
    let name = call.abi.syscall_name(call.nr)?;
    let mut registers = [Register::default(); 6];
    if name == "clone3" {
        let [first, ..] = &mut registers;
        *first = match flags {
            // The lowest byte has the exit signal, which is not recorded.
            CloneFlags::Recorded(flags) => Register {
                known: !0xff,
                value: flags_for_clone(flags?)?,
            },
            CloneFlags::EnoughForClone => Register {
                known: NAMESPACES,
                value: 0,
            },
        };
    }
    let allowed = |name: &&&str| {
        let nr = call.abi.syscall_number(name);
        nr.is_some_and(|nr| {
            let call = SyscallId { abi: call.abi, nr };
            answer(&filter.possible_verdicts(call, &registers)) == Answer::Allowed
        })
    };
    let parts = on_enosys(call.abi, name)?;
    let to: Option<Vec<_>> = parts
        .iter()
        .map(|part| part.iter().find(allowed).copied())
        .collect();
    let mut to = to?;
    to.dedup();
    Some(IntendedRefusal::FallsBack { to })
}
