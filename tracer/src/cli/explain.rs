//! `tracer explain`: why a call, a file, a capability, a kind of socket or a signal is in a profile.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use super::{Exit, Failure, input, profile::ProfileArgs};
use tracer_core::explain::{self, ExplainError, Settings, Subject};

/// Says why a call, a file, a capability, a kind of socket or a signal is in a profile, or is not.
///
/// Shows the layers that want it, who was seen to make or use it, when and with which arguments, what it
/// gives to somebody who has taken over the workload, which capability it takes, and what changes without
/// it. The profile is the one that `generate` makes of the recording with the same options: the seccomp
/// profile for a call, the AppArmor profile for all else. A name that is a call's is taken as one: write
/// CAP_KILL for the capability.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer explain profiles-out/nginx ptrace\n",
    "  tracer explain profiles-out/nginx/recording.json openat2 --format json\n",
    "  tracer explain profiles-out/nginx /etc/nginx/nginx.conf\n",
    "  tracer explain profiles-out/nginx CAP_NET_BIND_SERVICE\n",
    "  tracer explain profiles-out/nginx 'inet stream'\n",
    "  tracer explain profiles-out/nginx SIGTERM",
))]
pub(super) struct Args {
    /// The recording: a recording.json, a folder that holds one, or a profile that lies beside one
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,

    /// A system call, a path or a rule's glob, CAP_NAME, AF_FAMILY or `inet stream`, SIGNAME
    #[arg(value_name = "NAME")]
    name: String,

    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    #[command(flatten)]
    profile: ProfileArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let settings = args.profile.settings()?;
    let recording = input::recording(&args.recording)?;
    let text = match explain::explain(&recording, &settings.seccomp, &args.name) {
        Ok(explanation) => args.print(&explanation, tracer_report::explanation)?,
        Err(unknown @ ExplainError::Unknown { .. }) => {
            // What is no call may be something else.
            let Some(subject) = Subject::parse(&args.name) else {
                return Err(unknown.into());
            };
            let settings = Settings {
                apparmor: settings.apparmor,
                seccomp: settings.seccomp,
            };
            let explanation = explain::access(&recording, &settings, &subject)?;
            args.print(&explanation, tracer_report::access_explanation)?
        }
        Err(error) => return Err(error.into()),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Fine)
}

impl Args {
    fn print<T: serde::Serialize>(
        &self,
        explanation: &T,
        describe: impl Fn(&T) -> String,
    ) -> serde_json::Result<String> {
        Ok(match self.format {
            Format::Text => describe(explanation),
            Format::Json => serde_json::to_string_pretty(explanation)? + "\n",
        })
    }
}
