//! Why a call, a file, a capability, a kind of socket or a signal is in a profile, or is not: what was seen of it, which layers want it, what it gives away,
//! and what changes without it. Pure.

mod access;
mod consequences;

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

pub use access::{
    AccessByKind, AccessError, AccessExplanation, RuleReason, Settings, Subject, access,
};

pub(crate) use access::{is_read_by_all, path_risk, socket_risk};

use crate::{
    profile::{
        Layer,
        seccomp::{self, Options, Rule, SeccompProfile},
    },
    recording::{EvidenceSummary, Executable, Phase, Recording, Syscall},
};
use syscalls::{
    Abi, Machine, arguments::recorded, capability_requirements, errno, essential, headroom, risk,
    runtime_init,
};

/// Why nothing can be explained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The recording makes no profile.
    #[error(transparent)]
    Profile(#[from] seccomp::Error),
    /// No ABI has such a call, and nothing else has that name.
    #[error("unknown name {name:?}{}", did_you_mean(.suggest.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        suggest: Option<String>,
    },
}

/// The name that was meant: of a call, also by its number, or of a capability.
fn meant(recording: &Recording, name: &str) -> Option<String> {
    if let Ok(number) = name.parse() {
        let native = Machine::native_abi(&recording.host.machine)?;
        return native.syscall_name(number).map(str::to_owned);
    }
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("CAP_") {
        let near = syscalls::capability::Capability::all()
            .map(|it| it.to_string())
            .map(|known| (syscalls::distance(&upper, &known), known))
            .min()?;
        return (near.0 <= 3).then_some(near.1);
    }
    syscalls::suggest(name).map(str::to_owned)
}

fn did_you_mean(suggest: Option<&str>) -> String {
    suggest.map_or_else(
        || {
            "; give a system call, a path, CAP_NAME, AF_FAMILY or SIGNAME, as REVIEW.md has it"
                .to_owned()
        },
        |suggest| format!("; did you mean {suggest:?}?"),
    )
}

/// What is known of a call and a workload's profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The call.
    pub call: &'static str,
    /// The workload.
    pub workload: String,
    /// Whether the profile lets it through.
    pub allowed: Allowed,
    /// Why it does, a sentence for each layer.
    pub why: Vec<Reason>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Its numbers, in the ABIs that the profile is for.
    pub numbers: Vec<Number>,
    /// What was seen of it, by ABI.
    pub seen: Vec<Seen>,
    /// For how many instances the recording speaks.
    pub instances: usize,
    /// What it gives to somebody who has taken over the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<&'static str>,
    /// What else it can do by its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_by_argument: Option<&'static str>,
    /// The capabilities that it takes.
    pub capabilities: Vec<Capability>,
    /// What changes when it is taken out of the profile, or put into it: a sentence each.
    pub without: Vec<String>,
}

/// For what a profile lets a call through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// Any arguments.
    Any,
    /// Some arguments only.
    Some,
    /// Nothing.
    No,
}

/// Why a layer wants a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The layer.
    pub layer: &'static str,
    /// In words.
    pub text: String,
    /// For which arguments, each to be read after "only when"; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
}

/// What a call is to an ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Number {
    /// The ABI.
    pub abi: Abi,
    /// Its number there.
    pub nr: u32,
}

/// What was seen of a call in an ABI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The ABI.
    pub abi: Abi,
    /// By whom.
    pub by: Vec<EvidenceSummary>,
    /// With which arguments, where they are recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Given>,
    /// The phases of which not all arguments are known.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub given_more: BTreeSet<Phase>,
}

/// Arguments that a call was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Given {
    /// The phase.
    pub phase: Phase,
    /// By the manuals' names.
    pub text: String,
    /// As they are, in the order of the arguments that are recorded.
    pub values: Vec<u64>,
    /// By whom; at most 16 are known.
    pub executables: BTreeSet<Executable>,
}

/// A capability that a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// As `CAP_SYS_ADMIN`.
    pub name: &'static str,
    /// When, to be read after it; `None`: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<&'static str>,
}

