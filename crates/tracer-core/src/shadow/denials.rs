//! What the kernel's log says that was denied, counted: a flood of one denial is one event.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ContainerName, Event, EventKind, ObservedProcess, Suppression};
use crate::{
    audit::Severity,
    learn::{DeniedBy, LoggedDenial, LostSinceBoot},
    recording::Executable,
};

/// Different denials that are kept apart, of all workloads; those beyond are counted.
const MAX_DIFFERENT: usize = 10_000;

/// The same of one workload: it must not take the room of the others.
const MAX_OF_WORKLOAD: usize = 1_000;

/// Workloads that are counted by name.
const MAX_WORKLOADS: usize = 10_000;

/// Where a denial is attributed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribution {
    /// The workload; `None` when the process was gone, or is in no container.
    pub workload: Option<String>,
    /// The id and name of the container.
    pub container: Option<(String, Option<String>)>,
    /// Whether the process was gone before its cgroup could be read.
    pub is_gone: bool,
}

/// What makes two denials the same: the process is not among it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    to: Attribution,
    by: DeniedBy,
    allowed: bool,
    /// The program, or the thread's name where the record has no program.
    program: Option<String>,
    what: String,
    detail: String,
    profile: Option<String>,
}

/// What is counted of a workload.
#[derive(Clone, Copy, Debug, Default)]
struct OfWorkload {
    /// Different denials that are kept apart.
    different: usize,
    /// Records beyond these.
    more: u64,
}

/// Counts denials.
#[derive(Debug, Default)]
pub struct DenialLog {
    suppressions: Vec<Suppression>,
    counts: BTreeMap<Key, (Event, u64)>,
    /// By the workload's name; `None` stands for processes that were gone, and for workloads beyond
    /// [`MAX_WORKLOADS`].
    workloads: BTreeMap<Option<String>, OfWorkload>,
    since_boot: LostSinceBoot,
    summary: DenialSummary,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DenialSummary {
    /// Records of denials, those that were suppressed included.
    pub records: u64,
    /// Records whose event was suppressed.
    pub suppressed: u64,
    /// Records beyond the different ones that are kept apart.
    pub more: u64,
    /// Records that were not understood.
    pub not_understood: u64,
    /// Records that the kernel or the socket lost.
    pub lost: u64,
    /// Why more than `lost` may be lost: a buffer overflowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at_least: Option<&'static str>,
    /// Records whose process was gone before it could be attributed.
    pub gone: u64,
}

impl DenialLog {
    /// A log that leaves out what is suppressed.
    pub fn new(suppressions: Vec<Suppression>) -> Self {
        Self {
            suppressions,
            ..Self::default()
        }
    }

    /// Takes in a denial; returns an event when it is the first of its kind, or when it is beyond what is kept apart
    /// and the number of these is the first or has doubled.
    pub fn take(&mut self, denial: &LoggedDenial, to: Attribution) -> Option<Event> {
        self.summary.records += 1;
        self.summary.gone += u64::from(to.is_gone);
        let key = Key {
            to,
            by: denial.by,
            allowed: denial.allowed,
            program: denial.executable.clone().or_else(|| denial.comm.clone()),
            what: denial.what.clone(),
            detail: denial.detail.clone(),
            profile: denial.profile.clone(),
        };
        if let Some((_, count)) = self.counts.get_mut(&key) {
            *count += 1;
            return None;
        }
        let event = event(denial, &key.to);
        if self.suppressions.iter().any(|it| it.matches(&event)) {
            self.summary.suppressed += 1;
            return None;
        }
        let is_full = self.counts.len() >= MAX_DIFFERENT;
        let name = Some(key.to.workload.clone())
            .filter(|it| self.workloads.len() < MAX_WORKLOADS || self.workloads.contains_key(it))
            .flatten();
        let of_workload = self.workloads.entry(name.clone()).or_default();
        if is_full || of_workload.different >= MAX_OF_WORKLOAD {
            self.summary.more += 1;
            let before = of_workload.more;
            of_workload.more += 1;
            return has_doubled(before, of_workload.more).then(|| Event {
                workload: name,
                count: Some(of_workload.more),
                detail: Some("different ones beyond those that are kept apart".to_owned()),
                ..Event::new(EventKind::Lost, Severity::Medium)
            });
        }
        of_workload.different += 1;
        self.counts.insert(key, (event.clone(), 1));
        Some(event)
    }

