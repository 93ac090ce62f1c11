//! From the agents of several nodes to one profile: each ships what it saw to one store, whatever ends it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tracer_tests::{
    Outcome,
    agent::Agent,
    lifecycle::ScriptedContainer,
    needs,
    oci::Runtime,
    process::{self, Finished},
    recording::{Recording, SyscallId},
    requires::{Need, program},
    scratch::Scratch,
    seccomp, tracer, wait,
};

/// What each container does that the others do not, and its calls, by either name.
const WORK: [(&str, [u32; 2]); 3] = [
    ("busybox mkdir d", [83, 258]),
    ("busybox ln began l", [86, 265]),
    ("busybox ln -s began s", [88, 266]),
];

macro_rules! needs_containers {
    () => {
        needs!(
            Need::Root,
            Need::Cgroup2,
            Need::X86,
            program::RUNC,
            program::UNSHARE,
            program::BUSYBOX
        )
    };
}

fn made(recording: &Recording, nrs: &[u32]) -> bool {
    let calls = recording.made_in("run");
    nrs.iter().any(|nr| calls.contains(&SyscallId::x86_64(*nr)))
}

/// A container of one workload on each of these nodes: it has the same name everywhere.
fn container(scratch: &Scratch, directory: &str, name: &str) -> Result<ScriptedContainer> {
    let container = ScriptedContainer::new(Runtime::Runc, &scratch.dir(directory)?)?;
    container.with(|it| Ok(it.named(name)))
}

struct Fleet {
    scratch: Scratch,
    url: String,
    name: String,
}

impl Fleet {
    fn new() -> Result<Self> {
        let scratch = Scratch::new()?;
        let store = scratch.dir("store")?;
        Ok(Self {
            url: format!("file://{}", store.display()),
            name: format!("tracer-e2e-fleet-{}", std::process::id()),
            scratch,
        })
    }

    /// The agent of a node. It looks for something new as often as `interval` says.
    fn agent(&self, node: usize, interval: &str) -> Result<Agent> {
        let dir = self.scratch.join(format!("node-{node}"));
        fs::create_dir_all(&dir)?;
        let settings = format!(
            "cluster = \"test\"\ninclude = [\"name={}\"]\n[ship]\nstore = \"{}\"\nnode = \"node-{node}\"\ninterval = \"{interval}\"",
            self.name, self.url
        );
        Agent::start(&dir, &settings)
    }

    fn ask(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = tracer::command()?;
        process::run(
            command
                .arg("fleet")
                .args(arguments)
                .args(["--store", &self.url]),
        )
    }

    fn pull(&self) -> Result<Vec<u8>> {
        Ok(self.ask(&["pull", &self.name])?.success()?.stdout)
    }

    fn objects(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut left = vec![self.scratch.join("store")];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory)? {
                let path = entry?.path();
                if path.is_dir() { &mut left } else { &mut found }.push(path);
            }
        }
        Ok(found)
    }

    /// Waits until the store has these calls.
    fn until(&self, nrs: &[u32]) -> Result<()> {
        wait::until("the store to have it", || {
            let pulled = self.ask(&["pull", &self.name])?;
            if pulled.code() != 0 {
                return Ok(None);
            }
            let recording: Recording = serde_json::from_slice(&pulled.stdout)?;
            Ok(made(&recording, nrs).then_some(()))
        })
    }

    /// Runs the container of a node under its agent.
    fn work(&self, node: usize) -> Result<()> {
        let (line, nrs) = WORK[node];
        let mut container = container(&self.scratch, &format!("container-{node}"), &self.name)?;
        // Often, so that it ships while it runs; the others ship when they end, or are killed.
        let mut agent = self.agent(node, if node == 0 { "1s" } else { "1h" })?;
        container.start()?;
        container.does(line)?;
        agent.until(&self.name, |it| made(it, &nrs))?;
        if node == 0 {
            self.until(&nrs)?;
            // The agent hears of it after the store has it.
            wait::until("the agent to say that all is shipped", || {
                let written = agent.metric("tracer_ship_objects_total{result=\"written\"}")?;
                let left = agent.metric("tracer_ship_backlog")?;
                Ok((written > 0 && left == 0).then_some(()))
            })?;
        }
        if node == 1 {
            agent.end(Signal::SIGKILL)?;
            agent = self.agent(node, "1s")?;
        }
        container.ends()?;
        agent.until(&self.name, |it| {
            !it.has_reason("still-running") || node == 1
        })?;
        ensure!(agent.end(Signal::SIGTERM)?.code() == 0);
        Ok(())
    }
}

