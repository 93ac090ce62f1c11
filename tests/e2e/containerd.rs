//! containerd's own containers: those of `ctr`, and those of pods, made by the calls that kubelet
//! makes.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    containerd::{Containerd, IMAGE, container},
    cri::SecurityProfile,
    needs,
    process::Running,
    recording::{Recording, SyscallId},
    requires::Need,
    rootfs::Rootfs,
    scratch::{Scratch, unique},
    tracer, wait,
};

/// Make a directory or a link, and take it away again, until they are killed.
const DIRECTORIES: [&str; 3] = [
    "sh",
    "-c",
    "mkdir d; rmdir d; touch began; while :; do mkdir d; rmdir d; done",
];
const LINKS: [&str; 3] = [
    "sh",
    "-c",
    "touch x; ln x l; rm l; touch began; while :; do ln began l; rm l; done",
];

const MKDIR: u32 = 83;
const LINK: u32 = 86;
const PIVOT_ROOT: u32 = 155;

/// Records in the engine's place what `options` select, and hands back all recordings.
fn record(engine: &Containerd, output: &Path, options: &[&str]) -> Result<Vec<Recording>> {
    let mut command = engine.place().command(tracer::binary()?);
    command.args(["record", "--duration=1s", "--output"]);
    let mut running = Running::spawn(command.arg(output).args(options))?;
    running.until_stderr("recording")?;
    running.wait()?.success()?;
    read_all(output)
}

fn read_all(output: &Path) -> Result<Vec<Recording>> {
    fs::read_dir(output)?
        .map(|directory| Recording::read(&directory?.path().join("recording.json")))
        .collect()
}

fn made(recording: &Recording, nr: u32) -> bool {
    recording.calls().contains(&SyscallId::x86_64(nr))
}

#[test]
fn finds_a_ctr_container_by_id() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Containerd);
    let scratch = Scratch::new()?;
    let rootfs = Rootfs::new(&scratch.dir("rootfs")?)?;
    let containerd = Containerd::start()?;
    let (directories, links) = (unique("directories"), unique("links"));
    let mut running = Vec::new();
    for (id, argv) in [(&directories, &DIRECTORIES), (&links, &LINKS)] {
        let dir = scratch.dir(id)?;
        let mut ctr = Running::spawn(&mut containerd.ctr_run(id, &rootfs, &dir, argv))?;
        wait::until("the container to work", || {
            let ended = ctr.ended()?;
            ensure!(ended.is_none(), "ctr ended: {}", ctr.stderr()?);
            Ok(dir.join("began").exists().then_some(()))
        })?;
        running.push(ctr);
    }

    let recordings = record(
        &containerd,
        &scratch.join("out"),
        &["--container", &directories],
    )?;
    let [recording] = recordings.as_slice() else {
        anyhow::bail!("{} workloads were written", recordings.len());
    };
    let container = recording.instances[0]
        .container
        .as_ref()
        .context("it is not known to be a container")?;
    ensure!(
        container.id == directories && container.engine == "containerd",
        "{container:?} is not containerd's {directories}"
    );
    ensure!(
        container
            .warnings
            .iter()
            .any(|warning| warning.code == "seccomp-unconfined"),
        "ctr has no filter, and that is not said: {container:?}"
    );
    ensure!(
        made(recording, MKDIR) && !made(recording, LINK),
        "these are not its calls: {:?}",
        recording.calls()
    );
    Ok(())
}

/// Two containers of one pod, one without a filter and one under the runtime's own, beside another
/// pod of the same name.
#[test]
fn finds_pod_containers_by_pod_name() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Containerd);
    let scratch = Scratch::new()?;
    let containerd = Containerd::start()?;
    containerd.import(&Rootfs::new(&scratch.dir("rootfs")?)?)?;
    let mut cri = containerd.cri()?;
    let name = unique("pod");
    let default = Some(SecurityProfile::runtime_default());
    let mut pods = Vec::new();
    for (namespace, containers) in [
        ("shop", &[("cart", DIRECTORIES), ("proxy", LINKS)][..]),
        ("other", &[("cart", LINKS)]),
    ] {
        let pod = containerd.pod(namespace, &name);
        let id = cri.run_pod(&pod)?;
        for (of_pod, argv) in containers {
            let dir = scratch.dir(&format!("{namespace}-{of_pod}"))?;
            let seccomp = default.clone().filter(|_| *of_pod == "proxy");
            let container = container(&pod, of_pod, &dir, argv, seccomp);
            let container = cri.create(&id, &pod, container)?;
            cri.start(&container)?;
            wait::until("the container to work", || {
                Ok(dir.join("began").exists().then_some(()))
            })?;
        }
        pods.push((id, pod));
    }

    let wanted = format!("shop/{name}");
    let recordings = record(&containerd, &scratch.join("out"), &["--pod", &wanted])?;
    ensure!(
        recordings.len() == 2,
        "{} workloads were written",
        recordings.len()
    );
    for recording in &recordings {
        let container = recording.instances[0]
            .container
            .as_ref()
            .context("it is not known to be a container")?;
        ensure!(
            container.engine == "containerd"
                && container.pod.as_deref() == Some(wanted.as_str())
                && container.image.as_deref() == Some(IMAGE),
            "{container:?} is not of {wanted}"
        );
        let (call, other, warning) = match container.name.as_deref() {
            Some("cart") => (MKDIR, LINK, "seccomp-unconfined"),
            Some("proxy") => (LINK, MKDIR, "filter-in-place"),
            name => anyhow::bail!("there is no container {name:?}"),
        };
        ensure!(
            made(recording, call) && !made(recording, other),
            "these are not its calls: {:?} has {:?}",
            container.name,
            recording.calls()
        );
        ensure!(
            container.warnings.iter().any(|w| w.code == warning),
            "{warning} is not warned of: {container:?}"
        );
    }
    for (id, pod) in &pods {
        containerd.remove_pod(&mut cri, id, pod)?;
    }
    Ok(())
}

