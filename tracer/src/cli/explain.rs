//! `tracer explain`: why a call, a file, a capability, a kind of socket or a signal is in a profile.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use super::{Exit, Failure, input, profile::ProfileArgs, text_or_json::TextOrJson};
use tracer_core::explain::{self, ExplainError, Settings, Subject};

/// Show why a system call, file, capability, socket type or signal is in a profile, or is not.
///
/// Shows the layers of the rule, which program used it, when and with which arguments, its risk, the
/// capability that it requires, and what changes without it. The profile is the one that `tracer generate`
/// makes with the same options. A name that is a system call means the call: write CAP_KILL for the
/// capability.
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
    /// The recording: a recording.json, its directory, or a profile beside it
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,

    /// A system call, a path or glob, CAP_NAME, AF_FAMILY or `inet stream`, SIGNAME
    #[arg(value_name = "NAME")]
    name: String,

    /// Output format
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    format: TextOrJson,

    #[command(flatten)]
    profile: ProfileArgs,
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
            TextOrJson::Text => describe(explanation),
            TextOrJson::Json => serde_json::to_string_pretty(explanation)? + "\n",
        })
    }
}
