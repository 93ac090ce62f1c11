//! `tracer gvisor config`: what gVisor needs to report to tracer.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Exit, Failure, stderr::say};
use syscalls::{Abi, Machine};
use tracer_recorder::gvisor::{
    Points, WithoutListener, containerd_lines, default_socket, init_config, points_of,
};

/// Set up gVisor to report its guests to tracer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Config(ConfigArgs),
}

/// Print the configuration that makes gVisor report every guest to tracer.
///
/// runsc takes it by --pod-init-config, and containerd's shim by the lines that are printed with it, in the file that
/// ConfigPath of the runtime names. `tracer record --gvisor --all` listens at the socket. A sandbox that starts while
/// nobody listens runs, and is not recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer gvisor config --output /etc/tracer/gvisor.json >> /etc/containerd/runsc.toml\n",
    "  tracer gvisor config > init.json     # then: runsc --pod-init-config=init.json run ...",
))]
struct ConfigArgs {
    /// Write the configuration to this file, and print the lines for containerd's runsc.toml
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Socket that tracer listens at
    #[arg(long, value_name = "PATH", default_value_os_t = default_socket())]
    socket: PathBuf,

    /// runsc, to ask which system calls it can report [default: from PATH, else what is known of 20240729]
    #[arg(long, value_name = "PATH")]
    runsc: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Command::Config(args) = &args.command;
    let points = args.points()?;
    let native = Machine::this().map_or(Abi::X86_64, |machine| machine.native);
    let config = init_config(&args.socket, &points, native, WithoutListener::Starts);
    let mut text = serde_json::to_string_pretty(&config)?;
    text.push('\n');
    let Some(output) = &args.output else {
        super::print(text.as_bytes())?;
        return Ok(Exit::Fine);
    };
    std::fs::write(output, text).with_context(|| format!("cannot write {}", output.display()))?;
    // containerd's shim runs in a directory of its own.
    let path = std::path::absolute(output)?;
    super::print(containerd_lines(&path).as_bytes())?;
    say!(
        "wrote {}; put the lines above into containerd's runsc.toml, then run: tracer record --gvisor --all",
        output.display()
    );
    Ok(Exit::Fine)
}

impl ConfigArgs {
    fn points(&self) -> Result<Points, Failure> {
        match &self.runsc {
            Some(runsc) if !runsc.is_file() => {
                let error =
                    anyhow::anyhow!("{} is not a file; give runsc's program", runsc.display());
                Err(Failure::new(Exit::Usage, error))
            }
            Some(runsc) => Ok(points_of(runsc)),
            None => Ok(points_of(Path::new("runsc"))),
        }
    }
}
