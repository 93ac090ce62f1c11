//! `--since`: what changed since an older recording or profile.

use std::path::Path;

use anyhow::Context as _;

use super::input::{HostArgs, Input, Profile, label};
use tracer_core::{
    diff,
    formats::{self, Profiles, Settings},
    parse::{self, AppArmor},
    profile::{
        apparmor::AppArmorProfile,
        seccomp::{
            evaluate::{Filter, OciRuntime},
            oci::OciSeccomp,
        },
    },
    recording::Recording,
};
use tracer_report::html::Since;

/// What changed since `path`.
pub(super) fn changes(
    path: &Path,
    recording: &Recording,
    profiles: &Profiles,
    settings: &Settings,
) -> anyhow::Result<Since> {
    let label = label(path);
    Ok(match Input::read(path)? {
        Input::Recording(before) => {
            let before_it = Profiles::from_recording(&before, settings)?;
            let both = match (&before_it.apparmor, &profiles.apparmor) {
                (Some(old), Some(new)) => Some(diff::apparmor(&rules(old)?, &rules(new)?)),
                _ => None,
            };
            Since {
                label,
                calls: Some(diff::recordings(&before, recording)),
                rules: both,
            }
        }
        Input::Profile(Profile::AppArmor(before)) => Since {
            label,
            calls: None,
            rules: match &profiles.apparmor {
                Some(after) => Some(diff::apparmor(&before, &rules(after)?)),
                None => None,
            },
        },
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
            let before = host.filter(&before, native)?;
            let after = OciSeccomp::from(&profiles.seccomp);
            let after = Filter::new(&after, host.host(native, OciRuntime::Crun))
                .context("no runtime accepts the new profile")?;
            let calls = diff::profiles(&before, &after);
            Since {
                label,
                calls: Some(calls),
                rules: None,
            }
        }
    })
}

/// The rules of an AppArmor profile, as those of others are read.
fn rules(profile: &AppArmorProfile) -> anyhow::Result<AppArmor> {
    let text = parse::Input::new(formats::apparmor::FILE, profile.to_text().into_bytes())?;
    let subject = parse::subjects(&text)?.pop();
    let read = subject.and_then(|it| it.apparmor().cloned());
    read.context("the profile that was made is none")
}
