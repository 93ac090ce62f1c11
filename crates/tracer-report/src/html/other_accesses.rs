//! Rules for capabilities, sockets, signals and mounts.

use maud::{Markup, html};

use super::{
    page::Part,
    text::{executables, literal, name},
};
use crate::phrases::{
    PERHAPS_PROBES, PROBES, PTRACE_NOT_MONITORED, capability_notes, operation, peer, signal,
    signalled, traced,
};
use syscalls::capability::Capability;
use tracer_core::profile::apparmor::{AppArmorProfile, CapabilityRule};
use tracer_core::recording::ObservationKind;

/// Most addresses that are told of a kind of socket.
const ADDRESSES: usize = 12;

fn unseen(profile: &AppArmorProfile, kind: ObservationKind) -> bool {
    profile.unseen().any(|unseen| unseen == kind)
}

fn not_observed(what: &str) -> Markup {
    html! { p.notice { strong { "Not monitored: " } (what) " were not recorded, so the profile does not restrict them." } }
}

pub(super) fn capabilities(profile: &AppArmorProfile) -> Part {
    let used: Vec<_> = profile.capabilities().collect();
    let probes: Vec<_> = profile.probes().collect();
    let body = if unseen(profile, ObservationKind::Capabilities) {
        not_observed("capabilities")
    } else {
        html! {
            @if used.is_empty() { p { "The workload used none: all of them can be dropped." } }
            @else { p { "All others can be dropped." } (table("", &used, true)) }
            @if used.iter().any(|(_, rule)| !rule.certain) { p { (PERHAPS_PROBES) } }
            @if !probes.is_empty() {
                (table(PROBES, &probes, false))
            }
        }
    };
    Part {
        id: "capabilities",
        title: "Capabilities",
        number: Some(used.len()),
        body,
    }
}

fn table(caption: &str, rows: &[(Capability, &CapabilityRule)], filtered: bool) -> Markup {
    html! {
        div.scroll { table.filtered[filtered] {
            @if !caption.is_empty() { caption { (caption) } }
            thead { tr { th scope="col" { "Capability" } th scope="col" { "Used by" } th scope="col" { "In" } th scope="col" { "Grants" } } }
            tbody { @for (capability, rule) in rows {
                tr.risk[capability.is_nearly_root()] {
                    th scope="row" { (name(&capability.to_string())) }
                    td { (executables(&rule.executables)) }
                    td { @for (at, call) in rule.calls.iter().enumerate() {
                        @if at > 0 { ", " }
                        (name(&call.abi.syscall_name(call.nr).map_or_else(|| format!("{} {}", call.abi, call.nr), str::to_owned)))
                    } }
                    td {
                        @if capability.is_nearly_root() { strong { "close to root: " } }
                        (capability.grants().unwrap_or("effect unknown"))
                        @for note in capability_notes(rule) { "; " (note) }
                    }
                }
            } }
        } }
    }
}

pub(super) fn sockets(profile: &AppArmorProfile) -> Option<Part> {
    let rules: Vec<_> = profile.networks().collect();
    let unseen = unseen(profile, ObservationKind::Sockets);
    if rules.is_empty() && !unseen {
        return None;
    }
    let number = Some(rules.len()).filter(|_| !unseen);
    let body = if unseen {
        not_observed("sockets")
    } else {
        html! {
            p { "AppArmor 3.0 cannot restrict addresses or ports." }
            div.scroll { table.filtered {
                thead { tr { th scope="col" { "Family and type" } th scope="col" { "Used for" } th scope="col" { "Addresses" } th scope="col" { "Used by" } } }
                tbody { @for ((family, kind), rule) in rules { tr {
                    th scope="row" { (name(&AppArmorProfile::socket_name(family, kind))) }
                    td { (rule.operations.iter().map(|it| operation(*it)).collect::<Vec<_>>().join(", ")) }
                    td {
                        @for (at, address) in rule.addresses.iter().take(ADDRESSES).enumerate() { @if at > 0 { ", " } (name(&address.to_string())) }
                        @if rule.more || rule.addresses.len() > ADDRESSES { ", and more" }
                    }
                    td { (executables(&rule.executables)) }
                } } }
            } }
        }
    };
    Some(Part {
        id: "sockets",
        title: "Sockets",
        number,
        body,
    })
}

pub(super) fn signals(profile: &AppArmorProfile) -> Part {
    let signals: Vec<_> = profile.signals().collect();
    let traces: Vec<_> = profile.traces().collect();
    let number = signals.len() + traces.len();
    Part {
        id: "signals",
        title: "Signals and ptrace",
        number: Some(number),
        body: html! {
            @if unseen(profile, ObservationKind::Signals) { (not_observed("signals")) }
            @if unseen(profile, ObservationKind::Traces) { (not_observed("uses of ptrace")) }
            @if profile.ptrace_not_monitored() { p.notice { (PTRACE_NOT_MONITORED) } }
            @if profile.essential() {
                p { "Always allowed (layer essential): signals that stop the workload, and signals between its own processes." }
            }
            @if number > 0 {
                div.scroll { table.filtered {
                    thead { tr { th scope="col" { "What" } th scope="col" { "Direction" } th scope="col" { "Other end" } th scope="col" { "Used by" } } }
                    tbody {
                        @for (direction, other, rule) in signals { tr {
                            th scope="row" { (rule.signals.iter().map(|it| signal(*it)).collect::<Vec<_>>().join(", ")) }
                            td { (signalled(direction)) } td { (peer(other)) } td { (executables(&rule.executables)) }
                        } }
                        @for (direction, other, rule) in traces { tr {
                            th scope="row" { "ptrace" }
                            td { (traced(direction)) } td { (peer(other)) } td { (executables(&rule.executables)) }
                        } }
                    }
                } }
            }
        },
    }
}

pub(super) fn mounts(profile: &AppArmorProfile) -> Option<Part> {
    let rules: Vec<_> = profile.mounts().collect();
    (!rules.is_empty()).then(|| Part {
        id: "mounts",
        title: "Mounts",
        number: Some(rules.len()),
        body: html! {
            div.scroll { table.filtered {
                thead { tr { th scope="col" { "Rule" } th scope="col" { "Used by" } } }
                tbody { @for (text, rule) in rules { tr {
                    th scope="row" { (literal(text)) }
                    td { (executables(&rule.executables)) }
                } } }
            } }
        },
    })
}