/// Explains a call by the recording of a workload and the profile that `options` make of it.
///
/// # Errors
///
/// When no ABI has such a call, and when there is no profile.
///
/// ```
/// use tracer_core::explain::{Allowed, explain};
/// use tracer_core::profile::seccomp::Options;
/// # use syscalls::Abi;
/// # use tracer_core::{profile::seccomp::fixture, recording::Phase};
/// # let recording = fixture::recording(&[(Abi::X86_64, 0, Phase::Run, fixture::path("/bin/web"))]);
///
/// let read = explain(&recording, &Options::default(), "read").unwrap();
/// assert_eq!(read.allowed, Allowed::Any);
/// let mount = explain(&recording, &Options::default(), "mount").unwrap();
/// assert_eq!(mount.allowed, Allowed::No);
/// let misspelt = explain(&recording, &Options::default(), "mout").unwrap_err();
/// assert!(misspelt.to_string().contains("mount"));
/// ```
pub fn explain(
    recording: &Recording,
    options: &Options,
    name: &str,
) -> Result<Explanation, ExplainError> {
    let call = known(name).ok_or_else(|| ExplainError::Unknown {
        name: name.to_owned(),
        suggest: meant(recording, name),
    })?;
    let profile = SeccompProfile::from_recordings(std::slice::from_ref(recording), options)?;
    let rule = profile.rule(call);
    let seen: Vec<_> = recording
        .syscalls
        .iter()
        .filter(|it| it.abi.syscall_name(it.nr) == Some(call))
        .map(|it| seen(recording, call, it))
        .collect();
    let numbers = profile.architectures().filter_map(|abi| {
        let nr = abi.syscall_number(call)?;
        Some(Number { abi, nr })
    });
    Ok(Explanation {
        call,
        workload: recording.workload.name.clone(),
        allowed: match rule {
            None => Allowed::No,
            Some(rule) if rule.only().is_some() => Allowed::Some,
            Some(_) => Allowed::Any,
        },
        why: rule.map_or_else(Vec::new, |rule| reasons(&profile, call, rule)),
        why_not: rule.is_none().then(|| why_not(&profile, call)),
        numbers: numbers.collect(),
        instances: recording.runs(),
        risk: risk::risk(call).map(|risk| risk.sentence),
        allowed_by_argument: risk::ALLOWED_BY_ARGUMENT
            .iter()
            .find(|(of, _)| *of == call)
            .map(|(_, what)| *what),
        capabilities: capability_requirements::capability_requirements(call)
            .map(|gate| Capability {
                name: gate.capability,
                when: gate.when,
            })
            .collect(),
        without: consequences::consequences(&profile, call, rule, options),
        seen,
    })
}

/// The name as the tables have it.
fn known(name: &str) -> Option<&'static str> {
    Abi::ALL.into_iter().find_map(|abi| {
        let nr = abi.syscall_number(name)?;
        abi.syscall_name(nr)
    })
}

fn seen(recording: &Recording, call: &str, syscall: &Syscall) -> Seen {
    let arguments = syscall.arguments.as_ref();
    let recorded = recorded(syscall.abi, call);
    let given = arguments.into_iter().flat_map(|arguments| {
        arguments.seen.iter().map(move |combination| {
            let known =
                recorded.filter(|it| it.matches_values(&arguments.indices, &combination.values));
            Given {
                phase: combination.phase,
                // Another version may have recorded other arguments.
                text: known.map_or_else(
                    || format!("{:#x?}", combination.values),
                    |it| it.describe(&combination.values),
                ),
                values: combination.values.clone(),
                executables: combination.executables.clone(),
            }
        })
    });
    Seen {
        abi: syscall.abi,
        by: EvidenceSummary::from_syscall(recording, syscall),
        given: given.collect(),
        given_more: arguments.map_or_else(BTreeSet::new, |it| it.cut.clone()),
    }
}

