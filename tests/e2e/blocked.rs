//! Calls that a filter stopped, in a container that was under it from the beginning: each is told with
//! what the program saw, in whichever way it was stopped, and no ordinary call is taken for one.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tracer_tests::{
    Outcome, needs,
    oci::{Container, Runtime},
    process::{self, Running},
    programs::{self, Build},
    recording::{Blocked, Recording, SyscallId},
    requires::{Need, program},
    scratch::Scratch,
    tracer::{self, Record},
    wait,
};

/// Thousands of ordinary calls in each of four threads: ten million in all.
const ROUNDS: &str = "2500";

/// The machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// What `tests/programs/blocked.c` is stopped at: by name, by number, how, and what it sees.
pub(crate) const STOPPED: [(&str, u32, &str, Option<u32>, Blocked); 8] = [
    ("mkdir", 83, "ERRNO", Some(1), Blocked::Errno(1)),
    ("rmdir", 84, "ERRNO", Some(38), Blocked::Errno(38)),
    ("vhangup", 153, "ERRNO", Some(13), Blocked::Errno(13)),
    ("acct", 163, "ERRNO", Some(250), Blocked::OtherErrno),
    ("swapon", 167, "TRAP", None, Blocked::Signal),
    ("swapoff", 168, "KILL_THREAD", None, Blocked::Signal),
    ("reboot", 169, "KILL_PROCESS", None, Blocked::Signal),
    ("setdomainname", 171, "ERRNO", Some(22), Blocked::Errno(22)),
];

/// The same `mkdir` by `int 0x80`.
pub(crate) const MKDIR_I386: u32 = 39;

pub(crate) fn filter() -> Value {
    let entries: Vec<_> = STOPPED
        .iter()
        .map(|(name, _, action, errno, _)| {
            let mut entry = json!({ "names": [name], "action": format!("SCMP_ACT_{action}") });
            if let Some(errno) = errno {
                entry["errnoRet"] = json!(errno);
            }
            entry
        })
        .collect();
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": entries,
    })
}

/// Records a container of `runtime` that runs the program under the filter.
fn record(runtime: Runtime, scratch: &Scratch, rounds: &str) -> Result<Recording> {
    let program = programs::compiled("blocked", Build::Static)?;
    let dir = scratch.dir("work")?;
    let container =
        Container::new(runtime, &[program, rounds.into()], &dir, &filter(), true)?.in_public();
    let mut recorder = Record::new(&scratch.join("out"), "blocked")?
        .option("--wait")
        .option("--container")
        .option(container.id())
        .start()?;
    recorder.running.until_stderr("waiting for it to start")?;
    let line = container.command_line()?;
    let (program, args) = line.split_first().context("an empty command line")?;
    let mut command = Command::new(program);
    let work = Running::spawn(tracer::plain_environment(&mut command).args(args))?
        .wait_within(PATIENCE)?;
    ensure!(work.text() == "done\n", "the program failed: {work:?}");
    let (finished, recorded) = recorder.finish()?;
    finished.success()?;
    recorded.recording()
}

fn all_and_nothing_else(test: &str, runtime: Runtime) -> Outcome {
    let needs = [
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        runtime.need(),
        program::UNSHARE,
        program::CC,
    ];
    if !tracer_tests::requires::met(test, &needs)? {
        return Ok(());
    }
    told(&record(runtime, &Scratch::new()?, ROUNDS)?)
}

/// All that the program was stopped at, and nothing else.
fn told(recording: &Recording) -> Outcome {
    let mut expected: std::collections::BTreeSet<_> = STOPPED
        .iter()
        .map(|(_, nr, _, _, saw)| (SyscallId::x86_64(*nr), *saw))
        .collect();
    expected.insert((SyscallId::i386(MKDIR_I386), Blocked::Errno(1)));
    ensure!(
        recording.blocked() == expected,
        "blocked were {:?}, not {expected:?}",
        recording.blocked()
    );
    ensure!(
        recording.coverage.complete,
        "not complete: {:?}",
        recording.coverage
    );
    // They were not made, and 999, which nothing stopped, was.
    let run = recording.made_in("run");
    for (call, _) in &expected {
        ensure!(!run.contains(call), "{call} was made");
    }
    ensure!(run.contains(&SyscallId::x86_64(999)), "999 was not made");
    Ok(())
}

#[test]
fn reports_exactly_the_blocked_calls_on_runc() -> Outcome {
    all_and_nothing_else(tracer_tests::test_name!(), Runtime::Runc)
}

#[test]
fn reports_exactly_the_blocked_calls_on_crun() -> Outcome {
    all_and_nothing_else(tracer_tests::test_name!(), Runtime::Crun)
}

