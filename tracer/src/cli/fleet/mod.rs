//! `tracer fleet`: the recordings that many nodes have shipped to a store.

mod clean;
mod diff;
mod list;
mod pull;
mod source;
mod status;
mod trust;

use clap::Subcommand;

use super::{Exit, Failure};

/// Merge the recordings of many nodes, and make one profile.
///
/// Agents ship new observations to a store (see `ship` in their configuration). These commands read the store. Objects
/// that are broken, tampered with, too large or of a newer version are reported and left out, and the exit status is 3.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  export TRACER_STORE=s3://bucket/fleet\n",
    "  tracer fleet list\n",
    "  tracer fleet status shop/cart\n",
    "  tracer fleet pull shop/cart --output cart.json\n",
    "  tracer fleet generate shop/cart --output-dir profiles-out\n",
    "  tracer fleet diff shop/cart --since 2026-11-01T00:00:00Z\n",
    "  tracer fleet compact\n",
    "  tracer fleet gc --older-than 90d --delete\n",
    "  tracer fleet sign profiles-out/cart/seccomp.json --key key.pem --recording profiles-out/cart\n",
    "  tracer fleet verify profiles-out/cart/seccomp.json --key key.pub\n\n",
    "Exit status:\n",
    "  0 success, 1 error, 2 wrong usage, 3 objects were left out, or there are differences and\n",
    "  --exit-code was given",
))]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the workloads
    List(list::Args),
    /// Show the progress of each workload's recording
    Status(status::Args),
    /// Write the merged recording of a workload
    Pull(pull::PullArgs),
    /// Generate profiles of workloads
    Generate(Box<pull::GenerateArgs>),
    /// Show what is new since a time, or since an object
    Diff(diff::Args),
    /// Merge the objects of each workload, and delete replaced ones
    Compact(clean::CompactArgs),
    /// Delete workloads without new objects
    Gc(clean::GcArgs),
    /// Sign a profile, with the recordings it was made from
    Sign(trust::SignArgs),
    /// Verify the signature of a profile
    Verify(trust::VerifyArgs),
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Status(args) => status::run(args),
        Command::Pull(args) => pull::pull(args),
        Command::Generate(args) => pull::generate(args),
        Command::Diff(args) => diff::run(args),
        Command::Compact(args) => clean::compact(args),
        Command::Gc(args) => clean::gc(args),
        Command::Sign(args) => trust::run_sign(args),
        Command::Verify(args) => trust::run_verify(args),
    }
}
