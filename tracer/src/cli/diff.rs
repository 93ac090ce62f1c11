//! `tracer diff`: what changed between two recordings, or two profiles.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{
    Exit, Failure,
    input::{Chosen, HostArgs, Input, Profile, label},
    stderr::{plain, say},
};
use tracer_core::diff::{Diff, Kind, apparmor, profiles, recordings};

/// Show what changed between two recordings or two profiles, riskiest first.
///
/// Recordings: calls that only one of them has, and calls with different arguments or phases, or blocked in
/// only one. Seccomp profiles: calls with a different result, however the profiles are written. AppArmor
/// profiles: rules that differ. Every form that `tracer audit` reads is accepted; FILE#NAME selects one
/// profile of several in a file.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer diff v1/web v2/web\n",
    "  tracer diff v1/web/seccomp.json v2/web/seccomp.json --exit-code\n",
    "  tracer diff docker-default.json seccomp.json --format markdown\n",
    "  tracer diff v1/web/apparmor.profile v2/web/apparmor.profile\n",
    "  tracer diff profiles.yaml#web profiles.yaml#web-canary\n\n",
    "Exit status:\n",
    "  0 success, 1 error, 2 wrong usage, 3 there are differences and --exit-code was given",
))]
pub(super) struct Args {
    /// The older one: a recording.json, its directory, or a profile
    #[arg(value_name = "A")]
    before: PathBuf,

    /// The newer one, of the same kind
    #[arg(value_name = "B")]
    after: PathBuf,

    /// Output format
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
    /// Unified diff
    Text,
    /// JSON
    Json,
    /// Markdown, for a pull request
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
    if diff.changes.iter().any(|it| it.grants) && diff.of == Kind::Recordings {
        say!(
            "next: to see why a call is allowed, run: tracer explain {} CALL",
            plain(&after)
        );
    }
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
                    "cannot compare {} with {}: one is a seccomp profile, the other an AppArmor profile",
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
        "{recording} is a recording and {profile} is a profile; to check one against the other, run: tracer verify {profile} --recording {recording}"
    )
}
