//! `tracer spool`: what an agent has recorded.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    agent::settings::SettingsArgs,
    confinement::Writes,
    print,
    stderr::{plain, say},
};
use crate::store::{OutputFile, RECORDING_FILE, Spool, SpoolEntry};
use tracer_core::{
    agent::{Configuration, short_image},
    recording::{
        Recording,
        estimate::{Discovery, Estimate},
        json as recording_json,
    },
};
use tracer_report::words;

/// List, show and export what an agent has recorded.
///
/// A spool has a recording for each workload key: cluster, namespace, owner, container, image and architecture. Its
/// files can be given to generate, merge, report and diff as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer spool list\n",
    "  tracer spool show shop/cart\n",
    "  tracer spool export shop/cart --output cart.json\n",
    "  tracer generate $(tracer spool list --format path shop/cart)",
))]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the recordings
    List(ListArgs),
    /// Show what is known of a workload
    Show(ShowArgs),
    /// Write a workload's recording as recording.json
    Export(ExportArgs),
}

/// How often a recording is looked for again that was replaced while it was opened.
const RETRIES: usize = 10;

/// Which spool.
#[derive(Debug, clap::Args)]
pub(super) struct SpoolArgs {
    /// Configuration file of the agent [default: /etc/tracer/agent.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Directory of the spool, instead of the one in the configuration
    #[arg(long, value_name = "DIR")]
    spool_directory: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    spool: SpoolArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ListFormat,

    /// Only these workloads: NAMESPACE/OWNER, or any part of what `list` prints
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A line for each
    #[default]
    Text,
    /// One JSON array
    Json,
    /// The path of each file
    Path,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    spool: SpoolArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ShowFormat,

    /// The workload: NAMESPACE/OWNER, or any part of what `tracer spool list` prints
    #[arg(value_name = "WORKLOAD")]
    workload: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// Text
    #[default]
    Text,
    /// JSON
    Json,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    #[command(flatten)]
    spool: SpoolArgs,

    /// File to write, or directory for a recording.json; `-` for standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// The workload, as for `tracer spool show`
    #[arg(value_name = "WORKLOAD")]
    workload: String,
}

impl Args {
    /// What it writes.
    pub(super) fn writes(&self) -> Writes {
        match &self.command {
            Command::Export(args) => Writes::to_files([&args.output]),
            Command::List(_) | Command::Show(_) => Writes::default(),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
        Command::Export(args) => export(args),
    }
}

impl SpoolArgs {
    /// The settings of the agent.
    pub(super) fn settings(&self) -> Result<Configuration, Failure> {
        SettingsArgs::of_spool(self.config.clone(), self.spool_directory.clone())
            .load()
            .map_err(|error| Failure::new(Exit::Usage, error))
    }

    /// Its spool.
    pub(super) fn open(&self) -> Result<Spool, Failure> {
        open(&self.settings()?)
    }
}

/// The spool of an agent with these settings.
pub(super) fn open(settings: &Configuration) -> Result<Spool, Failure> {
    Ok(Spool::open(Path::new(&settings.spool.directory))?)
}

fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let spool = args.spool.open()?;
    let is_named = |entry: &SpoolEntry| {
        args.workloads.is_empty() || args.workloads.iter().any(|text| entry.key.is_called(text))
    };
    let mut entries = entries(&spool)?;
    entries.retain(is_named);
    let text = match args.format {
        ListFormat::Text => entries.iter().map(line).collect(),
        ListFormat::Path => entries
            .iter()
            .map(|entry| format!("{}\n", spool.place(&entry.name).display()))
            .collect(),
        ListFormat::Json => {
            let all: Vec<_> = entries.iter().map(|it| json_entry(&spool, it)).collect();
            serde_json::to_string_pretty(&all)? + "\n"
        }
    };
    print(text.as_bytes())?;
    if entries.is_empty() {
        say!("{}: nothing was recorded yet", spool.path().display());
    }
    Ok(Exit::Fine)
}

/// What is in a spool, the latest of each key.
pub(super) fn entries(spool: &Spool) -> anyhow::Result<Vec<SpoolEntry>> {
    let mut entries = spool
        .entries()
        .with_context(|| format!("cannot read the spool {}", spool.path().display()))?;
    entries.dedup_by(|later, first| later.key == first.key);
    Ok(entries)
}

