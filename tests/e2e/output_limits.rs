//! Output without room, with secrets, without a terminal, and after a kill.

use std::{
    fs::{self, File, Permissions},
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::{
    Outcome, cgroup, needs,
    process::{self, Running},
    pty::OnTerminal,
    replicas::{self},
    requires::Need,
    scratch::{Mounted, Scratch},
    tracer::{self, Record},
    wait,
};

use super::output_safety::{temporary, two_recordings};
use crate::output::{files, tracer};

/// A limit of file size, and a disk without room for all: the recording is kept, and what is missing is told.
#[test]
fn without_room_for_everything_the_recording_is_kept() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let whole = Record::new(&scratch.join("whole"), "w")?
        .of(["ls", "-lR", "/etc/apt"])
        .run()?
        .1;
    let size = |name: &str| Ok::<_, anyhow::Error>(fs::metadata(whole.directory.join(name))?.len());
    let (recording, review) = (size("recording.json")?, size("REVIEW.md")?);
    // What is larger than the limit is the recording alone, so that everything else fits: it is an error.
    let limit = recording.min(review) / 2;
    let (finished, small) = Record::new(&scratch.join("small"), "w")?
        .with(|command| limit_file_size(command, limit))
        .of(["ls", "-lR", "/etc/apt"])
        .run()?;
    ensure!(
        finished.code() == 125 && finished.stderr.contains("File too large"),
        "{finished:?}"
    );
    ensure!(!small.directory.exists(), "half of it was written");

    let disk = scratch.dir("disk")?;
    let _mounted = Mounted::tmpfs(&disk, "size=1m")?;
    let mut filler = File::create(disk.join("filler"))?;
    // Room for the recording and for a page or two more.
    let pages = recording.div_ceil(4096) + 2;
    filler.write_all(&vec![0; usize::try_from((256 - pages) * 4096)?])?;
    let (finished, full) = Record::new(&disk, "w")?
        .of(["ls", "-lR", "/etc/apt"])
        .run()?;
    ensure!(
        finished.code() == 125
            && finished.stderr.contains("REVIEW.md")
            && finished.stderr.contains("No space left")
            && finished.stderr.contains("tracer generate"),
        "{finished:?}"
    );
    full.recording()?;
    ensure!(!full.directory.join("REVIEW.md").exists());
    ensure!(temporary(&disk)?.is_empty(), "{:?}", temporary(&disk)?);
    // As it says.
    drop(filler);
    fs::remove_file(disk.join("filler"))?;
    let recording = full
        .directory
        .join("recording.json")
        .to_string_lossy()
        .into_owned();
    tracer(&["generate", "-o", &disk.to_string_lossy(), &recording])?.success()?;
    ensure!(full.directory.join("REVIEW.md").exists());
    Ok(())
}

fn limit_file_size(command: &mut Command, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: a system call only, with a struct that outlives it.
    unsafe {
        command.pre_exec(
            move || match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
}

/// The command gets the disposition of SIGXFSZ that tracer got.
#[test]
fn the_command_keeps_its_file_size_signal() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let script = "ulimit -f 8; head -c 100000 /dev/zero > big";
    let (finished, _) = Record::new(&scratch.join("out"), "w")?
        .with(|command| {
            command.current_dir(scratch.path());
        })
        .of(["sh", "-c", script])
        .run()?;
    ensure!(finished.code() == 128 + libc::SIGXFSZ, "{finished:?}");
    Ok(())
}

/// A command line may hold a password: what quotes it is for its owner, what is deployed is for all.
#[test]
fn recordings_are_private_and_profiles_are_not() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let secret = "--password=hunter2";
    let (finished, recorded) = Record::new(&scratch.join("out"), "w")?
        .of(["echo", secret])
        .run()?;
    finished.success()?;
    for (name, bytes) in files(&recorded.directory)? {
        let mode = fs::metadata(recorded.directory.join(&name))?
            .permissions()
            .mode()
            & 0o777;
        let quotes = String::from_utf8_lossy(&bytes).contains(secret);
        ensure!(
            mode == if quotes { 0o600 } else { 0o644 },
            "{name}: {mode:o}, {quotes}"
        );
    }
    // Whoever opens it up for others is heeded.
    let path = recorded.directory.join("recording.json");
    fs::set_permissions(&path, Permissions::from_mode(0o640))?;
    Record::new(&scratch.join("out"), "w")?
        .of(["echo", secret])
        .run()?
        .0
        .success()?;
    ensure!(fs::metadata(&path)?.permissions().mode() & 0o777 == 0o640);
    let page = scratch.join("report.html");
    tracer(&[
        "report",
        &path.to_string_lossy(),
        "-o",
        &page.to_string_lossy(),
    ])?
    .success()?;
    ensure!(fs::metadata(&page)?.permissions().mode() & 0o777 == 0o600);
    Ok(())
}

