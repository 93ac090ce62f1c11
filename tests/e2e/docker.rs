//! Docker's own containers: found by the name that `docker ps` shows, with their image and what
//! their filter hides; and the profile works where its user puts it, in `docker run`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome,
    docker::{Docker, IMAGE},
    needs,
    process::{self, Running},
    programs::{self, Build},
    recording::{Blocked, Recording, Syscall, SyscallId},
    requires::{self, Need, program},
    rootfs::Rootfs,
    scratch::{Scratch, unique},
    seccomp,
    servers::Server,
    tracer::{self, Record},
    wait,
    work::Work,
};

/// Makes a directory and takes it away again until it is killed. As the first process of its pid
/// namespace, it heeds no other signal that it does not catch.
const DIRECTORIES: [&str; 3] = [
    "sh",
    "-c",
    "touch began; while :; do mkdir d; rmdir d; done",
];

const MKDIR: u32 = 83;
const LINK: u32 = 86;
const GETPID: u32 = 39;
const BIND: u32 = 49;
const RMDIR: u32 = 84;
const CAPSET: u32 = 126;
const PIVOT_ROOT: u32 = 155;
const CLONE3: u32 = 435;

/// No option of `docker run`.
const NONE: [&str; 0] = [];

fn docker_with(rootfs: &Rootfs) -> Result<Docker> {
    let docker = Docker::start()?;
    docker.import(rootfs)?;
    Ok(docker)
}

#[test]
fn finds_a_container_by_name() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Docker);
    let scratch = Scratch::new()?;
    let docker = docker_with(&Rootfs::new(&scratch.dir("rootfs")?)?)?;
    let (name, dir) = (unique("directories"), scratch.dir("directories")?);
    let _directories = Running::spawn(&mut docker.run(&name, &dir, &NONE, &DIRECTORIES))?;
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

    // The name of the container is that of the directory.
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
        calls.contains(&SyscallId::x86_64(MKDIR)) && !calls.contains(&SyscallId::x86_64(LINK)),
        "these are not its calls: {calls:?}"
    );
    Ok(())
}

/// Docker keeps its files where it was told to: by an option, or by its configuration. The names of containers are found
/// there.
#[test]
fn finds_a_container_in_another_data_root() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Docker);
    let scratch = Scratch::new()?;
    let rootfs = Rootfs::new(&scratch.dir("rootfs")?)?;
    for (number, (configuration, options)) in [
        ("{}", &["--data-root=/var/lib/elsewhere"][..]),
        (r#"{"data-root": "/var/lib/configured"}"#, &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let docker = Docker::configured(configuration, options)?;
        docker.import(&rootfs)?;
        let dir = scratch.dir(&format!("directories-{number}"))?;
        let name = unique("moved");
        let out = scratch.join(format!("out-{number}"));
        let mut record = docker.place().command(tracer::binary()?);
        let mut record = Running::spawn(
            record
                .args(["record", "--wait", "--container", &name, "--output-dir"])
                .arg(&out),
        )?;
        record.until_stderr("waiting for it to start")?;
        let work = ["sh", "-c", "mkdir made; rmdir made"];
        process::run(&mut docker.run(&name, &dir, &NONE, &work))?.success()?;
        record.wait()?.success()?;
        let recording = Recording::read(&out.join(&name).join("recording.json"))?;
        let container = recording.instances[0].container.as_ref();
        let container = container.context("it is not known to be a container")?;
        ensure!(
            container.name.as_deref() == Some(name.as_str())
                && container.image.as_deref() == Some(IMAGE),
            "{options:?}: {container:?} is not {name}"
        );
        ensure!(recording.calls().contains(&SyscallId::x86_64(RMDIR)));
    }
    Ok(())
}

/// Recorded on the host, redis does the same in a container of Docker's under its profile, and not
/// without one of the calls.
#[test]
fn container_runs_under_a_profile_recorded_on_the_host() -> Outcome {
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
    let said = Server::Redis.exercise(dir, &mut running);
    let said = said.with_context(|| Work::Server(Server::Redis).log(dir))?;
    stop(docker, &name)?;
    running.wait()?.success()?;
    Ok(said)
}

fn stop(docker: &Docker, name: &str) -> Outcome {
    process::run(docker.command().args(["kill", "--signal=TERM", name]))?.success()?;
    Ok(())
}

fn until_begun(dir: &Path) -> Result<()> {
    wait::until("the container to work", || {
        Ok(dir.join("began").exists().then_some(()))
    })
}

