//! What outlives, surrounds or ends a recorded command: daemons, cgroups, other recordings, kills.

use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::{
        signal::{SigHandler, Signal, signal},
        stat::Mode,
    },
    unistd::mkfifo,
};
use tracer_tests::{
    Outcome, cgroup, needs,
    process::{self, Finished, Running},
    programs::{self, Build},
    recording::SyscallId,
    requires::{Need, program},
    scratch::Scratch,
    tracer::{self, Record, Recorded},
    wait,
};

use super::command::{UNKNOWN, in_scratch};
use crate::output::files;

/// A shell's `&` lets a program ignore SIGINT. A recorder that runs no command is ended by it all the same.
#[test]
fn sigint_ends_a_recorder_in_the_background() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let mut command = tracer::command()?;
    command
        .args(["record", "--all", "--accesses=none", "--output-dir"])
        .arg(scratch.join("out"));
    // SAFETY: a system call only.
    unsafe {
        command.pre_exec(|| {
            signal(Signal::SIGINT, SigHandler::SigIgn)?;
            Ok(())
        });
    }
    let mut recorder = Running::spawn(&mut command)?;
    recorder.until_stderr("recording all containers")?;
    recorder.signal(Signal::SIGINT)?;
    let finished = recorder.wait()?;
    // Other tests may run containers meanwhile; without one, nothing was recorded.
    ensure!([0, 4].contains(&finished.code()), "{finished:?}");
    Ok(())
}

#[test]
fn duration_ends_the_command() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--duration")
        .option("500ms")
        .of(["sleep", "600"])
        .run()?;
    ensure!(finished.code() == 143, "{finished:?}");
    recorded.recording()?;
    Ok(())
}

#[test]
fn runs_as_another_user() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::SETPRIV);
    let script = "id; cat /proc/self/status; touch $0 2>/dev/null && echo may write";
    let scratch = Scratch::new()?;
    let forbidden = scratch.join("forbidden");
    let forbidden = forbidden.to_str().context("a path that is not text")?;
    let expected = process::run(
        tracer::plain_environment(&mut Command::new("setpriv"))
            .args(["--reuid", "nobody", "--regid", "nogroup", "--init-groups"])
            .args(["sh", "-c", script, forbidden]),
    )?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--user")
        .option("nobody")
        .of(["sh", "-c", script, forbidden])
        .run()?;
    let who = |finished: &Finished| {
        finished
            .text()
            .lines()
            .filter(|line| {
                ["uid=", "Uid", "Gid", "Groups", "Cap", "may"]
                    .iter()
                    .any(|s| line.starts_with(s))
            })
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    ensure!(who(&expected).len() >= 9, "{expected:?}");
    ensure!(
        who(&finished) == who(&expected),
        "{finished:?}, not {expected:?}"
    );
    recorded.recording()?;
    Ok(())
}

/// A command that leaves a process behind, which waits for the pipe to be written to, and then makes
/// a call that is not made before.
struct Daemon {
    scratch: Scratch,
    pipe: PathBuf,
}

impl Daemon {
    fn new() -> Result<Self> {
        let scratch = Scratch::new()?;
        let pipe = scratch.join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU)?;
        Ok(Self { scratch, pipe })
    }

    fn argv(&self) -> Result<Vec<String>> {
        let unknown = programs::compiled("unknown_calls", Build::Dynamic)?;
        let script = format!(
            "setsid sh -c 'echo $$ > {pid}; read line < {pipe}; exec {unknown}' >/dev/null 2>&1 &
             while ! [ -s {pid} ]; do :; done; exit 5",
            pid = self.scratch.join("pid").display(),
            pipe = self.pipe.display(),
            unknown = unknown.display(),
        );
        Ok(["sh", "-c", &script].map(str::to_owned).to_vec())
    }

    fn pid(&self) -> Result<u32> {
        let pid = fs::read_to_string(self.scratch.join("pid"))?;
        Ok(pid.trim().parse()?)
    }

    /// Lets it go on to its end.
    fn release(&self) -> Outcome {
        Ok(fs::write(&self.pipe, "go\n")?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(pid) = self.pid()
            && process::is_alive(pid)
        {
            let _ = process::send(pid, Signal::SIGKILL);
        }
    }
}

#[test]
fn follow_waits_for_daemons() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let daemon = Daemon::new()?;
    let recorder = Record::new(&daemon.scratch.join("out"), "work")?
        .option("--follow")
        .of(daemon.argv()?)
        .start()?;
    wait::until("the daemon", || Ok(daemon.pid().ok()))?;
    let shell = wait::until("the command's end", || {
        let left = process::descendants(recorder.running.pid());
        Ok(left
            .iter()
            .all(|pid| is_tracer(*pid) || !process::is_alive(*pid))
            .then_some(()))
    });
    shell?;
    daemon.release()?;
    let (finished, recorded) = recorder.finish()?;
    ensure!(finished.code() == 5, "{finished:?}");
    let recording = recorded.recording()?;
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    ensure!(
        recording.calls().contains(&SyscallId::x86_64(UNKNOWN)),
        "what the daemon did is missing"
    );
    Ok(())
}

