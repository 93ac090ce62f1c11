//! `tracer generate`: profiles from recordings.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Exit, Failure, advice,
    confinement::Writes,
    format::{self, FormatArg},
    input, manifest, output,
    profile::ProfileArgs,
    since::changes,
    stderr::{plain, say},
    targets::TargetArgs,
};
use crate::store::{FileSet, OutputDirectory, StoreError};
use syscalls::Abi;
use tracer_core::{
    formats::{self, Profiles, Rendered, Selection, Settings},
    profile::{Omission, kubernetes::Localhost},
    recording::{Recording, merge::Merge, plain_text::counted},
};

/// Generate profiles from recordings.
///
/// Recordings of the same workload are merged into one profile.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer generate profiles-out/nginx\n",
    "  tracer generate run-1/recording.json run-2/recording.json --output-dir profiles\n",
    "  tracer generate --since main/profiles-out/nginx profiles-out/nginx\n",
    "  tracer generate --arch aarch64 profiles-out/nginx\n",
    "  tracer generate --runtime runc@1.1,crun profiles-out/nginx\n",
    "  tracer generate --format help\n",
    "  tracer generate --format systemd,engine profiles-out/nginx\n",
    "  tracer generate --for deployment.yaml profiles-out/shop_deployment-cart_web",
))]
pub(super) struct Args {
    /// Recordings: recording.json files, or their directories
    #[arg(required_unless_present = "format", value_name = "RECORDING")]
    recordings: Vec<PathBuf>,

    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT", help = format::help())]
    format: Vec<FormatArg>,

    /// Directory that holds a directory for each workload; `-` for standard output, with one --format
    /// [default: beside the recording]
    #[arg(long = "output-dir", short, alias = "output", value_name = "DIR")]
    output: Option<PathBuf>,

    /// Architecture to generate for: x86_64 (amd64), i386, aarch64 (arm64), arm or riscv64. Recordings of
    /// another one are translated, into a subdirectory of that name
    #[arg(long, value_name = "MACHINE", value_parser = super::host::arch)]
    arch: Option<Abi>,

    /// Add the profiles to their containers in this Kubernetes manifest and print it; comments and layout are
    /// kept, conflicting settings reported. Takes the recordings of all containers of a pod. Writes no profiles
    #[arg(long = "for", value_name = "MANIFEST", conflicts_with_all = ["format", "arch", "check"])]
    manifest: Option<PathBuf>,

    /// Write the manifest back instead of printing it
    #[arg(long, requires = "manifest")]
    in_place: bool,

    /// Show in REVIEW.md what changed since this recording or profile (recordings of one workload only)
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,

    /// Check each AppArmor profile with apparmor_parser
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    profile: ProfileArgs,

    #[command(flatten)]
    targets: TargetArgs,
}

impl Args {
    /// Of another command, which has put these recordings where their profiles belong.
    pub(super) fn of_recordings(
        recordings: Vec<PathBuf>,
        format: Vec<FormatArg>,
        output: PathBuf,
        arch: Option<Abi>,
        (profile, targets): (ProfileArgs, TargetArgs),
    ) -> Self {
        Self {
            recordings,
            format,
            output: Some(output),
            arch,
            manifest: None,
            in_place: false,
            since: None,
            check: false,
            profile,
            targets,
        }
    }

    /// What is written; `None` when apparmor_parser is to be run.
    pub(super) fn writes(&self) -> Option<Writes> {
        let in_place = self.manifest.iter().filter(|_| self.in_place);
        let is_profiles = self.manifest.is_none() && !self.recordings.is_empty();
        let directory = match &self.output {
            _ if !is_profiles => None,
            Some(path) if path.as_os_str() == "-" => None,
            Some(path) => Some(path.clone()),
            None => self.above_first(),
        };
        (!self.check).then(|| Writes {
            directories: directory.into_iter().collect(),
            files: in_place.cloned().collect(),
        })
    }

    /// Without `--output`: the directory above that of the first recording, which is where its workload's is.
    fn above_first(&self) -> Option<PathBuf> {
        let paths = input::recordings_of(self.recordings.first()?).ok()?;
        let path = paths.first()?;
        if path.as_os_str() == "-" {
            return Some(PathBuf::from(output::DEFAULT_DIRECTORY));
        }
        let own = if path.is_dir() {
            path.clone()
        } else {
            parent(path)
        };
        let own = own.canonicalize().ok()?;
        Some(own.parent().map_or_else(|| own.clone(), Path::to_owned))
    }

