//! `tracer kubernetes names`: the process that an agent starts to ask an API server who the containers are.
//!
//! It has no capability, writes no file and starts no program. One line of JSON on standard output is an array of
//! containers. It ends when nobody reads them.

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

    /// Ask for pods of this namespace only (repeatable)
    #[arg(long, value_name = "NAME")]
    namespace: Vec<String>,

    /// How the API server is reached [default: the service account of this pod]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    // Whoever started it, as by `kill -9` on the agent, may be gone without closing the pipe of a child of its own.
    nix::sys::prctl::set_pdeathsig(Some(nix::sys::signal::Signal::SIGTERM))
        .context("cannot end with the agent")?;
    let _ = nix::sys::prctl::set_name(c"tracer-names");
    if is_confined() {
        report_confined("client", &confine::client(&[]));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        let client = connect(args.kubeconfig.as_deref()).await?;
        let told = watch(client, &args.node, &args.namespace, |containers| {
            let mut out = io::stdout().lock();
            // A line each: all containers of a pod have the pod's labels, which may be long.
            for container in containers {
                let mut line = serde_json::to_vec(&[container]).map_err(io::Error::other)?;
                line.push(b'\n');
                out.write_all(&line)?;
            }
            out.flush()
        });
        told.await.context("cannot say who the containers are")?;
        Ok(Exit::Fine)
    })
}