/// Whether a process is one of tracer's own, which look files up and run parsers.
fn is_tracer(pid: u32) -> bool {
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    tracer::binary().is_ok_and(|own| program.is_ok_and(|program| program == own))
}

/// Without `--follow` tracer ends with the command and says what that means; the daemon lives on.
#[test]
fn daemons_survive_without_follow() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    for (option, code) in [("--quiet", 5), ("--require-complete", 3)] {
        let daemon = Daemon::new()?;
        let (finished, recorded) = Record::new(&daemon.scratch.join("out"), "work")?
            .option(option)
            .of(daemon.argv()?)
            .run()?;
        ensure!(finished.code() == code, "{option}: {finished:?}");
        let coverage = recorded.recording()?.coverage;
        let codes = coverage.reasons.iter().map(|reason| reason.code.as_str());
        ensure!(
            !coverage.complete && codes.collect::<Vec<_>>() == ["still-running"],
            "{coverage:?}"
        );
        ensure!(
            finished.stderr.contains("--follow"),
            "stderr does not say what to do: {}",
            finished.stderr
        );
        let pid = daemon.pid()?;
        ensure!(process::is_alive(pid), "tracer killed the daemon");
        let own = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup"));
        ensure!(
            own(&pid.to_string())? == own("self")?,
            "the daemon is not back where it would be without tracer"
        );
        daemon.release()?;
        wait::until("the daemon's end", || {
            Ok((!process::is_alive(pid)).then_some(()))
        })?;
    }
    Ok(())
}

/// A command that makes cgroups of its own, as systemd and container runtimes do.
#[test]
fn records_cgroups_created_by_the_command() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let unknown = programs::compiled("unknown_calls", Build::Dynamic)?;
    let script = format!(
        "cd {mount}$(sed -n 's/^0:://p' /proc/self/cgroup) && mkdir outer && mkdir outer/inner &&
         echo 0 > outer/inner/cgroup.procs && exec {unknown}",
        mount = cgroup::v2_mount()?.display(),
        unknown = unknown.display()
    );
    let (finished, recorded, _scratch) = in_scratch(&["sh", "-c", &script])?;
    finished.success()?;
    let recording = recorded.recording()?;
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    ensure!(recording.calls().contains(&SyscallId::x86_64(UNKNOWN)));
    let own = &recording.instances[0].cgroup;
    let left = cgroup::all()?
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(own))
        .collect::<Vec<_>>();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

/// Two at once: each has its own command's calls, and not the other's.
#[test]
fn concurrent_recordings_stay_separate() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let pipe = scratch.join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let start = |name: &str, program: &Path| {
        let script = format!(
            "echo ready; read line < {}; exec {}",
            pipe.display(),
            program.display()
        );
        let mut recorder = Record::new(&scratch.join("out"), name)?
            .of(["sh", "-c", &script])
            .start()?;
        recorder.running.until_stdout("ready")?;
        Ok::<_, anyhow::Error>(recorder)
    };
    let unknown = start(
        "unknown",
        &programs::compiled("unknown_calls", Build::Dynamic)?,
    )?;
    let int80 = start("int80", &programs::compiled("int80", Build::Dynamic)?)?;
    // Held open, so that each reader finds a line of its own.
    let mut door = fs::OpenOptions::new().read(true).write(true).open(&pipe)?;
    door.write_all(b"go\n")?;
    let mut recordings = Vec::new();
    let mut running = vec![unknown, int80];
    // Who of the two reads the first line is open.
    let first = wait::until("the first end", || {
        for (i, recorder) in running.iter_mut().enumerate() {
            if recorder.running.ended()?.is_some() {
                return Ok(Some(i));
            }
        }
        Ok(None)
    })?;
    recordings.push(running.remove(first).finish()?.1.recording()?);
    door.write_all(b"go\n")?;
    recordings.push(running.remove(0).finish()?.1.recording()?);
    for recording in recordings {
        let calls = recording.calls();
        let mine = recording.workload.name == "unknown";
        ensure!(calls.contains(&SyscallId::x86_64(UNKNOWN)) == mine);
        ensure!(calls.contains(&SyscallId::i386(20)) != mine);
        ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    }
    Ok(())
}

