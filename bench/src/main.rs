//! `cargo xtask bench`: what recording costs, beside no tracer, an empty program and other designs.
//!
//! [`overhead`] measures the cost of one call, [`scale`] how that cost and the tracer's memory grow
//! with the number of cgroups, [`churn`] what containers of a few milliseconds ask of it,
//! [`merge`] what many recordings do, [`audit`] what many profiles do, [`profile`] what a profile costs that is enforced,
//! [`report`] what a page for reviewers does, [`second_day`] what fails under a profile on another day. All compare within one run only: conditions take turns, so that a
//! machine that gets slower gets slower for all of them.

mod audit;
mod cgroups;
mod churn;
mod condition;
mod interrupt;
mod kernel;
mod load;
mod machine;
mod merge;
mod offsets;
mod overhead;
mod proc;
mod profile;
mod report;
mod results;
mod sampler;
mod scale;
mod second_day;
mod startup;
mod stats;
mod table;
mod tracer;
mod visit;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Benchmarks of tracer; `cargo xtask bench` builds what they need and starts them.
#[derive(Parser)]
#[command(name = "tracer-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The cost of a call, under each condition in turn.
    Overhead(overhead::Options),
    /// What a call costs, and what the tracer takes, as cgroups grow in number.
    Scale(scale::Options),
    /// Containers that live for a few milliseconds: the tracer's time for each, and its memory.
    Churn(churn::Options),
    /// Recordings merged into one: time and memory, as they grow in number.
    Merge(merge::Options),
    /// A thousand profiles audited, beside reading and parsing them.
    Audit(audit::Options),
    /// What calls cost under a profile, under Docker's default, and without a filter.
    Profile(profile::Options),
    /// The page of a small and of a large recording: time to make it, its size, time to show it.
    Report(report::Options),
    /// What fails under a profile on another day, with and without headroom.
    SecondDay(second_day::Options),
    /// Serves one load process (internal).
    #[command(hide = true)]
    Load {
        /// CPU to stay on.
        #[arg(long)]
        cpu: usize,
        /// Files that the macro workload visits.
        #[arg(long)]
        tree: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Overhead(options) => run(|| overhead::run(&options)),
        Command::Scale(options) => run(|| scale::run(&options)),
        Command::Churn(options) => run(|| churn::run(&options)),
        Command::Merge(options) => run(|| merge::run(&options)),
        Command::Audit(options) => run(|| audit::run(&options)),
        Command::Profile(options) => run(|| profile::run(&options)),
        Command::Report(options) => run(|| report::run(&options)),
        Command::SecondDay(options) => run(|| second_day::run(&options)),
        Command::Load { cpu, tree } => load::serve(cpu, &tree),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracer-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a benchmark where one can run, and says why where none can.
fn run(bench: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: benchmarks load BPF programs and make cgroups: run them as root");
        return Ok(());
    }
    interrupt::catch()?;
    let _precedence = load::Precedence::take();
    bench()
}
