//! `tracer kubernetes`: what tracer does in a cluster, beside the agent.

mod install;
mod names;

use clap::Subcommand;

use super::{Exit, Failure};

/// Install tracer in a Kubernetes cluster, and use it there.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the agent on each node, or print what would be installed
    Install(install::Args),
    /// Print who the containers of a node are, as the agent reads it
    #[command(hide = true)]
    Names(names::Args),
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Install(args) => install::run(args),
        Command::Names(args) => names::run(&args),
    }
}
