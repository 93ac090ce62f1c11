//! `--since`: what changed since an older recording or profile.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{
    input::{HostArgs, Input, label},
    profile::Settings,
};
use crate::{
    diff,
    profile::{
        apparmor::AppArmorProfile,
        capabilities::Capabilities,
        seccomp::{SeccompProfile, read::Document},
    },
    recording::Recording,
    report::html::{RuleChanges, Since},
};

/// What is made of a recording.
pub(super) struct Models {
    pub(super) seccomp: SeccompProfile,
    pub(super) apparmor: Option<AppArmorProfile>,
    pub(super) capabilities: Option<Capabilities>,
}

impl Models {
    pub(super) fn of(recording: &Recording, settings: &Settings) -> anyhow::Result<Self> {
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
pub(super) fn changes(
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
        Input::Profile(before) => {
            let host = HostArgs::default();
            let recordings = std::slice::from_ref(recording);
            let native = match settings.seccomp.arch {
                Some(arch) => arch,
                None => *host
                    .natives(recordings)?
                    .first()
                    .context("there is no machine")?,
            };
            let after = Document::from_json(&models.seccomp.to_oci_json()?)?;
            let filter = |document| {
                let profile = host.resolve(document, native, recordings, path)?;
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
