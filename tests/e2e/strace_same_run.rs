//! Programs that never go the same way twice, such as garbage collectors and schedulers, cannot be
//! compared from one run to the next. So strace and tracer watch one and the same run: tracer records
//! `strace COMMAND`, and strace's own calls are told from the command's by the executable.
//!
//! strace's own child executes the command: that one `execve` is filed under strace, and in its log.
//! Nothing else is different, and nothing else is left out: calls that the vDSO answers are seen by
//! neither, and both watch from that `execve` on.

use std::collections::BTreeSet;

use anyhow::ensure;
use tracer_tests::{
    Outcome,
    recording::{Executable, SyscallId},
    requires::program,
    scratch::Scratch,
    servers::Server,
    strace,
    tracer::Record,
    work::Work,
};

use crate::{
    arguments,
    ground_truth::{EXECVE, can_be_compared, compare, ensure_complete},
};

fn agrees(test: &str, work: Work) -> Outcome {
    if !can_be_compared(test, work)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?;
    let log = scratch.join("strace.log");
    let mut line = strace::command_line(&log);
    line.extend(work.prepare(&dir)?);
    let record = Record::new(&scratch.join("out"), "work")?.of(line);
    let (line, recorded) = record.into_command_line();
    let done = work.run(&dir, &line, None)?;
    let recording = recorded.recording()?;
    ensure!(done.code == 0, "the work failed: {done:?}");
    ensure_complete(&recording)?;

    let is_of_the_work = |executable: &Executable| match executable {
        Executable::Path(path) => !path.ends_with("/strace"),
        _ => false,
    };
    let mut recorded = recording.calls_by(is_of_the_work);
    // strace's child made it.
    recorded.insert(SyscallId::x86_64(EXECVE));
    let truth = strace::calls(&log)?;
    let truth: BTreeSet<SyscallId> = truth.into_iter().map(|seen| seen.call).collect();
    compare(&truth, &recorded)?;
    arguments::agree(&strace::arguments(&log)?, &recording, is_of_the_work)
}

tracer_tests::for_each_work! { agrees:
    go: Work::Command(&["containerd", "config", "default"]);
    node: Work::Script(program::NODE, "work.js");
    postgres: Work::Server(Server::Postgres);
    bash: Work::Script(program::BASH, "work.bash");
}
