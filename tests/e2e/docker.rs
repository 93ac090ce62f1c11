//! Docker's own containers: found by the name that `docker ps` shows, with their image and what
//! their filter hides; and the profile works where its user puts it, in `docker run`.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tracer_tests::{
    Outcome,
    docker::{Docker, IMAGE},
    needs,
    process::{self, Running},
    recording::{Call, Recording},
    requires::{Need, program},
    rootfs::Rootfs,
    scratch::{Scratch, unique},
    seccomp,
    servers::Server,
    tracer::{self, Record},
    wait,
    work::Work,
};

/// Makes a folder and takes it away again until it is killed. As the first process of its pid
/// namespace, it heeds no other signal that it does not catch.
const FOLDERS: [&str; 3] = [
    "sh",
    "-c",
    "touch began; while :; do mkdir d; rmdir d; done",
];

const MKDIR: u32 = 83;
const LINK: u32 = 86;

/// No option of `docker run`.
const NONE: [&str; 0] = [];

fn docker_with(rootfs: &Rootfs) -> Result<Docker> {
    let docker = Docker::start()?;
    docker.import(rootfs)?;
    Ok(docker)
}

#[test]
fn a_container_is_found_by_its_name() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Docker);
    let scratch = Scratch::new()?;
    let docker = docker_with(&Rootfs::new(&scratch.dir("rootfs")?)?)?;
    let (name, dir) = (unique("folders"), scratch.dir("folders")?);
    let _folders = Running::spawn(&mut docker.run(&name, &dir, &NONE, &FOLDERS))?;
    // Another one, whose calls are not the first one's.
    let links = scratch.dir("links")?;
    let endless = [
        "sh",
        "-c",
        "touch began; while :; do ln began l; rm l; done",
    ];
    let _links = Running::spawn(&mut docker.run(&unique("links"), &links, &NONE, &endless))?;
    for dir in [&dir, &links] {
        until_begun(dir)?;
    }

    let mut record = docker.place().command(tracer::binary()?);
    let mut record = Running::spawn(
        record
            .args(["record", "--duration=1s", "--container", &name, "--output"])
            .arg(scratch.join("out")),
    )?;
    record.until_stderr("recording")?;
    record.wait()?.success()?;

    // The name of the container is that of the folder.
    let recording = Recording::read(&scratch.join("out").join(&name).join("recording.json"))?;
    let container = recording.instances[0]
        .container
        .as_ref()
        .context("it is not known to be a container")?;
    ensure!(
        (container.engine.as_str(), container.name.as_deref()) == ("docker", Some(name.as_str())),
        "{container:?} is not Docker's {name}"
    );
    let id = process::run(
        docker
            .command()
            .args(["inspect", "--format={{.Id}}", &name]),
    )?;
    ensure!(
        container.id == id.success()?.text().trim() && container.image.as_deref() == Some(IMAGE),
        "{container:?} is another, or of another image"
    );
    for code in ["filter-in-place", "root-user"] {
        ensure!(
            container.warnings.iter().any(|w| w.code == code),
            "{code} is not warned of: {container:?}"
        );
    }
    let calls = recording.calls();
    ensure!(
        calls.contains(&Call::x86_64(MKDIR)) && !calls.contains(&Call::x86_64(LINK)),
        "these are not its calls: {calls:?}"
    );
    Ok(())
}

/// Recorded on the host, redis does the same in a container of Docker's under its profile, and not
/// without one of the calls.
#[test]
fn a_container_runs_under_its_profile() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::Docker);
    needs!(program::REDIS, program::REDIS_TOOLS);
    let scratch = Scratch::new()?;
    let work = Work::Server(Server::Redis);
    let dir = scratch.dir("host")?;
    let argv = work.prepare(&dir)?;
    let (line, recorded) = Record::new(&scratch.join("out"), "redis")?
        .of(&argv)
        .into_command_line();
    let on_host = work.run(&dir, &line, None)?;
    ensure!(on_host.code == 0, "recording failed: {on_host:?}");

    let rootfs = Rootfs::new(&scratch.dir("rootfs")?)?.with_program(&argv[0])?;
    let docker = docker_with(&rootfs)?;
    let profile = seccomp::read(&recorded.profile())?;
    let said = redis(&docker, &scratch.dir("under")?, &profile)?;
    ensure!(said == on_host.said, "{said}, but on the host {on_host:?}");

    let lacking = seccomp::without(&profile, "bind")?;
    let dir = scratch.dir("lacking")?;
    let Err(error) = redis(&docker, &dir, &lacking) else {
        anyhow::bail!("without bind it runs just as well");
    };
    // It was the profile that stopped it, and not Docker.
    let complaint = format!("{error:#}{}", Work::Server(Server::Redis).log(&dir));
    ensure!(
        complaint.contains(seccomp::DENIED.1),
        "without bind it fails for another reason: {complaint}"
    );
    Ok(())
}

/// Runs redis under `profile`, gives it work, ends it, and tells what it answered.
fn redis(docker: &Docker, dir: &Path, profile: &Value) -> Result<String> {
    let name = unique("redis");
    let file = dir.join("seccomp.json");
    fs::write(&file, profile.to_string())?;
    let options = [format!("--security-opt=seccomp={}", file.display())];
    let argv = Server::Redis.prepare(dir)?;
    let mut running = Running::spawn(&mut docker.run(&name, dir, &options, &argv))?;
    let said = Server::Redis.exercise(dir, &mut running)?;
    let stop = format!("--signal={}", Signal::SIGTERM as i32);
    process::run(docker.command().args(["kill", &stop, &name]))?.success()?;
    running.wait()?.success()?;
    Ok(said)
}

fn until_begun(dir: &Path) -> Result<()> {
    wait::until("the container to work", || {
        Ok(dir.join("began").exists().then_some(()))
    })
}
