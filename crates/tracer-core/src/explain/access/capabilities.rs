//! A capability.

use super::{AccessError, AccessExplanation, ExplainContext, RuleReason};
use crate::{
    profile::{
        Layer,
        apparmor::{CapabilityRule, ContainerNeed},
        seccomp::SeccompProfile,
    },
    recording::plain_text::executables,
    recording::{CapabilityUse, ObservationKind, ObservedAccess},
};
use syscalls::{capability::Capability, capability_requirements::CAPABILITY_REQUIREMENTS};

pub(super) fn explain(
    of: &ExplainContext<'_>,
    capability: Capability,
) -> Result<AccessExplanation, AccessError> {
    let mut it = of.blank(capability.to_string(), ObservationKind::Capabilities);
    let all = of.recording.capabilities.iter();
    let seen: Vec<_> = all
        .filter(|seen| seen.what.capability == capability)
        .collect();
    it.seen = seen.iter().map(|seen| of.done(words(seen), seen)).collect();
    let rule = of
        .profile
        .capabilities()
        .find(|(one, _)| *one == capability);
    let calls = gated(of, capability)?;
    it.known = known(capability, &calls);
    it.allowed = rule.is_some();
    let Some((_, rule)) = rule else {
        let one_of = |(one, rule)| (one == capability).then_some::<&CapabilityRule>(rule);
        let by_exec = of.profile.exec_capabilities().find_map(one_of);
        let probed = of.profile.probes().find_map(one_of);
        it.why_not = Some(if let Some(rule) = by_exec {
            format!(
                "the kernel never checked for it, so AppArmor need not allow it; but the container must have it, or {} cannot be executed: the file has it as a file capability with the effective bit",
                executables(&rule.executables)
            )
        } else if probed.is_some_and(|rule| !rule.certain) {
            "the recording cannot tell whether it was required, and it is close to root: allow it only when the workload fails without it"
                .to_owned()
        } else if probed.is_some() {
            "the kernel only checked whether the process has it, and would have gone on without"
                .to_owned()
        } else {
            of.why_not(seen.iter().flat_map(|seen| &seen.evidence))
        });
        it.without = vec!["what needs it returns EPERM".to_owned()];
        return Ok(it);
    };
    let name = capability.name().unwrap_or_default().to_ascii_lowercase();
    it.rules = vec![RuleReason {
        rule: format!("capability {name},"),
        layer: Layer::Observed.as_str(),
        reasons: vec![format!(
            "the kernel granted it to {}",
            executables(&rule.executables)
        )],
    }];
    let calls: Vec<_> = rule
        .calls
        .iter()
        .filter_map(|call| call.abi.syscall_name(call.nr))
        .collect();
    let calls = if calls.is_empty() {
        "what asked for it".to_owned()
    } else {
        calls.join(", ")
    };
    it.without = vec![format!(
        "{calls} would return EPERM to {}, where they asked for it",
        executables(&rule.executables)
    )];
    if !rule.certain {
        it.without.push(
            "unless it was a mere permission check; this kernel interface cannot tell".to_owned(),
        );
    }
    let container = match rule.container_need {
        ContainerNeed::OwnNamespace => {
            "the container need not have it: it was only used in a user namespace that the workload made"
        }
        ContainerNeed::Unclear => {
            "the container may do without it: it was only used in a user namespace other than the host's, and whether that is the container's is not known"
        }
        ContainerNeed::Needed => {
            "the container can be started without it only when nothing asks for it any more"
        }
    };
    it.without.push(container.to_owned());
    Ok(it)
}

fn words(seen: &ObservedAccess<CapabilityUse>) -> String {
    if seen.what.by_exec {
        return "demanded by an executed file that has it among its capabilities".to_owned();
    }
    let mut text = match seen.what.audited {
        Some(false) => "checked for".to_owned(),
        Some(true) => "used".to_owned(),
        None => "used or checked for".to_owned(),
    };
    if seen.what.own_namespace {
        text.push_str(" in a user namespace other than the host's");
    }
    text
}

/// The calls of the seccomp profile that may take it.
fn gated(
    of: &ExplainContext<'_>,
    capability: Capability,
) -> Result<Vec<&'static str>, AccessError> {
    let recordings = std::slice::from_ref(of.recording);
    let profile = SeccompProfile::from_recordings(recordings, &of.settings.seccomp)?;
    let name = capability.to_string();
    let capability_requirements = CAPABILITY_REQUIREMENTS
        .iter()
        .filter(|gate| gate.capability == name);
    let calls = capability_requirements.map(|gate| gate.call);
    Ok(calls.filter(|call| profile.rule(call).is_some()).collect())
}

fn known(capability: Capability, calls: &[&str]) -> Vec<String> {
    let mut known = Vec::new();
    if let Some(opens) = capability.grants() {
        known.push(opens.to_owned());
    }
    if capability.is_nearly_root() {
        known.push(
            "a process that has it can take over the machine or another user with little effort"
                .to_owned(),
        );
    }
    if !calls.is_empty() {
        known.push(format!(
            "calls of the seccomp profile that may require it: {}",
            calls.join(", ")
        ));
    }
    known
}
