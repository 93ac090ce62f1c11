//! `tracer man`.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use super::{Exit, Failure, help};
use anyhow::Context as _;

/// Print the manual page, or write the pages of all commands.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tracer man | man -l -\n  tracer man --output /usr/local/share/man/man1"
)]
pub(super) struct Args {
    /// Write tracer.1 and a page for each command into this directory
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let command = help::command();
    match &args.output {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            io::stdout().write_all(&page)?;
        }
        Some(directory) => {
            fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(command, directory))
                .with_context(|| {
                    format!("cannot write the manual pages to {}", directory.display())
                })?;
        }
    }
    Ok(Exit::Fine)
}
