//! The profiles that are compared: ours, made from a recording of the load, variants of it, and Docker's
//! default as this machine's Docker writes it for a container.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::{
    docker::Docker,
    process,
    requires::which,
    rootfs::Rootfs,
    scratch::{Scratch, unique},
    seccomp,
    tracer::{self, Record},
};

/// A profile.
pub(super) struct Condition {
    /// A name without blanks, for files.
    pub(super) key: &'static str,
    /// A name for people.
    pub(super) title: &'static str,
    /// The profile; null for none.
    pub(super) profile: Value,
}

/// All there are here.
pub(super) fn all(scratch: &Scratch, load: &[PathBuf]) -> Result<Vec<Condition>> {
    let recording = record(scratch, load)?;
    let render = |option| render(scratch, &recording, option);
    let ours = render("--arguments=safe")?;
    let condition = |key, title, profile| Condition {
        key,
        title,
        profile,
    };
    let mut all = vec![
        condition("none", "no filter", Value::Null),
        condition(
            "floor",
            "a filter that allows all: the floor",
            json!({ "defaultAction": "SCMP_ACT_ALLOW" }),
        ),
        condition("ours", "**tracer's profile**", ours.clone()),
        condition(
            "off",
            "tracer's, `--arguments off`",
            render("--arguments=off")?,
        ),
        condition(
            "eperm",
            "tracer's, `--errno eperm`",
            render("--errno=eperm")?,
        ),
        condition(
            "first",
            "tracer's, an argument rule for getppid as its first entry",
            with_rule(&ours, true)?,
        ),
        condition(
            "last",
            "the same as its last entry",
            with_rule(&ours, false)?,
        ),
    ];
    match docker_default()? {
        Some(profile) => all.push(condition("docker", "Docker's default", profile)),
        None => {
            eprintln!("Docker is not installed (package docker.io): no figures for its default");
        }
    }
    Ok(all)
}

/// Records all that the load does.
fn record(scratch: &Scratch, load: &[PathBuf]) -> Result<PathBuf> {
    let requests = File::open(super::write_requests(scratch.path())?)?;
    let (finished, recorded) = Record::new(&scratch.join("recorded"), "load")?
        .of(load)
        .with(|command| {
            command.stdin(requests);
        })
        .run()?;
    finished.success().context("recording the load")?;
    Ok(recorded.directory.join("recording.json"))
}

/// The profile that an option makes of a recording.
fn render(scratch: &Scratch, recording: &Path, option: &str) -> Result<Value> {
    let output = scratch.join(option);
    process::run(
        tracer::command()?
            .args(["generate", option, "--output"])
            .arg(&output)
            .arg(recording),
    )?
    .success()?;
    seccomp::read(&output.join("load/seccomp.json"))
}

/// A call that is made all the time, allowed by a rule that looks at an argument.
fn with_rule(profile: &Value, first: bool) -> Result<Value> {
    let mut profile = seccomp::without(profile, "getppid")?;
    let entries = profile["syscalls"].as_array_mut().context("no entries")?;
    // The one that denies it.
    entries.pop();
    let rule = json!({
        "names": ["getppid"], "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": 0, "value": 0x5eccu64 << 32, "op": "SCMP_CMP_NE" }],
    });
    entries.insert(if first { 0 } else { entries.len() }, rule);
    Ok(profile)
}

/// What Docker puts on a container that says nothing about seccomp: the daemon has it inside, and
/// writes what comes of it into the container's bundle. `None` without a Docker.
fn docker_default() -> Result<Option<Value>> {
    if which("dockerd").is_none() || which("docker").is_none() {
        return Ok(None);
    }
    let scratch = Scratch::new()?;
    let docker = Docker::start()?;
    docker.import(&Rootfs::new(&scratch.dir("rootfs")?)?)?;
    let name = unique("default");
    let run = |command: &mut Command| process::run(command)?.success();
    run(&mut docker.run(&name, scratch.path(), &["--detach"], &["sleep", "1000"]))?;
    let told = run(docker
        .command()
        .args(["inspect", "--format={{.Id}}", &name]))?
    .text();
    let id = Path::new(told.trim());
    let config = docker
        .place()
        .scratch()
        .join("run/containerd/io.containerd.runtime.v2.task/moby")
        .join(id)
        .join("config.json");
    let config: Value = serde_json::from_slice(
        &fs::read(&config).with_context(|| format!("reading {}", config.display()))?,
    )?;
    let profile = config["linux"]["seccomp"].clone();
    ensure!(
        profile["syscalls"].is_array(),
        "Docker put no filter on a container: {profile}"
    );
    Ok(Some(profile))
}
