//! An agent records what is selected, merges it into its spool whatever ends it, and obeys its configuration.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    agent::{self, Agent},
    lifecycle::ScriptedContainer,
    needs,
    oci::Runtime,
    process,
    recording::{Recording, SyscallId},
    requires::{Need, program},
    scratch::Scratch,
    tracer, wait,
};

/// By either name of the call.
const MKDIR: [u32; 2] = [83, 258];
const LINK: [u32; 2] = [86, 265];
const SYMLINK: [u32; 2] = [88, 266];

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

fn container(scratch: &Scratch, name: &str) -> Result<ScriptedContainer> {
    ScriptedContainer::new(Runtime::Runc, &scratch.dir(name)?)
}

fn include(containers: &[&ScriptedContainer]) -> String {
    let names: Vec<_> = containers
        .iter()
        .map(|it| format!("\"name={}\"", it.id()))
        .collect();
    format!("include = [{}]", names.join(", "))
}

#[test]
fn records_what_is_selected_and_its_file_is_a_recording() -> Outcome {
    needs_containers!();
    let scratch = Scratch::new()?;
    let mut meant = container(&scratch, "meant")?;
    let mut other = container(&scratch, "other")?;
    let dir = scratch.dir("agent")?;
    let settings = format!("cluster = \"test\"\n{}", include(&[&meant]));
    let mut agent = Agent::start(&dir, &settings)?;
    other.start()?;
    meant.start()?;
    other.does("busybox ln began l")?;
    meant.does("busybox mkdir d")?;
    // While it runs, and after it has ended.
    let running = agent.until(meant.id(), |it| made(it, &MKDIR))?;
    ensure!(
        running.has_reason("still-running"),
        "{:?}",
        running.coverage
    );
    other.ends()?;
    meant.ends()?;
    let ended = agent.until(meant.id(), |it| !it.has_reason("still-running"))?;
    ensure!(ended.coverage.complete, "{:?}", ended.coverage);
    ensure!(ended.instances.len() == 1 && ended.instances[0].start_observed);
    ensure!(!made(&ended, &LINK), "it did not make that call");
    let entries = agent.entries()?;
    ensure!(entries.len() == 1, "{entries:?}");
    ensure!(entries[0].key.cluster == "test", "{entries:?}");
    // Containers of other tests that came and went without a name are given up after a minute.
    wait::within(
        Duration::from_secs(400),
        "the container to be forgotten",
        || {
            let left = ["tracer_containers_recorded", "tracer_containers_unwritten"];
            let left = left.map(|name| agent.metric(name));
            let left: Result<Vec<_>> = left.into_iter().collect();
            Ok(left?.iter().all(|it| *it == 0).then_some(()))
        },
    )?;

    // Its file is a recording for each command.
    let file = entries[0].path.display().to_string();
    let out = dir.join("out");
    let run = |arguments: &[&str]| process::run(tracer::command()?.args(arguments));
    run(&[
        "generate",
        "--output-dir",
        &out.display().to_string(),
        &file,
    ])?
    .success()?;
    let profile = fs::read_to_string(out.join(meant.id()).join("seccomp.json"))?;
    ensure!(profile.contains("\"mkdir"), "{profile}");
    ensure!(run(&["report", &file])?.success()?.text().contains("<html"));
    ensure!(run(&["diff", &file, &file])?.code() == 0);
    let merged = dir.join("merged");
    run(&["merge", "-o", &merged.display().to_string(), &file, &file])?.success()?;
    ensure!(agent.end(Signal::SIGTERM)?.code() == 0);
    Ok(())
}

/// A container that goes on while one agent ends and another begins.
fn outlives_an_agent(signal: Signal) -> Outcome {
    let scratch = Scratch::new()?;
    let mut life = container(&scratch, "life")?;
    let dir = scratch.dir("agent")?;
    let mut first = Agent::start(&dir, &include(&[&life]))?;
    life.start()?;
    life.does("busybox mkdir d")?;
    first.until(life.id(), |it| made(it, &MKDIR))?;
    first.end(signal)?;
    let left = agent::exported(&dir, life.id())?;
    ensure!(left.has_reason("still-running"), "{:?}", left.coverage);

    let mut second = Agent::start(&dir, &include(&[&life]))?;
    life.does("busybox ln began l")?;
    life.ends()?;
    // And once more, from its start.
    life.start()?;
    life.does("busybox ln -s began s")?;
    life.ends()?;
    let id = life.id().to_owned();
    let merged = second.until(&id, |it| made(it, &SYMLINK) && it.instances.len() == 3)?;
    ensure!(made(&merged, &MKDIR) && made(&merged, &LINK));
    let observed: Vec<_> = merged
        .instances
        .iter()
        .map(|it| it.start_observed)
        .collect();
    ensure!(observed == [true, false, true], "{observed:?}");
    // Two that were cut off are not made whole by one that was not.
    ensure!(
        merged.has_reason("start-not-observed"),
        "{:?}",
        merged.coverage
    );
    ensure!(merged.has_reason("still-running"), "{:?}", merged.coverage);
    ensure!(second.entries()?.len() == 1);
    second.end(Signal::SIGTERM)?.success()?;
    Ok(())
}

