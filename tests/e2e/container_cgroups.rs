//! Who comes into a container's cgroup, and how: by a runtime that starts later, by hooks, by hand,
//! through cgroups below, after somebody else.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::json;
use tracer_tests::{
    Outcome,
    cgroup::{self, Cgroup},
    lifecycle::{ScriptedContainer, Watch},
    needs,
    oci::Runtime,
    process::Running,
    recording::SyscallId,
    requires::{self, Need, program},
    scratch::{Scratch, unique},
};

use crate::lifecycle::{LINK, SYNC, UMASK, did, made_in, needs_containers};

const ADJTIMEX: [u32; 2] = [159, 305];

fn busybox() -> Result<PathBuf> {
    requires::which("busybox").context("busybox is not installed")
}

/// A cgroup's path below the mount.
fn below_mount(path: &Path) -> Result<String> {
    let below = path.strip_prefix(cgroup::v2_mount()?)?;
    Ok(format!("/{}", below.display()))
}

fn created_and_started_later(runtime: Runtime) -> Outcome {
    needs_containers!(runtime);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(runtime, &scratch.dir("life")?)?;
    let watch = Watch::start(&scratch.join("out"), &["--wait", "--container", life.id()])?;
    life.create()?;
    life.release()?;
    life.does("busybox ln began l")?;
    life.does("busybox sync")?;
    life.delete()?;
    let watched = watch.ends()?;
    let (_, recording) = watched.only()?;
    ensure!(
        recording.coverage.complete && recording.instances[0].start_observed,
        "{:?}",
        recording.coverage
    );
    made_in(recording, &[155], &["setup"])?;
    made_in(recording, &LINK, &["run"])?;
    made_in(recording, &SYNC, &["run"])?;
    let window = recording.made_in("runtime-init");
    ensure!(window.contains(&SyscallId::x86_64(59)), "{window:?}");
    Ok(())
}

#[test]
fn runc_container_created_then_started_is_recorded() -> Outcome {
    created_and_started_later(Runtime::Runc)
}

#[test]
fn crun_container_created_then_started_is_recorded() -> Outcome {
    created_and_started_later(Runtime::Crun)
}

/// runc runs them as processes of the container (libcontainer/rootfs_linux.go and
/// standard_init_linux.go).
#[test]
fn oci_hooks_are_not_recorded_as_workload() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let busybox = busybox()?;
    for confined in [true, false] {
        let dir = scratch.dir(&format!("life-{confined}"))?;
        let mut life = ScriptedContainer::new(Runtime::Runc, &dir)?.edited(|spec| {
            spec["hooks"] = json!({
                "createContainer": [{ "path": busybox, "args": ["busybox", "sync"] }],
                "startContainer": [{ "path": busybox, "args": ["busybox", "adjtimex"] }],
            });
            if !confined {
                spec["linux"]["seccomp"] = json!(null);
                spec["process"]["noNewPrivileges"] = json!(false);
            }
        })?;
        let out = scratch.join(format!("out-{confined}"));
        let watch = Watch::start(&out, &["--wait", "--container", life.id()])?;
        life.start()?;
        life.does("busybox ln began l")?;
        life.ends()?;
        let watched = watch.ends()?;
        let (_, recording) = watched.only()?;
        for marker in [&SYNC[..], &ADJTIMEX] {
            let phases = recording.phases_of(marker);
            ensure!(
                !phases.is_empty() && !phases.contains("run") && !phases.contains("exec"),
                "the call {marker:?} of a hook is in {phases:?}"
            );
        }
        made_in(recording, &LINK, &["run"])?;
        ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    }
    Ok(())
}

