//! What a workload is held against: profiles that need not be enforced, and accepted recordings.

use std::collections::BTreeSet;

use super::{Baseline, ObservedCall, ObservedThing, baseline::NewBy, event::EventKind};
use crate::{
    audit::apparmor_policy::{Decision, Policy, decide_capability, decide_mount, decide_socket},
    profile::seccomp::evaluate::{Filter, Host},
    recording::{CapabilityUse, Executable, Phase},
    verify::{Answer, Kernels, Outcome, SeenCall, is_native, judge},
};
use syscalls::capability::Capability;

/// A profile or a recording, and what it is called.
#[derive(Debug)]
pub struct Expected {
    /// As a user named it.
    pub label: String,
    /// The workload that it is for; `None`: all.
    pub workload: Option<String>,
    /// What it is.
    pub what: Expectation,
}

/// What a workload is held against.
#[derive(Debug)]
#[non_exhaustive]
pub enum Expectation {
    /// A seccomp profile, as each runtime enforces it.
    Seccomp(Vec<(Host, Filter)>),
    /// An AppArmor profile, with its child profiles.
    AppArmor(Box<Policy>),
    /// The capabilities of a container; all others are dropped.
    Capabilities(BTreeSet<Capability>),
    /// An accepted recording.
    Recording(Box<Baseline>),
}

/// What an expectation says of a thing that it does not simply allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kind: Option<EventKind>,
    pub(super) rule: Option<String>,
    pub(super) action: Option<String>,
    pub(super) result: Option<String>,
    pub(super) depends_on: Option<String>,
    /// Whether the arguments of a call matter.
    pub(super) by_arguments: bool,
    /// The arguments, where the evaluator has other words for them.
    pub(super) given: Option<String>,
}

impl Expectation {
    /// What it says; `None`: it is allowed, or none of its business.
    pub(super) fn judge(
        &self,
        thing: &ObservedThing,
        phase: Phase,
        executable: &Executable,
        kernels: Kernels,
    ) -> Option<Verdict> {
        match (self, thing) {
            (Self::Seccomp(filters), ObservedThing::Call(call)) => seccomp(filters, call, kernels),
            // It counts from the execution of the workload.
            (Self::AppArmor(_), _) if phase == Phase::RuntimeInit => None,
            (Self::AppArmor(policy), thing) => apparmor(policy, thing, executable),
            (Self::Capabilities(set), ObservedThing::Capability(used)) => {
                capability(set, *used).filter(|_| phase != Phase::RuntimeInit)
            }
            // Rules for files and the like are made of what the workload does.
            (Self::Recording(_), thing)
                if phase == Phase::RuntimeInit && !matches!(thing, ObservedThing::Call(_)) =>
            {
                None
            }
            (Self::Recording(baseline), thing) => baseline.is_new(thing, phase).map(|by| Verdict {
                kind: Some(EventKind::New),
                by_arguments: by == NewBy::Arguments,
                ..Verdict::default()
            }),
            (Self::Seccomp(_) | Self::Capabilities(_), _) => None,
        }
    }
}

/// The worst that any of the runtimes makes of it.
fn seccomp(filters: &[(Host, Filter)], call: &ObservedCall, kernels: Kernels) -> Option<Verdict> {
    // What a filter that is enforced stopped is reported as that.
    if call.blocked.is_some() {
        return None;
    }
    let seen = SeenCall {
        call: call.call,
        values: call.values.as_deref(),
        first: call.registers,
    };
    let of_runtimes = filters.iter().filter_map(|(host, filter)| {
        if !is_native(call.call.abi, host.native) {
            return None;
        }
        let judgement = judge(seen, kernels, filter);
        let stands = judgement.answer != Answer::Allowed && judgement.intended.is_none();
        stands.then_some(judgement)
    });
    let worst = of_runtimes.min_by_key(|it| it.answer)?;
    let told: Vec<&Outcome> = match worst.answer {
        Answer::Denied => worst.outcomes.iter().take(1).collect(),
        _ => worst.outcomes.iter().collect(),
    };
    let join = |field: fn(&Outcome) -> &str| {
        let mut all: Vec<&str> = told.iter().map(|it| field(it)).collect();
        all.dedup();
        Some(all.join(" or "))
    };
    let depends_on = match worst.answer {
        Answer::Denied => None,
        _ if worst.depends_on.is_empty() => Some("a listener's answer".to_owned()),
        _ => Some(arguments(&worst.depends_on)),
    };
    Some(Verdict {
        kind: Some(match worst.answer {
            Answer::Denied => EventKind::WouldBeDenied,
            _ => EventKind::MayBeDenied,
        }),
        rule: join(|it| &it.by),
        action: join(|it| &it.action),
        result: join(|it| &it.sees),
        depends_on,
        by_arguments: worst.given.is_some(),
        given: worst.given,
    })
}

/// `argument 2`, `arguments 1 and 2`.
fn arguments(indices: &BTreeSet<usize>) -> String {
    let all: Vec<_> = indices.iter().map(usize::to_string).collect();
    match all.as_slice() {
        [one] => format!("argument {one}, which was not recorded"),
        several => format!(
            "arguments {}, which were not recorded",
            several.join(" and ")
        ),
    }
}

fn apparmor(policy: &Policy, thing: &ObservedThing, executable: &Executable) -> Option<Verdict> {
    let profile = match executable {
        // Its own rules say where a program goes; where it goes to another file's, that one decides.
        Executable::Path(path) => policy.of_program(path)?,
        _ => policy.outer()?,
    };
    let decision = match thing {
        ObservedThing::File(file) => policy.decide_file(profile, file),
        ObservedThing::Capability(used) => decide_capability(profile, *used),
        ObservedThing::Socket(socket) => decide_socket(profile, socket),
        ObservedThing::Signal(signal) => policy.decide_signal(profile, *signal),
        ObservedThing::Trace(trace) => policy.decide_trace(profile, *trace),
        ObservedThing::Mount(mount) => decide_mount(profile, mount),
        ObservedThing::Call(_) => return None,
    };
    match decision {
        Decision::Allowed => None,
        Decision::Denied { lacks, rule } => Some(Verdict {
            kind: Some(EventKind::WouldBeDenied),
            action: Some(if rule.is_some() { "deny" } else { "no rule" }.to_owned()),
            rule,
            result: Some(format!("EACCES; it lacks {lacks}")),
            ..Verdict::default()
        }),
        Decision::Unknown(why) => Some(Verdict {
            kind: Some(EventKind::MayBeDenied),
            depends_on: Some(why.to_owned()),
            ..Verdict::default()
        }),
    }
}

/// What a container needs of a capability, as [`Capabilities::needed_by`] has it.
///
/// [`Capabilities::needed_by`]: crate::profile::capabilities::Capabilities::needed_by
fn capability(set: &BTreeSet<Capability>, used: CapabilityUse) -> Option<Verdict> {
    let needs = used.audited != Some(false) && !used.own_namespace;
    (needs && !set.contains(&used.capability)).then(|| Verdict {
        kind: Some(EventKind::WouldBeDenied),
        action: Some("drop".to_owned()),
        result: Some("EPERM".to_owned()),
        ..Verdict::default()
    })
}
