//! The recorded command cannot tell that it is recorded, nor can who started it.

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::{
        signal::{SigHandler, SigSet, Signal, signal},
        stat::{Mode, umask},
    },
    unistd::mkfifo,
};
use tracer_tests::{
    Outcome, cgroup, needs,
    process::{self, Finished, Running},
    programs::{self, Build},
    pty::OnTerminal,
    recording::SyscallId,
    requires::{Need, program},
    scratch::Scratch,
    tracer::{self, Record, Recorded},
    wait,
};

use crate::output::files;

const UNKNOWN: u32 = 999;

/// Runs `argv` bare and recorded, each as `configure` says.
fn both<'a>(
    argv: impl IntoIterator<Item = &'a str> + Clone,
    configure: impl Fn(&mut Command),
) -> Result<(Finished, Finished)> {
    let scratch = Scratch::new()?;
    let mut words = argv.clone().into_iter();
    let mut bare = Command::new(words.next().context("no command")?);
    tracer::plain_environment(&mut bare).args(words);
    bare.stdin(Stdio::null());
    configure(&mut bare);
    let (recorded, _) = Record::new(&scratch.join("out"), "work")?
        .option("--quiet")
        .of(argv)
        .with(configure)
        .run()?;
    Ok((Running::spawn(&mut bare)?.wait()?, recorded))
}

fn in_scratch(argv: &[&str]) -> Result<(Finished, Recorded, Scratch)> {
    let scratch = Scratch::new()?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of(argv)
        .with(|command| {
            command.current_dir(scratch.path());
        })
        .run()?;
    Ok((finished, recorded, scratch))
}

#[test]
fn exit_status_is_the_commands() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    for (script, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("kill -SEGV $$", 139),
    ] {
        let (finished, recorded, _scratch) = in_scratch(&["sh", "-c", script])?;
        ensure!(finished.code() == code, "{script}: {finished:?}");
        // Also of a command that failed a recording is worth having.
        recorded.recording()?;
    }
    Ok(())
}

#[test]
fn unrunnable_commands_exit_with_126_or_127() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let plain = scratch.file("plain", "#!/bin/sh\nexit 0\n")?;
    let no_interpreter = scratch.file("no-interpreter", "#!/no/such/interpreter\n")?;
    fs::set_permissions(&no_interpreter, fs::Permissions::from_mode(0o755))?;
    let directory = scratch.dir("folder")?;
    let missing = scratch.join("missing");
    for (command, code) in [
        (missing.as_path(), 127),
        (Path::new("no-such-command-anywhere"), 127),
        (plain.as_path(), 126),
        (no_interpreter.as_path(), 127),
        (directory.as_path(), 126),
    ] {
        let by_env = process::run(Command::new("env").arg(command))?.code();
        ensure!(by_env == code, "env itself ends with {by_env}");
        let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
            .of([command])
            .run()?;
        let shown = command.display().to_string();
        ensure!(
            finished.code() == code && finished.stderr.contains(&shown),
            "{shown}: {finished:?}"
        );
        ensure!(
            finished.stderr.trim_end().lines().count() == 1,
            "{shown}: more than a sentence: {}",
            finished.stderr
        );
        ensure!(finished.stdout.is_empty(), "{shown}: {finished:?}");
        ensure!(
            !recorded.directory.join("recording.json").exists(),
            "{shown}: something was recorded"
        );
    }
    Ok(())
}

/// Like every program that runs commands by `execvp`: a shell gets it.
#[test]
fn script_without_a_shebang_runs() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let script = scratch.file("script", "echo by the shell\nexit 4\n")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let script = script.to_str().context("a path that is not text")?;
    let by_env = process::run(Command::new("env").arg(script))?;
    let (recorded, _) = Record::new(&scratch.join("out"), "work")?
        .of([script])
        .run()?;
    ensure!(
        (recorded.code(), &recorded.stdout) == (by_env.code(), &by_env.stdout),
        "{recorded:?}, by env {by_env:?}"
    );
    Ok(())
}

/// Every byte value, more of them than any pipe or buffer holds.
fn bytes() -> Vec<u8> {
    (0..1_u32 << 20)
        .flat_map(|i| (i ^ (i >> 8)).to_le_bytes().into_iter().take(1))
        .collect()
}

#[test]
fn standard_streams_are_passed_through() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let input = scratch.file("input", bytes())?;
    let (bare, recorded) = both(["sh", "-c", "cat; echo complaint >&2"], |command| {
        if let Ok(file) = fs::File::open(&input) {
            command.stdin(file);
        }
    })?;
    ensure!(bare.stdout == bytes(), "the command itself is wrong");
    ensure!(
        recorded.stdout == bare.stdout,
        "stdout is not the command's"
    );
    ensure!(
        recorded.stderr == bare.stderr,
        "--quiet adds to stderr: {:?}",
        recorded.stderr
    );
    Ok(())
}

