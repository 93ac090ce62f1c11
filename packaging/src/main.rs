//! Makes the files of a release. `cargo xtask release` builds what goes in and calls this.
//!
//! Each file's name is a line on stdout.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use tracer_packaging::{Input, package};

/// Makes the files of a release from what `cargo xtask release` has built.
#[derive(Parser)]
struct Args {
    /// The directory with binaries, man pages, completions and dependencies
    #[arg(long)]
    input: PathBuf,
    /// The checkout, for README, licences and documents
    #[arg(long)]
    source: PathBuf,
    /// Where the files go; older files of the same names are replaced
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    for file in package(&Input::read(&args.input, &args.source)?, &args.out)? {
        println!("{}", file.display());
    }
    Ok(())
}
