//! A container's life: found while it runs, waited for, started again, killed, one of several. What it
//! did is what the test told it to do, and nobody else does the like.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome, cgroup,
    lifecycle::{ScriptedContainer, Watch},
    needs,
    oci::Runtime,
    process,
    pty::OnTerminal,
    recording::{Recording, SyscallId},
    requires::{self, Need, program},
    scratch::{Scratch, unique},
    tracer,
};

pub(crate) const MKDIR: [u32; 2] = [83, 258];
pub(crate) const LINK: [u32; 2] = [86, 265];
const SWAPOFF: [u32; 1] = [168];
pub(crate) const SYNC: [u32; 1] = [162];
pub(crate) const UMASK: [u32; 1] = [95];
const PIVOT_ROOT: [u32; 1] = [155];

/// Leaves the test where containers of a runtime cannot be run and recorded.
macro_rules! needs_containers {
    ($runtime:expr) => {
        needs!(
            Need::Root,
            Need::Cgroup2,
            Need::X86,
            $runtime.need(),
            program::UNSHARE,
            program::BUSYBOX
        );
    };
}
pub(crate) use needs_containers;

/// Checks in which phases any of some calls was made.
pub(crate) fn made_in(recording: &Recording, nrs: &[u32], phases: &[&str]) -> Outcome {
    let found = recording.phases_of(nrs);
    ensure!(
        found.iter().eq(phases),
        "{nrs:?} in {found:?}, not in {phases:?}"
    );
    Ok(())
}

/// Whether an instance made any of some calls.
pub(crate) fn did(recording: &Recording, instance: usize, nrs: &[u32]) -> bool {
    let calls = recording.calls_where(|who| who.instance == instance);
    nrs.iter().any(|nr| calls.contains(&SyscallId::x86_64(*nr)))
}

fn is_complete(recording: &Recording) -> Outcome {
    let coverage = &recording.coverage;
    ensure!(
        coverage.complete && coverage.reasons.is_empty(),
        "{coverage:?}"
    );
    ensure!(
        recording.instances.iter().all(|it| it.start_observed),
        "{:?}",
        recording.instances
    );
    Ok(())
}

/// Whether a profile in a directory, or on stdout, allows a call.
fn allows(profile: &[u8], name: &str) -> Result<bool> {
    let profile: serde_json::Value = serde_json::from_slice(profile)?;
    let rules = profile["syscalls"].as_array().context("no rules")?;
    Ok(rules.iter().any(|rule| {
        let names = rule["names"].as_array();
        rule["action"] == "SCMP_ACT_ALLOW"
            && names.is_some_and(|names| names.iter().any(|it| it == name))
    }))
}

fn running_already(runtime: Runtime) -> Outcome {
    needs_containers!(runtime);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(runtime, &scratch.dir("life")?)?;
    life.start()?;
    life.does("busybox mkdir before")?;
    let watch = Watch::start(&scratch.join("out"), &["--container", life.id()])?;
    life.does("busybox ln began l")?;
    life.exec(&["busybox", "sync"])?;
    life.ends()?;
    let watched = watch.ends()?;
    let (directory, recording) = watched.only()?;
    ensure!(!recording.instances[0].start_observed && !recording.coverage.complete);
    ensure!(
        recording.has_reason("start-not-observed"),
        "{:?}",
        recording.coverage
    );
    made_in(recording, &MKDIR, &[])?;
    made_in(recording, &LINK, &["run"])?;
    made_in(recording, &SYNC, &["exec"])?;
    // What its runtime calls between loading a filter and starting the program.
    let profile = fs::read(directory.join("seccomp.json"))?;
    for call in ["execve", "fstatfs", "prctl", "link", "sync"] {
        ensure!(allows(&profile, call)?, "{call} is not in the profile");
    }
    Ok(())
}

#[test]
fn records_a_running_runc_container() -> Outcome {
    running_already(Runtime::Runc)
}

#[test]
fn records_a_running_crun_container() -> Outcome {
    running_already(Runtime::Crun)
}

fn from_the_first_call(runtime: Runtime) -> Outcome {
    needs_containers!(runtime);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(runtime, &scratch.dir("life")?)?;
    let watch = Watch::start(&scratch.join("out"), &["--wait", "--container", life.id()])?;
    life.start()?;
    life.does("busybox ln began l")?;
    life.exec(&["busybox", "sync"])?;
    let mut command = life.container.tool(&["exec", "-t", life.id()])?;
    command.args(["busybox", "swapoff", "no-such-device"]);
    let mut session = OnTerminal::spawn(&mut command)?;
    session.until("no-such-device")?;
    life.ends()?;
    let watched = watch.ends()?;
    let (directory, recording) = watched.only()?;
    is_complete(recording)?;
    made_in(recording, &PIVOT_ROOT, &["setup"])?;
    made_in(recording, &LINK, &["run"])?;
    made_in(recording, &SYNC, &["exec"])?;
    made_in(recording, &SWAPOFF, &["terminal"])?;
    let window = recording.made_in("runtime-init");
    ensure!(
        window.contains(&SyscallId::x86_64(59)),
        "no execve in the window: {window:?}"
    );
    let profile = fs::read(directory.join("seccomp.json"))?;
    ensure!(allows(&profile, "link")? && allows(&profile, "sync")?);
    ensure!(
        !allows(&profile, "swapoff")? && !allows(&profile, "pivot_root")?,
        "what the workload does not do is in its profile"
    );
    for (which, sync, swapoff) in [("all", true, true), ("none", false, false)] {
        let again = scratch.join(which);
        process::run(
            tracer::command()?
                .args(["generate", "--exec", which, "--output"])
                .arg(&again)
                .arg(directory.join("recording.json")),
        )?
        .success()?;
        let directory = fs::read_dir(&again)?.next().context("nothing written")??;
        let profile = fs::read(directory.path().join("seccomp.json"))?;
        ensure!(allows(&profile, "sync")? == sync, "--exec {which}: sync");
        ensure!(
            allows(&profile, "swapoff")? == swapoff,
            "--exec {which}: swapoff"
        );
    }
    Ok(())
}