/// With pipes and without `--quiet`: still nothing of tracer's on stdout.
#[test]
fn piped_stdout_holds_only_the_commands_output() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let (line, _) = Record::new(&scratch.join("out"), "work")?
        .of(["cat"])
        .into_command_line();
    let mut child = tracer::command()?
        .args(&line[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let writer = std::thread::spawn(move || stdin.write_all(&bytes()));
    let output = child.wait_with_output()?;
    ensure!(
        writer.join().is_ok_and(|written| written.is_ok()),
        "stdin was closed"
    );
    ensure!(output.status.success() && output.stdout == bytes());
    Ok(())
}

/// What `/proc/self` says of a command that changes nothing about itself.
const SELF: [&str; 4] = [
    "cat",
    "/proc/self/status",
    "/proc/self/limits",
    "/proc/self/stat",
];

/// Everything a process inherits, but for what must differ: ids, and numbers that count.
fn inherited(text: &str) -> Vec<String> {
    let kept = [
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "SigQ",
        "SigPnd",
        "ShdPnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "Cap",
        "NoNewPrivs",
        "Seccomp",
        "Speculation",
        "Cpus_allowed",
        "Mems_allowed",
        "Max ",
        "CoreDumping",
        "THP_enabled",
        "Limit",
    ];
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| kept.iter().any(|name| line.starts_with(name)))
        .map(|line| {
            // The queue's length depends on who else is running.
            if line.starts_with("SigQ") {
                "SigQ".into()
            } else {
                line.into()
            }
        })
        .collect();
    if let Some((_, stat)) = text.rsplit_once(" (cat) ") {
        // proc_pid_stat(5), from the third field on: process group, session, terminal; priority,
        // nice; real-time priority, policy.
        let fields = stat.split(' ').collect::<Vec<_>>();
        lines.push(
            [2, 3, 4, 15, 16, 37, 38]
                .map(|i| fields.get(i).copied().unwrap_or("-"))
                .join(" "),
        );
    }
    lines
}

/// A process state that is nobody's default.
fn unusual(command: &mut Command, sigpipe: SigHandler) {
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(move || {
            umask(Mode::from_bits_truncate(0o027));
            let mut blocked = SigSet::empty();
            for each in [Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGWINCH] {
                blocked.add(each);
            }
            blocked.thread_block()?;
            signal(Signal::SIGHUP, SigHandler::SigIgn)?;
            signal(Signal::SIGINT, SigHandler::SigIgn)?;
            signal(Signal::SIGPIPE, sigpipe)?;
            Ok(())
        });
    }
}

#[test]
fn process_state_is_passed_through() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    for sigpipe in [SigHandler::SigDfl, SigHandler::SigIgn] {
        let (bare, recorded) = both(SELF, |command| unusual(command, sigpipe))?;
        let (bare, recorded) = (inherited(&bare.text()), inherited(&recorded.text()));
        ensure!(bare.len() > 30, "too little is compared: {bare:?}");
        for (bare, recorded) in bare.iter().zip(&recorded) {
            ensure!(bare == recorded, "bare: {bare}, recorded: {recorded}");
        }
        ensure!(bare.len() == recorded.len());
    }
    Ok(())
}

/// The script that shows what a process is in: mounts and namespaces.
const SURROUNDINGS: &str =
    "cat /proc/self/mountinfo; readlink /proc/self/ns/*; readlink /proc/self/root";

#[test]
fn mounts_and_namespaces_are_unchanged() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let (bare, recorded) = both(["sh", "-c", SURROUNDINGS], |_| {})?;
    let lines = |finished: &Finished| {
        let text = finished.text();
        // Other tests mount and unmount meanwhile.
        let lines = text.lines().filter(|line| !line.contains("tracer-e2e"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    ensure!(lines(&bare).len() > 10, "{bare:?}");
    ensure!(
        lines(&bare) == lines(&recorded),
        "{bare:?}, recorded {recorded:?}"
    );
    Ok(())
}

/// Where nobody has mounted the v2 hierarchy tracer finds its own way, and nobody else sees it.
#[test]
fn records_without_a_cgroup2_mount() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::CC,
        program::UNSHARE
    );
    let scratch = Scratch::new()?;
    let (line, recorded) = Record::new(&scratch.join("out"), "work")?
        .of([programs::compiled("unknown_calls", Build::Dynamic)?])
        .into_command_line();
    let script = format!(
        "umount {} && cat /proc/self/mountinfo && \"$@\"; echo status $?; cat /proc/self/mountinfo",
        cgroup::v2_mount()?.display()
    );
    let finished = process::run(
        tracer::plain_environment(&mut Command::new("unshare"))
            .args(["-m", "sh", "-c", &script, "sh"])
            .args(line),
    )?
    .success()?;
    let said = finished.text();
    let (before, after) = said
        .split_once("status 0\n")
        .with_context(|| format!("{finished:?}"))?;
    ensure!(
        !before.contains(" - cgroup2 "),
        "it is still mounted: {before}"
    );
    ensure!(
        !after.contains(" - cgroup2 "),
        "a mount was left behind: {after}"
    );
    let recording = recorded.recording()?;
    ensure!(recording.calls().contains(&SyscallId::x86_64(UNKNOWN)));
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    Ok(())
}

