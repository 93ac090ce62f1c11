//! Why no profile can be made.

use thiserror::Error;

use crate::recording::Recording;
use syscalls::introduced::LinuxVersion;

/// Why no profile can be made from some recordings.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The list of recordings is empty.
    #[error("no recording to make a profile from")]
    NoRecording,
    /// Neither the machine nor any call tells the ABI.
    #[error(
        "the recording was made on a {0:?} machine, and tracer has tables for x86_64, aarch64 and riscv64 only"
    )]
    UnknownMachine(String),
    /// The kernel that was recorded on has no action that logs.
    #[error(
        "Linux {0} cannot log calls that a filter would deny: SCMP_ACT_LOG needs Linux 4.14; make a profile that denies"
    )]
    CannotLog(String),
    /// The runtime that was recorded has no action that logs.
    #[error(
        "gVisor cannot log calls that a filter would deny: runsc refuses a profile with SCMP_ACT_LOG; make a profile that denies"
    )]
    GvisorCannotLog,
}

/// Whether the kernels that were recorded on have `SECCOMP_RET_LOG` (Linux 4.14, seccomp(2)), and no guest of
/// gVisor was recorded: runsc takes SCMP_ACT_LOG for an invalid action (runsc/specutils/seccomp/seccomp.go).
pub(super) fn can_log(recordings: &[Recording]) -> Result<(), Error> {
    const SINCE: LinuxVersion = LinuxVersion(4, 14);
    if recordings.iter().any(Recording::is_of_gvisor) {
        return Err(Error::GvisorCannotLog);
    }
    let mut kernels = recordings.iter().flat_map(Recording::hosts);
    let old = kernels.find(|host| {
        LinuxVersion::from_release(&host.kernel).is_some_and(|version| version < SINCE)
    });
    old.map_or(Ok(()), |host| Err(Error::CannotLog(host.kernel.clone())))
}