#[test]
fn three_nodes_make_one_profile_whatever_ends_their_agents() -> Outcome {
    needs_containers!();
    let fleet = Fleet::new()?;
    for node in 0..WORK.len() {
        fleet.work(node)?;
    }
    let pulled = fleet.pull()?;
    let recording: Recording = serde_json::from_slice(&pulled)?;
    for (line, nrs) in WORK {
        ensure!(made(&recording, &nrs), "{line} is missing");
    }
    let status = fleet
        .ask(&["status", &fleet.name, "--format", "json"])?
        .success()?;
    let status: Value = serde_json::from_slice(&status.stdout)?;
    ensure!(status["workloads"][0]["nodes"] == 3, "{status}");
    // The second agent of a node sees the container as one that ran already.
    ensure!(status["workloads"][0]["instances"] == 4, "{status}");
    ensure!(fleet.ask(&["list"])?.success()?.text().contains("3 nodes"));

    compacted_gives_the_same(&fleet, &pulled)?;
    profile_does_all_three(&fleet)?;
    tampered_objects_are_named(&fleet)
}

fn compacted_gives_the_same(fleet: &Fleet, pulled: &[u8]) -> Result<()> {
    let before = fleet.objects()?.len();
    ensure!(before >= 3, "{before} objects");
    fleet.ask(&["compact", "--grace", "0s"])?.success()?;
    ensure!(fleet.objects()?.len() == before + 1);
    ensure!(fleet.pull()? == pulled, "compaction changed what is pulled");
    fleet.ask(&["compact", "--grace", "0s"])?.success()?;
    ensure!(fleet.objects()?.len() == 1, "{:?}", fleet.objects()?);
    ensure!(fleet.pull()? == pulled, "deletion changed what is pulled");
    // A third time there is nothing to do.
    ensure!(
        fleet
            .ask(&["compact", "--grace", "0s"])?
            .success()?
            .stdout
            .is_empty()
    );
    // Nothing is old; and nothing is deleted unless it is asked for.
    fleet
        .ask(&["gc", "--older-than", "14d", "--delete"])?
        .success()?;
    ensure!(fleet.objects()?.len() == 1);
    Ok(())
}

fn profile_does_all_three(fleet: &Fleet) -> Result<()> {
    let out = fleet.scratch.join("out");
    let out_text = out.display().to_string();
    fleet
        .ask(&[
            "generate",
            &fleet.name,
            "--output-dir",
            &out_text,
            "--format",
            "seccomp",
        ])?
        .success()?;
    let made = out.join(&fleet.name);
    ensure!(made.join("recording.json").is_file());
    let profile = seccomp::read(&made.join("seccomp.json"))?;
    let run = |name: &str, profile: &Value| -> Result<Vec<bool>> {
        let mut container = container(&fleet.scratch, name, &fleet.name)?
            .edited(|spec| spec["linux"]["seccomp"] = profile.clone())?;
        container.start()?;
        let directory = fleet.scratch.join(name);
        for (line, _) in WORK {
            container.does(line)?;
        }
        container.ends()?;
        let is_there = |name: &str| directory.join(name).symlink_metadata().is_ok();
        Ok(["d", "l", "s"].map(is_there).to_vec())
    };
    ensure!(run("enforced", &profile)? == [true; 3]);
    // Without one of the calls, what takes it is denied: the profile is in force.
    let lacking = seccomp::without(&profile, "symlink")
        .or_else(|_| seccomp::without(&profile, "symlinkat"))?;
    let lacking = seccomp::without(&lacking, "symlinkat").unwrap_or(lacking);
    ensure!(run("lacking", &lacking)? == [true, true, false]);
    Ok(())
}