/// Starts `tracer record` in the engine's place, before anything it asks for is there.
fn record_first(engine: &Containerd, output: &Path, options: &[&str]) -> Result<Running> {
    let mut command = engine.place().command(tracer::binary()?);
    command.args(["record", "--output"]);
    let mut recorder = Running::spawn(command.arg(output).args(options))?;
    recorder.until_stderr("recording")?;
    Ok(recorder)
}

#[test]
fn records_pod_containers_from_their_first_call() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Containerd);
    let scratch = Scratch::new()?;
    let containerd = Containerd::start()?;
    containerd.import(&Rootfs::new(&scratch.dir("rootfs")?)?)?;
    let mut cri = containerd.cri()?;
    let (name, out) = (unique("pod"), scratch.join("out"));
    let wanted = format!("shop/{name}");
    let recorder = record_first(&containerd, &out, &["--wait", "--pod", &wanted])?;

    let pod = containerd.pod("shop", &name);
    let id = cri.run_pod(&pod)?;
    for (name, argv, seccomp) in [
        ("cart", &DIRECTORIES, None),
        ("proxy", &LINKS, Some(SecurityProfile::runtime_default())),
    ] {
        let dir = scratch.dir(name)?;
        let container = container(&pod, name, &dir, argv, seccomp);
        let container = cri.create(&id, &pod, container)?;
        cri.start(&container)?;
        wait::until("the container to work", || {
            Ok(dir.join("began").exists().then_some(()))
        })?;
    }
    containerd.remove_pod(&mut cri, &id, &pod)?;
    // It ends with the pod.
    recorder.wait()?.success()?;

    let recordings = read_all(&out)?;
    ensure!(
        recordings.len() == 2,
        "{} workloads were written",
        recordings.len()
    );
    for recording in &recordings {
        let instance = &recording.instances[0];
        let container = instance
            .container
            .as_ref()
            .context("it is not known to be a container")?;
        ensure!(
            instance.start_observed
                && container.pod.as_deref() == Some(wanted.as_str())
                && container.image.as_deref() == Some(IMAGE),
            "{instance:?}"
        );
        let (call, other, filtered) = match container.name.as_deref() {
            Some("cart") => (MKDIR, LINK, false),
            Some("proxy") => (LINK, MKDIR, true),
            name => anyhow::bail!("there is no container {name:?}"),
        };
        let run = recording.made_in("run");
        ensure!(
            run.contains(&SyscallId::x86_64(call)) && !run.contains(&SyscallId::x86_64(other)),
            "these are not its calls: {:?} has {run:?}",
            container.name
        );
        let setup = recording.made_in("setup");
        let pivot_root = SyscallId::x86_64(PIVOT_ROOT);
        ensure!(
            setup.contains(&pivot_root) && !run.contains(&pivot_root),
            "runc's calls are not told from those of {:?}: setup {setup:?}, run {run:?}, window {:?}, {:?}",
            container.name,
            recording.made_in("runtime-init"),
            recording.coverage
        );
        // Without a filter there is no window.
        ensure!(
            recording.made_in("runtime-init").is_empty() != filtered,
            "{:?}: {:?}",
            container.name,
            recording.made_in("runtime-init")
        );
    }
    Ok(())
}

/// Other tests may have containers at the same time: these are among all.
#[test]
fn all_records_short_lived_ctr_and_pod_containers() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Containerd);
    let scratch = Scratch::new()?;
    let rootfs = Rootfs::new(&scratch.dir("rootfs")?)?;
    let containerd = Containerd::start()?;
    containerd.import(&rootfs)?;
    let mut cri = containerd.cri()?;
    let out = scratch.join("out");
    let recorder = record_first(&containerd, &out, &["--all", "--wait"])?;

    let (id, dir) = (unique("short"), scratch.dir("ctr")?);
    let mut run = containerd.ctr_run(&id, &rootfs, &dir, &["mkdir", "made"]);
    tracer_tests::process::run(&mut run)?.success()?;
    let name = unique("pod");
    let pod = containerd.pod("shop", &name);
    let sandbox = cri.run_pod(&pod)?;
    let dir = scratch.dir("cri")?;
    let argv = ["sh", "-c", "ln /bin/sh l; touch began"];
    let container = container(&pod, "short", &dir, &argv, None);
    let container = cri.create(&sandbox, &pod, container)?;
    cri.start(&container)?;
    wait::until("the container to work", || {
        Ok(dir.join("began").exists().then_some(()))
    })?;
    containerd.remove_pod(&mut cri, &sandbox, &pod)?;
    recorder.signal(Signal::SIGINT)?;
    recorder.wait()?.success()?;

    let recordings = read_all(&out)?;
    for (id, call) in [(&id, MKDIR), (&container, LINK)] {
        let recording = recordings
            .iter()
            .find(|recording| {
                let mut instances = recording.instances.iter();
                instances.any(|it| it.container.as_ref().is_some_and(|c| c.id == *id))
            })
            .with_context(|| format!("{id} was not recorded"))?;
        ensure!(
            recording.instances[0].start_observed
                && recording.made_in("run").contains(&SyscallId::x86_64(call)),
            "{recording:?}"
        );
    }
    ensure!(
        !recordings.iter().any(|recording| recording
            .instances
            .iter()
            .any(|it| it.container.as_ref().is_some_and(|c| c.id == sandbox))),
        "a pod's sandbox is no workload"
    );
    Ok(())
}
