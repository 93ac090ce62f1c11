//! `tracer diff`: what changed between two recordings, or two profiles.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{
    Exit, Failure,
    input::{Chosen, HostArgs, Input, Profile, label},
};
use tracer_core::diff::{Diff, apparmor, profiles, recordings};

/// Shows what changed between two recordings, or two profiles, riskiest first.
///
/// Of recordings: the calls that only one of them has, and those with other arguments, in other phases,
/// or stopped by a filter in one of them. Of seccomp profiles: the calls that something else happens to,
/// whatever the profiles look like. Of AppArmor profiles: the rules that say something else. Profiles are
/// read in each form that `tracer audit` reads; of a file with several, FILE#NAME is the one of that name.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer diff v1/web v2/web\n",
    "  tracer diff v1/web/seccomp.json v2/web/seccomp.json --exit-code\n",
    "  tracer diff docker-default.json seccomp.json --format markdown\n",
    "  tracer diff v1/web/apparmor.profile v2/web/apparmor.profile\n",
    "  tracer diff profiles.yaml#web profiles.yaml#web-canary\n\n",
    "Exit status:\n",
    "  0 fine, 1 it could not be done, 2 wrong usage, 3 there is a difference and --exit-code was given",
))]
pub(super) struct Args {
    /// The older one: a recording.json, its folder, or a profile
    #[arg(value_name = "A")]
    before: PathBuf,

    /// The newer one, of the same kind
    #[arg(value_name = "B")]
    after: PathBuf,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Exit with 3 when there is a difference
    #[arg(long)]
    exit_code: bool,

    #[command(flatten)]
    host: HostArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people: a unified diff
    Text,
    /// For programs
    Json,
    /// For a pull request
    Markdown,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let diff = compare(args)?;
    let (before, after) = (label(&args.before), label(&args.after));
    let text = match args.format {
        Format::Text => tracer_report::diff_text(&diff, &before, &after),
        Format::Json => serde_json::to_string_pretty(&diff)? + "\n",
        Format::Markdown => tracer_report::diff_markdown(&diff, &before, &after),
    };
    super::print(text.as_bytes())?;
    Ok(if args.exit_code && !diff.changes.is_empty() {
        Exit::No
    } else {
        Exit::Fine
    })
}

fn compare(args: &Args) -> anyhow::Result<Diff> {
    match (Input::read(&args.before)?, Input::read(&args.after)?) {
        (Input::Recording(before), Input::Recording(after)) => Ok(recordings(&before, &after)),
        (Input::Profile(before), Input::Profile(after)) => match (before, after) {
            (Profile::Seccomp(before), Profile::Seccomp(after)) => seccomp(args, &before, &after),
            (Profile::AppArmor(before), Profile::AppArmor(after)) => Ok(apparmor(&before, &after)),
            (Profile::Seccomp(_), Profile::AppArmor(_))
            | (Profile::AppArmor(_), Profile::Seccomp(_)) => {
                anyhow::bail!(
                    "of {} and {}, one is a seccomp profile and the other an AppArmor profile",
                    args.before.display(),
                    args.after.display()
                )
            }
        },
        (Input::Recording(_), Input::Profile(_)) => mixed(&args.before, &args.after),
        (Input::Profile(_), Input::Recording(_)) => mixed(&args.after, &args.before),
    }
}

fn seccomp(args: &Args, before: &Chosen, after: &Chosen) -> anyhow::Result<Diff> {
    let native = args.host.natives(&[])?;
    let native = native.first().copied().context("there is no machine")?;
    Ok(profiles(
        &args.host.filter(before, native)?,
        &args.host.filter(after, native)?,
    ))
}

fn mixed(recording: &Path, profile: &Path) -> anyhow::Result<Diff> {
    let (recording, profile) = (recording.display(), profile.display());
    anyhow::bail!(
        "{recording} is a recording and {profile} a profile; make a profile of the recording with `tracer generate`, or ask whether it would run: tracer verify {profile} --recording {recording}"
    )
}