#[test]
fn records_a_runc_container_from_its_first_call() -> Outcome {
    from_the_first_call(Runtime::Runc)
}

#[test]
fn records_a_crun_container_from_its_first_call() -> Outcome {
    from_the_first_call(Runtime::Crun)
}

#[test]
fn restarted_container_is_a_new_instance() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--duration", "1h", "--container", life.id()],
    )?;
    for line in ["busybox ln began l", "busybox sync"] {
        life.start()?;
        life.does(line)?;
        life.ends()?;
    }
    let watched = watch.stop(Signal::SIGTERM)?;
    let (_, recording) = watched.only()?;
    is_complete(recording)?;
    ensure!(recording.instances_of(life.id()).eq(0..2));
    for (instance, own, other) in [(0, &LINK[..], &SYNC[..]), (1, &SYNC, &LINK)] {
        ensure!(
            did(recording, instance, own) && !did(recording, instance, other),
            "these are not the calls of instance {instance}: {:?}",
            recording.syscalls
        );
    }
    Ok(())
}

/// Two pods of a Deployment; in each, a container that prepares it and one that works.
#[test]
fn replicas_share_a_workload_and_pod_containers_do_not() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let cart = unique("cart");
    let pods = ["x2x4z", "b4c5d"].map(|end| format!("{cart}-5d8f9c7b6d-{end}"));
    let [one, two] = pods.each_ref().map(|pod| format!("shop/{pod}"));
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--pod", &one, "--pod", &two, "--duration", "1h"],
    )?;
    let mut lives = Vec::new();
    for pod in &pods {
        for (name, line) in [
            ("migrate", "busybox mkdir d"),
            ("web", "busybox ln began l"),
        ] {
            let dir = scratch.dir(&format!("{pod}-{name}"))?;
            let mut life =
                ScriptedContainer::new(Runtime::Runc, &dir)?.of_pod("shop", pod, name)?;
            life.start()?;
            life.does(line)?;
            lives.push((name, life));
        }
    }
    for (_, life) in &mut lives {
        life.ends()?;
    }
    let watched = watch.stop(Signal::SIGINT)?;
    ensure!(watched.directories.len() == 2, "{:?}", watched.directories);
    for (name, life) in &lives {
        let (directory, recording) = watched.of(life.id())?;
        ensure!(
            directory.ends_with(format!("shop_deployment-{cart}_{name}")),
            "{}",
            directory.display()
        );
        ensure!(recording.instances.len() == 2, "{:?}", recording.instances);
        let phases = if *name == "web" { &["run"][..] } else { &[] };
        made_in(recording, &LINK, phases)?;
        for instance in 0..2 {
            let (own, other) = if *name == "web" {
                (LINK, MKDIR)
            } else {
                (MKDIR, LINK)
            };
            let run = recording.calls_where(|who| who.instance == instance && who.phase == "run");
            let made = |nrs: [u32; 2]| nrs.iter().any(|nr| run.contains(&SyscallId::x86_64(*nr)));
            ensure!(made(own) && !made(other), "{name} {instance}: {run:?}");
        }
        is_complete(recording)?;
    }
    Ok(())
}

#[test]
fn records_a_killed_container() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    for wait in [true, false] {
        let mut life =
            ScriptedContainer::new(Runtime::Runc, &scratch.dir(&format!("life-{wait}"))?)?;
        let out = scratch.join(format!("out-{wait}"));
        let id = life.id().to_owned();
        let options = ["--container", &id, "--wait"];
        let options = &options[..if wait { 3 } else { 2 }];
        let watch = if wait {
            let watch = Watch::start(&out, options)?;
            life.start()?;
            watch
        } else {
            life.start()?;
            Watch::start(&out, options)?
        };
        life.does("busybox ln began l")?;
        life.is_killed()?;
        let watched = watch.ends()?;
        let (_, recording) = watched.only()?;
        made_in(recording, &LINK, &["run"])?;
        ensure!(
            recording.instances[0].start_observed == wait
                && recording.has_reason("start-not-observed") != wait
                && !recording.has_reason("still-running"),
            "{:?}",
            recording.coverage
        );
    }
    Ok(())
}

