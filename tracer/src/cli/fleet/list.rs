//! `tracer fleet list`: the workloads in a store.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde_json::json;

use super::{
    super::{
        Exit, Failure, print,
        stderr::{plain, say},
    },
    source::{StoreArgs, Summary, short_image, time},
};
use tracer_report::words;

/// List the workloads in a store: objects, bytes, nodes, last object.
///
/// Reads each object and checks it against its name.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet list --store file:///srv/fleet\n",
    "  tracer fleet list --names-only shop\n",
    "  tracer fleet list --format json",
))]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// Read only the names of objects: faster, but without nodes and without checks
    #[arg(long)]
    names_only: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Only these workloads: NAMESPACE/OWNER or NAMESPACE/KIND/OWNER/CONTAINER
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One line for each
    #[default]
    Text,
    /// JSON
    Json,
}

/// The nodes as numbers, since many workloads have the same nodes.
#[derive(Default)]
struct Nodes {
    numbers: BTreeMap<String, usize>,
}

impl Nodes {
    fn number(&mut self, name: &str) -> usize {
        let next = self.numbers.len();
        match self.numbers.get(name) {
            Some(number) => *number,
            None => *self.numbers.entry(name.to_owned()).or_insert(next),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut source = args.store.open()?;
    let summaries = source.named(&args.workloads)?;
    let mut names = Nodes::default();
    let mut listed = Vec::new();
    for summary in &summaries {
        let mut nodes = BTreeSet::new();
        if !args.names_only {
            source.each(&summary.prefix, |_, _, object| {
                nodes.extend(object.nodes.keys().map(|name| names.number(name)));
            })?;
        }
        listed.push((summary, (!args.names_only).then_some(nodes.len() as u64)));
    }
    let text = match args.format {
        Format::Text => listed.iter().map(|(it, nodes)| line(it, *nodes)).collect(),
        Format::Json => {
            let all: Vec<_> = listed
                .iter()
                .map(|(it, nodes)| {
                    json!({
                        "key": it.key,
                        "prefix": it.prefix,
                        "objects": it.objects,
                        "bytes": it.bytes,
                        "nodes": nodes,
                        "last": time(it.last_ms),
                    })
                })
                .collect();
            let value = json!({"workloads": all, "left_out": source.problems()});
            serde_json::to_string_pretty(&value)? + "\n"
        }
    };
    print(text.as_bytes())?;
    if summaries.is_empty() {
        say!("the store is empty");
    }
    Ok(source.exit())
}

fn line(summary: &Summary, nodes: Option<u64>) -> String {
    let key = &summary.key;
    let cluster = if key.cluster.is_empty() {
        "-"
    } else {
        &key.cluster
    };
    let nodes = nodes.map_or_else(String::new, |it| words::counted(it, "node", "nodes") + "  ");
    let text = format!(
        "{cluster}  {}  {}  {}  {}  {}  {nodes}{}",
        key.workload(),
        short_image(&key.image),
        key.architecture,
        words::counted(summary.objects, "object", "objects"),
        words::counted(summary.bytes, "byte", "bytes"),
        time(summary.last_ms)
    );
    plain(&text) + "\n"
}
