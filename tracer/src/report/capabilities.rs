//! The part of `REVIEW.md` about capabilities: who used each, in which call, and what it opens.

use super::{
    escape::code,
    markdown::Document,
    rules::{executables, list, or_dash},
};
use crate::{
    capability::Capability,
    profile::{
        apparmor::{AppArmorProfile, CapabilityRule, kind},
        capabilities::Capabilities,
    },
};

pub(super) fn capabilities(
    doc: &mut Document,
    profile: &AppArmorProfile,
    needed: Option<&Capabilities>,
) {
    doc.heading(2, "Capabilities");
    if profile.unseen().any(|unseen| unseen == kind::CAPABILITIES) {
        doc.paragraph("They were not observed: the profile allows each that the container has.");
        return;
    }
    let used: Vec<_> = profile.capabilities().collect();
    if used.is_empty() {
        doc.paragraph("The workload used none.");
    } else {
        doc.table(
            ["Capability", "Used by", "In", "It opens"],
            used.into_iter().map(row),
        );
    }
    let probes: Vec<_> = profile.probes().map(row).collect();
    if !probes.is_empty() {
        doc.paragraph("The kernel only probed for these (it asks without auditing, and goes on without), so they are not allowed:");
        doc.table(["Capability", "Probed by", "In", "It opens"], probes);
    }
    let Some(needed) = needed else {
        return;
    };
    doc.paragraph("All others can be dropped. In Kubernetes:");
    doc.code_block("yaml", needed.to_kubernetes().trim_end());
    doc.paragraph("With `docker run` or `podman run`:");
    doc.code_block("sh", needed.to_engine_flags().trim_end());
    doc.paragraph("In a unit of systemd:");
    doc.code_block("ini", needed.to_systemd().trim_end());
}

fn row((capability, rule): (Capability, &CapabilityRule)) -> [String; 4] {
    let calls = rule.calls.iter().map(|call| {
        let name = call.abi.syscall_name(call.nr);
        name.map_or_else(|| format!("{} {}", call.abi, call.nr), code)
    });
    let close = if capability.is_close_to_root() {
        "**close to root**: "
    } else {
        ""
    };
    let own = if rule.only_own_namespace {
        "; only used in a user namespace of its own, where whoever makes one has all: the container need not be given it"
    } else {
        ""
    };
    [
        code(&capability.to_string()),
        or_dash(executables(&rule.executables)),
        or_dash(list(calls)),
        format!(
            "{close}{}{own}",
            capability.opens().unwrap_or("it is not known what")
        ),
    ]
}