/// A few calls only: for other kernels, which stop calls in other places.
#[test]
fn reports_every_way_a_filter_blocks() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::CRUN,
        program::UNSHARE,
        program::CC
    );
    told(&record(Runtime::Crun, &Scratch::new()?, "1")?)
}

/// The one that was under no filter is not seen to load one.
#[test]
fn reports_calls_blocked_by_a_tsync_filter() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let program = programs::compiled("tsync", Build::Dynamic)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "tsync")?
        .of([program])
        .run()?;
    finished.success()?;
    let recording = recorded.recording()?;
    let expected = (SyscallId::x86_64(83), Blocked::Errno(1));
    ensure!(
        recording.blocked().iter().eq([&expected]),
        "blocked were {:?}",
        recording.blocked()
    );
    Ok(())
}

/// Every call of the machine pays for the program that sees them, so it is attached only while
/// something that is recorded is under a filter, or may be about to be: a command is not, a container
/// is until it has been started without one. Of the containers that other tests start meanwhile that
/// may be said as well, so that here nothing is recorded that waits for containers and has none.
#[test]
fn exits_are_traced_only_while_a_filter_may_exist() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        program::RUNC,
        program::UNSHARE,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let began = scratch.join("began");
    let script = format!("touch {}; sleep 2", began.display());
    let recorder = Record::new(&scratch.join("out"), "command")?
        .option("--accesses=none")
        .of(["busybox", "sh", "-c", &script])
        .start()?;
    wait::until("the command to begin", || Ok(began.exists().then_some(())))?;
    ensure!(
        !watches_exits(recorder.running.pid())?,
        "exits are watched, and no filter is there"
    );
    recorder.finish()?.0.success()?;

    let filter = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["acct"], "action": "SCMP_ACT_ERRNO" }],
    });
    let dir = scratch.dir("work")?;
    let argv = ["busybox", "sh", "-c", "touch began; sleep 60"].map(Into::into);
    let container = Container::new(Runtime::Runc, &argv, &dir, &filter, true)?.in_public();
    let mut recorder = Record::new(&scratch.join("out"), "container")?
        .option("--wait")
        .option("--container")
        .option(container.id())
        .option("--accesses=none")
        .start()?;
    recorder.running.until_stderr("waiting for it to start")?;
    let line = container.command_line()?;
    let (program, args) = line.split_first().context("an empty command line")?;
    let mut command = Command::new(program);
    let running = Running::spawn(tracer::plain_environment(&mut command).args(args))?;
    wait::until("the workload to begin", || {
        Ok(dir.join("began").exists().then_some(()))
    })?;
    // Longer than it takes to find out that nobody needs them.
    std::thread::sleep(Duration::from_secs(12));
    ensure!(
        watches_exits(recorder.running.pid())?,
        "a filter is there, and exits are not watched"
    );
    process::send(wait::pid_in(&container.pid_file())?, Signal::SIGKILL)?;
    running.wait()?;
    recorder.finish()?.0.success()?;
    Ok(())
}

/// Whether a process holds an attachment to `sys_exit` (/proc/PID/fdinfo, `bpf_raw_tp_link_show_fdinfo`).
fn watches_exits(pid: u32) -> Result<bool> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A file may be closed in the meantime.
        let info = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        if info.lines().any(|line| line == "tp_name:\tsys_exit") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// They do not enter the profile, but by `--allow-blocked`; the review names them.
#[test]
fn blocked_calls_are_allowed_only_on_request() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::RUNC,
        program::UNSHARE,
        program::CC
    );
    let scratch = Scratch::new()?;
    record(Runtime::Runc, &scratch, "1")?;
    let directory = scratch.join("out").join("blocked");
    let review = std::fs::read_to_string(directory.join("REVIEW.md"))?;
    ensure!(
        review.contains("Attempted, and blocked") && review.contains("| `vhangup` |"),
        "the review does not tell: {review}"
    );
    let allows = |profile: &str| -> Result<bool> {
        let profile = tracer_tests::seccomp::read(&scratch.join(profile).join("seccomp.json"))?;
        Ok(tracer_tests::seccomp::without(&profile, "vhangup").is_ok())
    };
    ensure!(!allows("out/blocked")?, "what was blocked is allowed");
    process::run(
        tracer::command()?
            .args(["generate", "--allow-blocked", "--output"])
            .arg(scratch.join("again"))
            .arg(&directory),
    )?
    .success()?;
    ensure!(allows("again/blocked")?, "--allow-blocked allows nothing");
    Ok(())
}