/// `--user` gives the command the surroundings of that user.
#[test]
fn user_has_a_home_of_their_own() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    for (user, expected) in [
        ("nobody", "/nonexistent nobody nobody\n"),
        ("4000123", "/ none none\n"),
        ("4000123:4000124", "/ none none\n"),
    ] {
        let (finished, _) = Record::new(&scratch.join("out"), "w")?
            .with(|command| {
                command
                    .env("HOME", "/root")
                    .env("USER", "root")
                    .env("LOGNAME", "root");
            })
            .option(format!("--user={user}"))
            .of(["sh", "-c", "echo $HOME ${USER-none} ${LOGNAME-none}"])
            .run()?;
        let finished = finished.success()?;
        ensure!(finished.text() == expected, "{user}: {finished:?}");
    }
    Ok(())
}

/// The terminal goes away, and whoever sat there cannot end the command any more.
#[test]
fn a_closed_terminal_ends_the_command_and_saves() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    for script in [
        "echo began; exec sleep 1000",
        "trap '' HUP; echo began; while :; do sleep 1; done",
    ] {
        let scratch = Scratch::new()?;
        let (line, recorded) = Record::new(&scratch.join("out"), "w")?
            .of(["sh", "-c", script])
            .into_command_line();
        let mut command = Command::new(&line[0]);
        tracer::plain_environment(&mut command).args(&line[1..]);
        let mut terminal = OnTerminal::spawn(&mut command)?;
        terminal.until("began")?;
        // The command keeps its ends of the terminal open until it is dropped.
        drop(command);
        let mut running = terminal.hang_up();
        let begin = Instant::now();
        wait::within(Duration::from_secs(45), "the end after a hangup", || {
            Ok(running.ended()?.map(|_| ()))
        })?;
        recorded
            .recording()
            .with_context(|| format!("{script}: {:?}", begin.elapsed()))?;
        ensure!(recorded.profile().exists());
    }
    Ok(())
}

/// What a killed `record` leaves is removed by the next one: its cgroup, and anything temporary.
#[test]
fn the_next_record_cleans_up_after_a_killed_one() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let out = scratch.join("out");
    let mut killed = Record::new(&out, "w")?.of(["sleep", "1000"]).start()?;
    killed.until_attached()?;
    let pid = killed.running.pid();
    let own = format!("tracer-{pid}-");
    let left = || -> Result<Vec<_>> {
        let all = cgroup::all()?.into_iter();
        Ok(all
            .filter(|path| path.to_string_lossy().contains(&own))
            .collect())
    };
    let command = wait::until("the command", || {
        let children = process::descendants(pid);
        // tracer has processes of its own, too.
        let name = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm"));
        let mut sleeps = children
            .into_iter()
            .filter(|pid| name(pid).is_ok_and(|name| name.trim() == "sleep"));
        Ok(sleeps.next())
    })?;
    process::send(pid, nix::sys::signal::Signal::SIGKILL)?;
    killed.finish()?;
    ensure!(left()?.len() == 1, "{:?}", left()?);
    // It is still in use: the next run leaves it alone.
    Record::new(&out, "w")?.of(["true"]).run()?.0.success()?;
    ensure!(
        left()?.len() == 1 && process::is_alive(command),
        "{:?}",
        left()?
    );
    process::send(command, nix::sys::signal::Signal::SIGKILL)?;
    wait::until("the end of the command", || {
        Ok((!process::is_alive(command)).then_some(()))
    })?;
    // Zombies of a killed parent are reaped by init, which takes a moment.
    wait::until("the removal of the cgroup", || {
        Record::new(&out, "w")?.of(["true"]).run()?.0.success()?;
        Ok(left()?.is_empty().then_some(()))
    })?;
    ensure!(temporary(&out)?.is_empty());
    Ok(())
}

/// Text that a terminal would obey, in every reader's way to an error.
#[test]
fn hostile_text_in_errors_is_escaped() -> Outcome {
    let scratch = Scratch::new()?;
    let good = two_recordings(scratch.path())?[0].clone();
    for file in &hostile_files(&scratch, &good)? {
        for args in [
            &["merge", file, "-o", "-"][..],
            &[
                "generate",
                file,
                "-o",
                &scratch.join("out").to_string_lossy(),
            ],
            &["generate", &good, "--for", file],
            &["report", file, "-o", "/dev/null"],
            &["report", &good, "--since", file, "-o", "/dev/null"],
            &["explain", file, "mount"],
            &["diff", file, &good],
            &["diff", &good, file],
            &["verify", file, "--recording", &good],
            &["verify", file, "--recording", file],
            &["audit", file],
            &["audit", "--recording", file, file],
            &["audit", "--baseline", file, &good],
        ] {
            shows_no_forged_line(args)?;
        }
    }
    Ok(())
}

