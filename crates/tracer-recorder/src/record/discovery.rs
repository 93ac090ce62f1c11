//! What is new while it is recorded, and for how long nothing was.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use tracer_abi::WATCHED_ARGUMENTS;

use super::supervisor::WorkloadAge;
use crate::container::WorkloadKey;
use tracer_core::recording::SyscallId;

/// The window of "new in the last minute".
const MINUTE: Duration = Duration::from_secs(60);

/// Things that are known; accesses beyond are no news any more.
const MOST_KNOWN: usize = 1 << 17;

/// What is new once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Discovered {
    /// A call.
    Call(SyscallId),
    /// What it was given, where that is recorded.
    Values(SyscallId, [u64; WATCHED_ARGUMENTS]),
    /// An access to a file or the like, by a hash of what it is.
    Access(u64),
}

/// Keeps, of each workload, the calls that count towards how much is unseen
/// ([`tracer_core::recording::estimate`]).
///
/// A call is new to a workload, not to an instance: what each replica does at its start is not news.
#[derive(Debug)]
pub(super) struct DiscoveryClock {
    /// The workload of each instance that is recorded.
    workload_of: HashMap<u32, usize>,
    /// What their containers are of; a workload without one is none of the others.
    workloads: Vec<Option<WorkloadKey>>,
    known: HashSet<(usize, Discovered)>,
    /// News of instances that nobody knows yet, and that may turn out not to be wanted.
    open: HashMap<u32, HashSet<Discovered>>,
    /// When each workload began, and when something new was seen of it.
    times: HashMap<usize, (Instant, Instant)>,
    /// When new calls came, within the last minute.
    recent: VecDeque<Instant>,
    last: Option<Instant>,
    /// For how long the workloads have run and nothing new came; `None` as long as none has begun.
    quiet: Option<Duration>,
    /// Until when that was counted.
    counted: Instant,
}

