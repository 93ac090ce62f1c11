//! `tracer watch --denials`: what is denied, as the kernel's audit records tell, while it happens.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

use super::{Args, Output, suppressions};
use crate::cli::{Exit, Failure, attach, name, record::failed, stderr::say};
use tracer_core::{
    learn::LogLine,
    shadow::{DenialLog, DenialSummary, Event},
};
use tracer_recorder::{
    container::MetadataSources,
    denials::{Attributor, AuditLog, AuditMessage},
    record::{attach::RecordTarget, signals::Signals},
};

/// How long to wait for records before signals are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// How often the kernel is asked what it lost, and the runtimes for names.
const NOW_AND_THEN: Duration = Duration::from_secs(5);

/// The last line of JSON.
#[derive(Serialize)]
struct LastLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    summary: &'a DenialSummary,
    denials: Vec<Event>,
}

/// Reads records until asked to stop.
pub(super) async fn watch(
    args: &Args,
    mut output: Output,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let wanted = attach::targets(&args.cgroup, &args.container, &args.pod, args.all)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let (mut selectors, mut cgroups) = (Vec::new(), Vec::new());
    for target in wanted {
        match target {
            RecordTarget::Containers(selector) => selectors.push(selector),
            RecordTarget::Cgroup(path) => cgroups.push(below_mount(&path)),
        }
    }
    let mut sources = MetadataSources::local();
    sources.refresh_cri(args.cri_socket.as_deref()).await;
    let mut attributor = Attributor::new(sources, selectors, cgroups, name::from_path);
    let mut source = AuditLog::open().map_err(failed)?;
    if !args.quiet {
        say!("reading {}", source.name());
    }
    warn_of_unlogged();
    let mut log = DenialLog::new(suppressions(args).map_err(failed)?);
    let end = args
        .duration
        .and_then(|span| Instant::now().checked_add(span));
    let mut asked = Instant::now();
    loop {
        let mut events = Vec::new();
        let told = source.read(LOOK).context("cannot read audit records");
        for told in told.map_err(failed)? {
            events.extend(take(told, &mut log, &mut attributor));
        }
        let is_over = signals.pending().is_some_and(|it| it.asks_to_end())
            || end.is_some_and(|end| Instant::now() >= end);
        if is_over || asked.elapsed() >= NOW_AND_THEN {
            asked = Instant::now();
            let lost = source.lost().filter(|lost| *lost > 0);
            events.extend(lost.and_then(|lost| log.take_lost(lost)));
        }
        if let Err(error) = output.events(&events) {
            return closed(error, &log);
        }
        if is_over {
            break;
        }
    }
    match summary(args, &mut output, &log) {
        Err(error) => closed(error, &log),
        Ok(()) => Ok(verdict(&log)),
    }
}

/// What a line comes to.
fn take(told: AuditMessage, log: &mut DenialLog, attributor: &mut Attributor) -> Option<Event> {
    let line = match told {
        AuditMessage::Line(line) => line,
        AuditMessage::Overflow(why) => return log.take_overflow(why),
    };
    match LogLine::read(&line) {
        LogLine::Denial(denial) => {
            let to = attributor.attribute(denial.pid, denial.time)?;
            log.take(&denial, to)
        }
        LogLine::Lost(count) => log.take_lost(count),
        LogLine::LostSinceBoot(total) => log.take_lost_since_boot(total),
        LogLine::NotUnderstood => log.not_understood(),
        LogLine::Other => None,
    }
}

fn verdict(log: &DenialLog) -> Exit {
    match log.has_findings() {
        true => Exit::No,
        false => Exit::Fine,
    }
}

/// Whoever reads has seen enough, or the disk is full.
fn closed(error: std::io::Error, log: &DenialLog) -> Result<Exit, Failure> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(verdict(log)),
        _ => Err(failed(error)),
    }
}

fn summary(args: &Args, output: &mut Output, log: &DenialLog) -> std::io::Result<()> {
    match args.format {
        super::Format::Json => output.json(&LastLine {
            event: "summary",
            summary: log.summary(),
            denials: log.counted().collect(),
        })?,
        super::Format::Text if args.quiet => {}
        super::Format::Text => {
            let denials: Vec<_> = log.counted().collect();
            for line in tracer_report::denial_summary(&denials, log.summary()).lines() {
                output.text(line)?;
            }
        }
    }
    output.flush()
}

/// A directory of the hierarchy as its path in it.
fn below_mount(path: &str) -> String {
    let below = path.strip_prefix("/sys/fs/cgroup");
    below
        .filter(|it| it.is_empty() || it.starts_with('/'))
        .unwrap_or(path)
        .to_owned()
}

/// Says which seccomp actions the kernel does not log (Documentation/userspace-api/seccomp_filter.rst).
pub(in crate::cli) fn warn_of_unlogged() {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/seccomp/{name}"));
        text.unwrap_or_default()
    };
    let (there, logged) = (read("actions_avail"), read("actions_logged"));
    let logged: Vec<_> = logged.split_ascii_whitespace().collect();
    let missing: Vec<_> = there
        .split_ascii_whitespace()
        .filter(|action| *action != "allow" && !logged.contains(action))
        .collect();
    if !missing.is_empty() {
        say!(
            "warning: the kernel does not log the seccomp actions {}; to log them, write them to /proc/sys/kernel/seccomp/actions_logged",
            missing.join(", ")
        );
    }
}
