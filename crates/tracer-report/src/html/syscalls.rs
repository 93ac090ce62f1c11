//! Every rule for system calls: its layers, what each rests on, and what is known against it.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::{
    Report,
    page::Part,
    text::{executables, literal, name, span},
};
use crate::escape::{printable, visible};
use syscalls::{essential, risk, runtime_init};
use tracer_core::{
    profile::{
        Layer,
        seccomp::{Rule, SeccompProfile},
    },
    recording::{FirstSeen, Recording, estimate::counts},
};

/// Most values of arguments that are told of a call.
const VALUES: usize = 8;

/// What was seen of a call, whatever its ABI.
#[derive(Default)]
struct Sighted<'a> {
    instances: BTreeSet<u32>,
    first: Option<&'a FirstSeen>,
}

pub(super) fn part(report: &Report<'_>) -> Part {
    let profile = report.seccomp;
    let seen = sighted(report.recording);
    let fallbacks: BTreeMap<_, BTreeSet<_>> = profile
        .fallbacks()
        .map(|(name, added)| (name, added.flat_map(|it| it.stands_for).copied().collect()))
        .collect();
    let several = profile.architectures().nth(1).is_some();
    let runs = report.recording.runs();
    Part {
        id: "calls",
        title: "System calls",
        number: Some(profile.rules().count()),
        body: html! {
            p { (introduction(profile)) }
            div.scroll { table.filtered {
                thead { tr {
                    th scope="col" { "Call" }
                    th scope="col" { "Layer" }
                    th scope="col" { "Arguments" }
                    th scope="col" { "Why it is allowed" }
                    th scope="col" { "Notes" }
                } }
                tbody { @for (call, rule) in profile.rules() {
                    tr.risk[risk::risk(call).is_some() || is_open(call, rule)] data-layers=(layers(rule)) {
                        th scope="row" { (name(call)) @if several { (abis(rule)) } }
                        td { @for layer in rule.layers() { span class=(format!("layer {layer}")) { (layer) } " " } }
                        td { (arguments(rule)) }
                        td {
                            (evidence(rule, seen.get(call), runs))
                            (reasons(profile, call, rule, fallbacks.get(call)))
                        }
                        td { (known(call, rule)) }
                    }
                } }
            } }
        },
    }
}

fn introduction(profile: &SeccompProfile) -> String {
    let abis: Vec<_> = profile.architectures().map(|abi| abi.to_string()).collect();
    format!(
        "Layer observed: the workload made the call. Runtime-init: a container runtime makes it after loading the profile, before it starts the workload. Essential: tests rarely exercise it but workloads need it. Fallback: another libc or kernel uses it for the same work. Headroom: it was not observed, it is harmless, and the next run may make it. The profile is for {}; a system call from any other ABI kills the calling thread.",
        abis.join(", ")
    )
}

fn sighted(recording: &Recording) -> BTreeMap<&'static str, Sighted<'_>> {
    let mut seen: BTreeMap<_, Sighted<'_>> = BTreeMap::new();
    for syscall in &recording.syscalls {
        let Some(name) = syscall.abi.syscall_name(syscall.nr) else {
            continue;
        };
        let counting = syscall.evidence.iter();
        for evidence in counting.filter(|it| counts(it.phase, it.blocked.is_some())) {
            let sighted = seen.entry(name).or_default();
            sighted.instances.insert(evidence.instance);
            if let Some(first) = &evidence.first
                && sighted.first.is_none_or(|it| first.after_ns < it.after_ns)
            {
                sighted.first = Some(first);
            }
        }
    }
    seen
}

fn layers(rule: &Rule) -> String {
    let layers: Vec<_> = rule.layers().map(|layer| layer.as_str()).collect();
    layers.join(" ")
}

fn abis(rule: &Rule) -> Markup {
    let abis: Vec<_> = rule.abis().map(|abi| abi.to_string()).collect();
    html! { @if !abis.is_empty() { " " small { (abis.join(", ")) } } }
}

fn is_open(call: &str, rule: &Rule) -> bool {
    let open = risk::ALLOWED_BY_ARGUMENT
        .iter()
        .any(|(name, _)| *name == call);
    open && rule.only().is_none()
}

fn arguments(rule: &Rule) -> Markup {
    html! {
        @match rule.only() {
            None => { span.none { "any" } }
            Some(only) => {
                ul { @for (conditions, alternative) in &only {
                    li { "only when " (printable(&alternative.when().collect::<Vec<_>>().join("; "))) " " small { (literal(&conditions.to_string())) } }
                } }
            }
        }
    }
}

fn evidence(rule: &Rule, seen: Option<&Sighted<'_>>, runs: usize) -> Markup {
    let phases: Vec<_> = rule.phases().iter().map(|phase| phase.as_str()).collect();
    html! {
        @if !rule.executables().is_empty() {
            div {
                "made by " (executables(rule.executables())) " in phase " (phases.join(", "))
                @if let Some(seen) = seen {
                    @if let Some(first) = seen.first {
                        ", first after " (span(first.after_ns)) " by " (name(&first.comm))
                    }
                    @if runs > 1 { ", in " (seen.instances.len()) " of " (runs) " instances" }
                }
            }
        }
    }
}

/// Why the layers besides what was observed want it.
fn reasons(
    profile: &SeccompProfile,
    call: &str,
    rule: &Rule,
    stands_for: Option<&BTreeSet<&'static str>>,
) -> Markup {
    let runtime_init = profile.runtime_init_syscalls().get(call);
    html! {
        @for layer in rule.layers() {
            @match layer {
                Layer::Observed => {}
                Layer::RuntimeInit => { div { "needed by " (runtime_init.map_or_else(|| "the recorded runtime".to_owned(), |rows| runtime_init::describe(rows).join(", "))) } }
                Layer::Essential => { @for group in essential::GROUPS.iter().filter(|group| group.calls.contains(&call)) { div { (group.title) ": " (group.reason) } } }
                Layer::Fallback => { @if let Some(names) = stands_for { div { "used instead of " (names.iter().copied().collect::<Vec<_>>().join(", ")) } } }
                Layer::Headroom => { @for reason in headroom(profile, call) { div { (reason) } } }
            }
        }
    }
}

/// Why a call is headroom, once for each reason.
fn headroom(profile: &SeccompProfile, call: &str) -> BTreeSet<String> {
    let added = profile.headroom().filter(|(name, _)| *name == call);
    added
        .flat_map(|(_, reasons)| reasons)
        .map(|it| format!("{}: {}", it.group.title, it.group.grants))
        .collect()
}

fn known(call: &str, rule: &Rule) -> Markup {
    let open = risk::ALLOWED_BY_ARGUMENT
        .iter()
        .find(|(name, _)| *name == call);
    let values = rule.values();
    html! {
        @if let Some(risk) = risk::risk(call) { div.known { (risk.sentence) } }
        @if let Some((_, what)) = open && rule.only().is_none() { div.known { "Not restricted: " (what) "." } }
        @for why in rule.unrestricted_reasons() { div { "Any arguments: " (why) "." } }
        @if !values.is_empty() && rule.only().is_none() {
            div { "Recorded arguments: " (values.iter().take(VALUES).map(|it| visible(it)).collect::<Vec<_>>().join("; ")) @if values.len() > VALUES { "; and " (values.len() - VALUES) " more" } }
        }
    }
}
