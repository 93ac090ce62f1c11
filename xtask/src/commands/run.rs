//! `cargo xtask run -- ARGS…`: builds tracer, then becomes it.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::cmd;
use crate::commands::build::{self, Object, Progress};
use crate::commands::setup;
use crate::workspace::{self, Workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What tracer gets: `-- record -- ls -l /`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// The commands that load programs into the kernel.
const FOR_ROOT: [&str; 2] = ["record", "agent"];

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    let object = build::kernel_object(workspace, &tools, Object::Tracer)?;
    let progress = Progress::of(&workspace.release("tracer"));
    let tracer = build::tracer(workspace, &object, progress)?;

    // The recorded command inherits this environment: it gets none of cargo's.
    let mut command = Command::new(tracer);
    workspace::without_toolchain(&mut command).args(&args.args);
    let subcommand = args.args.first().and_then(|arg| arg.to_str());
    Err(match subcommand.filter(|name| FOR_ROOT.contains(name)) {
        Some(name) => cmd::exec_as_root(&format!("`tracer {name}`"), &mut command),
        None => cmd::exec(&mut command),
    })
}
