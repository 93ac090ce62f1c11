//! Feeds tracer's readers what nobody would write.
//!
//! `cargo xtask fuzz` builds this so that every branch of the readers counts itself (see
//! [`coverage`]), and input that reaches a new one is kept and changed further. It needs neither a
//! nightly compiler nor C++. Built without that, as by `cargo test`, it changes the corpus blindly.

mod audits;
mod corpus;
mod coverage;
mod mutate;
mod run;
mod targets;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;

use crate::{corpus::Corpus, targets::Target};

/// Looks for input that tracer's readers do not stand.
#[derive(Parser)]
struct Cli {
    /// Where the corpora are: a directory for each target
    #[arg(long)]
    corpus: PathBuf,
    /// Where to put input that fails
    #[arg(long)]
    failures: PathBuf,
    /// How long each target runs
    #[arg(long)]
    seconds: u64,
    /// Where to begin; the same number does the same on the same machine
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this target: profile, recording or audit
    target: Option<Target>,
}

fn main() -> ExitCode {
    match fuzz(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found.
fn fuzz(cli: &Cli) -> Result<bool> {
    let mut fine = true;
    for target in Target::ALL {
        if cli.target.is_some_and(|only| only != target) {
            continue;
        }
        let corpus = Corpus::read(&cli.corpus, target)?;
        let limit = run::Limit::Time(Duration::from_secs(cli.seconds));
        let ended = run::run(target, corpus, cli.seed, limit);
        println!("{}", ended.summary(target));
        if let Some(failure) = &ended.failure {
            let path = corpus::keep(&cli.failures, target, failure)?;
            eprintln!("{target} failed on {}: {}", path.display(), failure.why);
            fine = false;
        }
    }
    Ok(fine)
}
