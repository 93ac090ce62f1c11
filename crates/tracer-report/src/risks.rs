//! The risks of a profile, of all kinds, in one list, worst first.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{phrases::file_risk, words};
use syscalls::risk;
use tracer_core::{
    profile::{
        Layer,
        apparmor::{AppArmorProfile, WIDER_WRITE},
        seccomp::SeccompProfile,
    },
    recording::{Executable, Recording, Warning},
};

/// How bad a risk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// A surface to know of.
    Medium,
    /// A way out of the container, or to more rights.
    High,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a risk is about. Its text is not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// How the container runs.
    Container,
    /// A system call.
    Call(&'static str),
    /// A system call whose arguments select what it does, with any.
    AnyArguments(&'static str),
    /// A capability.
    Capability(String),
    /// A rule for files, and what it allows.
    File(String, String),
}

/// Something that an attacker who has taken over the workload could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Risk {
    pub(crate) level: Level,
    pub(crate) what: What,
    pub(crate) why: String,
    pub(crate) by: BTreeSet<Executable>,
}

/// All risks, worst first; among equals, those of the container, capabilities, files, then calls.
pub(crate) fn risks(
    recording: Option<&Recording>,
    profile: &SeccompProfile,
    apparmor: Option<&AppArmorProfile>,
) -> Vec<Risk> {
    let mut all = Vec::new();
    all.extend(recording.into_iter().flat_map(of_container));
    if let Some(apparmor) = apparmor {
        all.extend(of_capabilities(apparmor));
        all.extend(of_files(apparmor));
    }
    all.extend(of_calls(profile));
    // Stable: kinds stay in their order.
    all.sort_by_key(|risk| Reverse(risk.level));
    all
}

fn of_container(recording: &Recording) -> Vec<Risk> {
    let kinds = recording.kinds();
    let containers = kinds.iter().filter_map(|kind| kind.container.as_ref());
    let warnings: BTreeSet<_> = containers
        .flat_map(|container| &container.warnings)
        .map(|warning| {
            let level = match warning {
                Warning::Privileged { .. } => Level::High,
                _ => Level::Medium,
            };
            (Reverse(level), words::warning(warning))
        })
        .collect();
    let risk = |(Reverse(level), why)| Risk {
        level,
        what: What::Container,
        why,
        by: BTreeSet::new(),
    };
    warnings.into_iter().map(risk).collect()
}

fn of_capabilities(profile: &AppArmorProfile) -> impl Iterator<Item = Risk> {
    let risky = profile
        .capabilities()
        .filter(|(capability, _)| capability.is_nearly_root());
    risky.map(|(capability, rule)| Risk {
        level: Level::High,
        what: What::Capability(capability.to_string()),
        why: format!(
            "close to root: {}{}",
            capability.grants().unwrap_or("effect unknown"),
            if rule.certain {
                ""
            } else {
                "; may be a mere check"
            }
        ),
        by: rule.executables.clone(),
    })
}

fn of_files(profile: &AppArmorProfile) -> impl Iterator<Item = Risk> {
    profile.files().filter_map(|(pattern, rule)| {
        let (all, why) = file_risk(pattern, rule)?;
        let level = if why == WIDER_WRITE {
            Level::Medium
        } else {
            Level::High
        };
        Some(Risk {
            level,
            what: What::File(pattern.token().unwrap_or_default(), all.to_string()),
            why: why.to_owned(),
            by: rule.executables.clone(),
        })
    })
}

fn of_calls(profile: &SeccompProfile) -> impl Iterator<Item = Risk> {
    let observed = profile.names_in(Layer::Observed).filter_map(|name| {
        Some(Risk {
            level: Level::High,
            what: What::Call(name),
            why: risk::risk(name)?.sentence.trim_end_matches('.').to_owned(),
            by: profile.rule(name)?.executables().clone(),
        })
    });
    let any = risk::ALLOWED_BY_ARGUMENT.iter().filter_map(|(name, what)| {
        let rule = profile.rule(name).filter(|rule| rule.only().is_none())?;
        Some(Risk {
            level: Level::Medium,
            what: What::AnyArguments(name),
            why: format!("what it does depends on its arguments, which are not restricted: {what}"),
            by: rule.executables().clone(),
        })
    });
    observed.chain(any)
}