/// Files with text that a terminal would obey, each in another place.
fn hostile_files(scratch: &Scratch, good: &str) -> Result<[String; 9]> {
    let evil = "\u{1b}[31mred\nsecond line: fine\r\u{7}\u{202e}";
    let quoted = json!(evil).to_string();
    let text = |name: &str, text: String| -> Result<String> {
        Ok(scratch.file(name, text)?.to_string_lossy().into_owned())
    };
    let unknown = format!(r#"{{"schema":"tracer.recording/v2",{quoted}:1}}"#);
    let mut named: Value = serde_json::from_slice(&fs::read(good)?)?;
    named["workload"]["name"] = evil.into();
    let mut schema = named.clone();
    schema["schema"] = evil.into();
    let mut machine: Value = serde_json::from_slice(&fs::read(good)?)?;
    machine["host"]["machine"] = evil.into();
    machine["host"]["kernel"] = evil.into();
    let profile = format!(
        r#"{{"defaultAction":{quoted},"syscalls":[{{"names":[{quoted}],"action":{quoted}}}]}}"#
    );
    Ok([
        text("unknown.json", unknown)?,
        text("named.json", named.to_string())?,
        text("schema.json", schema.to_string())?,
        text("machine.json", machine.to_string())?,
        text("profile.json", profile)?,
        text(
            "profile.yaml",
            format!("kind: {quoted}\napiVersion: {quoted}\nspec: {{{quoted}: 1}}\n"),
        )?,
        text("apparmor.profile", format!("profile x {{\n  {evil}\n}}\n"))?,
        text("raw.json", format!("{{\"schema\": {evil}"))?,
        text(&format!("{}.json", evil.replace('/', "")), "{".to_owned())?,
    ])
}

/// Runs tracer: every line of its errors is its own, and nothing that it prints is obeyed by a terminal.
fn shows_no_forged_line(args: &[&str]) -> Outcome {
    let finished = tracer(args)?;
    for line in finished.stderr.lines() {
        let is_ours =
            line.starts_with("tracer: ") || line.starts_with("error: ") || line.starts_with("[");
        ensure!(is_ours, "{args:?}: a forged line {line:?}");
    }
    // A JSON document escapes by itself; `merge` and `generate --for` print files.
    let shown = if ["merge"].contains(&args[0]) {
        String::new()
    } else {
        finished.text()
    };
    for (stream, text) in [("stderr", &finished.stderr), ("stdout", &shown)] {
        let bad =
            |c: &char| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c);
        let found = text.chars().find(bad);
        ensure!(
            found.is_none(),
            "{args:?}: {found:?} in {stream}: {}",
            text.escape_debug()
        );
        ensure!(
            !text.lines().any(|line| line.starts_with("second line")),
            "{args:?}: {text}"
        );
    }
    Ok(())
}

/// A path of thousands of directories is no more work than its length.
#[test]
fn a_very_deep_path_is_reported_in_a_moment() -> Outcome {
    let scratch = Scratch::new()?;
    let mut recording: Value = serde_json::from_slice(&fs::read(replicas::example())?)?;
    let files = recording["files"].as_array_mut().context("no files")?;
    let mut file = files.first().context("no file")?.clone();
    file["what"]["path"] = format!("/{}", ["d"; 6000].join("/")).into();
    files.push(file);
    let path = scratch.file("deep.json", recording.to_string())?;
    let path = path.to_string_lossy();
    let out = scratch.join("out");
    for args in [
        &["report", &path, "-o", "-"][..],
        &["generate", &path, "-o", &out.to_string_lossy()],
        &["diff", &path, &path],
    ] {
        let mut running = Running::spawn(tracer::command()?.args(args))?;
        let begin = Instant::now();
        wait::within(Duration::from_secs(20), "a deep path", || {
            Ok(running.ended()?.map(|_| ()))
        })
        .with_context(|| format!("{args:?}"))?;
        let mut line = String::new();
        running.stderr()?.as_bytes().read_to_string(&mut line)?;
        ensure!(
            running.wait()?.code() == 0,
            "{args:?} after {:?}: {line}",
            begin.elapsed()
        );
    }
    Ok(())
}
