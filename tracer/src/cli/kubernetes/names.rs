//! `tracer kubernetes names`: the process of an agent that reads the names of containers from the API server.
//!
//! It has no capability, writes no file and starts no program. Each line on standard output is a JSON array of
//! one container. It exits when the reader is gone.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use crate::cli::{Exit, Failure, confinement::report_confined, saving::is_confined};
use tracer_kubernetes::{connect, names::watch};
use tracer_recorder::confine;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the node
    #[arg(long, value_name = "NAME")]
    node: String,

    /// Read pods of this namespace only (repeatable)
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,

    /// kubeconfig file for the API server [default: the service account of this pod]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    // After `kill -9` on the agent, another child of it may still hold the pipe open.
    nix::sys::prctl::set_pdeathsig(Some(nix::sys::signal::Signal::SIGTERM))
        .context("cannot arrange to end with the agent")?;
    let _ = nix::sys::prctl::set_name(c"tracer-names");
    if is_confined() {
        report_confined("client", &confine::client(&[]));
    }
    let runtime = crate::cli::runtime::one_thread()?;
    runtime.block_on(async {
        let client = connect(args.kubeconfig.as_deref()).await?;
        let watched = watch(client, &args.node, &args.namespace, |containers| {
            let mut out = io::stdout().lock();
            // One line for each: every container has the pod's labels, which may be long.
            for container in containers {
                let mut line = serde_json::to_vec(&[container]).map_err(io::Error::other)?;
                line.push(b'\n');
                out.write_all(&line)?;
            }
            out.flush()
        });
        watched.await.context("cannot report the containers")?;
        Ok(Exit::Fine)
    })
}
