//! `cargo xtask fuzz`: builds the readers with a counter at each branch, and feeds them.

use std::fs;
use std::process::ExitCode;

use anyhow::Result;

use crate::cmd;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Where to begin; the same number does the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this target: profile, recording or audit
    target: Option<String>,
}

/// LLVM's pass and what it is to add: see fuzz/src/coverage.rs. Names of the C compiler's
/// `-fsanitize-coverage`, which rustc has as stable code generation options.
const COVERAGE: [&str; 3] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=3",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
];

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let toolchain = Toolchain::active(workspace)?;
    let target = workspace.target.join("fuzz");
    let failures = target.join("failures");
    let mut build = workspace.cargo();
    build
        .args([
            "build",
            "--quiet",
            "--profile",
            "fuzz",
            "--package",
            "tracer-fuzz",
        ])
        // With a target, the flags are not for build scripts and macros.
        .args(["--target", &toolchain.host])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    cmd::run(&mut build)?;
    let program = target
        .join(&toolchain.host)
        .join("fuzz")
        .join("tracer-fuzz");
    let mut fuzz = workspace.program(program);
    fuzz.arg("--corpus")
        .arg(workspace.root.join("fuzz/corpus"))
        .arg("--failures")
        .arg(&failures)
        .args(["--seconds", &args.seconds.to_string()])
        .args(["--seed", &args.seed.to_string()])
        .args(&args.target);
    fs::create_dir_all(&failures)?;
    cmd::run(&mut fuzz)?;
    Ok(ExitCode::SUCCESS)
}
