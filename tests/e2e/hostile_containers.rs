//! Containers whose files, names and sockets mean harm: they are recorded all the same, what is wrong
//! is said, nothing is written elsewhere, and nothing of it reaches a terminal as it is.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tracer_tests::{
    Outcome,
    lifecycle::{ScriptedContainer, Watch, Watched},
    needs,
    oci::Runtime,
    process,
    recording::Recording,
    requires::{Need, program},
    scratch::{Scratch, unique},
    tracer,
};

use crate::lifecycle::{LINK, made_in, needs_containers};

/// Nothing but lines of text, in all that people read.
fn is_plain(what: &str, text: &str) -> Outcome {
    // What turns the direction of writing is as bad as what moves the cursor.
    let bad = |c: &char| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c);
    if let Some(found) = text.chars().find(bad) {
        anyhow::bail!("{found:?} in {what}: {}", text.escape_debug());
    }
    Ok(())
}

/// One recording of that container, in a directory of the output, and nothing else anywhere.
fn is_recorded(watched: &Watched, scratch: &Scratch, id: &str) -> Outcome {
    is_plain("stderr", &watched.finished.stderr)?;
    let (directory, recording) = watched.only()?;
    ensure!(
        directory.parent() == Some(&scratch.join("out")),
        "written to {}",
        directory.display()
    );
    made_in(recording, &LINK, &["run"])?;
    ensure!(
        recording.instances_of(id).eq([0]),
        "{:?}",
        recording.instances
    );
    is_plain("the directory's name", &directory.to_string_lossy())?;
    is_plain(
        "REVIEW.md",
        &fs::read_to_string(directory.join("REVIEW.md"))?,
    )?;
    let mut beside: Vec<_> = fs::read_dir(scratch.path())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    beside.sort();
    ensure!(beside == ["life", "out"], "{beside:?}");
    Ok(())
}

/// What a hostile hand makes of `config.json` after the runtime has read it.
#[test]
fn records_a_container_whose_bundle_is_tampered_with() -> Outcome {
    needs_containers!(Runtime::Runc);
    let huge = format!(r#"{{"hostname": "{}"}}"#, "h".repeat(9 << 20));
    let deep = format!(r#"{{"annotations": {}"#, "[".repeat(100_000));
    let wrong = r#"{"annotations": {"io.kubernetes.cri.container-name": [1], "x": {"y": 2}},
        "process": {"args": [1, {"a": 2}], "user": {"uid": "root", "gid": -1},
            "capabilities": {"bounding": [7], "effective": "all"}, "noNewPrivileges": "no"},
        "root": {"readonly": 9}, "linux": {"seccomp": ["SCMP_ACT_ALLOW"], "cgroupsPath": 1.5,
            "namespaces": {"type": "user"}, "maskedPaths": 3}, "hostname": null}"#;
    let cases = [
        ("huge", huge.as_str(), "longer than 8 MiB"),
        ("deep", &deep, "recursion limit"),
        ("wrong", wrong, "annotations"),
        ("list", "[1, 2]", "not an object"),
        ("cut", "{\"process\": {\"args\": [\"a", "EOF"),
        ("binary", "\u{0}\u{1b}[31m", "config.json"),
    ];
    for (name, content, says) in cases {
        for running in [true, false] {
            let scratch = Scratch::new()?;
            let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
            let (out, id) = (scratch.join("out"), life.id().to_owned());
            let mut watch = if running {
                life.start()?;
                fs::write(life.container.config(), content)?;
                Watch::start(&out, &["--container", &id])?
            } else {
                let watch = Watch::start(&out, &["--wait", "--container", &id])?;
                life.create()?;
                fs::write(life.container.config(), content)?;
                life.release()?;
                watch
            };
            life.does("busybox ln began l")?;
            watch.until_containers(1)?;
            if running {
                life.ends()?;
            } else {
                life.delete()?;
            }
            let watched = watch.ends()?;
            let of_case = || format!("{name}, {}", if running { "running" } else { "new" });
            is_recorded(&watched, &scratch, &id).with_context(of_case)?;
            let stderr = &watched.finished.stderr;
            ensure!(stderr.contains(says), "{}: {stderr}", of_case());
        }
    }
    Ok(())
}

/// runc takes it, and its own file about the container is then as long.
#[test]
fn records_a_container_with_a_nine_megabyte_bundle() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?
        .edited(|spec| spec["annotations"] = json!({ "x": "y".repeat(9 << 20) }))?;
    let id = life.id().to_owned();
    let mut watch = Watch::start(&scratch.join("out"), &["--wait", "--container", &id])?;
    life.start()?;
    life.does("busybox ln began l")?;
    watch.until_containers(1)?;
    life.ends()?;
    let watched = watch.ends()?;
    is_recorded(&watched, &scratch, &id)?;
    let stderr = &watched.finished.stderr;
    ensure!(stderr.contains("longer than 8 MiB"), "{stderr}");
    Ok(())
}

