//! Whether a workload's profile may be enforced, by what is known of its recording and the thresholds of a
//! configuration. It says so; it changes nothing.

use std::{collections::BTreeSet, time::Duration};

use super::Rollout;
use crate::recording::{
    Losses, Reason, Recording,
    estimate::{Discovery, Estimate, Refusal},
};

/// What is known of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutStatus {
    /// How many instances were recorded.
    pub instances: u64,
    /// How many of them, among those that are listed, from their first call.
    pub from_start: u64,
    /// How many different calls count.
    pub calls: u64,
    /// For how long nothing new came; `None` when that is not known.
    pub quiet: Option<Duration>,
    /// How many calls are unseen.
    pub unseen: Estimate,
    /// What was lost.
    pub losses: Losses,
    /// Containers that may be instances, and that nothing told the names of.
    pub unnamed: u64,
    /// The other reasons against completeness that time does not cure.
    pub reasons: Vec<Reason>,
}

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Too few instances.
    Instances {
        /// How many there were.
        seen: u64,
        /// How many it takes.
        needed: u64,
    },
    /// None was recorded from its first call.
    NoStart,
    /// Something new came too recently, or that is not known.
    Quiet {
        /// For how long nothing came.
        quiet: Option<Duration>,
        /// How long it takes.
        needed: Duration,
    },
    /// Too many calls may be unseen.
    Unseen {
        /// The upper end of the interval.
        high: u64,
        /// How many may be.
        allowed: u64,
    },
    /// There is no estimate.
    NoEstimate(Refusal),
    /// Too much was lost.
    Losses {
        /// How much.
        lost: u64,
        /// How much may be.
        allowed: u64,
    },
    /// Containers could not be named.
    Unnamed(u64),
    /// Another reason.
    Reason(Reason),
}

impl RolloutStatus {
    /// That of a recording.
    pub fn from_recording(recording: &Recording) -> Self {
        let discovery = Discovery::from_recording(recording);
        let coverage = &recording.coverage;
        let unnamed = coverage.reasons.iter().map(|reason| match reason {
            Reason::UnnamedInstances { count } => *count,
            _ => 0,
        });
        Self {
            instances: discovery.instances,
            from_start: recording
                .instances
                .iter()
                .filter(|instance| instance.start_observed)
                .count() as u64,
            calls: discovery.calls,
            quiet: discovery.quiet_s.map(Duration::from_secs),
            unseen: discovery.unseen,
            losses: coverage.losses,
            unnamed: unnamed.max().unwrap_or_default(),
            reasons: lasting(&coverage.reasons),
        }
    }

    /// What speaks against enforcing, by these thresholds; nothing when it may be enforced.
    pub fn missing(&self, thresholds: &Rollout) -> Vec<Missing> {
        let mut missing = Vec::new();
        if self.instances < thresholds.instances {
            missing.push(Missing::Instances {
                seen: self.instances,
                needed: thresholds.instances,
            });
        }
        if self.from_start == 0 {
            missing.push(Missing::NoStart);
        }
        let needed = thresholds.quiet.into();
        if self.quiet.is_none_or(|quiet| quiet < needed) {
            missing.push(Missing::Quiet {
                quiet: self.quiet,
                needed,
            });
        }
        match &self.unseen {
            Estimate::Chao2(unseen) if unseen.high > thresholds.unseen => {
                missing.push(Missing::Unseen {
                    high: unseen.high,
                    allowed: thresholds.unseen,
                });
            }
            Estimate::Chao2(_) => {}
            // That there are too few is said already.
            Estimate::Refused(Refusal::TooFewInstances { .. })
                if self.instances < thresholds.instances => {}
            Estimate::Refused(refusal) => missing.push(Missing::NoEstimate(refusal.clone())),
        }
        let lost: u64 = self
            .losses
            .iter()
            .map(|(_, count)| count)
            .fold(0, u64::saturating_add);
        if lost > thresholds.losses {
            missing.push(Missing::Losses {
                lost,
                allowed: thresholds.losses,
            });
        }
        if self.unnamed > 0 {
            missing.push(Missing::Unnamed(self.unnamed));
        }
        missing.extend(self.reasons.iter().cloned().map(Missing::Reason));
        missing
    }
}

/// The reasons that more recording does not cure. That it goes on, that an instance ran already, and that an agent
/// was ended is the ordinary life of a spool; losses and names are looked at by themselves.
fn lasting(reasons: &[Reason]) -> Vec<Reason> {
    let lasts = |reason: &&Reason| {
        !matches!(
            reason,
            Reason::StartNotObserved {}
                | Reason::StillRunning { .. }
                | Reason::RecorderKilled { .. }
                | Reason::UnnamedInstances { .. }
                | Reason::ObservationsLost { .. }
                | Reason::ProgramSkipped { .. }
                | Reason::PhasesMixed { .. }
        )
    };
    let lasting: BTreeSet<_> = reasons.iter().filter(lasts).cloned().collect();
    lasting.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{agent::Span, recording::RecordingEnd, recording::estimate::Unseen};

    const HOUR: Duration = Duration::from_secs(3600);

    fn status() -> RolloutStatus {
        RolloutStatus {
            instances: 5,
            from_start: 1,
            calls: 100,
            quiet: Some(24 * HOUR),
            unseen: Estimate::Chao2(Unseen {
                calls: 0,
                low: 0,
                high: 3,
            }),
            losses: Losses::default(),
            unnamed: 0,
            reasons: Vec::new(),
        }
    }

    #[test]
    fn each_threshold_alone_keeps_a_profile_from_being_enforced() {
        let thresholds = Rollout {
            instances: 5,
            quiet: Span::seconds(24 * 3600),
            unseen: 3,
            losses: 0,
        };
        assert_eq!(status().missing(&thresholds), []);
        let missing = |change: fn(&mut RolloutStatus)| {
            let mut status = status();
            change(&mut status);
            status.missing(&thresholds)
        };
        for (change, expected) in [
            (
                (|it| it.instances = 4) as fn(&mut RolloutStatus),
                Missing::Instances { seen: 4, needed: 5 },
            ),
            (|it| it.from_start = 0, Missing::NoStart),
            (
                |it| it.quiet = Some(23 * HOUR),
                Missing::Quiet {
                    quiet: Some(23 * HOUR),
                    needed: 24 * HOUR,
                },
            ),
            (
                |it| it.quiet = None,
                Missing::Quiet {
                    quiet: None,
                    needed: 24 * HOUR,
                },
            ),
            (
                |it| {
                    it.unseen = Estimate::Chao2(Unseen {
                        calls: 1,
                        low: 0,
                        high: 4,
                    });
                },
                Missing::Unseen {
                    high: 4,
                    allowed: 3,
                },
            ),
            (
                |it| it.unseen = Estimate::Refused(Refusal::TooManyRareCalls),
                Missing::NoEstimate(Refusal::TooManyRareCalls),
            ),
            (
                |it| it.losses.accesses = 1,
                Missing::Losses {
                    lost: 1,
                    allowed: 0,
                },
            ),
            (|it| it.unnamed = 2, Missing::Unnamed(2)),
            (
                |it| it.reasons = vec![Reason::IoUring {}],
                Missing::Reason(Reason::IoUring {}),
            ),
        ] {
            assert_eq!(missing(change), [expected]);
        }
    }

    #[test]
    fn a_recording_that_goes_on_is_no_reason() {
        let reasons = [
            Reason::StillRunning {
                after: RecordingEnd::Attached,
            },
            Reason::StartNotObserved {},
            Reason::IoUring {},
        ];
        assert_eq!(lasting(&reasons), [Reason::IoUring {}]);
    }
}
