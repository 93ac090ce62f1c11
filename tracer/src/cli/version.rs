//! `tracer version`: what `tracer --version` prints.

use std::io::{self, Write as _};

use super::{Exit, Failure};

/// Print the version.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Result<Exit, Failure> {
    writeln!(io::stdout(), "tracer {}", env!("CARGO_PKG_VERSION"))?;
    Ok(Exit::Fine)
}
