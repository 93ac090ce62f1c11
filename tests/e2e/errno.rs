//! What a call that a profile does not allow returns: ENOSYS where the caller then does without it, and
//! EPERM where it was always there. Shown by a program that a runtime puts under its own profile and
//! that makes the calls itself.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome, needs,
    oci::{Container, Runtime},
    process,
    programs::{self, Build},
    recording::SyscallId,
    requires::{Need, program},
    scratch::Scratch,
    seccomp,
    tracer::{self, Record},
};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// clone3, openat2, faccessat2, statx, close_range, and a number that nobody knows.
const NEWER: [u32; 6] = [435, 437, 439, 332, 436, 999];
/// mkdir, ptrace, unlink, shmget, chroot.
const OLD: [u32; 5] = [83, 101, 87, 29, 161];
/// The same of i386.
const NEWER_32: [u32; 6] = [435, 437, 439, 383, 436, 999];
const OLD_32: [u32; 3] = [39, 26, 10];

/// The errors of the calls, by the word of the program that made them in a container under `profile`.
fn errors(
    runtime: Runtime,
    program: &Path,
    dir: &Path,
    profile: &Value,
) -> Result<BTreeMap<SyscallId, u32>> {
    let argv = [program.to_owned(), PathBuf::from("probe")];
    let container = Container::new(runtime, &argv, dir, profile, true)?;
    let line = container.command_line()?;
    let (program, args) = line.split_first().context("an empty command line")?;
    let said = process::run(Command::new(program).args(args))?
        .success()?
        .text();
    let call = |line: &str| {
        let mut words = line.split(' ');
        let call = SyscallId::new(words.next()?, words.next()?.parse().ok()?);
        Some((call, words.next()?.parse().ok()?))
    };
    let errors: BTreeMap<_, _> = said.lines().filter_map(call).collect();
    let expected = NEWER.len() + OLD.len() + NEWER_32.len() + OLD_32.len();
    ensure!(errors.len() == expected, "{said}");
    Ok(errors)
}

fn newer() -> impl Iterator<Item = SyscallId> {
    let i386 = NEWER_32.into_iter().map(SyscallId::i386);
    NEWER.into_iter().map(SyscallId::x86_64).chain(i386)
}

fn old() -> impl Iterator<Item = SyscallId> {
    let i386 = OLD_32.into_iter().map(SyscallId::i386);
    OLD.into_iter().map(SyscallId::x86_64).chain(i386)
}

fn all(calls: impl Iterator<Item = SyscallId>, error: u32) -> BTreeMap<SyscallId, u32> {
    calls.map(|call| (call, error)).collect()
}

/// runc answers ENOSYS to each number above the largest one that a profile names, unless ENOSYS is the
/// profile's default (libcontainer/seccomp/patchbpf/enosys_linux.go). In this profile that is rseq.
fn is_beyond(runtime: Runtime, call: &SyscallId) -> bool {
    let rseq = if call.abi == "i386" { 386 } else { 334 };
    runtime == Runtime::Runc && call.nr > rseq
}

fn newer_calls_are_missing_and_old_ones_refused(runtime: Runtime) -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC,
        program::UNSHARE,
        runtime.need()
    );
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?;
    let program = programs::compiled("errno", Build::Static)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--runtime=none")
        .option("--fallbacks=none")
        // Or statx and faccessat2 would be allowed.
        .option("--headroom=none")
        .of([program.as_os_str(), "work".as_ref()])
        .run()?;
    ensure!(finished.success()?.text() == "worked\n");
    let eperm = scratch.join("eperm");
    process::run(
        tracer::command()?
            .args([
                "generate",
                "--runtime=none",
                "--fallbacks=none",
                "--headroom=none",
            ])
            .args(["--errno=eperm", "--output"])
            .arg(&eperm)
            .arg(recorded.directory.join("recording.json")),
    )?
    .success()?;

    let unfiltered = errors(runtime, &program, &dir, &Value::Null)?;
    for (call, error) in &unfiltered {
        // Or else it could not be told who answers. A number that nobody knows is missing anyway.
        ensure!(
            *error != EPERM && (*error != ENOSYS || call.nr == 999),
            "{call} returns {error} without a filter"
        );
    }

    let profile = seccomp::read(&recorded.profile())?;
    let mut expected = all(newer(), ENOSYS);
    expected.extend(all(old(), EPERM));
    let probed = errors(runtime, &program, &dir, &profile)?;
    ensure!(probed == expected, "{probed:?} and not {expected:?}");

    let profile = seccomp::read(&eperm.join("work/seccomp.json"))?;
    let mut expected = all(newer().chain(old()), EPERM);
    for (call, error) in &mut expected {
        if is_beyond(runtime, call) {
            *error = ENOSYS;
        }
    }
    let refused = errors(runtime, &program, &dir, &profile)?;
    ensure!(refused == expected, "{refused:?} and not {expected:?}");
    Ok(())
}

#[test]
fn new_calls_get_enosys_and_old_ones_eperm_on_runc() -> Outcome {
    newer_calls_are_missing_and_old_ones_refused(Runtime::Runc)
}

#[test]
fn new_calls_get_enosys_and_old_ones_eperm_on_crun() -> Outcome {
    newer_calls_are_missing_and_old_ones_refused(Runtime::Crun)
}
