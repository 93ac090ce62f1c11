//! `tracer report`: a recording and what is made of it, as one page.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Exit, Failure,
    input::{HostArgs, Input, Profile, label},
    name, output,
    profile::{ProfileArgs, Settings},
};
use crate::{
    diff,
    profile::{apparmor::AppArmorProfile, capabilities::Capabilities, seccomp::SeccompProfile},
    read,
    recording::{Recording, merge::Merge, store},
    report::html::{Report, RuleChanges, Since},
    syscall::Abi,
};

/// What the page is called in a folder.
const PAGE: &str = "report.html";

/// Makes one page of recordings and their profile, to read, to print, to send.
///
/// It shows what the workload is, how sure that is, the calls beside Docker's default, every rule with its
/// reason and its evidence, what changed, and the files to apply. The page needs nothing else: no network,
/// no other file.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer report profiles-out/nginx -o report.html\n",
    "  tracer report profiles-out/nginx --since main/profiles-out/nginx -o report.html\n",
    "  tracer report monday.json tuesday.json > report.html",
))]
pub(super) struct Args {
    /// Recordings of one workload: recording.json files, or folders that hold one
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,

    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show what changed since then: a recording, its folder, a seccomp profile, or an AppArmor profile
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,

    /// The machine to make the profile for, as in generate
    #[arg(long, value_name = "MACHINE", value_parser = super::generate::arch)]
    arch: Option<Abi>,

    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut settings = args.profile.settings()?;
    settings.seccomp.arch = args.arch;
    let recording = merged(&args.recordings)?;
    let page = page(&recording, &settings, args.since.as_deref())?;
    match &args.output {
        None => io::stdout().write_all(page.as_bytes())?,
        Some(path) => {
            // Whole, or what was there is left as it was.
            let (folder, file) = output::place(path, PAGE)?;
            store::write(&folder, &[(&file, page)])?;
        }
    }
    Ok(Exit::Fine)
}

fn merged(paths: &[PathBuf]) -> anyhow::Result<Recording> {
    let mut merge = Merge::default();
    let mut first: Option<String> = None;
    for path in paths {
        let recording = store::read(path)?;
        name::check(&recording, path)?;
        let name = first.get_or_insert_with(|| recording.workload.name.clone());
        anyhow::ensure!(
            *name == recording.workload.name,
            "{} is of another workload than {}: a page is about one; give it recordings of that one",
            path.display(),
            paths
                .first()
                .map_or_else(String::new, |it| it.display().to_string())
        );
        merge.add(recording);
    }
    merge.finish().context("there is no recording")
}

fn page(
    recording: &Recording,
    settings: &Settings,
    since: Option<&Path>,
) -> anyhow::Result<String> {
    let models = Models::of(recording, settings)?;
    let mut files = output::render(recording, &[], settings)?.files;
    files.retain(|(name, _)| *name != output::REVIEW);
    let since = since
        .map(|path| changes(path, recording, &models, settings))
        .transpose()?;
    let report = Report {
        recording,
        seccomp: &models.seccomp,
        apparmor: models.apparmor.as_ref(),
        capabilities: models.capabilities.as_ref(),
        files: &files,
        since: since.as_ref(),
    };
    Ok(report.to_html())
}

struct Models {
    seccomp: SeccompProfile,
    apparmor: Option<AppArmorProfile>,
    capabilities: Option<Capabilities>,
}

impl Models {
    fn of(recording: &Recording, settings: &Settings) -> anyhow::Result<Self> {
        let recordings = std::slice::from_ref(recording);
        let apparmor = AppArmorProfile::from_recordings(recordings, &settings.apparmor);
        // As in generate: the paths of another machine's libraries are not known.
        let apparmor = apparmor.filter(|_| settings.seccomp.arch.is_none());
        Ok(Self {
            seccomp: SeccompProfile::from_recordings(recordings, &settings.seccomp)?,
            capabilities: apparmor.as_ref().and_then(Capabilities::needed_by),
            apparmor,
        })
    }

    fn rules(&self) -> Option<String> {
        self.apparmor.as_ref().map(AppArmorProfile::to_text)
    }
}

/// What changed since `path`.
fn changes(
    path: &Path,
    recording: &Recording,
    models: &Models,
    settings: &Settings,
) -> anyhow::Result<Since> {
    let label = label(path);
    let rules = models.rules();
    if let Some(before) = apparmor_text(path)? {
        return Ok(Since {
            label,
            calls: None,
            rules: rules.map(|after| RuleChanges::between(&before, &after)),
        });
    }
    Ok(match Input::read(path)? {
        Input::Recording(before) => {
            let old = Models::of(&before, settings)?;
            let both = old.rules().zip(rules);
            Since {
                label,
                calls: Some(diff::recordings(&before, recording)),
                rules: both.map(|(before, after)| RuleChanges::between(&before, &after)),
            }
        }
        Input::Profile(Profile::AppArmor(_)) => anyhow::bail!(
            "{label} has an AppArmor profile within an object of Kubernetes; give its text in a file of its own"
        ),
        Input::Profile(Profile::Seccomp(before)) => {
            let host = HostArgs::default();
            let recordings = std::slice::from_ref(recording);
            let native = match settings.seccomp.arch {
                Some(arch) => arch,
                None => *host
                    .natives(recordings)?
                    .first()
                    .context("there is no machine")?,
            };
            let after = models.seccomp.to_oci_json()?.into_bytes();
            let after = read::choose_seccomp(&read::Input::new("the new profile", after)?, None)?;
            let filter = |profile| {
                let profile = host.resolve(profile, native, recordings, path)?;
                host.filter(&profile, native)
                    .with_context(|| format!("no runtime accepts {label}"))
            };
            let calls = diff::profiles(&filter(&before)?, &filter(&after)?);
            Since {
                label,
                calls: Some(calls),
                rules: None,
            }
        }
    })
}

/// The text of a file, when it is that of an AppArmor profile.
fn apparmor_text(path: &Path) -> anyhow::Result<Option<String>> {
    /// The parser takes no profile that is as long.
    const MOST: u64 = 64 << 20;
    let is_small = fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= MOST);
    if !is_small {
        return Ok(None);
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Ok(None);
    };
    let is_json = text.trim_start().starts_with(['{', '[']);
    let has_profile = text
        .lines()
        .any(|line| line.trim_start().starts_with("profile "));
    Ok((!is_json && has_profile).then_some(text))
}
