//! `tracer selinux domain`: the domain that a workload is recorded in.

use clap::Subcommand;

use super::{Exit, Failure, profile::selinux_block};
use tracer_core::profile::selinux::{Base, DEFAULT_BLOCK, RecordingDomain, recording_domain};

/// Prepare a host with SELinux for a recording.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Domain(DomainArgs),
}

/// Print the CIL of a permissive domain for a recording.
///
/// The policy then reports what it would deny in that domain, and denies nothing. Load it, start the workload
/// in NAME.process, record with --selinux-type NAME.process, and remove it again.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer selinux domain > tracer_record.cil\n",
    "  semodule -i tracer_record.cil\n",
    "  docker run --security-opt label=type:tracer_record.process ...\n",
    "  semodule -r tracer_record",
))]
struct DomainArgs {
    /// Name of the block
    #[arg(long, value_name = "NAME", value_parser = selinux_block, default_value = "tracer_record")]
    name: String,

    /// Block of the policy that it inherits: the one that the profile is to inherit
    #[arg(long, value_name = "BLOCK", value_parser = selinux_block, default_value = DEFAULT_BLOCK)]
    selinux_inherit: String,

    /// Inherit nothing
    #[arg(long, conflicts_with = "selinux_inherit")]
    standalone: bool,

    /// Also let this type start programs in the domain (repeatable)
    #[arg(long, value_name = "TYPE", value_parser = selinux_block)]
    from: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Command::Domain(args) = &args.command;
    let domain = RecordingDomain {
        name: args.name.clone(),
        base: if args.standalone {
            Base::Standalone
        } else {
            Base::Block(args.selinux_inherit.clone())
        },
        callers: args.from.clone(),
    };
    let text = recording_domain(&domain)
        .map_err(|error| Failure::new(Exit::Usage, anyhow::Error::from(error)))?;
    super::print(text.as_bytes())?;
    Ok(Exit::Fine)
}