    /// One recording for each workload, and the directory beside the first.
    fn read(&self) -> Result<(Vec<Recording>, Option<PathBuf>), Failure> {
        let mut workloads: BTreeMap<String, Merge> = BTreeMap::new();
        let mut beside = None;
        for named in &self.recordings {
            for path in input::recordings_of(named)? {
                let recording = input::recording(&path)?;
                if !recording.has_program() {
                    output::nothing(&recording);
                    continue;
                }
                beside.get_or_insert_with(|| directory_beside(&path, &recording));
                workloads
                    .entry(recording.workload.name.clone())
                    .or_default()
                    .add(recording);
            }
        }
        let recordings = workloads.into_values().filter_map(Merge::finish);
        Ok((recordings.collect(), beside))
    }

    /// The files of a workload, with its changes in the review.
    fn render(
        &self,
        recording: &Recording,
        selected: &[Selection],
        settings: &Settings,
    ) -> anyhow::Result<Rendered> {
        let mut rendered = output::render(recording, selected, settings)
            .with_context(|| format!("cannot make a profile for {}", recording.workload.name))?;
        if let Some(since) = &self.since {
            let profiles = Profiles::from_recording(recording, settings)?;
            let changes = changes(since, recording, &profiles, settings)?;
            let models = output::models(&profiles, recording, settings);
            let review = tracer_report::full_review_since(&models, Some(&changes));
            let files = rendered.files.iter_mut();
            for (_, text) in files.filter(|file| file.0 == formats::review::FILE) {
                text.clone_from(&review);
            }
        }
        Ok(rendered)
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Some(selected) = FormatArg::selected(&args.format) else {
        io::stdout().write_all(format::table().as_bytes())?;
        return Ok(Exit::Fine);
    };
    if args.recordings.is_empty() {
        let error = anyhow::anyhow!("give a recording.json, or its directory");
        return Err(Failure::new(Exit::Usage, error));
    }
    let mut settings = args.profile.settings()?;
    settings.seccomp.arch = args.arch;
    settings.targets = args.targets.targets();
    let (recordings, beside) = args.read()?;
    if recordings.is_empty() {
        return Ok(Exit::Nothing);
    }
    if let Some(path) = &args.manifest {
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
    if args.since.is_some() && recordings.len() > 1 {
        let several = "--since takes recordings of one workload; these are of several";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(several)));
    }
    // All of it is rendered before the first file is written.
    let rendered = recordings
        .into_iter()
        .map(|recording| {
            let rendered = args.render(&recording, &selected, &settings)?;
            Ok((recording.workload.name, rendered))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let output = match &args.output {
        Some(path) if path.as_os_str() == "-" => return to_stdout(&rendered),
        Some(path) => path.clone(),
        None => beside.unwrap_or_else(|| PathBuf::from(output::DEFAULT_DIRECTORY)),
    };
    let output = OutputDirectory::open(&output)?;
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

/// Where the profiles of a recording belong: the directory that holds the workload's own, or the one
/// that the file is in.
fn directory_beside(path: &Path, recording: &Recording) -> PathBuf {
    if path.as_os_str() == "-" {
        return PathBuf::from(output::DEFAULT_DIRECTORY);
    }
    let own = if path.is_dir() {
        path.to_owned()
    } else {
        parent(path)
    };
    // A directory may be named by `.` or `..`: its real name counts.
    let name = own.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name);
    if name.is_some_and(|name| name == recording.workload.name.as_str()) {
        match own.file_name() {
            Some(_) => parent(&own),
            None => own.join(".."),
        }
    } else {
        own
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Prints the one file that was asked for.
fn to_stdout(rendered: &[(String, Rendered)]) -> Result<Exit, Failure> {
    let files: Vec<_> = rendered.iter().flat_map(|(_, it)| &it.files).collect();
    let [(_, text)] = files.as_slice() else {
        let error = anyhow::anyhow!(
            "standard output takes one file, and there are {}; choose one with --format",
            files.len()
        );
        return Err(Failure::new(Exit::Usage, error));
    };
    super::print(text.as_bytes())?;
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
            "{} is not written: {}; {}",
            directory.join(file).display(),
            plain(&why.to_string()),
            advice::of_target(why)
        );
    }
    let mut files: BTreeMap<&str, Vec<&Omission>> = BTreeMap::new();
    for (file, omissions) in &rendered.omissions {
        files.entry(file).or_default().push(omissions);
    }
    for (file, omissions) in files {
        let path = directory.join(file);
        let shown = if by_default { 0 } else { MAX_SHOWN };
        for omission in omissions.iter().take(shown) {
            say!(
                "{}: cannot express {}",
                path.display(),
                plain(&omission.to_string())
            );
        }
        if omissions.len() > shown {
            let more = if shown == 0 { "" } else { "more " };
            say!(
                "{}: {} cannot be expressed in this format (see the comments at its top)",
                path.display(),
                counted(
                    omissions.len() - shown,
                    &format!("{more}rule"),
                    &format!("{more}rules")
                )
            );
        }
    }
}

/// Most things of one file that are told one by one.
const MAX_SHOWN: usize = 20;