/// Names that are legal in a bundle and nowhere else.
#[test]
fn hostile_names_stay_harmless() -> Outcome {
    needs_containers!(Runtime::Runc);
    let long = "n".repeat(64 << 10);
    for hostile in [
        "../../../../tmp/tracer-e2e-escaped",
        "/etc/tracer-e2e",
        "..",
        "a\nb\n# c",
        "\u{1b}[31mred\u{1b}]0;title\u{7}",
        "\u{202e}txt.exe",
        "`$(touch x)` | [a](http://b) <b>",
        &long,
    ] {
        let shown: String = hostile.chars().take(40).collect();
        let scratch = Scratch::new()?;
        let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?
            .of_pod(hostile, hostile, hostile)?
            .edited(|spec| {
                spec["annotations"][hostile] = json!(hostile);
                spec["annotations"]["io.kubernetes.cri.image-name"] = json!(hostile);
            })?;
        let id = life.id().to_owned();
        let mut watch = Watch::start(&scratch.join("out"), &["--wait", "--container", &id])?;
        life.start()?;
        life.does("busybox ln began l")?;
        watch.until_containers(1).with_context(|| shown.clone())?;
        life.ends()?;
        let watched = watch.ends()?;
        is_recorded(&watched, &scratch, &id).with_context(|| format!("{shown:?}"))?;
        let (directory, _) = watched.only()?;
        let review = fs::metadata(directory.join("REVIEW.md"))?.len();
        ensure!(review < 64 << 10, "{shown:?}: a review of {review} bytes");
        let stderr = watched.finished.stderr.len();
        ensure!(stderr < 16 << 10, "{shown:?}: {stderr} bytes on stderr");
    }
    ensure!(!Path::new("/tmp/tracer-e2e-escaped").exists());
    Ok(())
}

/// runc takes every id of `[\w+-\.]`, which has the comma in it (libcontainer/factory_linux.go).
#[test]
fn accepts_every_character_runc_allows_in_ids() -> Outcome {
    needs_containers!(Runtime::Runc);
    for odd in ["a,b+c.d_E", ".dot", "_", "x..y"] {
        let scratch = Scratch::new()?;
        let id = format!("{odd}{}", unique("tracer-e2e"));
        let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?
            .with(|container| Ok(container.named(&id)))?;
        let option = format!("--container={id}");
        let mut watch = Watch::start(&scratch.join("out"), &["--wait", &option])?;
        life.create().with_context(|| id.clone())?;
        life.release()?;
        life.does("busybox ln began l")?;
        watch.until_containers(1)?;
        life.delete()?;
        let watched = watch.ends().with_context(|| id.clone())?;
        is_recorded(&watched, &scratch, &id).with_context(|| id.clone())?;
    }
    Ok(())
}

/// A socket whose other side does not do what it should.
fn with_socket(answer: Option<&'static [u8]>, says: &str) -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let sockets = Scratch::new()?;
    let socket = sockets.join("cri.sock");
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
    // Ends with the test's process; each connection is kept open.
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut connection in listener.incoming().flatten() {
            if let Some(answer) = answer {
                let _ = connection.write_all(answer);
            }
            open.push(connection);
        }
    });
    let pod = unique("pod");
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?
        .of_pod("shop", &pod, "web")?;
    let option = format!("--cri-socket={}", socket.display());
    let wanted = format!("shop/{pod}");
    let begin = Instant::now();
    let mut watch = Watch::start(&scratch.join("out"), &[&option, "--wait", "--pod", &wanted])?;
    // The limit is of two seconds a call; the rest is the machine's.
    ensure!(
        begin.elapsed() < Duration::from_secs(20),
        "it took {:?}",
        begin.elapsed()
    );
    let id = life.id().to_owned();
    life.start()?;
    life.does("busybox ln began l")?;
    watch.until_containers(1)?;
    life.ends()?;
    let watched = watch.ends()?;
    is_recorded(&watched, &scratch, &id)?;
    let stderr = &watched.finished.stderr;
    ensure!(
        stderr.contains(&*socket.to_string_lossy()) && stderr.contains(says),
        "{stderr}"
    );
    Ok(())
}

