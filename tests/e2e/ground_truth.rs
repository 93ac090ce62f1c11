//! What tracer records is what strace sees of the same work, call by call, value by value and
//! executable by executable: nothing less, nothing more.
//!
//! There is no list of exceptions: the work is written so that it makes the same calls every time.

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::{Result, ensure};
use tracer_tests::{
    Outcome,
    programs::Build,
    recording::{Executable, Recording, SyscallId},
    requires::{self, Need, program},
    scratch::Scratch,
    servers::Server,
    strace::{self, Seen},
    tracer::Record,
    work::Work,
};

use crate::arguments;

pub(crate) const EXECVE: u32 = 59;

/// Whether strace and tracer can watch `work` here.
pub(crate) fn can_be_compared(test: &str, work: Work) -> Result<bool> {
    let mut needed = vec![Need::Root, Need::Cgroup2, Need::X86, program::STRACE];
    needed.extend(work.needs());
    requires::met(test, &needed)
}

/// Nothing was lost, and each call has its executable.
pub(crate) fn ensure_complete(recording: &Recording) -> Outcome {
    ensure!(
        recording.coverage.complete && recording.coverage.losses.executables == 0,
        "the recording is not complete: {:?}",
        recording.coverage
    );
    Ok(())
}

/// Does `work` once under strace and once under tracer, and compares.
fn agrees(test: &str, work: Work) -> Outcome {
    if !can_be_compared(test, work)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;

    let dir = scratch.dir("strace")?;
    let log = scratch.join("strace.log");
    let mut line = strace::command_line(&log);
    line.extend(work.prepare(&dir)?);
    let by_strace = work.run(&dir, &line, None)?;
    let truth = strace::calls(&log)?;

    let dir = scratch.dir("tracer")?;
    let record = Record::new(&scratch.join("out"), "work")?.of(work.prepare(&dir)?);
    let (line, recorded) = record.into_command_line();
    let by_tracer = work.run(&dir, &line, None)?;
    let recording = recorded.recording()?;

    ensure!(by_tracer.code == 0, "the work failed: {by_tracer:?}");
    ensure!(
        (by_strace.code, &by_strace.said) == (by_tracer.code, &by_tracer.said),
        "the work went differently: {by_strace:?} under strace, {by_tracer:?} under tracer"
    );
    ensure_complete(&recording)?;
    // strace begins with the command's own execve. So does tracer, and nothing else is before it.
    let launcher = recording.calls_by(|who| *who == Executable::Launcher);
    ensure!(
        launcher == BTreeSet::from([SyscallId::x86_64(EXECVE)]),
        "tracer's own child left traces: {launcher:?}"
    );
    let calls = |seen: &BTreeSet<Seen>| seen.iter().map(|s| s.call.clone()).collect();
    compare::<SyscallId>(&calls(&truth), &recording.calls())?;
    arguments::agree(&strace::arguments(&log)?, &recording, |_| true)?;
    if !work.names_its_threads() {
        let truth = truth.into_iter().map(of_file).collect();
        compare(&truth, &by_name(&recording))?;
    }
    Ok(())
}

/// A thread is called as its program was asked for, which may be a link: tracer names the file that runs.
fn of_file(seen: Seen) -> Seen {
    let file = requires::which(&seen.comm).and_then(|path| path.canonicalize().ok());
    let name = file.and_then(|file| Some(file.file_name()?.to_str()?.chars().take(COMM).collect()));
    Seen {
        comm: name.unwrap_or(seen.comm),
        ..seen
    }
}

/// `TASK_COMM_LEN` without the terminating NUL (include/linux/sched.h).
const COMM: usize = 15;

/// The recording as strace would tell it: each executable by the name that its exec gives a thread.
fn by_name(recording: &Recording) -> BTreeSet<Seen> {
    let comm = |executable: &Executable| match executable {
        Executable::Path(path) => {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.chars().take(COMM).collect()
        }
        Executable::Launcher => strace::OWN_CHILD.to_owned(),
        other => format!("{other:?}"),
    };
    recording
        .syscalls
        .iter()
        .flat_map(|call| {
            call.evidence.iter().map(move |who| Seen {
                comm: comm(&who.executable),
                call: SyscallId::new(&call.abi, call.nr),
            })
        })
        .collect()
}

pub(crate) fn compare<T: Ord + std::fmt::Debug>(
    truth: &BTreeSet<T>,
    recorded: &BTreeSet<T>,
) -> Outcome {
    ensure!(truth.len() > 5, "strace saw next to nothing: {truth:?}");
    let mut complaint = String::new();
    for missing in truth.difference(recorded) {
        writeln!(complaint, "only strace saw {missing:?}")?;
    }
    for extra in recorded.difference(truth) {
        writeln!(complaint, "only tracer saw {extra:?}")?;
    }
    ensure!(complaint.is_empty(), "{complaint}");
    Ok(())
}

tracer_tests::for_each_work! { agrees:
    ls: Work::Command(&["ls", "-laR", "/etc/apt"]);
    cp: Work::Command(&["cp", "-a", "/etc/apt", "DIR/copy"]);
    sort: Work::Command(&["sort", "-r", "/etc/passwd"]);
    find_exec: Work::Command(&["find", "/etc/apt", "-type", "f", "-exec", "wc", "-l", "{}", ";"]);
    tar: Work::Command(&["tar", "-C", "/etc", "-czf", "DIR/apt.tar.gz", "apt"]);
    bash: Work::Script(program::BASH, "work.bash");
    python: Work::Script(program::PYTHON, "work.py");
    perl: Work::Script(program::PERL, "work.pl");
    nginx: Work::Server(Server::Nginx);
    redis: Work::Server(Server::Redis);
    threads: Work::Program("threads", Build::Dynamic);
    forks: Work::Program("forks", Build::Dynamic);
    static_busybox: Work::Busybox;
    i386: Work::Program("i386", Build::StaticI386);
    int80_from_64_bit: Work::Program("int80", Build::Dynamic);
    values: Work::Program("argument_values", Build::Dynamic);
    unknown_numbers: Work::Program("unknown_calls", Build::Dynamic);
}