impl DiscoveryClock {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            workload_of: HashMap::new(),
            workloads: Vec::new(),
            known: HashSet::new(),
            open: HashMap::new(),
            times: HashMap::new(),
            recent: VecDeque::new(),
            last: None,
            quiet: None,
            counted: now,
        }
    }

    /// A workload runs: from now on nothing new may come.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.quiet.is_none() {
            self.quiet = Some(Duration::ZERO);
            self.counted = now;
        }
    }

    /// An instance is one that was asked for, of the workload of that key. What it was first taken for
    /// stays: labels may come later, and would make everything new.
    pub(super) fn want(&mut self, instance: u32, key: Option<&WorkloadKey>, now: Instant) {
        if self.workload_of.contains_key(&instance) {
            return;
        }
        let same = |of: &Option<WorkloadKey>| key.is_some() && of.as_ref() == key;
        let place = self.workloads.iter().position(same).unwrap_or_else(|| {
            // One that has no instance any more is forgotten; its place is another's.
            match (0..self.workloads.len()).find(|place| !self.times.contains_key(place)) {
                Some(free) => free,
                None => {
                    self.workloads.push(None);
                    self.workloads.len() - 1
                }
            }
        });
        if let Some(workload) = self.workloads.get_mut(place) {
            *workload = key.cloned();
        }
        self.times.entry(place).or_insert((now, now));
        self.workload_of.insert(instance, place);
        for news in self.open.remove(&instance).unwrap_or_default() {
            self.saw(instance, news, now);
        }
    }

    /// An instance is not recorded, and its number is another's from now on.
    pub(super) fn forget(&mut self, instance: u32) {
        self.open.remove(&instance);
        let Some(workload) = self.workload_of.remove(&instance) else {
            return;
        };
        if !self.workload_of.values().any(|of| *of == workload) {
            self.known.retain(|(of, _)| *of != workload);
            self.times.remove(&workload);
            if let Some(place) = self.workloads.get_mut(workload) {
                *place = None;
            }
        }
    }

    /// How far the recording of an instance's workload has come.
    pub(super) fn age(&self, instance: u32, now: Instant) -> WorkloadAge {
        let times = self
            .workload_of
            .get(&instance)
            .and_then(|workload| self.times.get(workload));
        let (began, last) = times.copied().unwrap_or((now, now));
        WorkloadAge {
            recorded: now.saturating_duration_since(began),
            quiet: now.saturating_duration_since(last),
        }
    }

    /// An instance made a call that counts, or gave it values.
    pub(super) fn saw(&mut self, instance: u32, news: Discovered, now: Instant) {
        let Some(workload) = self.workload_of.get(&instance) else {
            self.open.entry(instance).or_default().insert(news);
            return;
        };
        // Files have no end; what is new of calls always counts.
        if self.known.len() >= MOST_KNOWN && matches!(news, Discovered::Access(_)) {
            return;
        }
        if self.known.insert((*workload, news)) {
            if let Some((_, last)) = self.times.get_mut(workload) {
                *last = now;
            }
            if matches!(news, Discovered::Call(_)) {
                self.recent.push_back(now);
            }
            self.last = Some(now);
            self.quiet = Some(Duration::ZERO);
            self.counted = now;
        }
    }

    /// Counts the time since it was last asked, in which something ran or nothing did, and tells for how
    /// long nothing new came; `None` before anything has begun. Time in which nothing runs is no time
    /// without news.
    pub(super) fn quiet(&mut self, runs: bool, now: Instant) -> Option<Duration> {
        if runs && let Some(quiet) = &mut self.quiet {
            *quiet += now.saturating_duration_since(self.counted);
        }
        self.counted = now;
        self.quiet
    }

    /// How many calls were new in the last minute.
    pub(super) fn in_last_minute(&mut self, now: Instant) -> usize {
        let is_past = |at: &Instant| now.saturating_duration_since(*at) > MINUTE;
        while self.recent.front().is_some_and(is_past) {
            self.recent.pop_front();
        }
        self.recent.len()
    }

    /// When the last new call came.
    pub(super) fn last(&self) -> Option<Instant> {
        self.last
    }

    /// The instances that are recorded.
    pub(super) fn wanted(&self) -> impl Iterator<Item = u32> {
        self.workload_of.keys().copied()
    }

    /// Whether all that is recorded is one workload, so that its instances can be compared.
    pub(super) fn is_one_workload(&self) -> bool {
        let mut workloads = self.workload_of.values();
        let first = workloads.next();
        workloads.all(|workload| Some(workload) == first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::Abi;

    const SECOND: Duration = Duration::from_secs(1);

    fn call(nr: u32) -> Discovered {
        let abi = Abi::X86_64;
        Discovered::Call(SyscallId { abi, nr })
    }

    fn values(nr: u32) -> Discovered {
        match call(nr) {
            Discovered::Call(call) => Discovered::Values(call, [1, 0, 0]),
            other => other,
        }
    }

    fn key(name: &str) -> WorkloadKey {
        WorkloadKey::Cgroup(name.to_owned())
    }

    #[test]
    fn clock_restarts_with_each_new_call() {
        let start = Instant::now();
        let at = |seconds: u32| start + seconds * SECOND;
        let mut discovery = DiscoveryClock::new(start);
        assert_eq!(discovery.quiet(false, at(100)), None);

        discovery.want(0, None, at(100));
        discovery.saw(0, call(1), at(100));
        assert_eq!(discovery.quiet(true, at(103)), Some(3 * SECOND));
        // The marks are read again and again.
        discovery.saw(0, call(1), at(104));
        assert_eq!(discovery.quiet(true, at(105)), Some(5 * SECOND));
        discovery.saw(0, call(2), at(106));
        assert_eq!(discovery.quiet(true, at(107)), Some(SECOND));
        assert_eq!(discovery.last(), Some(at(106)));
        assert_eq!(discovery.in_last_minute(at(161)), 1);
        assert_eq!(discovery.in_last_minute(at(167)), 0);
        // What a call was given is news too, but no new call.
        discovery.saw(0, values(2), at(170));
        assert_eq!(discovery.quiet(true, at(171)), Some(SECOND));
        assert_eq!(discovery.in_last_minute(at(171)), 0);
    }

    #[test]
    fn idle_workload_is_quiet_from_the_start() {
        let start = Instant::now();
        let mut discovery = DiscoveryClock::new(start);
        discovery.begin(start + SECOND);
        assert_eq!(discovery.quiet(true, start + 3 * SECOND), Some(2 * SECOND));
        // Another one begins no other clock.
        discovery.begin(start + 3 * SECOND);
        assert_eq!(discovery.quiet(true, start + 4 * SECOND), Some(3 * SECOND));
    }

    #[test]
    fn time_without_a_workload_is_not_counted() {
        let start = Instant::now();
        let mut discovery = DiscoveryClock::new(start);
        discovery.begin(start);
        assert_eq!(discovery.quiet(true, start + SECOND), Some(SECOND));
        assert_eq!(discovery.quiet(false, start + 60 * SECOND), Some(SECOND));
        assert_eq!(discovery.quiet(true, start + 61 * SECOND), Some(2 * SECOND));
    }

    #[test]
    fn call_is_new_per_workload_not_per_instance() {
        let now = Instant::now();
        let mut discovery = DiscoveryClock::new(now);
        let mut is_new = |instance, of: &str, nr| {
            let before = discovery.recent.len();
            discovery.want(instance, Some(&key(of)), now);
            discovery.saw(instance, call(nr), now);
            (discovery.recent.len() > before, discovery.is_one_workload())
        };
        assert_eq!(is_new(0, "web", 1), (true, true));
        assert_eq!(is_new(1, "web", 1), (false, true));
        assert_eq!(is_new(2, "db", 1), (true, false));
    }

    #[test]
    fn age_is_of_the_workload_and_ends_with_its_last_instance() {
        let start = Instant::now();
        let at = |seconds: u32| start + seconds * SECOND;
        let mut discovery = DiscoveryClock::new(start);
        discovery.want(0, Some(&key("web")), at(0));
        discovery.want(1, Some(&key("web")), at(5));
        discovery.saw(1, call(1), at(7));
        // Known already: no news of the workload.
        discovery.saw(0, call(1), at(9));
        let age = discovery.age(0, at(10));
        assert_eq!((age.recorded, age.quiet), (10 * SECOND, 3 * SECOND));
        discovery.forget(0);
        assert_eq!(discovery.age(1, at(10)), age);
        discovery.forget(1);
        assert!(discovery.known.is_empty() && discovery.times.is_empty());
        // Another takes its place, and a thousand after each other take one.
        for other in 0..1_000 {
            discovery.want(7, Some(&key(&format!("job-{other}"))), at(20));
            discovery.saw(7, call(1), at(20));
            discovery.forget(7);
        }
        assert_eq!((discovery.workloads.len(), discovery.known.len()), (1, 0));
    }

    #[test]
    fn unidentified_instance_counts_once_selected() {
        let now = Instant::now();
        let mut discovery = DiscoveryClock::new(now);
        discovery.saw(7, call(1), now);
        discovery.saw(8, call(2), now);
        assert_eq!((discovery.quiet(true, now), discovery.last()), (None, None));
        // 7 is another's container: its number is used again.
        discovery.forget(7);
        discovery.want(7, Some(&key("web")), now);
        assert_eq!(discovery.last(), None);
        discovery.want(8, Some(&key("web")), now);
        assert_eq!(discovery.last(), Some(now));
    }
}
