//! `tracer doctor`: what this host offers, and what cannot be seen here.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Exit, Failure, environment, stderr::plain};
use tracer_core::recording::ObservationKind;
use tracer_recorder::{
    bpf::{
        Mechanisms, Probe, Settings, blind_spots,
        support::{self, kernel_release, machine_name},
    },
    cgroup::{Hierarchy, OwnCgroup},
};
use tracer_report::words;

/// Show what this host supports, what is missing, and how to change it.
///
/// Exits with 3 when recording is not possible.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Text
    Text,
    /// JSON
    Json,
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
        Format::Text => print(&report, &mut text)?,
        Format::Json => writeln!(text, "{}", serde_json::to_string_pretty(&report)?)?,
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
    }
}

/// What serves each kind, best first for this kernel.
fn observations(can_record: bool, mechanisms: &Mechanisms) -> Vec<Observation> {
    let by = |provider: &str| can_record.then(|| provider.to_owned());
    let mut observations = vec![
        Observation {
            kind: "system calls",
            provider: by("BTF tracepoint sys_enter"),
            note: "every call of every ABI; not io_uring operations".to_owned(),
        },
        Observation {
            kind: "arguments",
            provider: by("BTF tracepoint sys_enter"),
            note: "registers that select what a call does, such as socket families; not memory behind pointers".to_owned(),
        },
        Observation {
            kind: "blocked calls",
            provider: by("BTF tracepoint sys_exit"),
            note: "calls that a seccomp filter blocked, with the result that the program got; watched only while a filter is active".to_owned(),
        },
        Observation {
            kind: "containers",
            provider: by("BTF tracepoints of cgroups"),
            note: "from the creation of their cgroup; names from runtime state and the CRI socket".to_owned(),
        },
        Observation {
            kind: "executables",
            provider: by("BTF tracepoint sched_process_exec"),
            note: "as evidence for each system call".to_owned(),
        },
    ];
    let accesses = [
        (
            "files",
            ObservationKind::Files,
            mechanisms.files,
            "open, create, remove, rename, link, change, lock, execute, map executable; by the path that AppArmor sees",
        ),
        (
            "sockets",
            ObservationKind::Sockets,
            mechanisms.sockets,
            "family, type, protocol; addresses of bind and connect",
        ),
        (
            "mounts",
            ObservationKind::Mounts,
            mechanisms.mounts,
            "mount, bind, move, change propagation, unmount",
        ),
        (
            "capabilities",
            ObservationKind::Capabilities,
            mechanisms.capabilities,
            "capabilities that the kernel granted, with the call that required them",
        ),
        (
            "signals",
            ObservationKind::Signals,
            mechanisms.signals,
            "sent and received, and whether the other end is outside the container",
        ),
        (
            "ptrace",
            ObservationKind::Traces,
            mechanisms.traces,
            "uses of a debugger's rights, from both ends",
        ),
    ];
    observations.extend(accesses.map(|(kind, of, mechanism, note)| Observation {
        kind,
        provider: mechanism.map(|mechanism| mechanism.to_string()),
        note: match mechanism {
            Some(mechanism) => {
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
            None => format!("{note} (needs BPF LSM: add bpf to lsm= on the kernel command line)"),
        },
    }));
    observations
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
