//! `cargo xtask runtimes`: newer OCI runtimes than this machine's own, and gVisor's.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{packages, runsc, runtimes};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Installs no packages and fetches nothing: prints what is there
    #[arg(long)]
    no_install: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let install = !args.no_install;
    packages::ensure(workspace, &runtimes::PACKAGES, install)?;
    let found = runtimes::all(workspace, install)?;
    let mut text = String::new();
    for runtime in &found {
        let path = runtime.path.display();
        text.push_str(&format!("{} {} {path}\n", runtime.name, runtime.version));
    }
    for runsc in runsc::all(workspace, install) {
        let path = runsc.path.display();
        text.push_str(&format!("runsc {} {path}\n", runsc.version));
    }
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    Ok(if found.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
