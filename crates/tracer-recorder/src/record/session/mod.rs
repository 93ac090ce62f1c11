//! One recording in the making: what the ring announces ([`notices`]), reconciled with what the marks say
//! ([`marks`]).

mod accesses;
mod marks;
mod mounts;
mod notices;
mod progress;
mod resolve;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use tracer_abi::{AbiClass, Event, NoticeKind};

use super::{
    RecordError,
    assemble::{self, FinishedWorkload},
    discovery::DiscoveryClock,
    instance::{InstanceInfo, TrackedInstance},
};
use crate::{
    bpf::{CgroupKind, Events, KernelAccess, Probe, ProbeError, Settings},
    cgroup::Cgroup,
    container::WorkloadKey,
};
use syscalls::Machine;
use tracer_core::recording::{
    Accesses, Blocked, Executable, FilePath, FirstSeen, Losses, Observations, Phase, Recording,
    SyscallId,
};

/// How often the watcher is told; more would only flicker.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How long after an instance is no longer wanted its rows are given to others: longer than any run
/// of a kernel program, one of which may hold such a row just now.
const GRACE: Duration = Duration::from_millis(100);

/// How long nobody must have needed the exits of calls before they are no longer watched.
const EXITS_IDLE: Duration = Duration::from_secs(5);

/// How a recording goes, for the live line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Different calls so far.
    pub distinct: usize,
    /// Calls so far.
    pub calls: u64,
    /// Different calls of the workloads, and of what was put into them, that came up in the last minute.
    pub new_in_last_minute: usize,
    /// Since the last of these came up; `None` before the first.
    pub since_last_new: Option<Duration>,
    /// Everything lost so far.
    pub losses: Losses,
    /// How many calls are unseen, in a few words, as of the last checkpoint; empty when nothing can be
    /// said.
    pub unseen: String,
}

/// A call that a filter stopped, each time it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The call.
    pub call: SyscallId,
    /// The executable.
    pub executable: Executable,
    /// What it saw.
    pub saw: Blocked,
    /// When, who, and with which arguments.
    pub seen: FirstSeen,
}

/// Who is told how a recording goes.
pub trait ProgressListener {
    /// The recording has begun: `what` is recorded from now on.
    fn began(&mut self, what: &str);
    /// Something that a user should know at once: one line, escaped.
    fn note(&mut self, text: &str);
    /// The recording ends by itself, and why: one line, escaped.
    fn ends(&mut self, why: &str);
    /// Called about ten times a second.
    fn progress(&mut self, progress: &Progress);
    /// A filter stopped a call; only where `Settings::report_every_blocked` asks for it.
    fn denied(&mut self, _: Denial) {}
}

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InstanceEvent {
    /// Which.
    pub(super) instance: u32,
    /// What.
    pub(super) kind: NoticeKind,
}

/// What a row of marks means to a recording.
#[derive(Clone, Debug)]
struct RowMeaning {
    instance: u32,
    phase: Phase,
    executable: Executable,
    blocked: bool,
}

/// A running recording.
pub struct Session {
    probe: Probe,
    events: Events,
    pub(super) machine: Machine,
    /// The kernel's clock at the beginning, in nanoseconds.
    began_ns: u64,
    /// By their numbers.
    instances: Vec<TrackedInstance>,
    /// Numbers of forgotten instances, for others to have: a recorder may run for months.
    free_numbers: Vec<u32>,
    /// How many there were in all.
    instances_in_all: u64,
    by_id: HashMap<u64, u32>,
    /// Below which directory found cgroups lie.
    root: PathBuf,
    /// Every cgroup that user space has told the kernel side of.
    watched: HashSet<u64>,
    /// Child cgroups that inherited nothing, found at a checkpoint.
    late_cgroups: u64,
    /// Running processes that there was no room to introduce.
    processes_not_registered: u64,
    rows: HashMap<u32, RowMeaning>,
    observations: Observations,
    accesses: Accesses,
    /// Accesses of rows that were not known when they came.
    pending_accesses: Vec<KernelAccess>,
    /// What processes gave another name, which is still to come.
    renames: HashMap<u32, FilePath>,
    /// Those that there was no room to keep.
    accesses_without_row: u64,
    /// Mounts whose texts were not as they should be.
    unreadable_mounts: u64,
    /// By which hashes the kernel side knows what it told, by instance.
    announced: HashMap<u32, Vec<u64>>,
    /// Events of rows that were not known when they came.
    pending_events: Vec<(Event, AbiClass)>,
    /// Events that came before the notice of their instance, and were not kept.
    events_without_row: u64,
    instance_events: Vec<InstanceEvent>,
    /// Whether each call that a filter stops is kept for the watcher.
    reports_denials: bool,
    denials: Vec<Denial>,
    /// Instances that are not recorded any more, and since when.
    to_release: VecDeque<(Instant, u64)>,
    /// When exits were last needed.
    exits_needed: Instant,
    discovery: DiscoveryClock,
    /// How many calls are unseen, in a few words, as of the last checkpoint.
    unseen: String,
    /// When the watcher was last told.
    last_progress: Instant,
    /// Program runs that the kernel skipped, as of the last checkpoint.
    skipped_runs: u64,
}