#[test]
fn leaves_nothing_behind() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let mounts = || fs::read_to_string("/proc/self/mountinfo");
    let scratch = Scratch::new()?;
    let recorder = Record::new(&scratch.join("out"), "work")?
        .of(["sh", "-c", "true"])
        .start()?;
    let pid = recorder.running.pid();
    let (finished, recorded) = recorder.finish()?;
    finished.success()?;
    let own = recorded.recording()?.instances[0].cgroup.clone();
    ensure!(
        own.contains(&pid.to_string()),
        "not a cgroup of its own: {own}"
    );
    let left = cgroup::all()?
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(&own))
        .collect::<Vec<_>>();
    ensure!(left.is_empty(), "cgroups left behind: {left:?}");
    ensure!(
        !mounts()?.contains(&format!("tracer-{pid}")),
        "a mount was left behind"
    );
    let files: Vec<_> = files(&recorded.directory)?.into_keys().collect();
    ensure!(files == tracer::written(), "{files:?}");
    let pinned = fs::read_dir("/sys/fs/bpf")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains("tracer"))
        .count();
    ensure!(pinned == 0, "maps or programs stay pinned");
    Ok(())
}

/// Recording a cgroup that runs already: until Ctrl-C, for a time, and until it goes away.
#[test]
fn records_an_existing_cgroup() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let cgroup = cgroup::Cgroup::new("attach")?;
    // The workload is further down, where it was before the recording began.
    let inner = cgroup.child("inner")?;
    let pipe = scratch.join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let unknown = programs::compiled("unknown_calls", Build::Dynamic)?;
    let script = format!(
        "echo 0 > {}; echo ready; read line < {}; exec {}",
        inner.procs().display(),
        pipe.display(),
        unknown.display()
    );
    let mut workload = Running::spawn(Command::new("sh").args(["-c", &script]))?;
    workload.until_stdout("ready")?;

    // By its directory and by its path as /proc/PID/cgroup says it; one ends by itself.
    let mut by_signal = Record::new(&scratch.join("out"), "by-signal")?
        .of_cgroup(cgroup.path())
        .start()?;
    by_signal.until_attached()?;
    let path = fs::read_to_string(format!("/proc/{}/cgroup", workload.pid()))?;
    let path = path
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .and_then(|path| path.strip_suffix("/inner"))
        .context("not in the cgroup it moved to")?;
    let mut by_removal = Record::new(&scratch.join("out"), "by-removal")?
        .of_cgroup(Path::new(path))
        .start()?;
    by_removal.until_attached()?;
    let (timed, by_time) = Record::new(&scratch.join("out"), "by-time")?
        .option("--duration")
        .option("200ms")
        .of_cgroup(cgroup.path())
        .run()?;
    ensure!(timed.code() == 4, "nothing ran in it: {timed:?}");
    let codes = |recorded: &Recorded| -> Result<Vec<String>> {
        let coverage = recorded.recording()?.coverage;
        Ok(coverage
            .reasons
            .into_iter()
            .map(|reason| reason.code)
            .collect())
    };
    ensure!(by_time.recording().is_err(), "a recording of nothing");

    fs::write(&pipe, "go\n")?;
    workload.wait()?.success()?;
    by_signal.running.signal(Signal::SIGINT)?;
    let (finished, by_signal) = by_signal.finish()?;
    finished.success()?;
    inner.remove()?;
    cgroup.remove()?;
    let (finished, by_removal) = by_removal.finish()?;
    finished.success()?;
    for recorded in [by_signal, by_removal] {
        ensure!(
            recorded
                .recording()?
                .calls()
                .contains(&SyscallId::x86_64(UNKNOWN))
        );
        ensure!(codes(&recorded)?.contains(&"start-not-observed".to_owned()));
    }
    Ok(())
}

/// A tracer that is killed takes nothing with it.
#[test]
fn killed_tracer_leaves_the_command_running() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let mut recorder = Record::new(&scratch.join("out"), "work")?
        .of(["sh", "-c", "echo $$; exec sleep 600"])
        .start()?;
    let pid: u32 = wait::until("the command's id", || {
        let said = String::from_utf8(recorder.running.stdout()?)?;
        Ok(said.trim().parse().ok())
    })?;
    recorder.running.signal(Signal::SIGKILL)?;
    wait::within(Duration::from_secs(10), "tracer's end", || {
        recorder.running.ended()
    })?;
    let alive = process::is_alive(pid);
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    process::send(pid, Signal::SIGKILL)?;
    wait::until("the command's end", || {
        Ok((!process::is_alive(pid)).then_some(()))
    })?;
    if let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) {
        let _ = fs::remove_dir(cgroup::v2_mount()?.join(path));
    }
    ensure!(alive, "the command died with tracer");
    ensure!(!scratch.join("out/work/recording.json").exists());
    Ok(())
}