#[test]
fn merges_over_a_restart() -> Outcome {
    needs_containers!();
    outlives_an_agent(Signal::SIGTERM)
}

#[test]
fn merges_over_a_kill() -> Outcome {
    needs_containers!();
    outlives_an_agent(Signal::SIGKILL)
}

#[test]
fn hangup_changes_what_is_selected_and_a_wrong_file_changes_nothing() -> Outcome {
    needs_containers!();
    let scratch = Scratch::new()?;
    let mut first = container(&scratch, "first")?;
    let mut second = container(&scratch, "second")?;
    let dir = scratch.dir("agent")?;
    let mut agent = Agent::start(&dir, &include(&[&first]))?;
    first.start()?;
    second.start()?;
    first.does("busybox mkdir d")?;
    agent.reload("inclde = []", "the settings stay as they are")?;
    let said = agent.running.stderr()?;
    ensure!(
        said.contains("agent.toml:2:1: unknown field `inclde`"),
        "{said}"
    );
    agent.reload(&include(&[&second]), "the configuration was read again")?;
    // What was recorded of the first one is kept, and no more.
    let kept = agent.until(first.id(), |it| made(it, &MKDIR))?;
    ensure!(kept.has_reason("still-running"), "{:?}", kept.coverage);
    wait::until("the second one to be recorded", || {
        Ok((agent.metric("tracer_containers_recorded")? == 1).then_some(()))
    })?;
    first.does("busybox ln began l")?;
    second.does("busybox ln -s began s")?;
    first.ends()?;
    second.ends()?;
    let found = agent.until(second.id(), |it| made(it, &SYMLINK))?;
    ensure!(!found.instances[0].start_observed);
    ensure!(agent.metric("tracer_agent_reloads_total{result=\"failed\"}")? == 1);
    ensure!(agent.metric("tracer_agent_reloads_total{result=\"done\"}")? == 1);
    agent.end(Signal::SIGTERM)?.success()?;
    ensure!(
        !made(&agent::exported(&dir, first.id())?, &LINK),
        "it was not selected then"
    );
    Ok(())
}

#[test]
fn a_workload_is_recorded_for_its_time() -> Outcome {
    needs_containers!();
    let scratch = Scratch::new()?;
    let mut life = container(&scratch, "life")?;
    let dir = scratch.dir("agent")?;
    let rule = format!(
        "[[workload]]\nselect = \"name={}\"\nduration = \"1s\"\nkinds = [\"sockets\"]",
        life.id()
    );
    let mut agent = Agent::start(&dir, &format!("{}\n{rule}", include(&[&life])))?;
    life.start()?;
    life.does("busybox mkdir d")?;
    agent.running.until_stderr("its time is up")?;
    life.does("busybox ln began l")?;
    life.ends()?;
    let kept = agent.until(life.id(), |it| made(it, &MKDIR))?;
    ensure!(kept.has_reason("still-running"), "{:?}", kept.coverage);
    ensure!(kept.files.is_empty(), "only sockets were wanted");
    // Nor when it comes again.
    life.start()?;
    life.ends()?;
    agent.end(Signal::SIGTERM)?.success()?;
    let kept = agent::exported(&dir, life.id())?;
    ensure!(!made(&kept, &LINK) && kept.instances.len() == 1);
    Ok(())
}

