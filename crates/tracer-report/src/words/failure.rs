//! A workload that failed.

use std::collections::BTreeSet;

use tracer_core::recording::{CommandFailure, Recording};

use crate::phrases::signal;

/// That the recorded command failed each time, without a stop; `None` when it worked, or nobody knows.
pub fn failure(recording: &Recording) -> Option<String> {
    let runs = recording.instances.iter().map(|it| it.failed);
    let failures: Option<BTreeSet<CommandFailure>> = runs.collect();
    let first = failures?.into_iter().next()?;
    let how = match first {
        CommandFailure::ExitStatus(code) => format!("exit status {code}"),
        CommandFailure::Signal(number) => signal(u8::try_from(number).unwrap_or(u8::MAX)),
    };
    Some(format!(
        "the command failed ({how}); the profile holds only what it did until then"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::profile::seccomp::fixture::mixed;

    #[test]
    fn failure_is_told_when_no_run_worked() {
        let mut recording = mixed();
        assert_eq!(failure(&recording), None);
        recording.instances.truncate(1);
        recording.instances[0].failed = Some(CommandFailure::ExitStatus(3));
        let text = failure(&recording).unwrap();
        assert!(
            text.starts_with("the command failed (exit status 3)"),
            "{text}"
        );
        let mut works = recording.instances[0].clone();
        works.failed = None;
        recording.instances.push(works);
        assert_eq!(failure(&recording), None);
        recording.instances.clear();
        assert_eq!(failure(&recording), None);
    }
}
