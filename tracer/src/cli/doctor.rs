//! `tracer doctor`: what this host offers, and what cannot be seen here.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Exit, Failure, environment, stderr::plain, text_or_json::TextOrJson};
use tracer_core::recording::ObservationKind;
use tracer_recorder::{
    bpf::{
        Mechanism, Mechanisms, Probe, Settings, blind_spots,
        support::{self, kernel_release, machine_name},
    },
    cgroup::{Hierarchy, OwnCgroup},
    confine::{
        landlock_abi,
        profile::{self, Access, Calls},
    },
};
use tracer_report::words;

/// Show what this host supports, what is missing, and how to change it.
///
/// Exits with 3 when recording is not possible.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Output format
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    format: TextOrJson,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
struct Report {
    kernel: String,
    machine: String,
    can_record: bool,
    checks: Vec<Check>,
    /// What containers run on, and what enforces profiles; recording works without.
    environment: Vec<Check>,
    observations: Vec<Observation>,
    /// What tracer takes from itself while it records.
    confinement: String,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// It could not be found out.
    Unknown,
    Missing,
}

/// One thing that recording, or enforcing a profile, rests on.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Not missing.
    pub(super) ok: bool,
    pub(super) state: State,
    /// What was found; or what is missing, and the remedy.
    pub(super) text: String,
}

impl Check {
    pub(super) const fn new(name: &'static str, state: State, text: String) -> Self {
        Self {
            name,
            ok: !matches!(state, State::Missing),
            state,
            text,
        }
    }
}