#[test]
fn the_spool_stays_within_its_bound_and_what_went_is_counted() -> Outcome {
    needs_containers!();
    let scratch = Scratch::new()?;
    let lives: Result<Vec<_>> = (0..14)
        .map(|number| container(&scratch, &number.to_string()))
        .collect();
    let mut lives = lives?;
    let dir = scratch.dir("agent")?;
    let all: Vec<_> = lives.iter().collect();
    let settings = format!("{}\n[spool]\nmax_bytes = 65536", include(&all));
    let mut agent = Agent::start(&dir, &settings)?;
    for life in &mut lives {
        life.start()?;
        let id = life.id().to_owned();
        // Until its names are known: on a busy machine, a runtime may have forgotten it before.
        agent.until(&id, |_| true)?;
        life.ends()?;
        agent.until(&id, |it| !it.has_reason("still-running"))?;
    }
    let kept = agent.entries()?;
    let bytes: u64 = kept.iter().map(|entry| entry.bytes).sum();
    ensure!(bytes <= 65_536 && !kept.is_empty(), "{kept:?}");
    ensure!(kept.len() < 14, "nothing had to go: {kept:?}");
    let gone = 14 - kept.len() as u64;
    ensure!(agent.metric("tracer_spool_removed_total{reason=\"oldest\"}")? == gone);
    ensure!(agent.metric("tracer_spool_bytes")? == bytes);
    let said = agent.running.stderr()?.matches("the spool is full").count();
    ensure!(said as u64 == gone, "said {said} times of {gone}");
    // The first ones went.
    let kept: BTreeSet<_> = kept.into_iter().map(|entry| entry.key.owner).collect();
    let last: BTreeSet<_> = lives
        .iter()
        .rev()
        .take(kept.len())
        .map(|it| it.id().to_owned())
        .collect();
    ensure!(kept == last, "{kept:?}");
    agent.end(Signal::SIGTERM)?.success()?;
    Ok(())
}

#[test]
fn rollout_says_enforce_when_the_thresholds_are_met() -> Outcome {
    needs_containers!();
    let scratch = Scratch::new()?;
    let mut life = container(&scratch, "life")?;
    let dir = scratch.dir("agent")?;
    let thresholds = "[rollout]\ninstances = 5\nquiet = \"1s\"\nunseen = 1000";
    let mut agent = Agent::start(&dir, &format!("{}\n{thresholds}", include(&[&life])))?;
    let id = life.id().to_owned();
    let status = |options: &[&str]| {
        let mut arguments = vec!["rollout", "status", &id];
        arguments.extend(options);
        agent::ask(&dir, &arguments)
    };
    for count in 1..=6 {
        life.start()?;
        life.does("busybox sleep 1.1")?;
        life.ends()?;
        agent.until(&id, |it| {
            it.instances.len() == count && !it.has_reason("still-running")
        })?;
        if count == 4 {
            let said = status(&[])?;
            ensure!(said.code() == 3, "{said:?}");
            ensure!(
                said.text().contains("not yet: 4 instances seen, 5 needed"),
                "{said:?}"
            );
        }
    }
    let said = status(&[])?;
    ensure!(
        said.code() == 0 && said.text().contains(": enforce\n"),
        "{said:?}"
    );
    let said = status(&["--format", "json"])?.success()?;
    let value: serde_json::Value = serde_json::from_slice(&said.stdout)?;
    ensure!(
        value["verdict"] == "enforce" && value["instances"] == 6,
        "{value}"
    );
    let shown = agent::ask(&dir, &["spool", "show", &id])?.success()?.text();
    ensure!(shown.contains("instances: 6\n"), "{shown}");
    let unknown = agent::ask(&dir, &["rollout", "status", "no-such"])?;
    ensure!(
        unknown.code() == 1 && unknown.stderr.contains("tracer spool list"),
        "{unknown:?}"
    );
    agent.end(Signal::SIGTERM)?.success()?;
    Ok(())
}

#[test]
fn a_wrong_configuration_and_a_place_of_others_are_refused() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let file = scratch.join("agent.toml");
    let check = |text: &str| {
        fs::write(&file, text)?;
        let mut command = tracer::command()?;
        command.args(["agent", "check", "--config"]).arg(&file);
        process::run(&mut command)
    };
    let wrong = check("[spool]\nmax_byte = 7\n")?;
    ensure!(wrong.code() == 2, "{wrong:?}");
    ensure!(
        wrong
            .stderr
            .contains("agent.toml:2:1: unknown field `max_byte`"),
        "{wrong:?}"
    );
    let fine = check("cluster = \"prod\"\n")?.success()?;
    ensure!(fine.text().contains("cluster = \"prod\""), "{fine:?}");
    // A link of somebody else's in place of the directory is not followed, and a spool has one agent.
    let refused = |directory: &Path| {
        let mut command = tracer::command()?;
        command.args(["agent", "--spool-directory"]).arg(directory);
        process::run(&mut command)
    };
    let link = scratch.join("link");
    std::os::unix::fs::symlink(scratch.dir("elsewhere")?, &link)?;
    std::os::unix::fs::lchown(&link, Some(65_534), Some(65_534))?;
    let followed = refused(&link)?;
    ensure!(
        followed.code() == 125 && followed.stderr.contains("uid 65534"),
        "{followed:?}"
    );
    let dir = scratch.dir("agent")?;
    let agent = Agent::start(&dir, "include = [\"name=none\"]")?;
    let second = refused(&agent.spool())?;
    ensure!(
        second.code() == 125 && second.stderr.contains("another agent uses it"),
        "{second:?}"
    );
    agent.end(Signal::SIGTERM)?.success()?;
    Ok(())
}
