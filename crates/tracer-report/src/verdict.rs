//! The verdict of a review: was anything lost, has discovery stopped, what is risky, and what to do.
//!
//! REVIEW.md and the page both begin with it. The texts are plain: whoever renders them escapes them.

use super::{
    markdown::count,
    risks::{Level, Risk, risks},
    words,
};
use tracer_core::{
    formats::Models,
    profile::{Layer, seccomp::SeccompProfile},
    recording::{
        Coverage, Discovery, Reason, Recording, RecordingEnd, estimate::Estimate, plain_text::plain,
    },
};

/// A recording that was quiet for this long at its end, in seconds, has stopped discovering.
const QUIET: u64 = 300;

/// What to do with a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing speaks against it.
    Enforce,
    /// The workload failed.
    RecordAgain,
    /// It may still lack calls.
    RecordLonger,
    /// It allows what an attacker wants.
    LookFirst,
}

impl Decision {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Enforce => "Enforce",
            Self::RecordAgain => "Record again",
            Self::RecordLonger => "Record longer",
            Self::LookFirst => "Look at these first",
        }
    }
}

/// A decision with its reason, and the three answers behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) decision: Decision,
    pub(crate) reason: String,
    /// Whether nothing was lost.
    pub(crate) whole: bool,
    pub(crate) lost: String,
    /// Whether discovery has stopped.
    pub(crate) settled: bool,
    pub(crate) discovering: String,
    pub(crate) risky: String,
}

impl Verdict {
    pub(crate) fn new(recording: &Recording, profile: &SeccompProfile, risks: &[Risk]) -> Self {
        let (whole, lost) = lost(&recording.coverage);
        let (settled, discovering) = discovering(recording);
        let risky = risky(risks);
        let worst = risks.iter().filter(|it| it.level == Level::High).count();
        let nothing = profile.names_in(Layer::Observed).next().is_none();
        let (decision, reason) = if nothing {
            let reason = "no system call of the workload was recorded".to_owned();
            (Decision::RecordLonger, reason)
        } else if let Some(failure) = words::failure(recording) {
            (Decision::RecordAgain, failure)
        } else if !whole {
            (Decision::RecordLonger, lost.clone())
        } else if !settled {
            // The reason stands behind the decision, which says already that it has not stopped.
            let reason = discovering.split_once(": ").map(|(_, reason)| reason);
            let reason = reason.unwrap_or(&discovering).to_owned();
            (Decision::RecordLonger, reason)
        } else if worst > 0 {
            let reason = format!(
                "{} in the list of risks below",
                count(worst, "high-risk rule", "high-risk rules")
            );
            (Decision::LookFirst, reason)
        } else {
            let reason = "nothing was lost, discovery has stopped, no high-risk rule".to_owned();
            (Decision::Enforce, reason)
        };
        Self {
            decision,
            reason,
            whole,
            lost,
            settled,
            discovering,
            risky,
        }
    }
}

/// How a workload should be recorded, and why: `record longer: …`; `None` when its profile can be tried.
pub fn record_longer(models: &Models<'_>) -> Option<String> {
    let risks = risks(Some(models.recording), models.seccomp, models.apparmor);
    let verdict = Verdict::new(models.recording, models.seccomp, &risks);
    let how = match verdict.decision {
        Decision::RecordAgain => "record again",
        Decision::RecordLonger => "record longer",
        Decision::Enforce | Decision::LookFirst => return None,
    };
    Some(format!("{how}: {}", verdict.reason))
}

/// Whether the recording is whole. That a service still ran when its recording stopped is the usual
/// end of one: it is said, and does not stand in the way.
fn lost(coverage: &Coverage) -> (bool, String) {
    let is_usual = |reason: &&Reason| {
        matches!(
            reason,
            Reason::StillRunning {
                after: RecordingEnd::Attached
            }
        )
    };
    let reasons = || coverage.reasons.iter();
    let in_the_way: Vec<_> = reasons().filter(|it| !is_usual(it)).collect();
    if let [first, others @ ..] = in_the_way.as_slice() {
        let more = if others.is_empty() {
            String::new()
        } else {
            format!(
                "; and {}",
                count(others.len(), "more reason", "more reasons")
            )
        };
        return (false, format!("{}{more}", words::reason(first)));
    }
    if !coverage.complete && coverage.reasons.is_empty() {
        return (
            false,
            "the recording does not say why it is incomplete".to_owned(),
        );
    }
    let text = match reasons().next() {
        Some(_) => {
            "nothing, but it was still running when recording stopped; shutdown was not observed"
        }
        None => "nothing",
    };
    if coverage.losses.is_none() {
        return (true, text.to_owned());
    }
    // Details only: what makes a recording incomplete is a reason.
    (
        true,
        format!("no call, but details: {}", words::losses(&coverage.losses)),
    )
}