#[test]
fn environment_cwd_and_descriptors_are_passed_through() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let script = "env -0 | sort -z; pwd; ls -l /proc/self/fd | sed 's/.* \\([0-9]* -> \\)/\\1/;
                  s/pipe:.*/pipe/; s/socket:.*/socket/; s/[0-9]*.fd$/SELF/; s/#[0-9]*/TEMP/; s/tmp[A-Za-z0-9.]* (deleted)/TEMP/'";
    let (bare, recorded) = both(["sh", "-c", script], |command| {
        command
            .current_dir(scratch.path())
            .env("EMPTY", "")
            .env("LINES_", "one\ntwo")
            .env("RUST_LOG", "trace")
            .env_remove("HOME");
        // SAFETY: a system call only.
        unsafe {
            command.pre_exec(|| {
                // A descriptor that the caller hands down.
                if libc::dup2(0, 9) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
    })?;
    ensure!(
        bare.text() == recorded.text(),
        "bare:\n{}\nrecorded:\n{}",
        bare.text(),
        recorded.text()
    );
    ensure!(bare.text().contains("9 -> /dev/null"), "{}", bare.text());
    Ok(())
}

#[test]
fn terminal_and_interrupts_are_passed_through() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC);
    let scratch = Scratch::new()?;
    let signals = programs::compiled("signals", Build::Dynamic)?;
    let script = format!(
        "test -t 0 && test -t 1 && test -t 2 && echo on a terminal; exec {}",
        signals.display()
    );
    let (line, recorded) = Record::new(&scratch.join("out"), "work")?
        .of(["sh", "-c", &script])
        .into_command_line();
    let mut command = tracer::command()?;
    let mut terminal = OnTerminal::spawn(command.args(&line[1..]).env("TERM", "xterm"))?;
    terminal.until("on a terminal")?;
    terminal.until("ready")?;
    for n in 1..=5 {
        terminal.type_("\x03")?;
        wait::until("an interrupt", || {
            Ok((terminal.screen()?.matches("got 2").count() >= n).then_some(()))
        })?;
    }
    // Goes the way that a second delivery of an interrupt would have gone, and after it.
    terminal.running.signal(Signal::SIGUSR1)?;
    terminal.until("got 10")?;
    let interrupts = terminal.screen()?.matches("got 2").count();
    ensure!(
        interrupts == 5,
        "5 interrupts were typed, {interrupts} arrived"
    );
    terminal.running.signal(Signal::SIGUSR2)?;
    let code = wait::until("the end", || terminal.running.ended())?.code();
    ensure!(code == Some(7), "{code:?}");
    recorded.recording()?;
    Ok(())
}

#[test]
fn signals_to_tracer_reach_the_command() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC);
    let scratch = Scratch::new()?;
    let mut recorder = Record::new(&scratch.join("out"), "work")?
        .of([programs::compiled("signals", Build::Dynamic)?])
        .start()?;
    let mut expected = String::from("ready\n");
    let until_said = |recorder: &mut tracer::Recorder, text: &str| {
        wait::until(text, || {
            let said = String::from_utf8(recorder.running.stdout()?)?;
            Ok((said == text).then_some(()))
        })
    };
    until_said(&mut recorder, &expected)?;
    for each in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGTERM,
    ] {
        recorder.running.signal(each)?;
        expected += &format!("got {}\n", each as i32);
        until_said(&mut recorder, &expected)?;
    }
    recorder.running.signal(Signal::SIGUSR2)?;
    let (finished, recorded) = recorder.finish()?;
    ensure!(finished.code() == 7, "{finished:?}");
    ensure!(finished.text() == expected, "{finished:?}");
    ensure!(recorded.recording()?.coverage.complete);
    Ok(())
}

/// A command that a signal ends: its recording is written all the same.
#[test]
fn terminated_recording_is_still_written() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let mut recorder = Record::new(&scratch.join("out"), "work")?
        .of(["sh", "-c", "echo ready; exec sleep 600"])
        .start()?;
    recorder.running.until_stdout("ready")?;
    recorder.running.signal(Signal::SIGTERM)?;
    let (finished, recorded) = recorder.finish()?;
    ensure!(finished.code() == 143, "{finished:?}");
    let recording = recorded.recording()?;
    ensure!(recording.workload.command[0] == "sh");
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
            .all(|pid| !process::is_alive(*pid))
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
    timed.success()?;
    let codes = |recorded: &Recorded| -> Result<Vec<String>> {
        let coverage = recorded.recording()?.coverage;
        Ok(coverage
            .reasons
            .into_iter()
            .map(|reason| reason.code)
            .collect())
    };
    ensure!(codes(&by_time)? == ["start-not-observed", "still-running"]);

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
