//! containerd's own containers: those of `ctr`, and those of pods, made by the calls that kubelet
//! makes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    Outcome,
    containerd::{Containerd, IMAGE, container},
    cri::SecurityProfile,
    needs,
    process::Running,
    recording::{Call, Recording},
    requires::Need,
    rootfs::Rootfs,
    scratch::{Scratch, unique},
    tracer, wait,
};

/// Make a folder or a link, and take it away again, until they are killed.
const FOLDERS: [&str; 3] = [
    "sh",
    "-c",
    "touch began; while :; do mkdir d; rmdir d; done",
];
const LINKS: [&str; 3] = [
    "sh",
    "-c",
    "touch began; while :; do ln began l; rm l; done",
];

const MKDIR: u32 = 83;
const LINK: u32 = 86;

/// Records in the engine's place what `options` select, and hands back all recordings.
fn record(engine: &Containerd, output: &Path, options: &[&str]) -> Result<Vec<Recording>> {
    let mut command = engine.place().command(tracer::binary()?);
    command.args(["record", "--duration=1s", "--output"]);
    let mut running = Running::spawn(command.arg(output).args(options))?;
    running.until_stderr("recording")?;
    running.wait()?.success()?;
    let mut recordings = Vec::new();
    for folder in std::fs::read_dir(output)? {
        recordings.push(Recording::read(&folder?.path().join("recording.json"))?);
    }
    Ok(recordings)
}

fn made(recording: &Recording, nr: u32) -> bool {
    recording.calls().contains(&Call::x86_64(nr))
}

#[test]
fn a_container_of_ctr_is_found_by_its_id() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Containerd);
    let scratch = Scratch::new()?;
    let rootfs = Rootfs::new(&scratch.dir("rootfs")?)?;
    let containerd = Containerd::start()?;
    let (folders, links) = (unique("folders"), unique("links"));
    let mut running = Vec::new();
    for (id, argv) in [(&folders, &FOLDERS), (&links, &LINKS)] {
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
        &["--container", &folders],
    )?;
    let [recording] = recordings.as_slice() else {
        anyhow::bail!("{} workloads were written", recordings.len());
    };
    let container = recording.instances[0]
        .container
        .as_ref()
        .context("it is not known to be a container")?;
    ensure!(
        container.id == folders && container.engine == "containerd",
        "{container:?} is not containerd's {folders}"
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
fn the_containers_of_a_pod_are_found_by_its_name() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Containerd);
    let scratch = Scratch::new()?;
    let containerd = Containerd::start()?;
    containerd.import(&Rootfs::new(&scratch.dir("rootfs")?)?)?;
    let mut cri = containerd.cri()?;
    let name = unique("pod");
    let default = Some(SecurityProfile::runtime_default());
    let mut pods = Vec::new();
    for (namespace, containers) in [
        ("shop", &[("cart", FOLDERS), ("proxy", LINKS)][..]),
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
        pods.push(id);
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
    for pod in &pods {
        cri.remove_pod(pod)?;
    }
    Ok(())
}