fn line(entry: &SpoolEntry) -> String {
    let key = &entry.key;
    let image = short_image(&key.image);
    let text = format!(
        "{}  {}  {}  {}  {}",
        key.workload(),
        if image.is_empty() { "-" } else { image },
        key.architecture,
        words::counted(entry.bytes, "byte", "bytes"),
        written(entry)
    );
    plain(&text) + "\n"
}

fn written(entry: &SpoolEntry) -> String {
    Timestamp::try_from(entry.written).map_or_else(
        |_| "-".to_owned(),
        |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

fn json_entry(spool: &Spool, entry: &SpoolEntry) -> Value {
    json!({
        "key": entry.key,
        "path": spool.place(&entry.name),
        "bytes": entry.bytes,
        "written": written(entry),
    })
}

/// The one recording that a person means.
///
/// # Errors
/// When there is none, or several.
pub(super) fn find(spool: &Spool, workload: &str) -> anyhow::Result<(SpoolEntry, Recording)> {
    for _ in 0..RETRIES {
        let entry = entry(spool, workload)?;
        // The agent may have replaced it since.
        match spool.read(&entry.name) {
            Err(_) if !spool.has(&entry.name) => {}
            read => return Ok((entry, read?)),
        }
    }
    bail!("{workload} is being written all the time; try again")
}

/// The latest entry that a person means.
fn entry(spool: &Spool, workload: &str) -> anyhow::Result<SpoolEntry> {
    let mut found = entries(spool)?;
    found.retain(|entry| entry.key.is_called(workload));
    let first = found
        .iter()
        .max_by_key(|entry| entry.written)
        .cloned()
        .with_context(|| {
            format!(
                "the spool {} has no workload {workload}; tracer spool list prints those it has",
                spool.path().display()
            )
        })?;
    // Of the images of one workload, the latest is meant.
    if let Some(other) = found
        .iter()
        .find(|it| it.key.without_image() != first.key.without_image())
    {
        bail!(
            "{workload} may be {} or {}; give more of the name",
            first.key,
            other.key
        );
    }
    Ok(first)
}

fn show(args: &ShowArgs) -> Result<Exit, Failure> {
    let spool = args.spool.open()?;
    let (entry, recording) = find(&spool, &args.workload)?;
    let text = match args.format {
        ShowFormat::Text => plain_lines(&described(&spool, &entry, &recording)),
        ShowFormat::Json => {
            let mut value = json_entry(&spool, &entry);
            if let Value::Object(fields) = &mut value {
                fields.insert("coverage".to_owned(), json!(recording.coverage));
                fields.insert("runs".to_owned(), json!(recording.runs()));
                fields.insert("syscalls".to_owned(), json!(recording.syscalls.len()));
            }
            serde_json::to_string_pretty(&value)? + "\n"
        }
    };
    print(text.as_bytes())?;
    Ok(Exit::Fine)
}

/// Text of several lines, each of which may quote what a workload chose.
pub(super) fn plain_lines(text: &str) -> String {
    text.lines().map(|line| plain(line) + "\n").collect()
}

fn described(spool: &Spool, entry: &SpoolEntry, recording: &Recording) -> String {
    let key = &entry.key;
    let discovery = Discovery::from_recording(recording);
    let mut text = format!("workload: {}\n", key.workload());
    for (what, value) in [("cluster", &key.cluster), ("image", &key.image)] {
        if !value.is_empty() {
            text.push_str(&format!("{what}: {value}\n"));
        }
    }
    text.push_str(&format!("architecture: {}\n", key.architecture));
    text.push_str(&format!("file: {}\n", spool.place(&entry.name).display()));
    text.push_str(&format!("written: {}\n", written(entry)));
    text.push_str(&format!("instances: {}\n", discovery.instances));
    text.push_str(&format!("calls: {}\n", discovery.calls));
    text.push_str(&format!("unseen: {}\n", unseen(&discovery.unseen)));
    for reason in &recording.coverage.reasons {
        text.push_str(&format!("not complete: {}\n", words::reason(reason)));
    }
    text
}

/// An estimate in words.
pub(super) fn unseen(estimate: &Estimate) -> String {
    match estimate {
        Estimate::Chao2(unseen) => format!(
            "about {} ({} to {})",
            words::counted(unseen.calls, "call", "calls"),
            unseen.low,
            unseen.high
        ),
        Estimate::Refused(refusal) => words::refusal(refusal),
    }
}

fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let spool = args.spool.open()?;
    let (_, recording) = find(&spool, &args.workload)?;
    let text = recording_json::to_json(&recording);
    OutputFile::open(&args.output, RECORDING_FILE)?.write(text.as_bytes())?;
    Ok(Exit::Fine)
}