impl Session {
    /// Loads the kernel side. Nothing is recorded yet, but what `settings.discover` finds: cgroups
    /// below `root`.
    ///
    /// # Errors
    /// [`RecordError::Probe`].
    pub fn start(settings: &Settings, root: &Path) -> Result<Self, RecordError> {
        let machine = Machine::this().ok_or(ProbeError::Machine(std::env::consts::ARCH))?;
        let (probe, events) = Probe::load(settings)?;
        Ok(Self {
            probe,
            events,
            machine,
            began_ns: monotonic_ns(),
            instances: Vec::new(),
            free_numbers: Vec::new(),
            instances_in_all: 0,
            by_id: HashMap::new(),
            root: root.to_owned(),
            watched: HashSet::new(),
            late_cgroups: 0,
            processes_not_registered: 0,
            rows: HashMap::new(),
            observations: Observations::default(),
            accesses: Accesses::default(),
            pending_accesses: Vec::new(),
            renames: HashMap::new(),
            accesses_without_row: 0,
            unreadable_mounts: 0,
            announced: HashMap::new(),
            pending_events: Vec::new(),
            events_without_row: 0,
            instance_events: Vec::new(),
            reports_denials: settings.report_every_blocked,
            denials: Vec::new(),
            to_release: VecDeque::new(),
            exits_needed: Instant::now(),
            discovery: DiscoveryClock::new(Instant::now()),
            unseen: String::new(),
            last_progress: Instant::now(),
            skipped_runs: 0,
        })
    }

    /// Records a cgroup and everything below it as one instance; returns its number.
    ///
    /// # Errors
    /// [`RecordError::TooManyCgroups`] when the kernel side has no room for it.
    pub fn watch(
        &mut self,
        cgroup: &Cgroup,
        subject: InstanceInfo,
        first_exe: u64,
        kind: CgroupKind,
    ) -> Result<u32, RecordError> {
        let number = self.add(TrackedInstance::new(cgroup.clone(), subject, kind));
        self.watched.insert(cgroup.id);
        if !self.probe.watch(cgroup.id, cgroup.id, first_exe, kind)? {
            return Err(RecordError::TooManyCgroups);
        }
        // Children that are made from now on inherit in the kernel; these are here already. One
        // that is made below a child before that child is watched inherits nothing, so look again
        // until nothing is new.
        while self.watch_descendants(cgroup, first_exe, kind)? > 0 {}
        Ok(number)
    }

