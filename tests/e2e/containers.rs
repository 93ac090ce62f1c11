//! Containers that run already, found by what people call them: by id, by the beginning of an id, by
//! name, by pod. Each is a workload of its own, with what only it does.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use tracer_tests::{
    Outcome, needs,
    oci::{Container, Runtime},
    process::Running,
    recording::{Recording, SyscallId},
    requires::{Need, program},
    scratch::{Scratch, unique},
    tracer,
};

/// Works until it is told to stop: makes a directory and takes it away again (mkdir, rmdir), or makes a
/// link (link, unlink). Busybox, so that all of it is one executable.
const DIRECTORIES: &str = "trap exit TERM; touch began; while :; do mkdir d; rmdir d; done";
const LINKS: &str = "trap exit TERM; touch began; while :; do ln began l; rm l; done";

const MKDIR: u32 = 83;
const LINK: [u32; 2] = [86, 265];

/// A container that works.
struct Working {
    running: Running,
    container: Container,
}

impl Working {
    fn start(
        runtime: Runtime,
        dir: &Path,
        script: &str,
        annotations: &[(&str, &str)],
    ) -> Result<Self> {
        let argv = ["busybox", "sh", "-c", script].map(Into::into);
        let open = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
        let container = Container::new(runtime, &argv, dir, &open, true)?
            .annotated(annotations)?
            .in_public();
        let line = container.command_line()?;
        let (program, args) = line.split_first().context("an empty command line")?;
        let running = Running::spawn(Command::new(program).args(args))?;
        tracer_tests::wait::until("the container to work", || {
            Ok(dir.join("began").exists().then_some(()))
        })?;
        Ok(Self { running, container })
    }

    fn stop(self) -> Result<()> {
        let pid = tracer_tests::wait::pid_in(&self.container.pid_file())?;
        tracer_tests::process::send(pid, Signal::SIGKILL)?;
        self.running.wait()?;
        Ok(())
    }
}

/// Records what `options` select until `until` has been seen, and hands back all recordings.
fn record(output: &Path, options: &[&str], workloads: usize) -> Result<Vec<Recording>> {
    let mut running = Running::spawn(
        tracer::command()?
            .args(["record", "--output"])
            .arg(output)
            .args(["--duration", "1500ms"])
            .args(options),
    )?;
    running.until_stderr("recording")?;
    running.wait()?.success()?;
    let mut recordings = Vec::new();
    for directory in fs::read_dir(output)? {
        recordings.push(Recording::read(&directory?.path().join("recording.json"))?);
    }
    ensure!(
        recordings.len() == workloads,
        "{} workloads were written, not {workloads}",
        recordings.len()
    );
    Ok(recordings)
}

fn made(recording: &Recording, nrs: &[u32]) -> bool {
    let calls = recording.calls();
    nrs.iter().any(|nr| calls.contains(&SyscallId::x86_64(*nr)))
}

fn found_by_id(runtime: Runtime) -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        runtime.need(),
        program::UNSHARE,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let (directories, links) = (scratch.dir("directories")?, scratch.dir("links")?);
    let working = Working::start(runtime, &directories, DIRECTORIES, &[])?;
    let other = Working::start(runtime, &links, LINKS, &[])?;
    let id = working.container.id();
    for (place, given) in [("whole", id), ("beginning", &id[..id.len() - 3])] {
        let recordings = record(&scratch.join(place), &["--container", given], 1)?;
        let recording = &recordings[0];
        let container = recording.instances[0]
            .container
            .as_ref()
            .context("it is not known to be a container")?;
        ensure!(container.id == id, "{container:?} is not {id}");
        ensure!(
            container.warnings.iter().any(|w| w.code == "root-user"),
            "root is not warned of: {container:?}"
        );
        ensure!(
            made(recording, &[MKDIR]) && !made(recording, &LINK),
            "these are not its calls: {:?}",
            recording.calls()
        );
        ensure!(
            recording
                .coverage
                .reasons
                .iter()
                .any(|reason| reason.code == "start-not-observed"),
            "its start was not seen, and that is not said: {:?}",
            recording.coverage
        );
    }
    // Both begin like this: which one is meant is not for tracer to say.
    let finished = tracer_tests::process::run(
        tracer::command()?
            .args(["record", "--container", "tracer-e2e", "--output"])
            .arg(scratch.join("ambiguous")),
    )?;
    ensure!(
        finished.code() == 125 && finished.stderr.contains(id),
        "{finished:?}"
    );
    working.stop()?;
    other.stop()
}