/// It has waited all the time, and a process that is killed calls nothing.
#[test]
fn records_an_idle_container_that_is_killed() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    life.start()?;
    life.waits()?;
    let watch = Watch::start(&scratch.join("out"), &["--container", life.id()])?;
    life.is_killed()?;
    let said = watch.ends_with_nothing()?.stderr;
    ensure!(said.contains("no system call was observed"), "{said}");
    Ok(())
}

#[test]
fn killed_tracer_leaves_only_the_container() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    let id = life.id().to_owned();
    let options = ["--wait", "--container", &id];
    let killed = scratch.join("killed");
    let watch = Watch::start(&killed, &options)?;
    life.start()?;
    life.does("busybox mkdir d")?;
    let (pid, own) = (watch.running.pid(), life.cgroup()?);
    watch.running.signal(Signal::SIGKILL)?;
    ensure!(watch.running.wait()?.code() == 137);
    let left = |of: &str| of.contains(&format!("tracer-{pid}")) || of.contains("/bpf/tracer");
    for cgroup in cgroup::all()? {
        ensure!(
            !left(&cgroup.to_string_lossy()),
            "{} is left",
            cgroup.display()
        );
    }
    ensure!(
        fs::read_dir("/sys/fs/bpf").map_or(true, |mut pins| pins.next().is_none()),
        "something is pinned"
    );
    // A directory that holds half of a recording would be taken for one.
    let written = fs::read_dir(&killed)?.flatten().map(|entry| entry.path());
    let recordings = written.filter(|directory| directory.join("recording.json").exists());
    ensure!(recordings.count() == 0, "a recording was written");

    let watch = Watch::start(&scratch.join("out"), &options)?;
    life.does("busybox ln began l")?;
    ensure!(life.cgroup()? == own, "the container was moved");
    life.ends()?;
    let watched = watch.ends()?;
    let (_, recording) = watched.only()?;
    ensure!(recording.has_reason("start-not-observed"));
    made_in(recording, &LINK, &["run"])?;
    made_in(recording, &MKDIR, &[])
}

#[test]
fn signal_stops_recording_and_writes_results() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir(signal.as_str())?)?;
        let out = scratch.join(format!("out-{signal}"));
        let watch = Watch::start(&out, &["--all", "--wait"])?;
        life.start()?;
        life.does("busybox ln began l")?;
        let watched = watch.stop(signal)?;
        let (directory, recording) = watched.of(life.id())?;
        ensure!(directory.join("seccomp.json").exists() && directory.join("REVIEW.md").exists());
        made_in(recording, &LINK, &["run"])?;
        ensure!(
            recording.has_reason("still-running"),
            "{:?}",
            recording.coverage
        );
        life.ends()?;
    }
    Ok(())
}

/// A name that is given is the first workload's: in one directory, the second would be taken for it.
#[test]
fn name_option_applies_to_one_workload() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut lives = Vec::new();
    for dir in ["one", "two"] {
        lives.push(ScriptedContainer::new(Runtime::Runc, &scratch.dir(dir)?)?);
    }
    let (one, two) = (lives[0].id().to_owned(), lives[1].id().to_owned());
    let mut watch = Watch::start(
        &scratch.join("out"),
        &[
            "--wait",
            "--name",
            "ours",
            "--container",
            &one,
            "--container",
            &two,
        ],
    )?;
    for (number, (life, line)) in (1..).zip(lives.iter_mut().zip(["ln began l", "sync"])) {
        life.start()?;
        life.does(&format!("busybox {line}"))?;
        watch.until_containers(number)?;
    }
    for life in &mut lives {
        life.ends()?;
    }
    let watched = watch.ends()?;
    let (directory, recording) = watched.of(&one)?;
    ensure!(directory.ends_with("ours"), "{}", directory.display());
    made_in(recording, &LINK, &["run"])?;
    made_in(recording, &SYNC, &[])?;
    let (directory, recording) = watched.of(&two)?;
    ensure!(directory.ends_with(&two), "{}", directory.display());
    made_in(recording, &SYNC, &["run"])?;
    let stderr = &watched.finished.stderr;
    ensure!(stderr.contains("names one workload"), "{stderr}");
    Ok(())
}

/// With too few rows, what the runtime does is taken for the workload's work: that is said.
#[test]
fn reports_mixed_phases_when_rows_run_out() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    // Each of them is another row: a copy, since a link is the same executable.
    for name in 0..16 {
        let busybox = requires::which("busybox").context("busybox is not installed")?;
        fs::copy(busybox, scratch.join("life").join(format!("b{name}")))?;
    }
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--max-rows", "16", "--container", life.id()],
    )?;
    life.start()?;
    for name in 0..16 {
        life.does(&format!("./b{name} sync || :"))?;
    }
    life.exec(&["/bin/busybox", "sync"])?;
    life.ends()?;
    let watched = watch.ends()?;
    let (_, recording) = watched.only()?;
    ensure!(
        recording.coverage.losses.phases > 0 && recording.has_reason("phases-mixed"),
        "{:?}",
        recording.coverage
    );
    // Nothing is lost but whose it is.
    made_in(recording, &SYNC, &["run"])
}
