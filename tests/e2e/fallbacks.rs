//! The same program, linked with another libc, runs under the profile of the first: that is what the
//! layer `variant` is for. Recorded with one of glibc and musl, enforced with the other, with the layer
//! and without it; and what the layer allows for some arguments only is stopped for others, with the
//! error that the review tells. And the profile that is translated for another machine runs it there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome,
    oci::{Container, Runtime},
    process,
    programs::{Build, compiled},
    requires::{self, Need, program},
    scratch::Scratch,
    seccomp,
    tracer::{self, Record},
};

use crate::output::files;

/// What came of each step, by its name.
type Steps = BTreeMap<String, String>;

/// The program, and the steps that it is to do; without one, all but those that need asking.
fn program(build: Build, steps: &[&str]) -> Result<Vec<PathBuf>> {
    let program = compiled("libc", build)?;
    let words = steps.iter().map(PathBuf::from);
    Ok([program].into_iter().chain(words).collect())
}

fn can_run(test: &str, runtime: Runtime) -> Result<bool> {
    let needs = [
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        runtime.need(),
        program::UNSHARE,
        program::CC,
        program::MUSL,
    ];
    requires::met(test, &needs)
}

/// Records it on the host, where every step is done; tells where the recording is.
fn record(scratch: &Scratch, build: Build, steps: &[&str]) -> Result<PathBuf> {
    let recorder = Record::new(&scratch.join("recorded"), "libc")?.of(program(build, steps)?);
    let (line, recorded) = recorder.into_command_line();
    let mut command = Command::new(&line[0]);
    tracer::plain_environment(&mut command).args(&line[1..]);
    process::run(&mut command)?.success()?;
    let directory = recorded.profile();
    Ok(directory
        .parent()
        .context("a file without a directory")?
        .to_owned())
}

/// The profile that `--fallbacks` makes of it.
fn profile(scratch: &Scratch, recording: &Path, variants: &str) -> Result<Value> {
    let output = scratch.join(format!("profiles-{variants}"));
    let mut command = tracer::command()?;
    command
        .args([
            "generate",
            "--headroom=none",
            "--fallbacks",
            variants,
            "--output",
        ])
        .args([&output, recording]);
    process::run(&mut command)?.success()?;
    seccomp::read(&output.join("libc/seccomp.json"))
}

/// Runs it in a container under `profile`.
fn enforce(runtime: Runtime, build: Build, steps: &[&str], profile: &Value) -> Result<Steps> {
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?;
    let container = Container::new(runtime, &program(build, steps)?, &dir, profile, true)?;
    let line = container.command_line()?;
    let mut command = Command::new(&line[0]);
    tracer::plain_environment(&mut command).args(&line[1..]);
    let finished = process::run(&mut command)?;
    let said = finished.text();
    let came_of = said.lines().filter_map(|line| line.split_once(": "));
    let came_of: Steps = came_of
        .map(|(step, what)| (step.to_owned(), what.to_owned()))
        .collect();
    ensure!(!came_of.is_empty(), "it did nothing: {finished:?}");
    Ok(came_of)
}

/// The steps that failed.
fn failed(steps: &Steps) -> Vec<&str> {
    let failed = steps.iter().filter(|(_, what)| *what != "ok");
    failed.map(|(step, _)| step.as_str()).collect()
}

/// `lacking` are steps that fail without the layer; which others do depends on the version of glibc.
fn runs_with_the_other_libc(
    test: &str,
    runtime: Runtime,
    [recorded, enforced]: [Build; 2],
    lacking: &[&str],
) -> Outcome {
    if !can_run(test, runtime)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let recording = record(&scratch, recorded, &[])?;
    let with = profile(&scratch, &recording, "fallbacks")?;
    let without = profile(&scratch, &recording, "none")?;

    let itself = enforce(runtime, recorded, &[], &without)?;
    ensure!(failed(&itself).is_empty(), "under its own: {itself:?}");
    let other = enforce(runtime, enforced, &[], &with)?;
    ensure!(
        failed(&other).is_empty() && other.len() == itself.len(),
        "with variants: {other:?}"
    );
    let bare = enforce(runtime, enforced, &[], &without)?;
    let failed = failed(&bare);
    ensure!(
        lacking.iter().all(|step| failed.contains(step)),
        "without variants: {bare:?}"
    );
    Ok(())
}