/// A kind of observation, and what serves it.
#[derive(Debug, Serialize, JsonSchema)]
struct Observation {
    kind: &'static str,
    /// `null` when nothing can observe it.
    provider: Option<String>,
    note: String,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let report = examine();
    let mut text = Vec::new();
    match args.format {
        TextOrJson::Text => print(&report, &mut text)?,
        TextOrJson::Json => writeln!(text, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    super::print(&text)?;
    Ok(if report.can_record {
        Exit::Fine
    } else {
        Exit::No
    })
}

fn examine() -> Report {
    let mut checks: Vec<_> = support::requirements()
        .into_iter()
        .map(|requirement| check(requirement.name, requirement.result))
        .collect();
    checks.push(check(
        "cgroup v2 hierarchy",
        Hierarchy::open().map(|hierarchy| {
            if hierarchy.is_private() {
                "not mounted; tracer uses a private mount".to_owned()
            } else {
                hierarchy.root().display().to_string()
            }
        }),
    ));
    checks.push(check(
        "cgroup for a command",
        Hierarchy::open()
            .and_then(|hierarchy| OwnCgroup::create(&hierarchy))
            .map(|_| "can be created".to_owned()),
    ));
    // Only asked when nothing else is missing, so that the first cause is the one that is shown.
    let mut mechanisms = Mechanisms::default();
    if checks.iter().all(|check| check.ok) {
        let loaded = Probe::load(&Settings::default());
        if let Ok((probe, _)) = &loaded {
            mechanisms = probe.mechanisms().clone();
        }
        checks.push(check(
            "kernel programs",
            loaded.map(|_| "loaded and attached".to_owned()),
        ));
    }
    let can_record = checks.iter().all(|check| check.ok);
    Report {
        kernel: kernel_release(),
        machine: machine_name(),
        can_record,
        checks,
        environment: environment::examine(),
        observations: observations(can_record, &mechanisms),
        confinement: confinement(),
    }
}

/// What tracer takes from itself once it records.
fn confinement() -> String {
    let calls = match profile::programs(Calls::Record, Access::Read) {
        Ok(_) => "system calls and capabilities are restricted".to_owned(),
        Err(error) => format!("capabilities are restricted; system calls are not: {error}"),
    };
    let writes = match landlock_abi() {
        Ok(version) => {
            format!("writes are restricted to the output, by Landlock version {version}")
        }
        Err(error) => format!("writes are not restricted, since there is no Landlock: {error}"),
    };
    format!("{calls}; {writes}")
}

/// What serves each kind, best first for this kernel.
fn observations(can_record: bool, mechanisms: &Mechanisms) -> Vec<Observation> {
    let of_calls = CALLS.map(|(kind, provider, note)| Observation {
        kind,
        provider: can_record.then(|| provider.to_owned()),
        note: note.to_owned(),
    });
    let of_accesses = ACCESSES.map(|(kind, of, source, note)| {
        let mechanism = source(mechanisms);
        Observation {
            kind,
            provider: mechanism.map(|mechanism| mechanism.to_string()),
            note: access_note(of, mechanism, note),
        }
    });
    of_calls.into_iter().chain(of_accesses).collect()
}

/// What the tracepoints serve: the kind, by what, and what of it.
const CALLS: [(&str, &str, &str); 5] = [
    (
        "system calls",
        "BTF tracepoint sys_enter",
        "every call of every ABI; not io_uring operations",
    ),
    (
        "arguments",
        "BTF tracepoint sys_enter",
        "registers that select what a call does, such as socket families; not memory behind pointers",
    ),
    (
        "blocked calls",
        "BTF tracepoint sys_exit",
        "calls that a seccomp filter blocked, with the result that the program got; watched only while a filter is active",
    ),
    (
        "containers",
        "BTF tracepoints of cgroups",
        "from the creation of their cgroup; names from runtime state and the CRI socket",
    ),
    (
        "executables",
        "BTF tracepoint sched_process_exec",
        "as evidence for each system call",
    ),
];

/// Which access source serves a kind; `None` when none does.
type Source = fn(&Mechanisms) -> Option<Mechanism>;

/// The kinds of accesses, and what is recorded of each.
const ACCESSES: [(&str, ObservationKind, Source, &str); 6] = [
    (
        "files",
        ObservationKind::Files,
        |it| it.files,
        "open, create, remove, rename, link, change, lock, execute, map executable; by the path that AppArmor sees",
    ),
    (
        "sockets",
        ObservationKind::Sockets,
        |it| it.sockets,
        "family, type, protocol; addresses of bind and connect",
    ),
    (
        "mounts",
        ObservationKind::Mounts,
        |it| it.mounts,
        "mount, bind, move, change propagation, unmount",
    ),
    (
        "capabilities",
        ObservationKind::Capabilities,
        |it| it.capabilities,
        "capabilities that the kernel granted, with the call that required them",
    ),
    (
        "signals",
        ObservationKind::Signals,
        |it| it.signals,
        "sent and received, and whether the other end is outside the container",
    ),
    (
        "ptrace",
        ObservationKind::Traces,
        |it| it.traces,
        "uses of a debugger's rights, from both ends",
    ),
];

/// What is recorded of a kind of access, and what is not.
fn access_note(of: ObservationKind, mechanism: Option<Mechanism>, note: &str) -> String {
    let Some(mechanism) = mechanism else {
        return format!("{note} (needs BPF LSM: add bpf to lsm= on the kernel command line)");
    };
    let blind: Vec<_> = blind_spots(of, mechanism)
        .iter()
        .map(words::blind_spot)
        .collect();
    if blind.is_empty() {
        note.to_owned()
    } else {
        format!("{note}; not {}", blind.join(", nor "))
    }
}

fn check<E: std::fmt::Display>(name: &'static str, result: Result<String, E>) -> Check {
    match result {
        Ok(text) if text.starts_with(support::UNCHECKED) => Check::new(name, State::Unknown, text),
        Ok(text) => Check::new(name, State::Ok, text),
        Err(error) => Check::new(name, State::Missing, error.to_string()),
    }
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Linux {} on {}", report.kernel, report.machine)?;
    writeln!(out)?;
    for check in &report.checks {
        let mark = match check.state {
            State::Ok => "ok     ",
            State::Unknown => "unknown",
            State::Missing => "MISSING",
        };
        writeln!(out, "  {mark}  {:<31}  {}", check.name, check.text)?;
    }
    writeln!(out)?;
    for check in &report.environment {
        let mark = match check.state {
            State::Ok => "ok     ",
            State::Unknown => "unknown",
            // Not needed to record.
            State::Missing => "-      ",
        };
        writeln!(out, "  {mark}  {:<31}  {}", check.name, plain(&check.text))?;
    }
    writeln!(out)?;
    for observation in &report.observations {
        writeln!(
            out,
            "  {:<29}  {}: {}",
            observation.kind,
            observation.provider.as_deref().unwrap_or("not recorded"),
            observation.note
        )?;
    }
    writeln!(out)?;
    writeln!(out, "Once tracer records: {}.", report.confinement)?;
    writeln!(out)?;
    writeln!(
        out,
        "{}",
        if report.can_record {
            "tracer can record on this host."
        } else {
            "tracer cannot record on this host: see the lines marked MISSING."
        }
    )
}
