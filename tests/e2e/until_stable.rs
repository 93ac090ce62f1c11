//! A recording ends by itself when nothing new comes any more, and not before; how much is still unseen
//! is told while it goes on.

use std::fs;

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    Outcome,
    lifecycle::{ScriptedContainer, Watch},
    needs,
    oci::Runtime,
    programs::{self, Build},
    pty::OnTerminal,
    recording::{Recording, SyscallId},
    requires::{Need, program},
    scratch::{Scratch, unique},
    tracer::{self, Record},
};

/// Numbers that a row of marks has room for and that no kernel knows.
const NEW_CALLS: std::ops::Range<u32> = 480..500;

const SAID: &str = "nothing new for";

const LINK: [u32; 2] = [86, 265];

macro_rules! needs_containers {
    ($runtime:expr) => {
        needs!(
            Need::Root,
            Need::Cgroup2,
            Need::X86,
            $runtime.need(),
            program::UNSHARE,
            program::BUSYBOX
        )
    };
}

/// New calls for two seconds: only a clock that restarts with each of them lasts longer.
#[test]
fn ends_a_command_that_does_nothing_new() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let program = programs::compiled("new_calls", Build::Static)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--until-stable")
        .option("1s")
        .of([
            program.as_os_str(),
            NEW_CALLS.start.to_string().as_ref(),
            NEW_CALLS.len().to_string().as_ref(),
        ])
        .run()?;
    ensure!(
        finished.code() == 143 && finished.text() == "done\n",
        "{finished:?}"
    );
    ensure!(
        finished.stderr.contains(&format!("{SAID} 1s")),
        "{finished:?}"
    );
    let recording = recorded.recording()?;
    let missing: Vec<_> = NEW_CALLS
        .filter(|nr| !recording.calls().contains(&SyscallId::x86_64(*nr)))
        .collect();
    ensure!(missing.is_empty(), "it was ended before {missing:?}");
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    Ok(())
}

/// What a daemon does that is new counts, and the daemon is ended as well.
#[test]
fn follow_ends_quiet_daemons_too() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let program = programs::compiled("new_calls", Build::Static)?;
    let script = format!("{} 480 5 >/dev/null &", program.display());
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--follow")
        .option("--until-stable=1s")
        .of(["sh", "-c", &script])
        .run()?;
    ensure!(
        finished.code() == 0 && finished.stderr.contains(SAID),
        "{finished:?}"
    );
    let recording = recorded.recording()?;
    ensure!(recording.calls().contains(&SyscallId::x86_64(484)));
    ensure!(!recording.has_reason("still-running"));
    Ok(())
}

#[test]
fn duration_ends_a_recording_that_is_not_stable() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let (finished, _) = Record::new(&scratch.join("out"), "work")?
        .option("--until-stable=1h")
        .option("--duration=500ms")
        .of(["sleep", "600"])
        .run()?;
    ensure!(
        finished.code() == 143 && !finished.stderr.contains(SAID),
        "{finished:?}"
    );
    Ok(())
}

fn made(recording: &Recording, nrs: &[u32]) -> bool {
    let calls = recording.made_in("run");
    nrs.iter().any(|nr| calls.contains(&SyscallId::x86_64(*nr)))
}

/// It is waited for longer than it may be quiet, and goes on after it was recorded.
fn a_container_is_left(runtime: Runtime) -> Outcome {
    needs_containers!(runtime);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(runtime, &scratch.dir("life")?)?;
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--until-stable", "1s", "--container", life.id()],
    )?;
    life.start()?;
    life.does("busybox ln began l")?;
    let watched = watch.ends()?;
    let (_, recording) = watched.only()?;
    ensure!(
        watched.finished.stderr.contains(&format!("{SAID} 1s")),
        "{:?}",
        watched.finished
    );
    ensure!(recording.has_reason("still-running"));
    ensure!(made(recording, &LINK), "{:?}", recording.calls());
    life.ends()
}

#[test]
fn stops_recording_a_stable_runc_container() -> Outcome {
    a_container_is_left(Runtime::Runc)
}

#[test]
fn stops_recording_a_stable_crun_container() -> Outcome {
    a_container_is_left(Runtime::Crun)
}

/// No runtime starts a container in a millisecond: the clock starts with the workload.
#[test]
fn clock_starts_with_the_workload() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--until-stable=1ms", "--container", life.id()],
    )?;
    life.start()?;
    let watched = watch.ends()?;
    let (_, recording) = watched.only()?;
    ensure!(recording.instances[0].start_observed);
    ensure!(!recording.made_in("run").is_empty());
    life.ends()
}

/// What runs already and waits makes no call that could start the clock.
#[test]
fn idle_container_is_stable() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    life.start()?;
    life.waits()?;
    let watch = Watch::start(
        &scratch.join("out"),
        &["--until-stable=500ms", "--container", life.id()],
    )?;
    ensure!(watch.ends_with_nothing()?.stderr.contains(SAID));
    life.ends()
}

/// Two replicas, of which one does what the other does not.
#[test]
fn live_status_shows_rare_calls() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let cart = unique("cart");
    let pods = ["x2x4z", "b4c5d"].map(|end| format!("{cart}-5d8f9c7b6d-{end}"));
    let mut command = tracer::command()?;
    command
        .args(["record", "--wait", "--duration=1h", "--output"])
        .arg(scratch.join("out"))
        .env("TERM", "xterm");
    for pod in &pods {
        command.arg("--pod").arg(format!("shop/{pod}"));
    }
    let mut terminal = OnTerminal::spawn(&mut command)?;
    terminal.until("waiting for it to start")?;
    let mut lives = Vec::new();
    for pod in &pods {
        let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir(pod)?)?
            .of_pod("shop", pod, "web")?;
        life.start()?;
        lives.push(life);
    }
    terminal.until("· 0 in only one of 2 instances")?;
    lives[0].does("busybox ln began l")?;
    // Links, and what busybox does for it; until the next checkpoint.
    let rare = tracer_tests::wait::until("a rare call on the line", || {
        let screen = terminal.screen()?;
        let (before, _) = screen
            .rsplit_once(" in only one of 2 instances")
            .context("no such line")?;
        let number = before.rsplit(' ').next().unwrap_or_default().to_owned();
        Ok((number != "0").then_some(number))
    })?;
    ensure!(rare.parse::<u32>().is_ok(), "{rare:?} calls");
    for life in &mut lives {
        life.ends()?;
    }
    terminal.type_("\x03")?;
    let code = tracer_tests::wait::until("the end", || terminal.running.ended())?.code();
    ensure!(code == Some(0), "{code:?}");
    let directories: Result<Vec<_>, _> = fs::read_dir(scratch.join("out"))?.collect();
    ensure!(directories?.len() == 1);
    Ok(())
}
