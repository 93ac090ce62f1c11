//! `--since`: what changed since an older recording or profile.

use std::path::Path;

use anyhow::Context as _;

use super::{
    input::{HostArgs, Input, Profile, label},
    output::Owned,
    profile::Settings,
};
use crate::{
    diff,
    profile::seccomp::{
        evaluate::{Filter, Runtime},
        oci::OciSeccomp,
    },
    read::{self, AppArmor},
    recording::Recording,
    report::html::Since,
};

/// What changed since `path`.
pub(super) fn changes(
    path: &Path,
    recording: &Recording,
    models: &Owned,
    settings: &Settings,
) -> anyhow::Result<Since> {
    let label = label(path);
    let rules = rules(models)?;
    Ok(match Input::read(path)? {
        Input::Recording(before) => {
            let old = self::rules(&Owned::new(&before, settings)?)?;
            Since {
                label,
                calls: Some(diff::recordings(&before, recording)),
                rules: old.zip(rules).map(|(old, new)| diff::apparmor(&old, &new)),
            }
        }
        Input::Profile(Profile::AppArmor(before)) => Since {
            label,
            calls: None,
            rules: rules.map(|after| diff::apparmor(&before, &after)),
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
            let after = OciSeccomp::from(&models.seccomp);
            let after = Filter::new(&after, host.host(native, Runtime::Crun))
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
fn rules(models: &Owned) -> anyhow::Result<Option<AppArmor>> {
    let Some(profile) = &models.apparmor else {
        return Ok(None);
    };
    let text = read::Input::new("apparmor.profile", profile.to_text().into_bytes())?;
    let subject = read::subjects(&text)?.pop();
    Ok(subject.and_then(|it| it.apparmor().cloned()))
}
