//! A profile that only logs, and what the kernel's audit records then say: `watch --denials` reports it once, under
//! the container that it is of, and `learn` adds it.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tracer_tests::{
    Outcome,
    kernel_log::KernelLog,
    needs,
    oci::{Container, Runtime},
    process::{self, Running},
    requires::{Need, program},
    scratch::Scratch,
    seccomp, tracer, wait,
};

use crate::watch::{lines, shell_profile, start, things, until_told, watch};

/// How often the shell makes the call that its profile lacks.
const ATTEMPTS: u64 = 2000;

/// The loop of `--complain`: a container under a profile that only logs does what the profile lacks, and succeeds;
/// the kernel logs it; `watch --denials` reports it under the container, and `learn` adds it.
#[test]
fn complain_profile_logs_and_learn_adds_what_it_logged() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::BUSYBOX,
        program::RUNC,
        program::UNSHARE
    );
    let scratch = Scratch::new()?;
    let (recording, profile) = shell_profile(&scratch, &["--complain", "--headroom=none"])?;
    ensure!(profile["defaultAction"] == "SCMP_ACT_LOG", "{profile}");
    let review = fs::read_to_string(scratch.join("made/shell/REVIEW.md"))?;
    ensure!(review.contains("**It only logs**"), "{review}");
    let work = scratch.dir("work")?;
    // The shell itself calls kill, and stays; a child makes the directory.
    let script = format!(
        "i=0; while [ $i -lt {ATTEMPTS} ]; do kill -0 $$; i=$((i+1)); done; busybox mkdir made; busybox sleep 1000"
    );
    let argv = ["busybox", "sh", "-c", &script].map(Into::into);
    let container = Container::new(Runtime::Runc, &argv, &work, &profile, true)?.in_public();

    let events = scratch.join("events");
    let denials = ["--denials", "--container", container.id()];
    let mut watching = Running::spawn(&mut watch(&events, &denials)?)?;
    watching.until_stderr("reading the audit socket")?;
    let mut learn = tracer::command()?;
    learn.arg("learn").arg(&recording).args(["--from", "live"]);
    let mut learning = Running::spawn(&mut learn)?;
    learning.until_stderr("reading the audit socket")?;
    let mut log = KernelLog::from_now()?;
    let running = start(&container.command_line()?)?;
    wait::until("the directory", || Ok(fs::metadata(work.join("made")).ok()))?;
    let event = until_told(&events, "logged", "kill")?;
    ensure!(event["container"]["id"] == container.id(), "{event}");
    ensure!(
        event["action"] == "seccomp" && event["pid"].as_u64().is_some(),
        "{event}"
    );
    until_told(&events, "logged", "mkdir")?;
    // The kernel's log has the record of it too, unless it lost some of the flood.
    let dump = scratch.file("kernel.log", log.lines().unwrap_or_default().join("\n"))?;

    watching.signal(Signal::SIGINT)?;
    let finished = watching.wait()?;
    ensure!(finished.code() == 3, "{finished:?}");
    flood_is_one_event(&lines(&events)?)?;
    learning.signal(Signal::SIGINT)?;
    let learned = learning.wait()?.success()?;
    drop(running);
    ensure!(
        learned.stderr.contains("system call mkdir ("),
        "{}",
        learned.stderr
    );
    the_same_from_a_file(&scratch, &recording, &dump)
}

/// Two thousand records of one call: one line, and their number with what was lost of them.
fn flood_is_one_event(told: &[Value]) -> Result<()> {
    let kills = things(told, "logged").into_iter();
    ensure!(kills.filter(|it| *it == "kill").count() == 1, "{told:?}");
    let last = told.last().context("no summary")?;
    let counted = last["denials"].as_array().context("no denials")?;
    let kill = counted.iter().find(|it| it["what"] == "kill");
    let kill = kill.context("no kill")?;
    let number = |of: &Value| of.as_u64().unwrap_or_default();
    let (count, lost) = (number(&kill["count"]), number(&last["lost"]));
    ensure!(
        count + lost >= ATTEMPTS,
        "{count} were counted and {lost} lost of {ATTEMPTS}"
    );
    Ok(())
}

/// From the kernel's log of the same run nothing is new any more; and the next profile allows what was logged.
fn the_same_from_a_file(scratch: &Scratch, recording: &Path, log: &Path) -> Result<()> {
    let mut again = tracer::command()?;
    again.arg("learn").arg(recording).arg("--from").arg(log);
    let again = process::run(&mut again)?.success()?;
    ensure!(
        !again.stderr.contains("system call mkdir ("),
        "{}",
        again.stderr
    );
    let mut generate = tracer::command()?;
    generate.args(["generate", "--format", "seccomp", "--output-dir"]);
    generate.arg(scratch.join("next")).arg(recording);
    process::run(&mut generate)?.success()?;
    let next = seccomp::read(&scratch.join("next/shell/seccomp.json"))?;
    let entries = next["syscalls"].as_array().context("no entries")?;
    let allowing = entries.iter().filter(|it| it["action"] == "SCMP_ACT_ALLOW");
    let names = allowing.filter_map(|it| it["names"].as_array()).flatten();
    let names: BTreeSet<_> = names.map(Value::to_string).collect();
    for name in ["mkdir", "kill"] {
        ensure!(names.contains(&json!(name).to_string()), "{name}: {next}");
    }
    Ok(())
}

/// A call that a filter stops is reported as denied, by the records that the kernel makes of it.
#[test]
fn blocked_call_is_reported_from_the_audit_socket() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::BUSYBOX,
        program::RUNC,
        program::UNSHARE
    );
    let scratch = Scratch::new()?;
    let work = scratch.dir("work")?;
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{ "names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS" }],
    });
    let script = "(kill -0 $$); busybox sleep 1000";
    let argv = ["busybox", "sh", "-c", script].map(Into::into);
    let container = Container::new(Runtime::Runc, &argv, &work, &profile, true)?.in_public();
    let events = scratch.join("events");
    let denials = ["--denials", "--container", container.id()];
    let mut watching = Running::spawn(&mut watch(&events, &denials)?)?;
    watching.until_stderr("reading the audit socket")?;
    let running = start(&container.command_line()?)?;
    let event = until_told(&events, "denied", "kill")?;
    ensure!(event["action"] == "seccomp", "{event}");
    // The process is dead: its container is known, or it is said that it is not.
    let is_known = event["container"]["id"] == container.id();
    ensure!(is_known || event["depends_on"].is_string(), "{event}");
    watching.signal(Signal::SIGINT)?;
    watching.wait()?;
    drop(running);
    Ok(())
}