/// A cgroup that looks like one of Docker's, and a process in it that never starts a program.
#[test]
fn process_moved_in_by_hand_is_not_the_workload() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let pipe = scratch.join("go");
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let id = format!("{:064x}", u64::from(std::process::id()));
    let watch = Watch::start(&scratch.join("out"), &["--wait", "--container", &id])?;
    let cgroup = Cgroup::at(cgroup::v2_mount()?.join(format!("docker-{id}.scope")))?;
    let script = format!("read -r line <{}; umask 022", pipe.display());
    let by_hand = Running::spawn(
        Command::new(busybox()?)
            .args(["sh", "-c", &script])
            .stdin(Stdio::null()),
    )?;
    // Opens when the other end does: it has started its program by then.
    let mut pipe = OpenOptions::new().write(true).open(&pipe)?;
    cgroup.add(by_hand.pid())?;
    pipe.write_all(b"\n")?;
    by_hand.wait()?.success()?;
    cgroup.remove()?;
    let said = watch.ends_with_nothing()?.stderr;
    ensure!(said.contains("no program of its own"), "{said}");
    Ok(())
}

/// Two containers, one after the other at once, in a cgroup of the same path.
#[test]
fn reused_cgroup_path_is_a_new_instance() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let path = format!("/{}", unique("tracer-e2e-reused"));
    let pods = ["x2x4z", "b4c5d"].map(|end| format!("{}-5d8f9c7b6d-{end}", &path[1..]));
    let mut lives = Vec::new();
    for pod in &pods {
        let life = ScriptedContainer::new(Runtime::Runc, &scratch.dir(pod)?)?
            .of_pod("shop", pod, "web")?
            .edited(|spec| spec["linux"]["cgroupsPath"] = json!(path))?;
        lives.push(life);
    }
    let [one, two] = pods.map(|pod| format!("shop/{pod}"));
    let mut watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--pod", &one, "--pod", &two, "--duration", "1h"],
    )?;
    let lines = ["busybox ln began l", "busybox sync"];
    for ((life, line), number) in lives.iter_mut().zip(lines).zip(1..) {
        life.start()?;
        ensure!(below_mount(&life.cgroup()?)? == path);
        life.does(line)?;
        // The path does not tell which container it is, and its files go away with it.
        watch.until_containers(number)?;
        life.ends()?;
    }
    let watched = watch.stop(nix::sys::signal::Signal::SIGTERM)?;
    let (_, recording) = watched.only()?;
    ensure!(
        recording.instances.len() == 2 && recording.coverage.complete,
        "{recording:?}"
    );
    for (life, own, other) in [(&lives[0], &LINK[..], &SYNC[..]), (&lives[1], &SYNC, &LINK)] {
        let instance = recording
            .instances_of(life.id())
            .next()
            .with_context(|| format!("no instance of {}", life.id()))?;
        ensure!(
            did(recording, instance, own) && !did(recording, instance, other),
            "these are not the calls of {}",
            life.id()
        );
    }
    Ok(())
}

/// It makes cgroups below its own and works there, as systemd does; and somebody outside does that
/// to it, while it is recorded and before.
#[test]
fn child_cgroups_belong_to_the_container() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mount = cgroup::v2_mount()?;
    for wait in [true, false] {
        let mut life =
            ScriptedContainer::new(Runtime::Runc, &scratch.dir(&format!("life-{wait}"))?)?.edited(
                |spec| {
                    let own = json!({
                        "destination": "/mnt", "type": "none", "source": mount,
                        "options": ["rbind", "rw"],
                    });
                    if let Some(mounts) = spec["mounts"].as_array_mut() {
                        mounts.push(own);
                    }
                },
            )?;
        let out = scratch.join(format!("out-{wait}"));
        let mut watch = None;
        if wait {
            watch = Some(Watch::start(&out, &["--wait", "--container", life.id()])?);
        }
        life.start()?;
        let own = life.cgroup()?;
        let inside = format!("/mnt{}", below_mount(&own)?);
        // Deep, so that no level is a special one.
        life.does(&format!("busybox mkdir -p {inside}/a/b"))?;
        life.does(&format!("echo 1 >{inside}/a/b/cgroup.procs"))?;
        ensure!(life.cgroup()? == own.join("a/b"), "it did not move");
        let watch = match watch {
            Some(watch) => watch,
            None => Watch::start(&out, &["--container", life.id()])?,
        };
        life.does("busybox ln began l")?;
        let outside = Cgroup::at(own.join("c"))?;
        outside.add(life.pid()?)?;
        life.does("busybox sync")?;
        life.ends()?;
        let watched = watch.ends()?;
        let (_, recording) = watched.only()?;
        ensure!(recording.instances.len() == 1, "{:?}", recording.instances);
        made_in(recording, &LINK, &["run"])?;
        made_in(recording, &SYNC, &["run"])?;
        ensure!(
            recording.coverage.complete == wait && !recording.has_reason("left-cgroup"),
            "{:?}",
            recording.coverage
        );
    }
    Ok(())
}

