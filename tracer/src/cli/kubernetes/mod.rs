//! `tracer kubernetes`: installs the agent in a cluster, and reads the names of containers for it.

mod install;
mod names;

use clap::Subcommand;

use super::{Exit, Failure};

/// Install tracer in a Kubernetes cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the agent on each node, or print the manifests
    Install(install::Args),
    /// Print the names of a node's containers, for the agent
    #[command(hide = true)]
    Names(names::Args),
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Install(args) => install::run(args),
        Command::Names(args) => names::run(&args),
    }
}
