//! `tracer generate`: profiles from recordings.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Exit, Failure,
    format::{self, FormatArg},
    manifest, name, output,
    profile::ProfileArgs,
    since::changes,
    stderr::{plain, say},
    targets::TargetArgs,
};
use crate::store::{self, FileSet, OutputDirectory, StoreError};
use syscalls::Abi;
use tracer_core::{
    formats::{self, Profiles, Rendered},
    profile::{Omission, kubernetes::Localhost},
    recording::merge::Merge,
};

/// Renders profiles from recordings.
///
/// Recordings of the same workload make one profile that allows what any of them observed.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer generate profiles-out/nginx\n",
    "  tracer generate run-1/recording.json run-2/recording.json --output profiles\n",
    "  tracer generate --since main/profiles-out/nginx profiles-out/nginx\n",
    "  tracer generate --arch aarch64 profiles-out/nginx\n",
    "  tracer generate --runtime runc@1.1,crun profiles-out/nginx\n",
    "  tracer generate --format help\n",
    "  tracer generate --format systemd,engine profiles-out/nginx\n",
    "  tracer generate --for deployment.yaml profiles-out/shop_deployment-cart_web",
))]
pub(super) struct Args {
    /// Recordings: recording.json files, or folders that hold one
    #[arg(required_unless_present = "format", value_name = "RECORDING")]
    recordings: Vec<PathBuf>,

    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT", help = format::help())]
    format: Vec<FormatArg>,

    /// The folder that holds a folder for each workload
    #[arg(long, short, default_value = output::DEFAULT_DIRECTORY, value_name = "DIR")]
    output: PathBuf,

    /// The machine to make them for: x86_64, i386, aarch64, arm or riscv64. What was recorded on another
    /// one is translated, and goes to a folder of that name in the workload's
    #[arg(long, value_name = "MACHINE", value_parser = super::host::arch)]
    arch: Option<Abi>,

    /// A manifest: prints it with what names the profiles in the containers that they are for (recordings of
    /// all containers of a pod may be given at once), comments and
    /// layout as they were, and warns about what contradicts them. Writes no profiles
    #[arg(long = "for", value_name = "MANIFEST", conflicts_with_all = ["format", "arch", "check"])]
    manifest: Option<PathBuf>,

    /// Write the manifest back instead of printing it
    #[arg(long, requires = "manifest")]
    in_place: bool,
    /// Begin REVIEW.md with what changed since then: a recording, its folder, a seccomp profile, or an
    /// AppArmor profile. For recordings of one workload
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,

    /// Have apparmor_parser look at each AppArmor profile that was written, within limits of time and memory
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    profile: ProfileArgs,