fn tampered_objects_are_named(fleet: &Fleet) -> Outcome {
    let objects = fleet.objects()?;
    let object = objects.first().context("there is no object")?;
    let directory = object.parent().context("it has no directory")?;
    let other = directory.join(format!("{}.json.zst", "0".repeat(64)));
    fs::copy(object, &other)?;
    fs::write(directory.join("notes.txt"), "")?;
    std::os::unix::fs::symlink(
        "/etc/passwd",
        directory.join(format!("{}.json.zst", "1".repeat(64))),
    )?;
    let pulled = fleet.ask(&["pull", &fleet.name])?;
    let said = pulled.stderr.clone();
    ensure!(pulled.code() == 3, "{} {said}", pulled.code());
    ensure!(
        said.contains("1 tampered") && said.contains("1 foreign"),
        "{said}"
    );
    ensure!(
        said.contains(name(&other)) && said.contains("1 unreadable"),
        "{said}"
    );
    let recording: Recording = serde_json::from_slice(&pulled.stdout)?;
    ensure!(
        made(&recording, &WORK[0].1),
        "the others count all the same"
    );
    Ok(())
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|it| it.to_str())
        .unwrap_or_default()
}

/// The signature of DSSE, checked by another program than ours.
#[test]
fn openssl_verifies_what_tracer_signs() -> Outcome {
    needs!(Need::Program("openssl", "openssl"));
    let scratch = Scratch::new()?;
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/redis");
    let profile = scratch.join("seccomp.json");
    fs::copy(example.join("seccomp.json"), &profile)?;
    let path = |name: &str| scratch.join(name).display().to_string();
    process::shell(format!(
        "cd {} && openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out key.pem \
         && openssl ec -in key.pem -pubout -out key.pub",
        scratch.path().display()
    ))?
    .success()?;
    let fleet = |words: &[&str]| {
        let mut command = tracer::command()?;
        process::run(command.arg("fleet").args(words))
    };
    let (seccomp, example) = (path("seccomp.json"), example.display().to_string());
    fleet(&[
        "sign",
        &seccomp,
        "--key",
        &path("key.pem"),
        "--recording",
        &example,
    ])?
    .success()?;
    let verified = fleet(&["verify", &seccomp, "--key", &path("key.pub")])?.success()?;
    ensure!(
        verified.text().contains("workload: redis"),
        "{}",
        verified.text()
    );

    let envelope: Value = serde_json::from_slice(&fs::read(path("seccomp.json.intoto.json"))?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    fs::write(path("payload.b64"), text(&envelope["payload"]))?;
    fs::write(path("sig.b64"), text(&envelope["signatures"][0]["sig"]))?;
    let kind = text(&envelope["payloadType"]);
    let checked = process::shell(format!(
        "cd {} && base64 -d payload.b64 > payload && base64 -d sig.b64 > sig \
         && {{ printf 'DSSEv1 %d %s %d ' {} {kind} $(wc -c < payload); cat payload; }} > signed \
         && openssl dgst -sha256 -verify key.pub -signature sig signed",
        scratch.path().display(),
        kind.len(),
    ))?;
    ensure!(checked.success()?.text().contains("Verified OK"));

    // Another profile is not what was signed.
    fs::write(&profile, "{}")?;
    ensure!(fleet(&["verify", &seccomp, "--key", &path("key.pub")])?.code() == 3);
    Ok(())
}
