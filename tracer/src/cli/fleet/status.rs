//! `tracer fleet status`: the progress of each workload's recording.

use serde_json::{Value, json};

use super::{
    super::{
        Exit, Failure, print,
        rollout::span,
        spool::{plain_lines, unseen},
    },
    list::Format,
    source::{StoreArgs, Summary, short_image, time},
};
use tracer_core::{agent::RolloutStatus, fleet::Object};
use tracer_report::words;

/// Show the progress of each workload's recording: instances, nodes, time without anything new, completeness and the
/// estimate of unseen calls.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet status\n",
    "  tracer fleet status shop/cart --format json",
))]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Only these workloads: NAMESPACE/OWNER or NAMESPACE/KIND/OWNER/CONTAINER
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut source = args.store.open()?;
    let mut text = String::new();
    let mut values = Vec::new();
    for summary in source.named(&args.workloads)? {
        let Some(object) = source.gather(&summary.prefix)?.finish() else {
            continue;
        };
        match args.format {
            Format::Text => text.push_str(&plain_lines(&described(&summary, object))),
            Format::Json => values.push(value(&summary, object)),
        }
    }
    if args.format == Format::Json {
        let value = json!({"workloads": values, "left_out": source.problems()});
        text = serde_json::to_string_pretty(&value)? + "\n";
    }
    print(text.as_bytes())?;
    Ok(source.exit())
}

/// How many nodes, and whether there are more.
fn nodes(object: &Object) -> String {
    let nodes = words::counted(object.nodes.len() as u64, "node", "nodes");
    if object.more_nodes {
        format!("{nodes} or more")
    } else {
        nodes
    }
}

fn described(summary: &Summary, object: Object) -> String {
    let key = &summary.key;
    let nodes = nodes(&object);
    let recording = object.into_recording();
    let status = RolloutStatus::from_recording(&recording);
    let quiet = status.quiet.map_or_else(|| "unknown".to_owned(), span);
    let mut text = format!(
        "{}  {}  {}\n  {} on {nodes}; {}\n  nothing new for: {quiet}\n  unseen: {}\n",
        key.workload(),
        short_image(&key.image),
        key.architecture,
        words::counted(status.instances, "instance", "instances"),
        words::counted(status.calls, "call", "calls"),
        unseen(&status.unseen)
    );
    if recording.coverage.complete {
        text.push_str("  complete\n");
    }
    for reason in &recording.coverage.reasons {
        text.push_str(&format!("  incomplete: {}\n", words::reason(reason)));
    }
    text
}

fn value(summary: &Summary, object: Object) -> Value {
    let (nodes, more) = (object.nodes.len(), object.more_nodes);
    let recording = object.into_recording();
    let status = RolloutStatus::from_recording(&recording);
    let coverage = &recording.coverage;
    json!({
        "workload": summary.key.workload(),
        "key": summary.key,
        "objects": summary.objects,
        "bytes": summary.bytes,
        "last": time(summary.last_ms),
        "nodes": nodes,
        "more_nodes": more,
        "instances": status.instances,
        "instances_from_start": status.from_start,
        "calls": status.calls,
        "quiet_s": status.quiet.map(|quiet| quiet.as_secs()),
        "unseen": status.unseen,
        "complete": coverage.complete,
        "reasons": coverage.reasons.iter().map(words::reason).collect::<Vec<_>>(),
        "losses": coverage.losses,
    })
}