/// A cgroup that looks like one of Docker's, made before tracer comes, and still empty: who comes in first
/// is the runtime, and starts the workload.
#[test]
fn container_started_in_an_existing_cgroup_is_recorded() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let pipe = scratch.join("go");
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let id = format!("{:064x}", u64::from(std::process::id()) << 32 | 0xe);
    let cgroup = Cgroup::at(cgroup::v2_mount()?.join(format!("docker-{id}.scope")))?;
    let watch = Watch::start(&scratch.join("out"), &["--container", &id])?;
    let busybox = busybox()?;
    let script = format!(
        "read -r line <{}; umask 022; exec {} sync",
        pipe.display(),
        busybox.display()
    );
    let by_hand = Running::spawn(
        Command::new(&busybox)
            .args(["sh", "-c", &script])
            .stdin(Stdio::null()),
    )?;
    let mut pipe = OpenOptions::new().write(true).open(&pipe)?;
    cgroup.add(by_hand.pid())?;
    pipe.write_all(b"\n")?;
    by_hand.wait()?.success()?;
    cgroup.remove()?;
    let watched = watch.ends()?;
    let (_, recording) = watched.only()?;
    made_in(recording, &UMASK, &["setup"])?;
    made_in(recording, &SYNC, &["run"])?;
    ensure!(
        recording.instances[0].start_observed && recording.coverage.complete,
        "{:?}",
        recording.coverage
    );
    Ok(())
}

/// A process of the workload that goes to another container's cgroup has left its own, although both are
/// recorded: what it does there is the other's.
#[test]
fn process_moved_to_another_container_is_reported() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut lives = Vec::new();
    for dir in ["from", "to"] {
        lives.push(ScriptedContainer::new(Runtime::Runc, &scratch.dir(dir)?)?);
    }
    let ids = [lives[0].id().to_owned(), lives[1].id().to_owned()];
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--container", &ids[0], "--container", &ids[1]],
    )?;
    for life in &mut lives {
        life.start()?;
    }
    let to = lives[1].cgroup()?;
    fs::write(to.join("cgroup.procs"), lives[0].pid()?.to_string())?;
    lives[0].does("busybox ln began l")?;
    for life in &mut lives {
        life.ends()?;
    }
    let watched = watch.ends()?;
    for (id, expected) in ids.iter().zip([true, false]) {
        let (_, recording) = watched.of(id)?;
        ensure!(
            recording.has_reason("left-cgroup") == expected,
            "{:?}",
            recording.coverage
        );
    }
    Ok(())
}

/// More cgroups below than there is room for: what cannot be followed is counted, the rest is recorded.
#[test]
fn cgroups_beyond_the_limit_are_counted_as_lost() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let cgroup = Cgroup::new("tracer-e2e-many")?;
    let children: Vec<_> = (0..40)
        .map(|number| cgroup.child(&format!("c{number}")))
        .collect::<Result<_>>()?;
    let mut recorder = tracer_tests::tracer::Record::new(&scratch.join("out"), "many")?
        .option("--max-cgroups")
        .option("20")
        .of_cgroup(cgroup.path())
        .start()?;
    recorder.until_attached()?;
    for child in children {
        child.remove()?;
    }
    cgroup.remove()?;
    let (finished, recorded) = recorder.finish()?;
    finished.success()?;
    let coverage = recorded.recording()?.coverage;
    ensure!(
        coverage.losses.cgroups >= 20 && !coverage.complete,
        "{coverage:?}"
    );
    Ok(())
}
