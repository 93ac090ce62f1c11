//! What `tracer watch` says, in lines for a terminal.

use std::fmt::Write as _;

use crate::words;
use tracer_core::{
    recording::{
        ObservationKind, Phase,
        plain_text::{counted, executable, plain},
    },
    shadow::{DenialSummary, Event, EventKind, Summary},
};

/// An event in one line.
pub fn watch_event(event: &Event) -> String {
    let workload = event.workload.as_deref().map(plain);
    match event.event {
        EventKind::Lost => {
            let what = match (event.lost, event.count) {
                (Some(lost), Some(count)) => words::loss(lost, count),
                (None, Some(count)) => counted(
                    usize::try_from(count).unwrap_or(usize::MAX),
                    "audit record",
                    "audit records",
                ),
                _ => String::new(),
            };
            let what = match event.at_least {
                true => format!("at least {what}"),
                false => what,
            };
            let what = match &event.detail {
                Some(why) => format!("{what} ({})", plain(why)),
                None => what,
            };
            let of = workload.unwrap_or_else(|| "of any workload".to_owned());
            format!("lost: {of}: {what}; from here on silence is no proof")
        }
        EventKind::NotJudged => format!(
            "not judged: {}: no profile and no recording was given for it",
            workload.unwrap_or_default()
        ),
        _ => finding(event, &workload.unwrap_or_default()),
    }
}

fn finding(event: &Event, workload: &str) -> String {
    let verb = match event.event {
        EventKind::WouldBeDenied => "would be denied",
        EventKind::MayBeDenied => "may be denied",
        EventKind::Denied => "denied",
        EventKind::Logged => "logged",
        _ => "new",
    };
    let mut text = format!("{verb}: {}", thing(event));
    if let Some(result) = &event.result {
        let _ = write!(text, ": {}", plain(result));
    }
    if let Some(depends) = &event.depends_on {
        let depends = plain(depends);
        let _ = match event.event {
            EventKind::MayBeDenied => write!(text, ": depends on {depends}"),
            _ => write!(text, " ({depends})"),
        };
    }
    match (&event.profile, &event.rule) {
        (Some(profile), Some(rule)) => {
            let _ = write!(text, " (rule {} of {})", plain(rule), plain(profile));
        }
        (Some(profile), None) if matches!(event.event, EventKind::Denied | EventKind::Logged) => {
            let _ = write!(text, " (profile {})", plain(profile));
        }
        (Some(profile), None) if event.event == EventKind::New => {
            let _ = write!(text, " (not in {})", plain(profile));
        }
        (Some(profile), None) => {
            let _ = write!(text, " (no rule of {} allows it)", plain(profile));
        }
        (None, _) => {}
    }
    if let (Some(by), EventKind::Denied | EventKind::Logged) = (&event.action, event.event) {
        let _ = write!(text, " by {}", plain(by));
    }
    let _ = write!(text, "; {workload}");
    if let Some(by) = &event.executable {
        let _ = write!(text, ": {}", executable(by));
    }
    let mut who = Vec::new();
    if let Some(process) = &event.process {
        who.push(format!("pid {}, {}", process.pid, plain(&process.comm)));
    }
    if let Some(container) = &event.container {
        let short: String = container.id.chars().take(12).collect();
        let name = container.name.as_deref().map_or(short, str::to_owned);
        who.push(format!("container {}", plain(&name)));
    }
    if let Some(phase @ (Phase::RuntimeInit | Phase::Exec | Phase::Terminal)) = event.phase {
        who.push(format!("phase {}", phase.as_str()));
    }
    if !who.is_empty() {
        let _ = write!(text, " ({})", who.join(", "));
    }
    let _ = write!(text, " [{}", event.severity);
    if let Some(known) = &event.known_for {
        let _ = write!(text, ": {}", plain(known));
    }
    text.push(']');
    if let Some(count) = event.count {
        let _ = write!(text, " {count} times");
    }
    text
}

/// Something new on the screen of `tracer top`, in one line: the thing, its risk, and who did it.
pub fn top_news(event: &Event) -> String {
    let mut text = thing(event);
    if event.event == EventKind::Denied {
        text = format!("denied: {text}");
    }
    let _ = write!(text, " [{}", event.severity);
    if let Some(known) = &event.known_for {
        let _ = write!(text, ": {}", plain(known));
    }
    text.push(']');
    if let Some(by) = &event.executable {
        let _ = write!(text, " {}", executable(by));
    }
    if let Some(phase @ (Phase::Exec | Phase::Terminal)) = event.phase {
        let _ = write!(text, " (phase {})", phase.as_str());
    }
    text
}

