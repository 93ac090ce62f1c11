//! Exit statuses: the one place that says what they mean.

use std::process::{ExitCode, ExitStatus};

/// Shown below the help of every command.
pub(super) const HELP: &str = "\
Exit status:
  0    success
  1    error
  2    wrong usage
  3    completed; findings, denials or differences (audit --fail-on, verify, diff --exit-code),
       or an incomplete recording (record --require-complete)
  4    nothing was recorded, so no profile was written
  `record -- CMD`, and `verify -- CMD` without denials, exit with the status of CMD
  (128+N if signal N ended it), or with
  125  if tracer failed
  126  if CMD cannot be executed
  127  if CMD was not found";

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Fine,
    /// 1: it could not be done.
    Failed,
    /// 2: wrong usage.
    Usage,
    /// 3: the check failed.
    No,
    /// 4: nothing was recorded.
    Nothing,
    /// 125: `record` failed (the convention of `env`, `timeout`, `docker run`).
    RecordFailed,
    /// 126: the command could not be run.
    NotExecutable,
    /// 127: the command could not be found.
    NotFound,
    /// The status of the recorded command.
    Command(u8),
}

impl Exit {
    /// The status of a command that ended: its own, or 128+N for signal N as shells say it.
    pub fn from_status(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;

        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .and_then(|code| u8::try_from(code).ok());
        Self::Command(code.unwrap_or(u8::MAX))
    }

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::No => 3,
            Self::Nothing => 4,
            Self::RecordFailed => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn command_status_is_passed_through() {
        assert_eq!(Exit::from_status(ExitStatus::from_raw(7 << 8)).code(), 7);
        assert_eq!(Exit::from_status(ExitStatus::from_raw(15)).code(), 143);
    }
}
