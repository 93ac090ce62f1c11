//! `cargo xtask`: the one door to building, running and checking tracer.
//!
//! [`commands`] holds one file a subcommand. The other modules are what the commands share: how to
//! run a program ([`cmd`]), where things are ([`workspace`], [`toolchain`]), and what has to be
//! installed ([`linker`], [`packages`]) or fetched from another release ([`debian`], [`kernels`],
//! [`runtimes`], [`runsc`]). [`purity`] proves what the crates without I/O promise, and [`error_texts`] what errors say. [`runtime_init`] reads what a runtime did with a [`container`]. [`machine`] runs a command on another kernel.
//!
//! The product goes to stdout, everything else to stderr.

mod bundle;
mod cmd;
mod commands;
mod container;
mod debian;
mod error_texts;
mod files;
mod kernels;
mod licences;
mod linker;
mod machine;
mod packages;
mod purity;
mod reproducible;
mod runsc;
mod runtime_init;
mod runtimes;
mod tally;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::workspace::Workspace;

/// Sets up, builds, runs, tests, measures and checks tracer.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Workspace::find().and_then(|workspace| cli.command.run(&workspace)) {
        Ok(code) => code,
        Err(error) => {
            cmd::say(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