/// Starts `tracer record` in Docker's place, for a container that is not there yet.
fn wait_for(docker: &Docker, name: &str, output: &Path) -> Result<Running> {
    let mut command = docker.place().command(tracer::binary()?);
    command.args(["record", "--wait", "--container", name, "--output"]);
    let mut recorder = Running::spawn(command.arg(output))?;
    recorder.until_stderr("recording")?;
    Ok(recorder)
}

/// Records redis in a container from its first call and under Docker's own filter; a health check is
/// put into it while it runs. Tells where the recording is, and what redis answered.
fn record_redis(docker: &Docker, scratch: &Scratch, name: &str) -> Result<(PathBuf, String)> {
    let out = scratch.join("out");
    let recorder = wait_for(docker, name, &out)?;
    let dir = scratch.dir("recorded")?;
    let argv = Server::Redis.prepare(&dir)?;
    let mut running = Running::spawn(&mut docker.run(name, &dir, &NONE, &argv))?;
    let said = Server::Redis.exercise(&dir, &mut running)?;
    process::run(docker.command().args(["exec", name, "rmdir", "missing"]))?;
    stop(docker, name)?;
    running.wait()?.success()?;
    // It ends with the container.
    recorder.wait()?.success()?;
    Ok((out.join(name), said))
}

fn docker_with_redis(scratch: &Scratch) -> Result<Docker> {
    let redis = requires::which("redis-server").context("redis-server is not installed")?;
    docker_with(&Rootfs::new(&scratch.dir("rootfs")?)?.with_program(&redis)?)
}

#[test]
fn records_a_container_from_its_first_call() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Docker);
    needs!(program::REDIS, program::REDIS_TOOLS);
    let scratch = Scratch::new()?;
    let docker = docker_with_redis(&scratch)?;
    let name = unique("redis");
    let (directory, _) = record_redis(&docker, &scratch, &name)?;

    let recording = Recording::read(&directory.join("recording.json"))?;
    let instance = &recording.instances[0];
    let container = instance
        .container
        .as_ref()
        .context("it is not known to be a container")?;
    ensure!(
        instance.start_observed
            && container.name.as_deref() == Some(name.as_str())
            && container.image.as_deref() == Some(IMAGE),
        "{instance:?}"
    );
    // runc changes the root before it loads the filter, and its user after that; redis binds; and the
    // health check takes a directory away.
    for (phase, call) in [
        ("setup", PIVOT_ROOT),
        ("runtime-init", CAPSET),
        ("run", BIND),
        ("exec", RMDIR),
    ] {
        let seen = recording.made_in(phase);
        ensure!(
            seen.contains(&SyscallId::x86_64(call)),
            "{phase} lacks {call}: {seen:?}"
        );
    }
    for (phase, call) in [("run", PIVOT_ROOT), ("run", RMDIR), ("setup", BIND)] {
        ensure!(
            !recording.made_in(phase).contains(&SyscallId::x86_64(call)),
            "{call} was not made in {phase}"
        );
    }
    Ok(())
}

/// It stays who was asked for, under the name it was asked for by.
#[test]
fn renamed_container_stays_recorded() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Docker);
    let scratch = Scratch::new()?;
    let docker = docker_with(&Rootfs::new(&scratch.dir("rootfs")?)?)?;
    let (name, dir) = (unique("before"), scratch.dir("dir")?);
    let out = scratch.join("out");
    let mut recorder = wait_for(&docker, &name, &out)?;
    let script = "touch began; until [ -e go ]; do sleep 0.1; done; mkdir d";
    let container = Running::spawn(&mut docker.run(&name, &dir, &NONE, &["sh", "-c", script]))?;
    recorder.until_stderr("recording container")?;
    until_begun(&dir)?;
    process::run(docker.command().args(["rename", &name, &unique("after")]))?.success()?;
    fs::write(dir.join("go"), "")?;
    container.wait()?.success()?;
    recorder.wait()?.success()?;
    let recording = Recording::read(&out.join(&name).join("recording.json"))?;
    let run = recording.made_in("run");
    ensure!(run.contains(&SyscallId::x86_64(MKDIR)), "{run:?}");
    Ok(())
}

