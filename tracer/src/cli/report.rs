//! `tracer report`: a recording and its profile as one page.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{Exit, Failure, input, output, profile::ProfileArgs, since::changes};
use crate::store::OutputFile;
use syscalls::Abi;
use tracer_core::{
    formats::{Profiles, Settings, review},
    recording::{Recording, merge::Merge},
};
use tracer_report::html::Report;

/// What the page is called in a directory.
const PAGE: &str = "report.html";

/// Create a self-contained HTML report.
///
/// The page shows the verdict, the risks, the comparison with Docker's default, every rule with its reason
/// and evidence, what changed, and the files to apply. It needs no network and no other file.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer report profiles-out/nginx -o report.html\n",
    "  tracer report profiles-out/nginx --since main/profiles-out/nginx -o report.html\n",
    "  tracer report monday.json tuesday.json > report.html",
))]
pub(super) struct Args {
    /// Recordings of one workload: recording.json files, or their directories
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,

    /// File to write, or directory for a report.html; `-` for standard output [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Show what changed since this recording or profile
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,

    /// Architecture to generate for, as in `tracer generate`
    #[arg(long, value_name = "MACHINE", value_parser = super::host::arch)]
    arch: Option<Abi>,

    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut settings = args.profile.settings()?;
    settings.seccomp.arch = args.arch;
    if args.output.is_none() && io::stdout().is_terminal() {
        let error = anyhow::anyhow!("a page is not for a terminal; give its file: -o report.html");
        return Err(Failure::new(Exit::Usage, error));
    }
    let recording = merged(&args.recordings)?;
    let page = page(&recording, &settings, args.since.as_deref())?;
    match &args.output {
        None => io::stdout().write_all(page.as_bytes())?,
        Some(path) => {
            // Whole, or what was there is left as it was.
            OutputFile::open(path, PAGE)?.write(page.as_bytes())?;
        }
    }
    Ok(Exit::Fine)
}

fn merged(paths: &[PathBuf]) -> anyhow::Result<Recording> {
    let mut merge = Merge::default();
    let mut first: Option<String> = None;
    for path in paths {
        let recording = input::recording(path)?;
        let name = first.get_or_insert_with(|| recording.workload.name.clone());
        anyhow::ensure!(
            *name == recording.workload.name,
            "{} and {} are of different workloads; give recordings of one",
            path.display(),
            paths
                .first()
                .map_or_else(String::new, |it| it.display().to_string())
        );
        merge.add(recording);
    }
    merge.finish().context("no recording was given")
}

fn page(
    recording: &Recording,
    settings: &Settings,
    since: Option<&Path>,
) -> anyhow::Result<String> {
    let profiles = Profiles::from_recording(recording, settings)?;
    let mut files = output::render(recording, &[], settings)?.files;
    files.retain(|(name, _)| *name != review::FILE);
    let since = since
        .map(|path| changes(path, recording, &profiles, settings))
        .transpose()?;
    let localhost = output::models(&profiles, recording, settings).localhost();
    let report = Report {
        localhost: &localhost,
        recording,
        seccomp: &profiles.seccomp,
        apparmor: profiles.apparmor.as_ref(),
        capabilities: profiles.capabilities.as_ref(),
        files: &files,
        since: since.as_ref(),
    };
    Ok(report.to_html())
}
