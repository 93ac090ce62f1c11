//! `tracer fleet pull` and `generate`: one recording of what many nodes have seen, and its profiles.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context as _, anyhow};

use super::{
    super::{
        Exit, Failure,
        format::{self, FormatArg},
        generate, name, output,
        profile::ProfileArgs,
        stderr::{plain, say},
        targets::TargetArgs,
    },
    source::{Source, StoreArgs},
};
use crate::store::{OutputDirectory, OutputFile, RECORDING_FILE};
use syscalls::Abi;
use tracer_core::{
    fleet::Gathering,
    recording::{Recording, json, merge::Merge, plain_text::counted},
};

/// Which recording of a workload.
#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    store: StoreArgs,

    /// Merge the recordings of all images, instead of the latest image
    #[arg(long)]
    all_images: bool,
}

/// Write the merged recording of a workload.
///
/// The same objects give the same bytes, in whichever order they were shipped, and also after `tracer fleet compact`.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet pull shop/cart --output cart.json\n",
    "  tracer fleet pull shop/cart | tracer generate - --format seccomp --output -",
))]
pub(super) struct PullArgs {
    #[command(flatten)]
    which: Which,

    /// File to write, or directory for a recording.json; `-` for standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// Name of the workload in the recording [default: the recorded one]
    #[arg(long, value_parser = name::parse)]
    name: Option<String>,

    /// The workload: NAMESPACE/OWNER or NAMESPACE/KIND/OWNER/CONTAINER
    #[arg(value_name = "WORKLOAD")]
    workload: String,
}

/// Generate profiles of workloads: pull and generate in one.
///
/// Each workload gets a directory with its recording.json and its profiles.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet generate shop/cart\n",
    "  tracer fleet generate shop/cart shop/web --output-dir profiles-out --format seccomp",
))]
pub(super) struct GenerateArgs {
    #[command(flatten)]
    which: Which,

    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT", help = format::help())]
    format: Vec<FormatArg>,

    /// Directory that holds a directory for each workload
    #[arg(long = "output-dir", short, value_name = "DIR", default_value = output::DEFAULT_DIRECTORY)]
    output: PathBuf,

    /// Architecture to generate for, as for tracer generate
    #[arg(long, value_name = "MACHINE", value_parser = super::super::host::arch)]
    arch: Option<Abi>,

    #[command(flatten)]
    profile: ProfileArgs,

    #[command(flatten)]
    targets: TargetArgs,

    /// The workloads: NAMESPACE/OWNER or NAMESPACE/KIND/OWNER/CONTAINER
    #[arg(value_name = "WORKLOAD", required = true)]
    workloads: Vec<String>,
}

pub(super) fn pull(args: &PullArgs) -> Result<Exit, Failure> {
    let mut source = args.which.store.open()?;
    // What cannot be written is said now and not after thousands of objects.
    let output = OutputFile::open(&args.output, RECORDING_FILE)?;
    let mut recording = pulled(&mut source, &args.workload, args.which.all_images)?;
    if let Some(name) = &args.name {
        recording.workload.name.clone_from(name);
    }
    name::parse(&recording.workload.name)
        .map_err(anyhow::Error::msg)
        .context("the recorded name cannot be used; give another with --name")?;
    output.write(json::to_json(&recording).as_bytes())?;
    output::coverage(&recording, false);
    Ok(source.exit())
}

/// What the store has of a workload, as one recording.
fn pulled(source: &mut Source, workload: &str, all_images: bool) -> anyhow::Result<Recording> {
    let mut merge = Merge::default();
    let mut count = 0;
    for summary in source.one(workload, all_images)? {
        let mut gathering = Gathering::default();
        source.each(&summary.prefix, |_, _, object| {
            count += 1;
            gathering.add(object);
        })?;
        if let Some(object) = gathering.finish() {
            merge.add(object.into_recording());
        }
    }
    let recording = merge.finish();
    let recording = recording
        .with_context(|| format!("the store has nothing that can be used of {workload}"))?;
    say!(
        "merged {} of {}: {}",
        counted(count, "object", "objects"),
        plain(&recording.workload.name),
        counted(recording.runs(), "instance", "instances")
    );
    Ok(recording)
}

pub(super) fn generate(args: &GenerateArgs) -> Result<Exit, Failure> {
    let mut source = args.which.store.open()?;
    let output = OutputDirectory::open(&args.output)?;
    let mut recordings = Vec::new();
    let mut names = BTreeSet::new();
    for workload in &args.workloads {
        let recording = pulled(&mut source, workload, args.which.all_images)?;
        let name = &recording.workload.name;
        name::parse(name)
            .map_err(anyhow::Error::msg)
            .context("the recorded name cannot be used; tracer fleet pull --name gives another")?;
        output::coverage(&recording, true);
        if !names.insert(name.clone()) {
            return Err(anyhow!(
                "{workload} has the name {name}, as another of these workloads has; generate them into different directories"
            )
            .into());
        }
        let directory = output.subdirectory(name)?;
        let path = directory.path().join(RECORDING_FILE);
        OutputFile::open(&path, RECORDING_FILE)?.write(json::to_json(&recording).as_bytes())?;
        recordings.push(path);
    }
    let generated = generate::run(&generate::Args::of_recordings(
        recordings,
        args.format.clone(),
        args.output.clone(),
        args.arch,
        (args.profile.clone(), args.targets.clone()),
    ))?;
    Ok(match (generated, source.exit()) {
        (Exit::Fine, exit) => exit,
        (generated, _) => generated,
    })
}
