//! `cargo xtask bench overhead|scale|churn|merge|audit|profile|report|second-day`: builds what is measured, then becomes the bench.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd;
use crate::commands::build::{self, Object, Progress};
use crate::commands::setup;
use crate::runtimes;
use crate::workspace::{self, Workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the bench gets: `overhead`, `scale`, `churn`, `merge`, `audit`, `profile`, `report` or `second-day`, and its options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    let object = build::kernel_object(workspace, &tools, Object::Tracer)?;
    let bench_object = build::kernel_object(workspace, &tools, Object::Bench)?;
    let tracer = build::tracer(workspace, &object, Progress::Shown)?;
    let bench = build::program(workspace, &object, "tracer-bench", "tracer-bench")?;
    // Those that are there: a benchmark fetches nothing.
    let runtimes = runtimes::all(workspace, false)?;
    let runtimes = std::env::join_paths(runtimes.into_iter().map(|runtime| runtime.path))
        .context("the target directory's path cannot be in a list of paths")?;
    let mut bench = Command::new(bench);
    workspace::without_toolchain(&mut bench)
        .args(&args.args)
        .env("TRACER_BIN", tracer)
        .env("TRACER_BENCH_OBJECT", bench_object)
        .env("TRACER_RUNTIMES", runtimes);
    Err(cmd::exec_as_root("the bench", &mut bench))
}
