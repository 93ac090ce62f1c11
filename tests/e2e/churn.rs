//! A thousand containers that live for a few milliseconds, eight at a time: each is accounted for,
//! under its own id, with what it did and nothing that another did.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    churn::Churn,
    oci::Runtime,
    process::Running,
    recording::Recording,
    requires::{self, Need, program},
    tracer,
};

const PATIENCE: Duration = Duration::from_secs(300);

/// Numbers of system calls, by a container's id.
type Calls = BTreeMap<String, BTreeSet<u32>>;

/// What each container of the churn is recorded to have called, of the numbers that only they call:
/// by the last part of its cgroup's path, which is its id.
fn recorded(churn: &Churn) -> Result<(Calls, Vec<Recording>)> {
    let mut calls = Calls::new();
    let mut recordings = Vec::new();
    for directory in fs::read_dir(churn.output()?)? {
        let recording = Recording::read(&directory?.path().join("recording.json"))?;
        let ids: Vec<_> = recording
            .instances
            .iter()
            .map(|instance| {
                // crun's processes are in a cgroup below the container's own.
                let mut parts = instance.cgroup.trim_start_matches('/').split('/');
                parts.next().unwrap_or_default().to_owned()
            })
            .collect();
        if !ids.iter().any(|id| churn.has(id)) {
            // Of another test that runs meanwhile.
            continue;
        }
        for id in &ids {
            ensure!(
                calls.insert(id.clone(), BTreeSet::new()).is_none(),
                "{id} is there twice"
            );
        }
        for syscall in recording.syscalls.iter().filter(|call| call.nr >= 480) {
            for who in &syscall.evidence {
                ensure!(
                    who.phase == "run",
                    "{} is in phase {}",
                    syscall.nr,
                    who.phase
                );
                let id = ids.get(who.instance).context("no such instance")?;
                calls.entry(id.clone()).or_default().insert(syscall.nr);
            }
        }
        recordings.push(recording);
    }
    Ok((calls, recordings))
}

fn all_are_accounted_for(test: &str, runtime: Runtime, count: u32) -> Outcome {
    let needs = [
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        runtime.need(),
        program::UNSHARE,
        program::CC,
    ];
    if !requires::met(test, &needs)? {
        return Ok(());
    }
    let churn = Churn::prepare(runtime, count, true)?;
    let mut recorder = Running::spawn(
        tracer::command()?
            // So few that most of a thousand get rows that were another's.
            .args(["record", "--all", "--max-rows", "1024", "--output"])
            .arg(churn.output()?),
    )?;
    recorder.until_stderr("recording all containers")?;
    Running::spawn(&mut churn.command(8)?)?
        .wait_within(PATIENCE)?
        .success()?;
    recorder.signal(Signal::SIGINT)?;
    let said = recorder.wait_within(PATIENCE)?.success()?.stderr;

    let (calls, recordings) = recorded(&churn)?;
    for (id, numbers) in churn.members() {
        let lost: Vec<_> = recordings.iter().map(|it| &it.coverage.losses).collect();
        let seen = calls.get(&id).with_context(|| {
            let lost = lost.iter().find(|it| it.calls + it.cgroups > 0);
            format!("{id} is not there; lost: {lost:?}; {said}")
        })?;
        ensure!(
            *seen == BTreeSet::from(numbers),
            "{id} is said to have called {seen:?}, not {numbers:?}; lost: {:?}",
            lost.iter().find(|it| it.calls > 0)
        );
    }
    for recording in &recordings {
        // In a row that was another's, who gave the same.
        let given = recording.given("personality", "run");
        ensure!(
            given == BTreeSet::from([vec![8]]),
            "{:?} is said to have given {given:?}",
            recording.instances
        );
        ensure!(
            recording.coverage.losses.calls == 0 && recording.coverage.losses.cgroups == 0,
            "lost: {:?}",
            recording.coverage.losses
        );
    }
    Ok(())
}

#[test]
fn accounts_for_a_thousand_crun_containers() -> Outcome {
    all_are_accounted_for(tracer_tests::test_name!(), Runtime::Crun, 1_000)
}

#[test]
fn accounts_for_a_hundred_runc_containers() -> Outcome {
    all_are_accounted_for(tracer_tests::test_name!(), Runtime::Runc, 100)
}
