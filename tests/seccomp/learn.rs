//! What a filter logs, `tracer learn` adds to the recording: the loop from logging to enforcing.

use std::{fs, process::Command};

use anyhow::{Context as _, ensure};
use syscalls::Abi;
use tracer_core::profile::seccomp::{
    evaluate::OciRuntime,
    oci::{Action, OciSeccomp},
};
use tracer_tests::{
    Outcome,
    kernel_log::KernelLog,
    libseccomp::Libseccomp,
    needs, process,
    programs::{self, Build},
    requires::{Need, program},
    scratch::Scratch,
    tracer::{self, Record},
};

use crate::enforcer::Enforced;

/// Whether a profile allows a call for any arguments.
fn allows(profile: &OciSeccomp, name: &str) -> bool {
    let entries = profile.syscalls.iter();
    let mut allowing =
        entries.filter(|entry| entry.action == Action::Allow && entry.args.is_empty());
    allowing.any(|entry| entry.names.iter().any(|it| it == name))
}

/// A recorded shell makes a directory under its own profile, which logs that; the log is learned, and the
/// next profile lets it do so, enforced.
#[test]
fn a_logged_call_is_allowed_by_the_next_profile() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::Libseccomp,
        program::CC,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "shell")?
        .of(["busybox", "sh", "-c", "echo recorded"])
        .run()?;
    finished.success()?;
    let read = || -> anyhow::Result<OciSeccomp> {
        let text = fs::read_to_string(recorded.profile())?;
        Ok(OciSeccomp::from_json(&text)?)
    };
    let enforced = read()?;
    ensure!(!allows(&enforced, "mkdir"), "nobody made a directory");
    let logging = OciSeccomp {
        default_action: Action::Log,
        default_errno_ret: None,
        syscalls: enforced
            .syscalls
            .iter()
            .filter(|entry| entry.action == Action::Allow)
            .cloned()
            .collect(),
        ..enforced
    };
    let under = programs::compiled("under", Build::Static)?;
    let made = scratch.join("made");
    let run = |profile: &OciSeccomp| -> anyhow::Result<process::Finished> {
        let enforced = Enforced::new(Libseccomp::open()?, profile, OciRuntime::Runc)?;
        let filter = scratch.file("filter", enforced.to_bytes())?;
        let mut command = Command::new(&under);
        command
            .arg(filter)
            .args(["/bin/busybox", "sh", "-c", "busybox mkdir $0"]);
        process::run(command.arg(&made))
    };

    let mut log = KernelLog::from_now()?;
    run(&logging)?.success()?;
    let lines = log.lines()?.join("\n");
    fs::remove_dir(&made).context("the directory was made while it was logged")?;
    let mkdir = Abi::X86_64
        .syscall_number("mkdir")
        .context("mkdir has a number")?;
    ensure!(
        lines.contains(&format!("syscall={mkdir} ")),
        "the kernel logged nothing: {lines}"
    );
    let log = scratch.file("kernel.log", lines)?;

    let mut learn = tracer::command()?;
    learn
        .arg("learn")
        .arg(&recorded.directory)
        .arg("--from")
        .arg(&log);
    let said = process::run(&mut learn)?.success()?.stderr;
    ensure!(said.contains("system call mkdir ("), "{said}");
    let mut generate = tracer::command()?;
    generate.arg("generate").arg(&recorded.directory);
    generate.arg("--output").arg(scratch.join("out"));
    process::run(&mut generate)?.success()?;
    let learned = read()?;
    ensure!(allows(&learned, "mkdir"), "the next profile has no mkdir");
    run(&learned)?.success()?;
    ensure!(made.is_dir(), "the directory was made under the profile");
    Ok(())
}