    /// Records were lost: an event at the first time, and each time that the number has doubled.
    pub fn take_lost(&mut self, count: u64) -> Option<Event> {
        let before = self.summary.lost;
        self.summary.lost = before.saturating_add(count);
        has_doubled(before, self.summary.lost).then(|| Event {
            count: Some(self.summary.lost),
            at_least: self.summary.lost_at_least.is_some(),
            detail: self.summary.lost_at_least.map(str::to_owned),
            ..Event::new(EventKind::Lost, Severity::Medium)
        })
    }

    /// A buffer overflowed: at least one record was lost, and nobody knows how many.
    pub fn take_overflow(&mut self, why: &'static str) -> Option<Event> {
        self.summary.lost_at_least = Some(why);
        self.take_lost(1)
    }

    /// The kernel says how many records it has lost since it booted: what is more than the last time counts.
    pub fn take_lost_since_boot(&mut self, total: u64) -> Option<Event> {
        let count = self.since_boot.take(total);
        self.take_lost(count)
    }

    /// A record was not understood: an event at the first time, and each time that the number has doubled.
    pub fn not_understood(&mut self) -> Option<Event> {
        let before = self.summary.not_understood;
        self.summary.not_understood += 1;
        has_doubled(before, self.summary.not_understood).then(|| Event {
            count: Some(self.summary.not_understood),
            detail: Some("not understood".to_owned()),
            ..Event::new(EventKind::Lost, Severity::Medium)
        })
    }

    /// Each different denial, with how often it was logged.
    pub fn counted(&self) -> impl Iterator<Item = Event> + '_ {
        self.counts.values().map(|(event, count)| Event {
            count: Some(*count),
            ..event.clone()
        })
    }

    /// The numbers.
    pub const fn summary(&self) -> &DenialSummary {
        &self.summary
    }

    /// Whether anything was denied, or would have been, that is not suppressed.
    pub fn has_findings(&self) -> bool {
        !self.counts.is_empty()
    }
}

/// Whether a number that grows is the first that is not 0, or has doubled.
fn has_doubled(before: u64, now: u64) -> bool {
    before.checked_ilog2() != now.checked_ilog2()
}