fn musl_instead_of_glibc(test: &str, runtime: Runtime) -> Outcome {
    let lacking = [
        "alarm",
        "epoll_wait",
        "fopen",
        "fork",
        "getpgrp",
        "lstat",
        "open",
        "opendir",
        "pipe",
        "raise",
        "select",
        "stat",
    ];
    let builds = [Build::Static, Build::StaticMusl];
    runs_with_the_other_libc(test, runtime, builds, &lacking)
}

fn glibc_instead_of_musl(test: &str, runtime: Runtime) -> Outcome {
    let lacking = ["alarm", "epoll_wait", "getpgrp", "nanosleep"];
    let builds = [Build::StaticMusl, Build::Static];
    runs_with_the_other_libc(test, runtime, builds, &lacking)
}

/// musl forks by fork and makes a pipe by pipe. For these glibc gets clone and pipe2, with the flags
/// that fork and pipe have; with others they return ENOSYS, on either runtime.
fn conditions_hold(test: &str, runtime: Runtime) -> Outcome {
    const STEPS: &[&str] = &["fork", "pipe", "getpgrp"];
    const MORE: &[&str] = &["clone(CLONE_NEWUSER)", "pipe2(O_CLOEXEC)"];
    if !can_run(test, runtime)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let recording = record(&scratch, Build::StaticMusl, STEPS)?;
    let profile = profile(&scratch, &recording, "fallbacks")?;
    let entries = profile["syscalls"].as_array().context("no entries")?;
    for name in ["clone", "pipe2"] {
        let of = entries.iter().filter(|entry| {
            let mut names = entry["names"].as_array().into_iter().flatten();
            names.any(|it| it == name)
        });
        let of: Vec<_> = of.collect();
        ensure!(
            matches!(of[..], [entry] if entry["args"].is_array()),
            "{name} in {of:?}"
        );
    }
    let within = enforce(runtime, Build::Static, STEPS, &profile)?;
    ensure!(failed(&within).is_empty(), "{within:?}");
    let beyond = enforce(runtime, Build::Static, MORE, &profile)?;
    for step in MORE {
        let came_of = beyond.get(*step).map(String::as_str);
        ensure!(came_of == Some("Function not implemented"), "{beyond:?}");
    }
    Ok(())
}

/// Recorded as a 64-bit program, translated, and run as a 32-bit one: the only other machine that this
/// one can be.
fn translated_for_i386(test: &str, runtime: Runtime) -> Outcome {
    if !requires::met(test, &[Need::I386])? || !can_run(test, runtime)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let recording = record(&scratch, Build::Static, &[])?;
    let before = files(&recording)?;
    let mut command = tracer::command()?;
    command
        .args(["generate", "--arch", "i386", "--output"])
        .args([scratch.join("recorded"), recording.clone()]);
    process::run(&mut command)?.success()?;
    let directory = recording.join("i386");
    let profile = seccomp::read(&directory.join("seccomp.json"))?;
    ensure!(
        profile["architectures"] == serde_json::json!(["SCMP_ARCH_X86"]),
        "{}",
        profile["architectures"]
    );
    let review = fs::read_to_string(directory.join("REVIEW.md"))?;
    ensure!(
        review.contains("**Translated**: recorded on x86_64, generated for i386."),
        "{review}"
    );
    fs::remove_dir_all(&directory)?;
    ensure!(
        files(&recording)? == before,
        "what was recorded has changed"
    );

    let elsewhere = enforce(runtime, Build::StaticI386, &[], &profile)?;
    ensure!(failed(&elsewhere).is_empty(), "{elsewhere:?}");
    Ok(())
}

macro_rules! on_each_runtime {
    ($($promise:ident),+ $(,)?) => {
        $(
            mod $promise {
                use super::*;

                #[test]
                fn on_runc() -> Outcome {
                    super::$promise(tracer_tests::test_name!(), Runtime::Runc)
                }

                #[test]
                fn on_crun() -> Outcome {
                    super::$promise(tracer_tests::test_name!(), Runtime::Crun)
                }
            }
        )+
    };
}

on_each_runtime!(
    musl_instead_of_glibc,
    glibc_instead_of_musl,
    conditions_hold,
    translated_for_i386,
);