#[test]
fn finds_a_runc_container_by_id() -> Outcome {
    found_by_id(Runtime::Runc)
}

#[test]
fn finds_a_crun_container_by_id() -> Outcome {
    found_by_id(Runtime::Crun)
}

/// containerd's annotations say which pod a container belongs to.
#[test]
fn pod_containers_are_separate_workloads() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::RUNC,
        program::UNSHARE,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let pod = unique("pod");
    let annotations = |container| {
        [
            ("io.kubernetes.cri.container-type", "container"),
            ("io.kubernetes.cri.container-name", container),
            ("io.kubernetes.cri.sandbox-name", pod.as_str()),
            ("io.kubernetes.cri.sandbox-namespace", "shop"),
            ("io.kubernetes.cri.sandbox-id", "0123456789abcdef"),
        ]
    };
    let (directories, links) = (scratch.dir("directories")?, scratch.dir("links")?);
    let cart = Working::start(
        Runtime::Runc,
        &directories,
        DIRECTORIES,
        &annotations("cart"),
    )?;
    let proxy = Working::start(Runtime::Runc, &links, LINKS, &annotations("proxy"))?;
    let wanted = format!("shop/{pod}");
    let recordings = record(&scratch.join("out"), &["--pod", &wanted], 2)?;
    for recording in &recordings {
        let container = recording.instances[0]
            .container
            .as_ref()
            .context("it is not known to be a container")?;
        ensure!(
            container.pod.as_deref() == Some(wanted.as_str()),
            "{container:?} is not in {wanted}"
        );
        let expected = match container.name.as_deref() {
            Some("cart") => made(recording, &[MKDIR]) && !made(recording, &LINK),
            Some("proxy") => made(recording, &LINK) && !made(recording, &[MKDIR]),
            other => anyhow::bail!("there is no container {other:?}"),
        };
        ensure!(
            expected,
            "the calls of {:?} are not its own: {:?}",
            container.name,
            recording.calls()
        );
        ensure!(
            recording
                .workload
                .name
                .contains(container.name.as_deref().unwrap_or_default()),
            "the workload of {:?} is called {:?}",
            container.name,
            recording.workload.name
        );
    }
    cart.stop()?;
    proxy.stop()
}

#[test]
fn missing_container_is_named_in_the_error() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    for options in [
        ["--container", "no-such\u{1b}[31m-container"],
        ["--pod", "shop/no-such-pod"],
    ] {
        let finished = tracer_tests::process::run(
            tracer::command()?
                .args(["record", "--output"])
                .arg(scratch.join("out"))
                .args(options),
        )?;
        ensure!(
            finished.code() == 125
                && finished.stderr.contains("no-such")
                && finished.stderr.trim_end().lines().count() == 1
                && !finished.stderr.contains('\u{1b}'),
            "{finished:?}"
        );
        ensure!(!scratch.join("out").exists(), "something was written");
    }
    Ok(())
}

/// What other tests rely on: a container goes away with its test, in whatever state that leaves it.
fn is_taken_away(runtime: Runtime) -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        runtime.need(),
        program::UNSHARE,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let working = Working::start(runtime, &scratch.dir("work")?, DIRECTORIES, &[])?;
    let id = working.container.id().to_owned();
    let left = || -> Result<Vec<_>> {
        let mut left = tracer_tests::cgroup::named(&id)?;
        left.push(Path::new("/run").join(runtime.name()).join(&id));
        left.retain(|path| path.exists());
        Ok(left)
    };
    ensure!(left()?.len() > 1, "it was not there: {:?}", left()?);
    let pid = tracer_tests::wait::pid_in(&working.container.pid_file())?;
    drop(working);
    ensure!(left()?.is_empty(), "left: {:?}", left()?);
    ensure!(!tracer_tests::process::is_alive(pid), "it runs on");
    Ok(())
}

#[test]
fn abandoned_runc_container_is_removed() -> Outcome {
    is_taken_away(Runtime::Runc)
}

#[test]
fn abandoned_crun_container_is_removed() -> Outcome {
    is_taken_away(Runtime::Crun)
}
