//! `tracer generate`: profiles from recordings.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use super::{
    Exit, Failure, name,
    output::{self, Format},
    profile::ProfileArgs,
};
use crate::recording::{merge::Merge, store};

/// Renders profiles from recordings.
///
/// Recordings of the same workload make one profile that allows what any of them observed.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer generate profiles-out/nginx\n",
    "  tracer generate run-1/recording.json run-2/recording.json --output profiles\n",
    "  tracer generate --runtime runc@1.1,crun profiles-out/nginx",
))]
pub(super) struct Args {
    /// Recordings: recording.json files, or folders that hold one
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,

    /// What to render
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Format::Seccomp, Format::Review], value_name = "FORMAT")]
    format: Vec<Format>,

    /// The folder that holds a folder for each workload
    #[arg(long, short, default_value = output::FOLDER, value_name = "DIR")]
    output: PathBuf,

    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let options = args.profile.options()?;
    let mut workloads: BTreeMap<String, Merge> = BTreeMap::new();
    for path in &args.recordings {
        let recording = store::read(path)?;
        name::check(&recording, path)?;
        workloads
            .entry(recording.workload.name.clone())
            .or_default()
            .add(recording);
    }
    // All of it is rendered before the first file is written.
    let rendered = workloads
        .into_iter()
        .filter_map(|(name, merge)| Some((name, merge.finish()?)))
        .map(|(name, recording)| {
            let files = output::render(&recording, &args.format, &options)
                .with_context(|| format!("cannot make a profile for {name}"))?;
            Ok((args.output.join(name), files))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut written = String::new();
    for (folder, files) in rendered {
        store::prepare(&folder)?;
        store::write(&folder, &files)?;
        for (name, _) in files {
            written += &format!("{}\n", folder.join(name).display());
        }
    }
    // Last: whoever reads the list may have gone, the files are there all the same.
    io::stdout().write_all(written.as_bytes())?;
    Ok(Exit::Fine)
}