fn discovering(recording: &Recording) -> (bool, String) {
    let discovery = Discovery::from_recording(recording);
    let instances = usize::try_from(discovery.instances).unwrap_or(usize::MAX);
    let runs = count(instances, "instance", "instances");
    if let (Some(recorded), Some(quiet)) = (discovery.recorded_s, discovery.quiet_s)
        && quiet >= QUIET
        && quiet.saturating_mul(2) >= recorded
    {
        return (true, format!("yes: {runs}, nothing new in the second half"));
    }
    match &discovery.unseen {
        Estimate::Chao2(unseen) if unseen.calls == 0 => (
            true,
            format!("yes: {runs}, an estimated 0 system calls unseen"),
        ),
        Estimate::Chao2(unseen) => (
            false,
            format!(
                "not yet: {runs}, an estimated {} unseen",
                words::counted(unseen.calls, "system call", "system calls")
            ),
        ),
        Estimate::Refused(why) => (
            false,
            format!(
                "unknown: {runs}, {}; {}",
                length(&discovery),
                plain(&words::refusal(why))
            ),
        ),
    }
}

/// How long it was recorded, in steps: the same work takes another time each time.
fn length(discovery: &Discovery) -> &'static str {
    match discovery.recorded_s {
        None => "of unknown length",
        Some(..60) => "less than a minute",
        Some(60..300) => "less than 5 minutes",
        Some(300..3600) => "less than an hour",
        Some(_) => "an hour or more",
    }
}

fn risky(risks: &[Risk]) -> String {
    let of = |level| risks.iter().filter(|it| it.level == level).count();
    match (of(Level::High), of(Level::Medium)) {
        (0, 0) => "no known risk".to_owned(),
        (0, medium) => format!("{medium} medium"),
        (high, 0) => format!("{high} high"),
        (high, medium) => format!("{high} high, {medium} medium"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risks::What;
    use syscalls::Abi;
    use tracer_core::{
        profile::seccomp::{
            Options,
            fixture::{path, recording},
        },
        recording::{Phase, merge::merge},
    };

    fn replica(number: u32, calls: &[u32]) -> Recording {
        let seen: Vec<_> = calls
            .iter()
            .map(|nr| (Abi::X86_64, *nr, Phase::Run, path("/bin/web")))
            .collect();
        let mut replica = recording(&seen);
        replica.instances[0].cgroup = format!("/pods/{number}");
        replica
    }

    fn verdict(recording: &Recording, risks: &[Risk]) -> Verdict {
        let recordings = std::slice::from_ref(recording);
        let profile = SeccompProfile::from_recordings(recordings, &Options::default()).unwrap();
        Verdict::new(recording, &profile, risks)
    }

    fn risk(level: Level) -> Risk {
        Risk {
            level,
            what: What::Container,
            why: "x".to_owned(),
            by: [].into(),
        }
    }

    #[test]
    fn settled_recording_is_to_be_enforced_unless_it_is_risky() {
        let settled = merge((0..6).map(|n| replica(n, &[0, 1, 2, 3]))).unwrap();
        let medium = [risk(Level::Medium)];
        assert_eq!(verdict(&settled, &medium).decision, Decision::Enforce);
        let both = [risk(Level::High), risk(Level::Medium)];
        let it = verdict(&settled, &both);
        assert_eq!(it.decision, Decision::LookFirst);
        assert!(it.reason.starts_with("1 high-risk rule "), "{}", it.reason);
        assert_eq!(it.risky, "1 high, 1 medium");
    }

    #[test]
    fn what_is_missing_comes_before_what_is_risky() {
        let high = [risk(Level::High)];
        let one = verdict(&replica(0, &[0, 1]), &high);
        assert_eq!(one.decision, Decision::RecordLonger);
        assert!(one.whole && !one.settled);
        let mut lost = merge((0..6).map(|n| replica(n, &[0, 1]))).unwrap();
        let reasons = vec![
            Reason::LeftCgroup {},
            Reason::StillRunning {
                after: RecordingEnd::Attached,
            },
        ];
        lost.coverage = Coverage::new(reasons, lost.coverage.losses);
        let lost = verdict(&lost, &high);
        assert_eq!(lost.decision, Decision::RecordLonger);
        assert!(lost.reason.contains("another cgroup"), "{}", lost.reason);
    }

    #[test]
    fn a_service_that_goes_on_is_no_loss() {
        let mut settled = merge((0..6).map(|n| replica(n, &[0, 1]))).unwrap();
        let reasons = vec![Reason::StillRunning {
            after: RecordingEnd::Attached,
        }];
        settled.coverage = Coverage::new(reasons, settled.coverage.losses);
        let it = verdict(&settled, &[]);
        assert_eq!(it.decision, Decision::Enforce);
        assert!(it.lost.contains("shutdown was not observed"), "{}", it.lost);
    }

    #[test]
    fn nothing_recorded_is_said_first() {
        let empty = recording(&[(Abi::X86_64, 0, Phase::Setup, path("/bin/runc"))]);
        let it = verdict(&empty, &[]);
        assert_eq!(it.decision, Decision::RecordLonger);
        assert!(
            it.reason.contains("no system call of the workload"),
            "{}",
            it.reason
        );
    }
}
