//! `--since`: what changed since an older recording or profile.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{
    input::{HostArgs, Input, Profile, label},
    output::Owned,
    profile::Settings,
};
use crate::{
    diff,
    profile::{
        apparmor::AppArmorProfile,
        seccomp::{
            evaluate::{Filter, Runtime},
            oci::OciSeccomp,
        },
    },
    recording::Recording,
    report::html::{RuleChanges, Since},
};

/// What changed since `path`.
pub(super) fn changes(
    path: &Path,
    recording: &Recording,
    models: &Owned,
    settings: &Settings,
) -> anyhow::Result<Since> {
    let label = label(path);
    let text = |models: &Owned| models.apparmor.as_ref().map(AppArmorProfile::to_text);
    let rules = text(models);
    if let Some(before) = apparmor_text(path)? {
        return Ok(Since {
            label,
            calls: None,
            rules: rules.map(|after| RuleChanges::between(&before, &after)),
        });
    }
    Ok(match Input::read(path)? {
        Input::Recording(before) => {
            let old = Owned::new(&before, settings)?;
            let both = text(&old).zip(rules);
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
