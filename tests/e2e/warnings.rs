//! What a reader of a container's profile has to know stands in the recording, in the review and on
//! standard error.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tracer_tests::{
    Outcome,
    lifecycle::{ScriptedContainer, Watch, Watched},
    needs,
    oci::Runtime,
    programs::{self, Build},
    recording::Recording,
    requires::{Need, program},
    scratch::Scratch,
};

use crate::lifecycle::{SYNC, needs_containers};

/// Records a container with a changed `config.json` that does these lines.
fn record(scratch: &Scratch, lines: &[String], edit: impl FnOnce(&mut Value)) -> Result<Watched> {
    let mut life = ScriptedContainer::new(Runtime::Runc, &scratch.dir("life")?)?.edited(edit)?;
    let mut watch = Watch::start(&scratch.join("out"), &["--wait", "--container", life.id()])?;
    life.start()?;
    for line in lines {
        life.does(line)?;
    }
    // What its files say of it goes away with it.
    watch.until_containers(1)?;
    life.ends()?;
    watch.ends()
}

fn codes(recording: &Recording) -> Vec<&str> {
    let containers = recording.instances.iter().flat_map(|it| &it.container);
    let warnings = containers.flat_map(|container| &container.warnings);
    warnings.map(|warning| warning.code.as_str()).collect()
}

/// Checks that something is said in the review and on standard error.
fn is_told(watched: &Watched, directory: &Path, sentence: &str) -> Outcome {
    let review = fs::read_to_string(directory.join("REVIEW.md"))?;
    let stderr = &watched.finished.stderr;
    ensure!(review.contains(sentence), "no {sentence:?} in {review}");
    ensure!(stderr.contains(sentence), "no {sentence:?} in {stderr}");
    Ok(())
}

fn privileged(edit: impl FnOnce(&mut Value)) -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let watched = record(&scratch, &[], |spec| {
        spec["linux"]["seccomp"] = json!(null);
        edit(spec);
    })?;
    let (directory, recording) = watched.only()?;
    ensure!(
        codes(recording) == ["privileged", "root-user", "seccomp-unconfined"],
        "{:?}",
        codes(recording)
    );
    is_told(&watched, directory, "the container is privileged")?;
    is_told(&watched, directory, "the container runs as root")?;
    is_told(&watched, directory, "runs without a seccomp filter")
}

/// All that an engine otherwise takes away is there: capabilities 0 to 37 of capabilities(7), and
/// nothing is masked.
#[test]
fn full_capabilities_are_reported_as_privileged() -> Outcome {
    privileged(|spec| {
        let names = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP \
            LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER \
            SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE \
            SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP \
            MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ";
        // The machine may lack some itself, and then they cannot be had: only kept.
        spec["process"]["capabilities"]["bounding"] = names
            .split_whitespace()
            .map(|name| format!("CAP_{name}"))
            .collect();
    })
}

#[test]
fn engine_annotation_is_reported_as_privileged() -> Outcome {
    privileged(|spec| {
        spec["annotations"] = json!({ "io.podman.annotations.privileged": "TRUE" });
    })
}

#[test]
fn existing_seccomp_filter_is_reported() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let watched = record(&scratch, &["busybox sync".to_owned()], |spec| {
        spec["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["sync"], "action": "SCMP_ACT_ERRNO" }],
        });
    })?;
    let (directory, recording) = watched.only()?;
    ensure!(
        codes(recording) == ["root-user", "filter-in-place"],
        "{:?}",
        codes(recording)
    );
    is_told(&watched, directory, "a seccomp filter was active")?;
    // Where the machine is so busy that tracer came too late to watch what is stopped, it says so.
    let came_late = recording.has_reason("filter-in-place");
    let stopped = recording.blocked();
    ensure!(
        recording.phases_of(&SYNC).is_empty()
            && (came_late || stopped.iter().any(|(call, _)| call.nr == SYNC[0])),
        "{stopped:?}, {:?}",
        recording.coverage
    );
    let review = fs::read_to_string(directory.join("REVIEW.md"))?;
    ensure!(came_late || review.contains("sync"), "{review}");
    Ok(())
}

#[test]
fn io_uring_in_a_container_is_reported() -> Outcome {
    needs_containers!(Runtime::Runc);
    needs!(program::CC);
    let scratch = Scratch::new()?;
    let program = programs::compiled("io_uring", Build::Static)?;
    let watched = record(&scratch, &[program.display().to_string()], |_| ())?;
    let (directory, recording) = watched.only()?;
    ensure!(
        recording.has_reason("io-uring") && !recording.coverage.complete,
        "{:?}",
        recording.coverage
    );
    is_told(&watched, directory, "io_uring")
}