fn event(denial: &LoggedDenial, to: &Attribution) -> Event {
    let process = denial.pid.map(|pid| ObservedProcess {
        pid,
        comm: denial.comm.clone().unwrap_or_default(),
    });
    let kind = match denial.allowed {
        true => EventKind::Logged,
        false => EventKind::Denied,
    };
    let by = match denial.by {
        DeniedBy::Seccomp => "seccomp",
        DeniedBy::AppArmor => "AppArmor",
        DeniedBy::Selinux => "SELinux",
    };
    Event {
        workload: to.workload.clone(),
        container: to
            .container
            .clone()
            .map(|(id, name)| ContainerName { id, name }),
        executable: denial.executable.clone().map(Executable::Path),
        process,
        kind: Some(denial.kind),
        what: Some(denial.what.clone()),
        detail: Some(denial.detail.clone()),
        profile: denial.profile.clone(),
        action: Some(by.to_owned()),
        result: Some(denial.result.clone()),
        depends_on: to
            .is_gone
            .then(|| "its process was gone: the container is not known".to_owned()),
        ..Event::new(kind, Severity::Low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::LogLine;

    fn denial(pid: u32) -> LoggedDenial {
        let line = format!(
            r#"type=1326 audit(1.0:1): pid={pid} comm="sh" exe="/bin/sh" arch=c000003e syscall=83 code=0x50001"#
        );
        match LogLine::read(&line) {
            LogLine::Denial(denial) => *denial,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flood_is_one_event_with_a_count() {
        let mut log = DenialLog::default();
        let web = || Attribution {
            workload: Some("web".to_owned()),
            ..Attribution::default()
        };
        let events: Vec<_> = (0..10_000)
            .filter_map(|pid| log.take(&denial(pid), web()))
            .collect();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].event, EventKind::Denied);
        let counted: Vec<_> = log.counted().map(|it| it.count).collect();
        assert_eq!(counted, [Some(10_000)]);
        // Another container is another event; one that is gone says so.
        let gone = Attribution {
            is_gone: true,
            ..Attribution::default()
        };
        assert!(log.take(&denial(1), gone).unwrap().depends_on.is_some());
        assert_eq!(log.summary().gone, 1);
    }

    #[test]
    fn suppressed_and_lost_records_are_counted() {
        let mut log = DenialLog::new(vec!["what=mk*".parse().unwrap()]);
        assert_eq!(log.take(&denial(1), Attribution::default()), None);
        assert_eq!((log.summary().records, log.summary().suppressed), (1, 1));
        assert!(!log.has_findings());
        let told: Vec<_> = (0..5)
            .filter_map(|_| log.take_lost(1))
            .map(|it| it.count)
            .collect();
        assert_eq!(told, [Some(1), Some(2), Some(4)]);
    }

    #[test]
    fn flood_of_different_denials_leaves_room_for_other_workloads() {
        let mut log = DenialLog::default();
        let to = |name: &str| Attribution {
            workload: Some(name.to_owned()),
            ..Attribution::default()
        };
        let flood = |log: &mut DenialLog, name: &str, count: usize| -> Vec<Event> {
            let denials = (0..count).map(|number| LoggedDenial {
                detail: number.to_string(),
                ..denial(1)
            });
            let events = denials.filter_map(|denial| log.take(&denial, to(name)));
            events.collect()
        };
        let events = flood(&mut log, "noisy", MAX_OF_WORKLOAD + 5);
        let is_lost = |it: &&Event| it.event == EventKind::Lost;
        let lost: Vec<_> = events.iter().filter(is_lost).collect();
        let counts: Vec<_> = lost.iter().map(|it| it.count).collect();
        assert_eq!(counts, [Some(1), Some(2), Some(4)]);
        assert!(
            lost.iter()
                .all(|it| it.workload.as_deref() == Some("noisy"))
        );
        assert_eq!(events.len(), MAX_OF_WORKLOAD + 3);
        assert_eq!(log.summary().more, 5);
        // Another workload still has its place, until all together are too many.
        let quiet = flood(&mut log, "quiet", 1);
        assert_eq!(quiet[0].event, EventKind::Denied);
        for number in 0..9 {
            flood(&mut log, &number.to_string(), MAX_OF_WORKLOAD);
        }
        assert_eq!(log.counted().count(), MAX_DIFFERENT);
        let late = flood(&mut log, "late", 1);
        assert_eq!(late[0].event, EventKind::Lost);
        assert_eq!(late[0].workload.as_deref(), Some("late"));
    }

    #[test]
    fn records_that_are_not_understood_are_events() {
        let mut log = DenialLog::default();
        let told: Vec<_> = (0..5).filter_map(|_| log.not_understood()).collect();
        let counts: Vec<_> = told.iter().map(|it| it.count).collect();
        assert_eq!(counts, [Some(1), Some(2), Some(4)]);
        assert!(
            told.iter()
                .all(|it| it.event == EventKind::Lost && it.workload.is_none())
        );
        assert_eq!(log.summary().not_understood, 5);
    }

    #[test]
    fn overflow_makes_the_number_a_minimum() {
        let mut log = DenialLog::default();
        let exact = log.take_lost(1).unwrap();
        assert_eq!((exact.count, exact.at_least), (Some(1), false));
        let overflow = log.take_overflow("the socket's buffer overflowed").unwrap();
        assert_eq!((overflow.count, overflow.at_least), (Some(2), true));
        assert_eq!(
            overflow.detail.as_deref(),
            Some("the socket's buffer overflowed")
        );
        // What the kernel counts afterwards does not make the sum exact.
        assert!(log.take_lost(2).unwrap().at_least);
        assert_eq!(log.summary().lost, 4);
        assert!(log.summary().lost_at_least.is_some());
    }
}