/// What was recorded under Docker's own filter, which answers clone3 with ENOSYS, runs under the
/// profile that comes of it.
#[test]
fn container_runs_under_its_own_recorded_profile() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::Docker);
    needs!(program::REDIS, program::REDIS_TOOLS);
    let scratch = Scratch::new()?;
    let docker = docker_with_redis(&scratch)?;
    let (directory, said) = record_redis(&docker, &scratch, &unique("redis"))?;
    let profile = seccomp::read(&directory.join("seccomp.json"))?;
    let under = redis(&docker, &scratch.dir("under")?, &profile)?;
    ensure!(under == said, "{under}, but without the profile {said}");
    Ok(())
}

/// The flags that are made of a recording start the container too: with no more capabilities than it used.
#[test]
fn container_runs_with_its_generated_engine_flags() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::Docker);
    needs!(program::REDIS, program::REDIS_TOOLS);
    let scratch = Scratch::new()?;
    let docker = docker_with_redis(&scratch)?;
    let (directory, said) = record_redis(&docker, &scratch, &unique("redis"))?;
    let mut generate = tracer::command()?;
    generate.args(["generate", "--format=seccomp,engine", "--output"]);
    generate.arg(scratch.join("out")).arg(&directory);
    process::run(&mut generate)?.success()?;
    let text = fs::read_to_string(directory.join("engine.args"))?;
    // Docker's client is put into another mount namespace here, and so into another directory.
    let text = text.replace("=./", &format!("={}/", directory.display()));
    let flags: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        // It would have to be loaded, into the kernel of the machine; `e2e/apparmor.rs` does that in a VM.
        .filter(|line| !line.contains("=apparmor="))
        .collect();
    ensure!(flags.contains(&"--cap-drop=ALL"), "{text}");
    let dir = scratch.dir("under")?;
    let name = unique("redis");
    let argv = Server::Redis.prepare(&dir)?;
    let mut running = Running::spawn(&mut docker.run(&name, &dir, &flags, &argv))?;
    let under = Server::Redis.exercise(&dir, &mut running);
    let under = under.with_context(|| Work::Server(Server::Redis).log(&dir))?;
    stop(&docker, &name)?;
    running.wait()?.success()?;
    ensure!(under == said, "{under}, but without the flags {said}");
    Ok(())
}

/// A program that says itself which of its calls failed, and how.
#[test]
fn records_calls_blocked_by_dockers_filter() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, Need::Docker);
    needs!(program::CC);
    let scratch = Scratch::new()?;
    let denied = programs::compiled("denied", Build::Static)?;
    let rootfs = Rootfs::new(&scratch.dir("rootfs")?)?.with_static(&denied, "denied")?;
    let docker = docker_with(&rootfs)?;
    let (name, out) = (unique("denied"), scratch.join("out"));
    let recorder = wait_for(&docker, &name, &out)?;
    let mut run = docker.run(&name, &scratch.dir("work")?, &NONE, &["denied"]);
    let said = process::run(&mut run)?.success()?.text();
    recorder.wait()?.success()?;

    let recording = Recording::read(&out.join(&name).join("recording.json"))?;
    let mut expected = BTreeSet::new();
    for line in said.lines() {
        let mut words = line.split(' ');
        let (Some(nr), Some(errno)) = (words.next(), words.next()) else {
            anyhow::bail!("what does {line:?} say?");
        };
        let nr = nr.parse()?;
        // The two that are let through fail in another way, or not.
        if ![GETPID, MKDIR].contains(&nr) {
            expected.insert((SyscallId::x86_64(nr), Blocked::Errno(errno.parse()?)));
        }
    }
    let (refused, not_known) = (Blocked::Errno(1), Blocked::Errno(38));
    let clone3 = (SyscallId::x86_64(CLONE3), not_known);
    ensure!(
        expected.len() == 12
            && expected
                .iter()
                .all(|stopped| stopped.1 == refused || *stopped == clone3),
        "this is not Docker's filter: {said}"
    );
    let blocked = recording.blocked();
    ensure!(
        blocked == expected,
        "blocked: {blocked:?}, but the program says {expected:?}"
    );
    let made = |call: &Syscall| call.evidence.iter().any(|who| who.blocked.is_none());
    for call in &recording.syscalls {
        let stopped = expected.iter().any(|(it, _)| it.nr == call.nr);
        // runc itself may have made it, before it loaded the filter.
        let by_runtime = call.evidence.iter().any(|who| who.phase == "setup");
        ensure!(made(call) != stopped || by_runtime, "{call:?}");
    }
    Ok(())
}
