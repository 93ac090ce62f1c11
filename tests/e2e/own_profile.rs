//! tracer gives up what it does not need: by a profile that it made of itself, and by what else the kernel has.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tracer_tests::{
    Outcome,
    cgroup::Cgroup,
    lifecycle::ScriptedContainer,
    needs,
    oci::Runtime,
    process::{self, Running},
    replicas,
    requires::Need,
    scratch::Scratch,
    tracer::{self, Record, Recorder},
};

use crate::output::tracer;

/// Keeps all rights, so that the profile is made of what tracer does and not of what it is let do.
const UNCONFINED: &str = "TRACER_UNCONFINED";

/// What the profile is: see `confine::profile`.
fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/tracer-recorder/src/confine/x86_64.json")
}

/// Calls that gain an attacker something. None is in the profile, whatever its arguments.
const NEVER: [&str; 22] = [
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "mount",
    "move_mount",
    "open_tree",
    "fsopen",
    "umount2",
    "pivot_root",
    "chroot",
    "setns",
    "unshare",
    "init_module",
    "finit_module",
    "kexec_load",
    "keyctl",
    "io_uring_setup",
    "reboot",
    "swapon",
];

/// What tracer does once it records is what the profile allows, and the profile allows nothing dangerous.
#[test]
fn own_profile_allows_what_tracer_does() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    let scratch = Scratch::new()?;
    let recordings = record_tracer(&scratch)?;
    let recordings: Vec<_> = recordings.iter().map(|it| it.to_string_lossy()).collect();
    let out = scratch.join("generated");
    let mut generate = vec!["generate", "--runtime=none", "--exec=none"];
    generate.extend(["--arguments=all", "--format=seccomp", "--output"]);
    let text = out.to_string_lossy().into_owned();
    generate.push(&text);
    generate.extend(recordings.iter().map(AsRef::as_ref));
    tracer(&generate)?.success()?;
    let made = out.join("tracer").join("seccomp.json");
    if env::var_os("TRACER_UPDATE").is_some() {
        fs::copy(&made, committed())?;
    }
    let committed_path = committed().to_string_lossy().into_owned();
    for recording in &recordings {
        let checked = tracer(&[
            "verify",
            "--runtime=none",
            &committed_path,
            "--recording",
            recording,
        ])?;
        ensure!(
            checked.code() == 0,
            "what tracer does is denied by its profile; draw it again with TRACER_UPDATE=1: {}",
            checked.text()
        );
    }
    let profile: Value = serde_json::from_slice(&fs::read(committed())?)?;
    let entries = profile["syscalls"].as_array().context("no entries")?;
    let allowed = entries
        .iter()
        .filter(|it| it["action"] == "SCMP_ACT_ALLOW")
        .flat_map(|it| it["names"].as_array().into_iter().flatten());
    let found: Vec<_> = allowed
        .filter_map(Value::as_str)
        .filter(|name| NEVER.contains(name))
        .collect();
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

/// Records tracer in each of its ways, from when it has attached its programs.
fn record_tracer(scratch: &Scratch) -> Result<Vec<PathBuf>> {
    let unconfined = |command: &mut Command| {
        command.env(UNCONFINED, "1");
    };
    // A command, which leaves something running, and signals.
    let stop = scratch.join("stop");
    let script = format!(
        "while [ ! -e {} ]; do ls / > /dev/null; sleep 0.2; done; sleep 1000 & exit 0",
        stop.display()
    );
    let of_command = Record::new(&scratch.join("command"), "c")?
        .with(unconfined)
        .with_files()
        .of(["sh", "-c", &script])
        .start()?;
    // A cgroup.
    let watched = Cgroup::new("own-watched")?;
    let inside = Running::spawn(Command::new("sh").args([
        "-c",
        "while :; do ls / > /dev/null; mkdir -p /tmp/tracer-own; rmdir /tmp/tracer-own; sleep 0.3; done",
    ]))?;
    watched.add(inside.pid())?;
    let of_cgroup = Record::new(&scratch.join("cgroup"), "g")?
        .with(unconfined)
        .with_files()
        .option("--until-stable=1h")
        .of_cgroup(watched.path())
        .start()?;
    // Containers that come and go.
    let all = scratch.join("all");
    let mut of_all = tracer::command()?;
    of_all
        .env(UNCONFINED, "1")
        .args(["record", "--all", "--output"])
        .arg(&all);
    let of_all = Running::spawn(&mut of_all)?;
    let mut outer = Vec::new();
    for (number, mut running) in [of_command.running, of_cgroup.running, of_all]
        .into_iter()
        .enumerate()
    {
        running.until_stderr("recording")?;
        // The command is in a cgroup below the one that tracer was in. Only tracer moves.
        let own = Cgroup::new("own-tracer")?;
        own.add(running.pid())?;
        let recorder = Record::new(&scratch.join(format!("outer-{number}")), "tracer")?
            .with_files()
            .of_cgroup(own.path())
            .start()?;
        outer.push((running, own, recorder));
    }
    for (_, _, recorder) in &mut outer {
        recorder.until_attached()?;
    }
    containers(scratch)?;
    // Two checkpoints.
    thread::sleep(Duration::from_secs(12));
    process::send(outer[0].0.pid(), Signal::SIGUSR1).ok();
    process::send(outer[0].0.pid(), Signal::SIGWINCH)?;
    fs::write(&stop, "")?;
    process::send(outer[1].0.pid(), Signal::SIGTERM)?;
    process::send(outer[2].0.pid(), Signal::SIGTERM)?;
    let mut recordings = Vec::new();
    for (running, own, recorder) in outer {
        recordings.push(finish(running, &own, recorder)?);
    }
    process::send(inside.pid(), Signal::SIGKILL)?;
    inside.wait()?;
    Ok(recordings)
}

