//! `tracer kubernetes install`: installs the agent on each node.

use std::path::PathBuf;

use crate::cli::{Exit, Failure, print, stderr::plain};
use tracer_kubernetes::{
    connect,
    install::{self, Installation, apply},
};

#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer kubernetes install --dry-run\n",
    "  tracer kubernetes install --image registry.example/tracer:0.1.0\n",
    "  tracer kubernetes install --only-namespace shop --dry-run | kubectl apply -f -",
))]
pub(super) struct Args {
    /// Print the manifests and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Namespace to install into
    #[arg(long, value_name = "NAME", default_value = install::NAMESPACE)]
    namespace: String,

    /// Image of the agent, from a registry that the nodes can pull from
    #[arg(long, value_name = "IMAGE", default_value = install::IMAGE)]
    image: String,

    /// Record pods of this namespace only, with a Role in it and no rights on the cluster (repeatable)
    #[arg(long, value_name = "NAME")]
    only_namespace: Vec<String>,

    /// kubeconfig file for the API server [default: KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    for name in [&args.namespace].into_iter().chain(&args.only_namespace) {
        if !is_name(name) {
            let error = anyhow::anyhow!("{name:?} is not a valid namespace");
            return Err(Failure::new(Exit::Usage, error));
        }
    }
    if args.image.is_empty()
        || args
            .image
            .contains(|c: char| c.is_whitespace() || c.is_control())
    {
        let error = anyhow::anyhow!("{:?} is not a valid image name", args.image);
        return Err(Failure::new(Exit::Usage, error));
    }
    let manifests = Installation {
        namespace: args.namespace,
        image: args.image,
        seen: args.only_namespace,
    }
    .manifests();
    if args.dry_run {
        print(manifests.as_bytes())?;
        return Ok(Exit::Fine);
    }
    let runtime = crate::cli::runtime::one_thread()?;
    let kubeconfig = args.kubeconfig.or_else(own_kubeconfig);
    let applied = runtime.block_on(async {
        let client = connect(kubeconfig.as_deref()).await?;
        anyhow::Ok(apply(&client, &manifests).await?)
    })?;
    for object in applied {
        print(format!("{} applied\n", plain(&object)).as_bytes())?;
    }
    Ok(Exit::Fine)
}

/// The file that kubectl would use.
fn own_kubeconfig() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let path = PathBuf::from(std::env::var_os("HOME")?).join(".kube/config");
    path.is_file().then_some(path)
}

/// Whether a text is a DNS label (RFC 1123), as the name of a namespace must be.
fn is_name(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}