#[test]
fn hanging_cri_socket_times_out() -> Outcome {
    with_socket(None, "within 2")
}

#[test]
fn malformed_cri_answer_is_reported() -> Outcome {
    with_socket(
        Some(b"HTTP/1.1 200 OK\r\n\r\n\x1b[31mno\x00\xff"),
        "cri.sock",
    )
}

#[test]
fn missing_cri_socket_is_reported() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let finished = process::run(
        tracer::command()?
            .args(["record", "--cri-socket", "/no/such/socket", "--output"])
            .arg(scratch.join("out"))
            .args(["--container", "no-such-container"]),
    )?;
    ensure!(
        finished.code() == 125
            && finished.stderr.contains("/no/such/socket")
            && finished.stderr.contains("no-such-container"),
        "{finished:?}"
    );
    Ok(())
}

/// Which of them is meant cannot be asked before they are there: all are recorded. They run the same,
/// and generated ids are no names, so they are one workload. One whose id only begins with a short
/// text that was given is none of them.
#[test]
fn ambiguous_id_prefix_records_all_matches() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let prefix = format!("{:08x}{:04x}", std::process::id(), line!());
    let mut arguments = vec!["--wait", "--duration", "1h", "--container", &prefix];
    let short = &prefix[..11];
    arguments.extend(["--container", short]);
    let mut watch = Watch::start(&scratch.join("out"), &arguments)?;
    let mut lives = Vec::new();
    for (dir, id) in [
        ("one", format!("{prefix:1<64}")),
        ("two", format!("{prefix:2<64}")),
        ("other", format!("{short}-{}", unique("other"))),
    ] {
        let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir(dir)?)?
            .with(|container| Ok(container.named(&id)))?;
        life.start()?;
        life.does("busybox ln began l")?;
        lives.push(life);
    }
    watch.until_containers(2)?;
    for life in &mut lives {
        life.ends()?;
    }
    let watched = watch.stop(nix::sys::signal::Signal::SIGTERM)?;
    let (_, recording) = watched.only()?;
    ensure!(recording.instances.len() == 2, "{:?}", recording.instances);
    for life in &lives[..2] {
        ensure!(
            recording.instances_of(life.id()).count() == 1,
            "{}",
            life.id()
        );
    }
    made_in(recording, &LINK, &["run"])?;
    let stderr = &watched.finished.stderr;
    ensure!(
        stderr.contains("several containers") && stderr.contains(lives[1].id()),
        "that it is not one is not said: {stderr}"
    );
    Ok(())
}

/// A mount namespace without cgroup v2 is no v1 machine as long as somebody uses v2; where nobody does,
/// `Hierarchy::is_v1_only` decides, and has a test of its own.
#[test]
fn finds_containers_without_a_cgroup2_mount() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?;
    life.start()?;
    let script = "umount -l -R /sys/fs/cgroup && exec \"$@\"";
    let mut watch = process::Running::spawn(
        Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(tracer::binary()?)
            .args(["record", "--container", life.id(), "--output"])
            .arg(scratch.join("out")),
    )?;
    watch.until_stderr("recording container")?;
    life.does("busybox ln began l")?;
    life.ends()?;
    watch.wait()?.success()?;
    let directory = fs::read_dir(scratch.join("out"))?
        .next()
        .context("nothing was written")??;
    let recording = Recording::read(&directory.path().join("recording.json"))?;
    made_in(&recording, &LINK, &["run"])
}

/// What cannot be written takes nothing else with it.
#[test]
fn unwritable_output_does_not_affect_other_workloads() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut lives = Vec::new();
    for dir in ["one", "two"] {
        lives.push(ScriptedContainer::new(Runtime::Runc, &scratch.dir(dir)?)?);
    }
    let mut ids: Vec<_> = lives.iter().map(|life| life.id().to_owned()).collect();
    let out = scratch.dir("out")?;
    let watch = Watch::start(
        &out,
        &["--wait", "--container", &ids[0], "--container", &ids[1]],
    )?;
    ids.sort();
    // In the place of the first directory, once nobody looks any more.
    fs::write(out.join(&ids[0]), "in the way")?;
    for life in &mut lives {
        life.start()?;
        life.does("busybox ln began l")?;
    }
    for life in &mut lives {
        life.ends()?;
    }
    let finished = watch.running.wait()?;
    ensure!(
        finished.code() == 125 && finished.stderr.contains(&ids[0]),
        "{finished:?}"
    );
    let recording = Recording::read(&out.join(&ids[1]).join("recording.json"))?;
    made_in(&recording, &LINK, &["run"])
}
