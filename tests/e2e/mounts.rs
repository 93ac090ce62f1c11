//! What a program mounts, binds, moves and unmounts, in its own words and in the kernel's.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use anyhow::ensure;
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    cgroup::Cgroup,
    needs,
    process::Running,
    programs::{self, Build},
    recording::{File, MountUse},
    requires::{Need, program},
    scratch::Scratch,
    tracer::Record,
};

/// What was done, with what, where, of which type and with which flags.
type Change = (
    &'static str,
    Option<&'static str>,
    &'static str,
    Option<&'static str>,
    u64,
);

/// What `mounts.c` does with mount(2) and umount2(2), `DIR` being its directory.
const BY_MOUNT: [Change; 9] = [
    // MS_REC | MS_PRIVATE.
    ("mount", Some("none"), "/", None, 0x4_4000),
    // MS_NOSUID | MS_NODEV.
    ("mount", Some("no device"), "DIR/tmp fs/", Some("tmpfs"), 6),
    // MS_BIND.
    (
        "mount",
        Some("DIR/tmp fs/from/"),
        "DIR/tmp fs/to/",
        None,
        0x1000,
    ),
    // MS_REMOUNT | MS_BIND | MS_RDONLY.
    ("mount", None, "DIR/tmp fs/to/", None, 0x1021),
    (
        "mount",
        Some("DIR/tmp fs/file"),
        "DIR/tmp fs/other",
        None,
        0x1000,
    ),
    // MS_MOVE.
    (
        "mount",
        Some("DIR/tmp fs/to/"),
        "DIR/tmp fs/moved/",
        None,
        0x2000,
    ),
    // MS_SLAVE.
    ("mount", None, "DIR/tmp fs/moved/", None, 0x8_0000),
    ("unmount", None, "DIR/tmp fs/moved/", None, 0),
    ("unmount", None, "DIR/tmp fs/other", None, 0),
];

/// What it does besides.
const BY_OTHERS: [Change; 4] = [
    // What fsmount(2) makes is mounted nowhere.
    ("mount", None, "DIR/tmp fs/to/", None, 0x2000),
    (
        "mount",
        Some("DIR/tmp fs/to/"),
        "DIR/tmp fs/from/",
        None,
        0x2000,
    ),
    (
        "pivot_root",
        Some("DIR/tmp fs/from/old/"),
        "DIR/tmp fs/from/",
        None,
        0,
    ),
    ("unmount", None, "/old/", None, 0),
];

#[test]
fn lsm_hooks_record_mounts() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        program::CC
    );
    recorded_are("lsm", true, &[&BY_MOUNT[..], &BY_OTHERS[..]].concat())
}

#[test]
fn sys_exit_records_mounts() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC);
    recorded_are("sys-exit", false, &BY_MOUNT)
}

/// Records the program from outside, so that it is there for as long as anybody asks.
fn recorded_are(provider: &str, all: bool, expected: &[Change]) -> Outcome {
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?.canonicalize()?;
    let cgroup = Cgroup::new("mounts")?;
    let mut recorder = Record::new(&scratch.join("out"), "mounts")?
        .with_files()
        .option(format!("--accesses={provider}"))
        .of_cgroup(cgroup.path())
        .start()?;
    recorder.until_attached()?;
    let mut program = Running::spawn(
        Command::new("sh")
            .args(["-c", r#"echo $$ >"$0"; exec "$@""#])
            .arg(cgroup.procs())
            .arg(programs::compiled("mounts", Build::Static)?)
            .arg(&dir)
            .args(all.then_some("hooks"))
            .stdin(Stdio::piped()),
    )?;
    program.until_stdout("done")?;
    recorder.running.signal(Signal::SIGINT)?;
    let (finished, recorded) = recorder.finish()?;
    finished.success()?;
    program.signal(Signal::SIGKILL)?;
    program.wait()?;

    let recording = recorded.recording()?;
    let directory = dir.display().to_string();
    let short = |path: String| path.replace(&directory, "DIR");
    let seen: BTreeSet<_> = recording
        .mounts
        .iter()
        .map(|mount| MountUse {
            source: mount.what.source.clone().map(short),
            target: short(mount.what.target.clone()),
            ..mount.what.clone()
        })
        .collect();
    let expected: BTreeSet<_> = expected
        .iter()
        .map(|(operation, source, target, filesystem, flags)| MountUse {
            operation: (*operation).to_owned(),
            source: source.map(str::to_owned),
            target: (*target).to_owned(),
            filesystem: filesystem.map(str::to_owned),
            flags: *flags,
        })
        .collect();
    let missing: Vec<_> = expected.difference(&seen).collect();
    let more: Vec<_> = seen.difference(&expected).collect();
    ensure!(
        missing.is_empty() && more.is_empty(),
        "missing: {missing:#?}\nnot expected: {more:#?}"
    );
    let nowhere = |file: &&File| file.what.detached && file.what.path == "/nowhere";
    ensure!(
        recording.files.iter().any(|file| nowhere(&file)),
        "the file that is mounted nowhere is told as {:?}",
        recording
            .files
            .iter()
            .filter(|file| file.what.path.ends_with("nowhere"))
            .collect::<Vec<_>>()
    );
    let lost = recording.coverage.losses.accesses;
    ensure!(lost == 0, "{lost} accesses are lost");
    Ok(())
}
