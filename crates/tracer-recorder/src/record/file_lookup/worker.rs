//! The process that touches files. It may wait for ever in the kernel; nobody waits for it.

use std::os::unix::net::UnixStream;

use super::{
    replay::{Answer, Keeping},
    wire::{self, AskedAccess},
};
use crate::record::{
    observed::{AccessSource, Observed},
    rows::RowMeaning,
    system::ThisMachine,
};
use tracer_core::recording::{Executable, Phase};

/// Answers questions until the supervisor is gone.
pub(super) fn serve(supervisor: &UnixStream) {
    while let Ok(frame) = wire::read_frame(supervisor) {
        let Ok(asked) = wire::read_question(&frame) else {
            return;
        };
        let number = asked.number;
        let answers = wire::answers(number, Some(&answers(asked)));
        if wire::write_frame(supervisor, &answers).is_err() {
            return;
        }
    }
}

/// What the file system says when the access is taken in as the recorder does it. What is observed by it
/// is thrown away.
fn answers(asked: AskedAccess) -> Vec<Answer> {
    let files = Keeping::new(&ThisMachine);
    let row = RowMeaning {
        instance: 0,
        phase: Phase::Run,
        executable: Executable::Unknown,
        blocked: false,
    };
    let source = AccessSource {
        files: &files,
        cgroup: &asked.cgroup,
        is_command: asked.is_command,
    };
    // An access that cannot be read has no answers; the recorder finds the same, and counts it.
    let _ = Observed::for_questions(asked.sees_hooks).take_access(&row, asked.access, &source);
    files.into_answers()
}