/// A sentence for each layer that wants it.
fn reasons(profile: &SeccompProfile, call: &str, rule: &Rule) -> Vec<Reason> {
    let only = rule.only();
    rule.layers()
        .map(|layer| Reason {
            layer: layer.as_str(),
            text: match layer {
                Layer::Observed => "the workload made it while it was recorded".to_owned(),
                Layer::RuntimeInit => {
                    let rows = profile.runtime_init_syscalls().get(call);
                    let who = rows.map(|rows| runtime_init::describe(rows).join(", "));
                    let who = who.unwrap_or_else(|| "the runtime that was recorded".to_owned());
                    format!("made after the filter is loaded and before the workload is started, by {who}")
                }
                Layer::Essential => {
                    let reasons = essential::GROUPS
                        .iter()
                        .filter(|group| group.calls.contains(&call))
                        .map(|group| group.reason);
                    let reasons: Vec<_> = reasons.collect();
                    if reasons.is_empty() {
                        "tests rarely exercise it but workloads need it".to_owned()
                    } else {
                        reasons.join(" ")
                    }
                }
                Layer::Fallback => {
                    let added = profile.fallbacks().filter(|(name, _)| *name == call);
                    let stands_for: BTreeSet<_> = added
                        .flat_map(|(_, reasons)| reasons)
                        .map(|it| it.stands_for.join(" with "))
                        .collect();
                    if stands_for.is_empty() {
                        "it replaces clone3, whose flags a filter cannot read".to_owned()
                    } else {
                        let stands_for: Vec<_> = stands_for.into_iter().collect();
                        format!("another libc or kernel uses it instead of {}", stands_for.join(", "))
                    }
                }
                Layer::Headroom => headroom_reason(profile, call),
            },
            only: only
                .iter()
                .flatten()
                .filter(|(_, it)| it.layers().any(|of| of == layer))
                .map(|(conditions, it)| {
                    let words: Vec<_> = it.when().collect();
                    format!("{} ({conditions})", words.join("; "))
                })
                .collect(),
        })
        .collect()
}

/// Why a call that was not observed is let through all the same.
fn headroom_reason(profile: &SeccompProfile, call: &str) -> String {
    let added = profile.headroom().filter(|(name, _)| *name == call);
    let sentences: BTreeSet<_> = added
        .flat_map(|(_, reasons)| reasons)
        .map(|it| {
            let beside = it
                .beside
                .map_or_else(String::new, |name| format!("allowed beside {name}: "));
            let group = it.group;
            format!(
                "{beside}{}. It grants nothing new: {}",
                group.need, group.grants
            )
        })
        .collect();
    let sentences: Vec<_> = sentences.into_iter().collect();
    format!("not observed, and harmless; {}", sentences.join("; "))
}

/// Why a call is not let through.
fn why_not(profile: &SeccompProfile, call: &str) -> String {
    if profile.blocked().any(|(name, _)| name == call) {
        return "an active seccomp filter blocked it while recording; --allow-blocked allows it"
            .to_owned();
    }
    if profile.excluded().any(|(name, _)| name == call) {
        return "only processes started in the running container made it, and they do not count; --exec all counts them".to_owned();
    }
    if call == "clone3" && profile.replaced_clone3().is_some() {
        return "a filter cannot read its flags; it returns ENOSYS, so its callers fall back to clone, which is allowed for the same flags".to_owned();
    }
    let unseen = "the workload did not make it while recorded, and nothing else needs it";
    match headroom::left_out(call) {
        Some(why) => format!("{unseen}; it is not headroom: {}", why.reason),
        None if headroom::groups_of(call).next().is_some() => {
            format!("{unseen}; --headroom safe may allow it")
        }
        None => unseen.to_owned(),
    }
}

/// The name of the error that a denied call returns.
fn error_of(profile: &SeccompProfile, call: &str) -> &'static str {
    if profile.default_errno() == errno::EPERM || !errno::is_probed(call) {
        "EPERM"
    } else {
        "ENOSYS"
    }
}

#[cfg(test)]
mod tests;