    fn add(&mut self, watched: TrackedInstance) -> u32 {
        self.instances_in_all += 1;
        let id = watched.cgroup.id;
        let reused = self.free_numbers.pop();
        let number = match reused.and_then(|number| Some((number, self.instance_mut(number)?))) {
            Some((number, place)) => {
                *place = watched;
                number
            }
            None => {
                self.instances.push(watched);
                // As many as memory holds; a number that does not fit would need 4 billion containers.
                u32::try_from(self.instances.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_id.insert(id, number);
        number
    }

    /// An instance by its number.
    pub(super) fn instance(&self, number: u32) -> Option<&TrackedInstance> {
        self.instances.get(number as usize)
    }

    pub(super) fn instance_mut(&mut self, number: u32) -> Option<&mut TrackedInstance> {
        self.instances.get_mut(number as usize)
    }

    /// An instance is one that was asked for, of the workload of that key.
    pub(super) fn want(&mut self, number: u32, key: Option<&WorkloadKey>) {
        let now = Instant::now();
        self.discovery.want(number, key, now);
        if let Some(watched) = self.instance(number)
            && !watched.kind.is_prestart()
        {
            self.discovery.begin(now);
        }
    }

    /// Whether there is an instance that began with the cgroup of this id.
    pub(super) fn knows(&self, cgroup: u64) -> bool {
        self.by_id.contains_key(&cgroup)
    }

    /// Whether the kernel side records the cgroup with this id already.
    pub(super) fn is_watched(&mut self, cgroup: u64) -> Result<bool, RecordError> {
        Ok(self.probe.is_watched(cgroup)?)
    }

    /// Watches the cgroups below that the kernel side does not know; returns how many there were. Those
    /// that there is no room for are counted as lost.
    fn watch_descendants(
        &mut self,
        cgroup: &Cgroup,
        first_exe: u64,
        kind: CgroupKind,
    ) -> Result<u64, RecordError> {
        let mut new = 0;
        for child in cgroup.descendants().unwrap_or_default() {
            // One that is gone by now has taken its entry with it: only one that is still there
            // after the question was really not known.
            if self.watched.insert(child.id) && !self.probe.is_watched(child.id)? && child.exists()
            {
                if self.probe.watch(child.id, cgroup.id, first_exe, kind)? {
                    new += 1;
                } else {
                    self.late_cgroups += 1;
                }
            }
        }
        Ok(new)
    }

    /// Tells the kernel side which executable a running process is, of the instance that begins, or
    /// will begin, with the cgroup of that id.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map is full.
    pub fn register_process(
        &mut self,
        pid: u32,
        instance: u64,
        executable: &[u8],
    ) -> Result<(), RecordError> {
        if !self.probe.register_process(pid, instance, executable)? {
            self.processes_not_registered += 1;
        }
        Ok(())
    }

    /// Watches the exits of calls from now on, as long as an instance needs it: by them, calls that a
    /// filter stops are seen.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when the kernel refuses.
    pub fn watch_exits(&mut self) -> Result<(), RecordError> {
        self.exits_needed = Instant::now();
        Ok(self.probe.watch_exits(true)?)
    }

    /// Exits are watched only while an instance is under a filter or may be about to be: every call
    /// of the machine pays for it.
    fn leave_exits_when_idle(&mut self) -> Result<(), RecordError> {
        if self.instances.iter().any(TrackedInstance::needs_exits) {
            self.watch_exits()?;
        } else if self.probe.watches_exits() && self.exits_needed.elapsed() > EXITS_IDLE {
            self.probe.watch_exits(false)?;
        }
        Ok(())
    }

    /// Waits until there may be something new, at most a tenth of a second. Safe to drop while it
    /// waits.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when the ring cannot be polled.
    pub async fn wait(&mut self) -> Result<(), RecordError> {
        Ok(self.events.ready().await?)
    }

    /// Ends the recording of an instance whose cgroup is gone: reads all there is, and gives its
    /// place in the kernel's tables to others.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn retire(&mut self, number: u32) -> Result<(), RecordError> {
        let Some(id) = self
            .instance(number)
            .filter(|watched| watched.live)
            .map(|watched| watched.cgroup.id)
        else {
            return Ok(());
        };
        let rows = self.probe.rows()?;
        self.learn(&rows)?;
        self.read_rows(Some(number))?;
        // Before its rows are another's.
        self.drain_accesses()?;
        self.end(number)?;
        self.forget_reported(number)?;
        Ok(self.probe.release(&[id], &rows)?)
    }

    /// Leaves an instance that nobody wants, and all that was seen of it.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be changed.
    pub(super) fn forget(&mut self, number: u32) -> Result<(), RecordError> {
        let Some(watched) = self.instance(number) else {
            return Ok(());
        };
        let (id, live, seen) = (watched.cgroup.id, watched.live, watched.seen);
        if live {
            self.end(number)?;
            self.probe.unwatch(id)?;
            self.to_release.push_back((Instant::now(), id));
        }
        if seen {
            self.observations.forget(number);
            self.accesses.forget(number);
        }
        self.forget_reported(number)?;
        self.discovery.forget(number);
        self.by_id.remove(&id);
        self.watched.remove(&id);
        self.free_numbers.push(number);
        Ok(())
    }

    fn end(&mut self, number: u32) -> Result<(), RecordError> {
        self.rows.retain(|_, meaning| meaning.instance != number);
        let id = self.instance(number).map_or(0, |watched| watched.cgroup.id);
        let state = self.probe.state(id)?;
        if let Some(watched) = self.instance_mut(number) {
            watched.state.merge(state.unwrap_or_default());
            watched.live = false;
            watched.ended = Some(Timestamp::now());
        }
        Ok(())
    }

    fn release_due(&mut self) -> Result<(), RecordError> {
        let due: Vec<_> = self
            .to_release
            .iter()
            .take_while(|(since, _)| since.elapsed() >= GRACE)
            .map(|(_, id)| *id)
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        self.to_release.drain(..due.len());
        let rows = self.probe.rows()?;
        self.probe.release(&due, &rows)?;
        Ok(())
    }

    /// Whether an instance tried one of these calls.
    pub(super) fn attempted(&self, number: u32, names: &[&str]) -> bool {
        let abis = self.machine.abis();
        let calls = abis.into_iter().flat_map(|abi| {
            let numbers = names
                .iter()
                .filter_map(move |name| abi.syscall_number(name));
            numbers.map(move |nr| SyscallId { abi, nr })
        });
        calls
            .into_iter()
            .any(|call| self.observations.attempted(number, call))
    }

    /// How many cgroups were found faster than their paths could be kept.
    pub(super) fn unnamed_cgroups(&mut self) -> Result<u64, RecordError> {
        Ok(self.probe.counters()?.paths_full)
    }

    /// Ends the recording of every instance. What the ring and the marks hold is taken in.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn stop(&mut self) -> Result<(), RecordError> {
        self.find_late_cgroups()?;
        self.find_missed_notices()?;
        // Stop first, so that the counters and the marks speak of the same calls.
        let live: Vec<_> = (0..)
            .zip(&self.instances)
            .filter(|(_, watched)| watched.live)
            .map(|(number, watched)| (number, watched.cgroup.id))
            .collect();
        for (number, id) in &live {
            let state = self.probe.state(*id)?;
            if let Some(watched) = self.instance_mut(*number) {
                watched.state.merge(state.unwrap_or_default());
            }
            self.probe.unwatch(*id)?;
        }
        self.drain()?;
        self.learn_rows()?;
        self.read_rows(None)?;
        self.drain_accesses()?;
        self.skipped_runs = self.probe.skipped_runs();
        let now = Timestamp::now();
        for (number, _) in live {
            if let Some(watched) = self.instance_mut(number) {
                watched.live = false;
                watched.ended = Some(now);
            }
        }
        Ok(())
    }

    /// Ends the session, and makes a recording of each workload.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn finish(
        mut self,
        finished_workloads: Vec<FinishedWorkload>,
    ) -> Result<Vec<Recording>, RecordError> {
        self.stop()?;
        let counters = self.probe.counters()?;
        let mut losses = self.losses(&counters);
        if counters.accesses_dropped > 0 {
            losses.accesses += self.probe.unreported_accesses()?;
        }
        Ok(assemble::recordings(
            finished_workloads,
            &self.instances,
            self.observations,
            self.accesses,
            &assemble::SessionTotals {
                machine: self.machine,
                calls: (self.instances_in_all == 1).then_some(counters.calls),
                losses,
                mechanisms: self.probe.mechanisms().clone(),
            },
        ))
    }
}

fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .ok()
        .and_then(|time| u64::try_from(Duration::from(time).as_nanos()).ok())
        .unwrap_or(0)
}
