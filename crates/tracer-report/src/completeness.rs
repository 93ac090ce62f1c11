//! What a review says of how far the discovery of calls had come.
//!
//! Recording the same work again must give the same bytes, and no recording takes exactly as long as
//! another: so times are rounded down to a few steps, and what is shorter than the first of them is
//! not spoken of.

use super::{
    escape::{code, prose},
    markdown::count,
    rules::list,
    words,
};
use tracer_core::recording::{
    Discovery, Recording, SyscallId,
    estimate::{Estimate, Incidence},
};

/// Most calls that are named.
const MAX_NAMED: usize = 20;

/// The steps, in seconds, and what they are called.
const STEPS: [(u64, &str); 11] = [
    (300, "5 minutes"),
    (600, "10 minutes"),
    (1200, "20 minutes"),
    (1800, "30 minutes"),
    (3600, "an hour"),
    (7200, "2 hours"),
    (6 * 3600, "6 hours"),
    (12 * 3600, "12 hours"),
    (86_400, "a day"),
    (3 * 86_400, "3 days"),
    (7 * 86_400, "a week"),
];

pub(super) fn completeness(recording: &Recording) -> Vec<String> {
    let discovery = Discovery::from_recording(recording);
    let mut items: Vec<_> = [rare(recording, &discovery), last_new(&discovery)]
        .into_iter()
        .flatten()
        .collect();
    items.push(unseen(&discovery));
    items.extend(
        recording
            .coverage
            .notes
            .iter()
            .map(|note| format!("{}.", sentence(&words::note(note)))),
    );
    items
}

/// The calls that only one of several instances made: the next one may well make others.
fn rare(recording: &Recording, discovery: &Discovery) -> Option<String> {
    if discovery.instances < 2 || discovery.calls == 0 {
        return None;
    }
    let of = format!("only one of {} instances", discovery.instances);
    if discovery.in_one == 0 {
        return Some(format!("No call appeared in {of}."));
    }
    let incidence = Incidence::from_recording(recording);
    let mut named: Vec<_> = incidence.in_one().take(MAX_NAMED).map(label).collect();
    let more = discovery.in_one.saturating_sub(MAX_NAMED as u64);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    Some(format!(
        "{} of {} appeared in {of}: {}.",
        discovery.in_one,
        count(
            usize::try_from(discovery.calls).unwrap_or(usize::MAX),
            "call",
            "calls"
        ),
        list(named)
    ))
}

fn label(call: SyscallId) -> String {
    call.abi
        .syscall_name(call.nr)
        .map_or_else(|| format!("number {} ({})", call.nr, call.abi), code)
}

fn last_new(discovery: &Discovery) -> Option<String> {
    let recorded = step(discovery.recorded_s?)?;
    Some(match step(discovery.quiet_s?) {
        Some(quiet) => format!(
            "The last new call appeared more than {quiet} before the end of more than {recorded} of recording."
        ),
        None => format!(
            "New calls still appeared in the last {} of more than {recorded} of recording.",
            STEPS[0].1
        ),
    })
}

/// The largest step that is no longer than this.
fn step(seconds: u64) -> Option<&'static str> {
    STEPS
        .iter()
        .rev()
        .find(|(step, _)| seconds >= *step)
        .map(|(_, name)| *name)
}

fn unseen(discovery: &Discovery) -> String {
    match &discovery.unseen {
        Estimate::Refused(why) => format!("{}.", sentence(&words::refusal(why))),
        Estimate::Chao2(unseen) => format!(
            "An estimated {} unseen (95 % interval: {} to {}; Chao2, a lower bound). That covers instances with the same kind of work in the same environment, and no other work.",
            match unseen.calls {
                0 => "0 calls are".to_owned(),
                1 => "1 more call is".to_owned(),
                calls => format!("{calls} more calls are"),
            },
            unseen.low,
            unseen.high
        ),
    }
}

/// With a capital at its beginning.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let capital = chars.next().map(|c| c.to_ascii_uppercase());
    prose(&capital.into_iter().chain(chars).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::Abi;
    use tracer_core::{
        profile::seccomp::fixture::{path, recording},
        recording::{Phase, merge::merge},
    };

    fn text(recording: &Recording) -> String {
        completeness(recording).join("\n")
    }

    /// A replica that was recorded for so many minutes.
    fn replica(number: u32, calls: &[u32], minutes: u64) -> Recording {
        let seen: Vec<_> = calls
            .iter()
            .map(|nr| (Abi::X86_64, *nr, Phase::Run, path("/bin/web")))
            .collect();
        let mut replica = recording(&seen);
        let instance = &mut replica.instances[0];
        instance.cgroup = format!("/pods/{number}");
        instance.ended = format!("2026-01-01T{:02}:{:02}:00Z", minutes / 60, minutes % 60);
        replica
    }

    #[test]
    fn replicas_with_rare_calls() {
        let mut replicas: Vec<_> = (0..5)
            .map(|n| replica(n, &[0, 1, 2, 3, 4, 5, 6], 42))
            .collect();
        replicas[1] = replica(1, &[0, 1, 2, 3, 4, 5, 6, 435], 42);
        replicas[3] = replica(3, &[0, 1, 2, 3, 4, 5, 6, 101, 999], 42);
        replicas[3].host.kernel = "6.1.0".to_owned();
        insta::assert_snapshot!(text(&merge(replicas).unwrap()));
    }

    #[test]
    fn identical_replicas() {
        let replicas = (0..6).map(|n| replica(n, &[0, 1, 2, 3], 0));
        insta::assert_snapshot!(text(&merge(replicas).unwrap()));
    }

    #[test]
    fn single_instance_gives_no_estimate() {
        insta::assert_snapshot!(text(&replica(0, &[0, 1], 4)));
    }

    #[test]
    fn late_new_calls_are_reported() {
        let mut late = replica(0, &[0, 1], 90);
        late.syscalls[1].evidence[0]
            .first
            .as_mut()
            .unwrap()
            .after_ns = 89 * 60 * 1_000_000_000;
        let shown = text(&late);
        let expected =
            "New calls still appeared in the last 5 minutes of more than an hour of recording.";
        assert!(shown.contains(expected), "{shown}");
    }

    #[test]
    fn times_are_rounded_down() {
        for (seconds, shown) in [
            (0, None),
            (299, None),
            (300, Some("5 minutes")),
            (2_520, Some("30 minutes")),
            (86_399, Some("12 hours")),
            (u64::MAX, Some("a week")),
        ] {
            assert_eq!(step(seconds), shown);
        }
    }
}
