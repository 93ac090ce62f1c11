//! The container image, by skopeo, containerd and Docker.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome,
    containerd::Containerd,
    docker::Docker,
    needs,
    process::{self, Running},
    recording::Recording,
    release,
    requires::{Need, program},
    scratch::{Scratch, unique},
};

/// What a recorder needs of what engines take away.
const CAPABILITIES: [&str; 3] = ["SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH"];

fn archive() -> String {
    let name = format!("{}.oci.tar", release::stem());
    release::files().join(name).display().to_string()
}

fn image() -> String {
    format!("localhost/tracer:{}", release::VERSION)
}

#[test]
fn image_is_an_oci_layout_of_one_layer() -> Outcome {
    needs!(Need::Packages, program::SKOPEO);
    let inspect = |transport: &str| -> Result<Value> {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--config", &format!("{transport}:{}", archive())]);
        let said = process::run(&mut skopeo)?.success()?.text();
        Ok(serde_json::from_str(&said)?)
    };
    let config = inspect("oci-archive")?;
    ensure!(config["architecture"] == release::debian_architecture());
    ensure!(config["config"]["Entrypoint"][0] == "/usr/bin/tracer");
    let layers = config["rootfs"]["diff_ids"].as_array().context("layers")?;
    ensure!(layers.len() == 1, "{layers:?}");
    ensure!(
        inspect("docker-archive")? == config,
        "`docker load` would load another image"
    );
    Ok(())
}

/// Whether a recording of the program itself is in a directory.
fn recorded_itself(directory: &Path) -> Outcome {
    let path = directory.join("profiles-out/tracer/recording.json");
    let text = fs::read_to_string(&path).context("no recording")?;
    ensure!(text.contains("/usr/bin/tracer"), "{text}");
    ensure!(!Recording::read(&path)?.calls().is_empty());
    Ok(())
}

#[test]
fn image_records_under_containerd() -> Outcome {
    needs!(Need::Packages, Need::Root, Need::Cgroup2, Need::Containerd);
    let containerd = Containerd::start()?;
    let mut import = containerd.ctr();
    import
        .args(["images", "import", "--snapshotter=native"])
        .arg(archive());
    process::run(&mut import)?.success()?;
    let work = Scratch::new()?;
    let bind =
        |from: &str, to: &str| format!("--mount=type=bind,src={from},dst={to},options=rbind:rw");
    let mut run = containerd.ctr();
    run.args(["run", "--rm", "--net-host"])
        .args(CAPABILITIES.map(|name| format!("--cap-add=CAP_{name}")))
        .arg("--snapshotter=native")
        .arg(bind(&work.path().display().to_string(), "/work"))
        .arg(bind("/sys", "/sys"))
        .args([image(), unique("image")])
        // With a command of its own, ctr leaves the entry point out.
        .args([
            "/usr/bin/tracer",
            "record",
            "--",
            "/usr/bin/tracer",
            "--version",
        ]);
    let ran = process::run(&mut run)?.success()?;
    ensure!(
        ran.text().contains(&format!("tracer {}", release::VERSION)),
        "{}",
        ran.text()
    );
    recorded_itself(work.path())
}

#[test]
fn image_is_loaded_and_run_by_docker() -> Outcome {
    needs!(Need::Packages, Need::Root, Need::Docker);
    let docker = Docker::start()?;
    let mut load = docker.command();
    let loaded = process::run(load.args(["load", "--input", &archive()]))?.success()?;
    ensure!(loaded.text().contains(&image()), "{}", loaded.text());
    let work = Scratch::new()?;
    let mut run = docker.command();
    run.args(["run", "--rm", "--network=host"])
        .args(CAPABILITIES.map(|name| format!("--cap-add={name}")))
        .args([
            "--security-opt=apparmor=unconfined",
            "--ulimit=nofile=1024:1024",
        ])
        .arg("--volume=/sys:/sys")
        .arg(format!("--volume={}:/work", work.path().display()))
        .args([
            image().as_str(),
            "record",
            "--",
            "/usr/bin/tracer",
            "--version",
        ]);
    process::run(&mut run)?.success()?;
    recorded_itself(work.path())
}

/// The command of docs/install.md.
#[test]
fn image_records_another_container_of_docker() -> Outcome {
    needs!(Need::Packages, Need::Root, Need::Docker);
    let docker = Docker::start()?;
    let mut load = docker.command();
    process::run(load.args(["load", "--input", &archive()]))?.success()?;
    let work = Scratch::new()?;
    let document = fs::read_to_string(release::source().join("docs/install.md"))?;
    let (_, command) = document
        .split_once("docker run --rm --pid=host")
        .context("docs/install.md has no such command")?;
    let (command, _) = command.split_once("```").context("an end")?;
    let command = command.replace("\\\n", " ").replace(
        "\"$PWD:/work\"",
        &format!("{}:/work", work.path().display()),
    );
    let mut run = docker.command();
    run.args(["run", "--rm", "--pid=host"])
        .args(["--network=host", "--ulimit=nofile=1024:1024"])
        .args(command.split_whitespace());
    let mut recorder = Running::spawn(&mut run)?;
    recorder.until_stderr("recording")?;
    let mut web = docker.command();
    web.args(["run", "--rm", "--network=host", "--name=web"])
        .args(["--ulimit=nofile=1024:1024", &image(), "--version"]);
    process::run(&mut web)?.success()?;
    recorder.wait()?.success()?;
    let recording = Recording::read(&work.join("profiles-out/web/recording.json"))?;
    ensure!(!recording.calls().is_empty(), "nothing was recorded");
    Ok(())
}