fn finish(running: Running, own: &Cgroup, recorder: Recorder) -> Result<PathBuf> {
    running.wait_within(Duration::from_secs(60))?;
    own.remove()?;
    let (finished, recorded) = recorder.finish()?;
    finished.success()?;
    Ok(recorded.directory.join("recording.json"))
}

/// One after the other, where a runtime is.
fn containers(scratch: &Scratch) -> Result<()> {
    for (number, runtime) in [Runtime::Runc, Runtime::Crun].into_iter().enumerate() {
        if tracer_tests::requires::which(runtime.name()).is_none() {
            continue;
        }
        let mut container =
            ScriptedContainer::new(runtime, &scratch.dir(&format!("container-{number}"))?)?;
        container.start()?;
        container.does("mkdir /tmp/x")?;
        container.exec(&["/bin/busybox", "true"]).ok();
        container.ends()?;
    }
    Ok(())
}

/// What an attacker would do with a recorder is refused, to each thread; the command keeps its rights.
#[test]
fn attacker_in_the_recorder_gains_nothing() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    let scratch = Scratch::new()?;
    let victim = scratch.file("victim", "as it was")?;
    let script =
        "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; echo x > written; exec cat written";
    let directory = scratch.dir("directory")?;
    let own = fs::read_to_string("/proc/self/status")?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "w")?
        .with(|command| {
            command
                .env("TRACER_ATTACK", &victim)
                .current_dir(&directory);
        })
        .of(["sh", "-c", script])
        .run()?;
    let finished = finished.success()?;
    recorded.recording()?;
    ensure!(recorded.profile().exists());
    // As the tests themselves.
    let expected: String = own
        .lines()
        .filter(|line| line.starts_with("NoNewPrivs") || line.starts_with("Seccomp:"))
        .map(|line| format!("{line}\n"))
        .collect();
    ensure!(finished.text() == format!("{expected}x\n"), "{finished:?}");
    all_refused(&victim, &finished.stderr, 2)
}

/// Nor does a file gain anything that a command reads.
#[test]
fn attacker_in_a_reader_gains_nothing() -> Outcome {
    let scratch = Scratch::new()?;
    let victim = scratch.file("victim", "as it was")?;
    let recording = replicas::example().to_string_lossy().into_owned();
    let out = scratch.join("deep/out").to_string_lossy().into_owned();
    let page = scratch.dir("page")?.join("page.html");
    let page = page.to_string_lossy().into_owned();
    for args in [
        &["explain", &recording, "openat"][..],
        &["diff", &recording, &recording],
        &["audit", &recording],
        &["verify", &recording, "--recording", &recording],
        &["report", &recording, "-o", &page],
        &["merge", &recording, "-o", "-"],
        &[
            "generate",
            &recording,
            "-o",
            &page.replace("page.html", "out"),
        ],
    ] {
        let mut command = tracer::command()?;
        let finished = process::run(command.args(args).env("TRACER_ATTACK", &victim))?;
        all_refused(&victim, &finished.stderr, 1).with_context(|| format!("{args:?}"))?;
    }
    // With nothing there yet, the directory above is where it may write.
    tracer(&["generate", &recording, "-o", &out])?.success()?;
    ensure!(Path::new(&page).exists());
    Ok(())
}

/// What these threads tried was refused.
fn all_refused(victim: &Path, stderr: &str, threads: usize) -> Outcome {
    let mut attacks: BTreeMap<(String, String), String> = BTreeMap::new();
    for line in stderr.lines() {
        let Some(attack) = line.strip_prefix("tracer: attack by the ") else {
            continue;
        };
        let mut words = attack.splitn(3, ": ").map(str::to_owned);
        let mut word = || words.next().context("too few words");
        attacks.insert((word()?, word()?), word()?);
    }
    ensure!(attacks.len() == 7 * threads, "{stderr}");
    let has_landlock = tracer(&["doctor"])?.text().contains("Landlock version");
    for ((thread, attack), answer) in &attacks {
        let refused = [
            "Operation not permitted",
            "Permission denied",
            "Function not implemented",
        ]
        .iter()
        .any(|it| answer.starts_with(it));
        let needs_landlock = thread != "recorder" && ["write", "create"].contains(&attack.as_str());
        ensure!(
            refused || (needs_landlock && !has_landlock),
            "{thread}: {attack}: {answer}"
        );
    }
    if has_landlock {
        ensure!(fs::read_to_string(victim)? == "as it was");
        ensure!(!victim.with_extension("new").exists());
    }
    Ok(())
}
