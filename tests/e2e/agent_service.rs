//! An agent as a service: what it tells the service manager, those who look at its metrics, and how much it takes.

use std::{fs, os::unix::net::UnixDatagram, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    agent::Agent,
    churn::Churn,
    lifecycle::ScriptedContainer,
    needs,
    oci::Runtime,
    process::Running,
    requires::{Need, program},
    scratch::Scratch,
    wait,
};

const PATIENCE: Duration = Duration::from_secs(300);

/// The next message that begins so; others are passed over.
fn told(manager: &UnixDatagram, beginning: &str) -> Outcome {
    wait::until(beginning, || {
        let mut bytes = [0; 256];
        match manager.recv(&mut bytes) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                Ok(text.starts_with(beginning).then_some(()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
}

#[test]
fn tells_the_service_manager_and_feeds_its_watchdog_from_the_loop() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let dir = scratch.dir("agent")?;
    let path = dir.join("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_nonblocking(true)?;
    let settings = "log_format = \"json\"\ninclude = [\"name=none\"]";
    let mut agent = Agent::start_with(&dir, settings, |command| {
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "400000");
    })?;
    told(&manager, "READY=1")?;
    told(&manager, "WATCHDOG=1")?;
    told(&manager, "WATCHDOG=1")?;
    agent.reload(settings, "the configuration was read again")?;
    told(&manager, "RELOADING=1\nMONOTONIC_USEC=")?;
    told(&manager, "READY=1")?;
    ensure!(agent.get("/healthz")?.starts_with("HTTP/1.1 200"));
    ensure!(agent.get("/readyz")?.ends_with("\r\n\r\nok\n"));
    let ended = agent.end(Signal::SIGTERM)?;
    told(&manager, "STOPPING=1")?;
    // Each line is an object.
    for line in ended.stderr.lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).with_context(|| line.to_owned())?;
        ensure!(
            value["message"].is_string() && value["time"].is_string(),
            "{line}"
        );
    }
    ensure!(ended.code() == 0 && !ended.stderr.is_empty(), "{ended:?}");
    Ok(())
}

#[test]
fn metrics_count_a_workload_and_what_it_lost() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        program::RUNC,
        program::UNSHARE,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    let settings = format!("include = [\"name={}\"]", life.id());
    let mut agent = Agent::start(&scratch.dir("agent")?, &settings)?;
    life.start()?;
    life.does("busybox mkdir d")?;
    let recording = agent.until(life.id(), |it| !it.made_in("run").is_empty())?;
    ensure!(agent.metric("tracer_containers_recorded")? == 1);
    let labels = format!("{{namespace=\"\",workload=\"container/{}\"}}", life.id());
    let of = |name: &str| format!("tracer_workload_{name}{labels}");
    ensure!(agent.metric(&of("instances"))? == 1);
    let calls = agent.metric(&of("syscalls"))?;
    ensure!(calls >= recording.syscalls.len() as u64, "{calls}");
    ensure!(agent.metric(&of("new_total"))? >= calls);
    let incomplete = of("incomplete").replace('}', ",reason=\"still-running\"}");
    ensure!(agent.metric(&incomplete)? == 1);
    life.ends()?;
    agent.until(life.id(), |it| !it.has_reason("still-running"))?;
    wait::until("the reason to go", || {
        Ok(agent.metric(&incomplete).is_err().then_some(()))
    })?;
    agent.end(Signal::SIGTERM)?.success()?;
    Ok(())
}

/// Runs containers, and waits until they are written and forgotten. Returns the memory that the agent takes then.
fn memory_after(agent: &mut Agent, churn: &Churn, written: &mut usize) -> Result<u64> {
    Running::spawn(&mut churn.command(8)?)?
        .wait_within(PATIENCE)?
        .success()?;
    *written += churn.members().count();
    wait::within(PATIENCE, "the containers to be written", || {
        let left = agent.metric("tracer_containers_recorded")?
            + agent.metric("tracer_containers_unwritten")?;
        let files = fs::read_dir(agent.spool())?.count();
        Ok((left == 0 && files >= *written).then_some(()))
    })
    .with_context(|| agent.running.stderr().unwrap_or_default())?;
    agent.resident()
}

/// Six times fifty containers, each a workload of its own: what was there once is forgotten.
#[test]
fn memory_does_not_grow_with_containers_that_have_ended() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::CRUN,
        program::UNSHARE,
        program::CC
    );
    let scratch = Scratch::new()?;
    let mut agent = Agent::start(
        &scratch.dir("agent")?,
        "include = [\"cgroup=*churn*\"]\nmetrics_workloads = 10",
    )?;
    let mut sizes = Vec::new();
    let mut written = 0;
    for _ in 0..6 {
        let churn = Churn::prepare(Runtime::Crun, 50, false)?;
        sizes.push(memory_after(&mut agent, &churn, &mut written)? / 1024);
    }
    let pid = agent.running.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status.lines().find(|line| line.starts_with("VmRSS"));
    println!("RssAnon in KiB after each 50 containers: {sizes:?}; {rss:?}");
    // The first ones make room that the others use again. What stays of each is its entry in the index.
    let (first, last) = (sizes[1], sizes[5]);
    ensure!(last < first + 4_096, "it grows: {sizes:?} KiB");
    let finished = agent.end(Signal::SIGTERM)?.success()?;
    ensure!(
        !finished.stderr.contains("incomplete"),
        "{}",
        finished.stderr
    );
    Ok(())
}
