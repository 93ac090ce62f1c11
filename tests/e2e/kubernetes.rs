//! A real cluster, its API server not asked: who is who, by the runtime's word alone.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    kubernetes::{Cluster, IMAGE},
    needs, process,
    recording::Recording,
    requires::{Need, program},
    scratch::Scratch,
    tracer::Record,
    wait,
};

/// How long pods may take, several of them one after the other.
const PATIENCE: Duration = Duration::from_secs(180);

/// Workloads of many kinds. Most containers live for a tenth of a second.
fn workloads() -> String {
    let container = |name: &str, script: &str| {
        format!(
            "{{name: {name}, image: \"{IMAGE}\", imagePullPolicy: Never, command: [sh, -c, \"{script}\"]}}"
        )
    };
    let job = format!(
        "template: {{spec: {{restartPolicy: Never, containers: [{}]}}}}",
        container("work", "id")
    );
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: once}}
spec: {{completions: 3, parallelism: 1, {job}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: cron}}
spec: {{schedule: \"0 0 1 1 *\", jobTemplate: {{spec: {{{job}}}}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec: {{containers: [{}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers: [{}]
  containers: [{}]
",
        container("main", "sleep 1; exit 1"),
        container("init", "id"),
        container("main", "while true; do sleep 1; done"),
    )
}

/// The recordings below a directory, by the names of their directories.
fn recordings(output: &Path) -> Result<BTreeMap<String, Recording>> {
    fs::read_dir(output)?
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, Recording::read(&entry.path().join("recording.json"))?))
        })
        .collect()
}

fn until(
    cluster: &Cluster,
    what: &[&str],
    path: &str,
    enough: impl Fn(&str) -> bool,
) -> Result<()> {
    wait::within(PATIENCE, &format!("{path} of {what:?}"), || {
        let said = cluster.get(what, path).unwrap_or_default();
        Ok(enough(&said).then_some(()))
    })
}

/// Three runs of a Job are one workload, the Jobs of a CronJob another, the replicas of a StatefulSet a
/// third, however short they live and although containerd's socket is not in a usual place. A person's
/// container and the sandboxes are none.
#[test]
fn workloads_have_the_names_of_their_owners() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::Kubernetes,
        program::RUNC,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let cluster = Cluster::start(1)?;
    let output = scratch.join("out");
    let mut recorder = Record::for_all(&output)?.start()?;
    recorder.until_attached()?;
    cluster.apply(&workloads())?;
    // As the CronJob's controller calls its Jobs: by the minute.
    for minute in ["29933477", "29933478"] {
        let name = format!("cron-{minute}");
        let mut command = cluster.kubectl(&["create", "job", "--from=cronjob/cron", &name]);
        process::run(&mut command)?.success()?;
        until(&cluster, &["job", &name], "{.status.succeeded}", |it| {
            it == "1"
        })?;
    }
    until(&cluster, &["pod", "web"], "{.status.phase}", |it| {
        it == "Running"
    })?;
    let debug = [
        "debug",
        "web",
        "--image-pull-policy=Never",
        "--image",
        IMAGE,
    ];
    let mut command = cluster.kubectl(&debug);
    process::run(command.args(["--", "sh", "-c", "id"]))?.success()?;
    let debugger = "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}";
    until(&cluster, &["pod", "web"], debugger, |it| it == "0")?;
    until(&cluster, &["job", "once"], "{.status.succeeded}", |it| {
        it == "3"
    })?;
    for pod in ["db-0", "db-1"] {
        let restarts = "{.status.containerStatuses[0].restartCount}";
        until(&cluster, &["pod", pod], restarts, |it| {
            it.parse::<u32>().is_ok_and(|count| count > 0)
        })?;
    }
    recorder.running.signal(Signal::SIGINT)?;
    let (finished, _) = recorder.finish_within(PATIENCE)?;
    let said = finished.success()?.stderr;
    let recordings = recordings(&output)?;
    let ours: Vec<_> = recordings
        .iter()
        .filter(|(_, recording)| {
            recording
                .instances
                .iter()
                .any(|it| cluster.owns(&it.cgroup))
        })
        .collect();
    let names: Vec<_> = ours.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "default_cronjob-cron_work",
        "default_job-once_work",
        "default_pod-web_init",
        "default_pod-web_main",
        "default_statefulset-db_main",
    ];
    ensure!(names == expected, "workloads were {names:?}:\n{said}");
    let instances = |name: &str| -> Result<usize> {
        Ok(recordings.get(name).context("it is there")?.instances.len())
    };
    ensure!(instances("default_job-once_work")? == 3);
    ensure!(instances("default_cronjob-cron_work")? == 2);
    ensure!(instances("default_statefulset-db_main")? >= 4);
    ensure!(!said.contains("guess"), "a name was guessed:\n{said}");
    Ok(())
}