    #[command(flatten)]
    targets: TargetArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Some(selected) = FormatArg::selected(&args.format) else {
        io::stdout().write_all(format::table().as_bytes())?;
        return Ok(Exit::Fine);
    };
    if args.recordings.is_empty() {
        let error = anyhow::anyhow!("give a recording.json, or a folder that holds one");
        return Err(Failure::new(Exit::Usage, error));
    }
    let mut settings = args.profile.settings()?;
    settings.seccomp.arch = args.arch;
    settings.targets = args.targets.targets();
    let mut workloads: BTreeMap<String, Merge> = BTreeMap::new();
    for path in &args.recordings {
        let recording = store::read(path)?;
        name::check(&recording, path)?;
        if !recording.has_program() {
            output::nothing(&recording);
            continue;
        }
        workloads
            .entry(recording.workload.name.clone())
            .or_default()
            .add(recording);
    }
    if workloads.is_empty() {
        return Ok(Exit::Nothing);
    }
    if let Some(path) = &args.manifest {
        let recordings: Vec<_> = workloads.into_values().filter_map(Merge::finish).collect();
        let targets = &settings.targets;
        let is_file = matches!(targets.localhost, Localhost::File(_));
        if recordings.len() > 1 && (targets.container.is_some() || is_file) {
            let error = anyhow::anyhow!(
                "--container and --localhost-profile are for recordings of one workload; these are of several"
            );
            return Err(Failure::new(Exit::Usage, error));
        }
        manifest::run(path, args.in_place, &recordings, &settings)?;
        return Ok(Exit::Fine);
    }
    if args.since.is_some() && workloads.len() > 1 {
        let several = "--since is for recordings of one workload; these are of several";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(several)));
    }
    // All of it is rendered before the first file is written.
    let rendered = workloads
        .into_iter()
        .filter_map(|(name, merge)| Some((name, merge.finish()?)))
        .map(|(name, recording)| {
            let mut rendered = output::render(&recording, &selected, &settings)
                .with_context(|| format!("cannot make a profile for {name}"))?;
            if let Some(since) = &args.since {
                let profiles = Profiles::from_recording(&recording, &settings)?;
                let changes = changes(since, &recording, &profiles, &settings)?;
                for (_, text) in rendered
                    .files
                    .iter_mut()
                    .filter(|file| file.0 == formats::review::FILE)
                {
                    *text = format!("{}\n{text}", tracer_report::changes_markdown(&changes));
                }
            }
            Ok((name, rendered))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let output = OutputDirectory::open(&args.output)?;
    let mut written = String::new();
    for (name, rendered) in &rendered {
        let directory = write(&output, name, rendered, args.arch)?;
        print_summary(&directory, rendered, args.format.is_empty());
        for (name, _) in &rendered.files {
            written += &format!("{}\n", directory.join(name).display());
        }
    }
    if args.check {
        check(&output, &rendered)?;
    }
    // Last: whoever reads the list may have gone, the files are there all the same.
    io::stdout().write_all(written.as_bytes())?;
    Ok(Exit::Fine)
}

/// Writes the files of one workload, and returns their directory.
fn write(
    output: &OutputDirectory,
    name: &str,
    rendered: &Rendered,
    arch: Option<Abi>,
) -> Result<PathBuf, StoreError> {
    let set = FileSet {
        files: &rendered.files,
        stale: output::blobs(&rendered.files),
    };
    if let Some(arch) = arch {
        // Beside what was rendered for the machine recorded on, and never in its place.
        let output = output.subdirectory(name)?;
        output.replace(arch.as_str(), &set)?;
        return Ok(output.path().join(arch.as_str()));
    }
    output.replace(name, &set)?;
    Ok(output.path().join(name))
}

/// Has apparmor_parser look at what was written.
fn check(output: &OutputDirectory, rendered: &[(String, Rendered)]) -> anyhow::Result<()> {
    for (name, rendered) in rendered {
        let profile = output.path().join(name).join(formats::apparmor::FILE);
        // Signals end tracer at once here, and the parser keeps its limits by itself.
        output::check(&profile, rendered, true, &mut || false)?;
    }
    Ok(())
}

/// Tells what the files cannot say: each thing of those that were asked for, else how many.
fn print_summary(directory: &Path, rendered: &Rendered, by_default: bool) {
    for (file, why) in &rendered.skipped {
        say!(
            "{} is not written: {}",
            directory.join(file).display(),
            plain(&why.to_string())
        );
    }
    let mut files: BTreeMap<&str, Vec<&Omission>> = BTreeMap::new();
    for (file, omissions) in &rendered.omissions {
        files.entry(file).or_default().push(omissions);
    }
    for (file, omissions) in files {
        let path = directory.join(file);
        let shown = if by_default { 0 } else { MAX_SHOWN };
        for Omission { what, instead } in omissions.iter().take(shown) {
            say!(
                "{} cannot say {}: {}",
                path.display(),
                plain(what),
                plain(instead)
            );
        }
        if omissions.len() > shown {
            say!(
                "{} cannot say {} {}thing{}, which {} listed in it",
                path.display(),
                omissions.len() - shown,
                if shown == 0 { "" } else { "more " },
                if omissions.len() - shown == 1 {
                    ""
                } else {
                    "s"
                },
                if omissions.len() - shown == 1 {
                    "is"
                } else {
                    "are"
                }
            );
        }
    }
}

/// Most things of one file that are told one by one.
const MAX_SHOWN: usize = 20;