fn thing(event: &Event) -> String {
    let kind = match event.kind {
        Some(ObservationKind::Files) => "file ",
        Some(ObservationKind::Sockets) => "socket ",
        Some(ObservationKind::Signals) => "signal ",
        Some(ObservationKind::Mounts) => "mount at ",
        _ => "",
    };
    let what = event.what.as_deref().map(plain).unwrap_or_default();
    match &event.detail {
        Some(detail) => format!("{kind}{what} ({})", plain(detail)),
        None => format!("{kind}{what}"),
    }
}

/// What came of it: lines.
pub fn watch_summary(summary: &Summary) -> String {
    let mut text = String::new();
    let of = |kind| summary.events.get(&kind).copied().unwrap_or_default();
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{} of {} judged: {} would be denied, {} may be denied, {} denied, {} new",
        counted(count(summary.judged), "thing", "things"),
        counted(summary.workloads.len(), "workload", "workloads"),
        of(EventKind::WouldBeDenied),
        of(EventKind::MayBeDenied),
        of(EventKind::Denied),
        of(EventKind::New),
    );
    if summary.suppressed > 0 {
        let _ = writeln!(
            text,
            "{} suppressed",
            counted(count(summary.suppressed), "event", "events")
        );
    }
    if !summary.not_judged.is_empty() {
        let names: Vec<_> = summary.not_judged.iter().map(|it| plain(it)).collect();
        let _ = writeln!(
            text,
            "not judged, for want of a profile: {}",
            names.join(", ")
        );
    }
    if summary.lost.is_none() {
        let _ = writeln!(text, "nothing was lost");
    } else {
        for (lost, count) in summary.lost.iter() {
            let _ = writeln!(text, "lost: {}", words::loss(lost, count));
        }
    }
    text
}

/// What was denied, each with how often: lines.
pub fn denial_summary(denials: &[Event], summary: &DenialSummary) -> String {
    let mut text = String::new();
    let number = |count: u64, one: &str, many: &str| {
        counted(usize::try_from(count).unwrap_or(usize::MAX), one, many)
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{} in {}",
        counted(denials.len(), "different denial", "different denials"),
        number(summary.records, "audit record", "audit records")
    );
    for event in denials {
        let _ = writeln!(text, "  {}", watch_event(event));
    }
    for (count, what) in [
        (summary.suppressed, "suppressed"),
        (
            summary.more,
            "beyond the different ones that are kept apart",
        ),
        (summary.not_understood, "not understood"),
        (
            summary.gone,
            "of processes that were gone before their container was known",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{} {what}", number(count, "record", "records"));
        }
    }
    let lost = number(summary.lost, "record", "records");
    match summary.lost_at_least {
        Some(why) => {
            let _ = writeln!(text, "at least {lost} lost ({})", plain(why));
        }
        None if summary.lost > 0 => {
            let _ = writeln!(text, "{lost} lost");
        }
        None => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use tracer_core::{
        profile::apparmor::fixture,
        recording::{CapabilityUse, Losses},
        shadow::{Expectation, Expected, Shadow},
    };

    #[test]
    fn event_is_one_line_and_hostile_names_are_escaped() {
        let mut recording = fixture::empty();
        recording.workload.name = "web\n\u{1b}[2J".to_owned();
        let what = CapabilityUse {
            capability: syscalls::capability::Capability::from_number(21),
            audited: Some(true),
            own_namespace: false,
            by_exec: false,
        };
        recording.capabilities = vec![fixture::seen(what, Phase::Exec, "/bin/\u{202e}x")];
        recording.coverage.losses.calls = 2;
        let expected = Expected {
            label: "caps".to_owned(),
            workload: None,
            what: Expectation::Capabilities(BTreeSet::new()),
        };
        let mut shadow = Shadow::new(vec![expected], Vec::new());
        let events = shadow.take(&recording, &Losses::default());
        let lines: Vec<_> = events.iter().map(watch_event).collect();
        assert_eq!(
            lines[0],
            "would be denied: CAP_SYS_ADMIN: EPERM (no rule of caps allows it); web\\n\\u{1b}[2J: /bin/\\u{202e}x (phase exec) [high: nearly everything: mounts, namespaces, and much else]"
                .replace(
                    "nearly everything: mounts, namespaces, and much else",
                    what.capability.grants().unwrap()
                )
        );
        assert!(
            lines[1].starts_with("lost: web\\n\\u{1b}[2J: "),
            "{}",
            lines[1]
        );
        let summary = watch_summary(shadow.summary());
        assert!(
            summary.starts_with("1 thing of 1 workload judged: 1 would be denied"),
            "{summary}"
        );
        assert!(summary.contains("\nlost: "), "{summary}");
    }
}
