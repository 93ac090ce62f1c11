//! `cargo xtask examples`: records well-known servers on this machine, and writes `profiles-out/examples` anew.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::commands::build::{self, Object, Progress};
use crate::commands::setup;
use crate::workspace::{self, Workspace};
use crate::{cmd, packages};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which ones, and other options of `tracer-examples` [default: all]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    packages::ensure(workspace, &packages::TESTS, true)?;
    let object = build::kernel_object(workspace, &tools, Object::Tracer)?;
    let tracer = build::tracer(workspace, &object, Progress::Shown)?;
    let examples = build::of_tests(workspace, &object, "tracer-examples")?;
    let mut examples = Command::new(examples);
    workspace::without_toolchain(&mut examples)
        .arg("--output")
        .arg(workspace.root.join("profiles-out/examples"))
        .args(&args.args)
        .env("TRACER_BIN", tracer);
    Err(cmd::exec_as_root("recording", &mut examples))
}
