//! The layer `runtime_init` of a profile, narrowed to one version of a runtime, lets that version start a
//! container and enter it: every runtime that is here, with and without `no_new_privs`.

use std::{
    io::{self, Write},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use syscalls::{OciRuntime, runtime_init};
use tracer_tests::{
    Outcome, needs,
    oci::{self, Container, Runtime},
    process,
    requires::{Need, program},
    scratch::Scratch,
    seccomp,
    tracer::{self as program_under_test, Record},
};

/// Whether its calls were measured; another version may need what nobody knows yet.
fn is_measured(runtime: Runtime, version: &str) -> bool {
    let known = match runtime {
        Runtime::Runc => OciRuntime::Runc,
        Runtime::Crun => OciRuntime::Crun,
    };
    // crun 1.21 is 1.21.0.
    let version = format!("{version}.0.0");
    let mut measured = runtime_init::measured(known);
    measured.any(|it| version.starts_with(&format!("{it}.")))
}

/// The profile of `busybox sleep`, which goes with `busybox true`, for one version of a runtime.
fn profile(scratch: &Scratch, recording: &Path, runtime: &str) -> Result<Value> {
    let output = scratch.join(runtime);
    process::run(
        program_under_test::command()?
            .args(["generate", "--runtime", runtime, "--output"])
            .args([&output, recording]),
    )?
    .success()?;
    seccomp::read(&output.join("sleep/seccomp.json"))
}

#[test]
fn runtimes_start_and_exec_under_narrowed_profiles() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        program::BUSYBOX,
        program::UNSHARE
    );
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "sleep")?
        .of(["busybox", "sleep", "0.01"])
        .run()?;
    finished.success()?;
    let runtimes = oci::programs()?;
    for (runtime, version, path) in &runtimes {
        let case = format!("{}@{version}", runtime.name());
        if !is_measured(*runtime, version) {
            writeln!(io::stderr(), "{case} was not measured, and is left out")?;
            continue;
        }
        let bare = profile(&scratch, &recorded.directory, "none")?;
        ensure!(
            starts_and_is_entered(*runtime, path, &dir, &bare, true).is_err(),
            "{case} needs nothing of its own"
        );
        let profile = profile(&scratch, &recorded.directory, &case)?;
        for no_new_privileges in [true, false] {
            let case = format!("{case}, noNewPrivileges {no_new_privileges}");
            starts_and_is_entered(*runtime, path, &dir, &profile, no_new_privileges)
                .context(case)?;
        }
    }
    Ok(())
}

fn starts_and_is_entered(
    runtime: Runtime,
    path: &Path,
    dir: &Path,
    profile: &Value,
    no_new_privileges: bool,
) -> Result<()> {
    let container = |time: &str| {
        let argv = ["busybox", "sleep", time].map(Into::into);
        let container = Container::new(runtime, &argv, dir, profile, no_new_privileges)?;
        anyhow::Ok(container.by(path))
    };
    let (short, long) = (container("0")?, container("1000")?);
    for line in [
        short.command_line()?,
        long.command_line_to_enter("busybox true")?,
    ] {
        let (program, args) = line.split_first().context("an empty command line")?;
        let mut command = Command::new(program);
        let finished =
            process::run(program_under_test::plain_environment(&mut command).args(args))?;
        ensure!(finished.code() == 0, "{}", finished.stderr);
    }
    Ok(())
}
