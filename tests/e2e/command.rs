//! The recorded command cannot tell that it is recorded, nor can who started it.

use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::sys::{
    signal::{SigHandler, SigSet, Signal, signal},
    stat::{Mode, umask},
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

pub(super) const UNKNOWN: u32 = 999;

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

pub(super) fn in_scratch(argv: &[&str]) -> Result<(Finished, Recorded, Scratch)> {
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
    let directory = scratch.dir("directory")?;
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
