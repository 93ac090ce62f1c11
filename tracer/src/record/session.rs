//! One recording in the making: what the ring announces, reconciled with what the marks say.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use tracer_ebpf::{AbiClass, EXE_UNKNOWN, Event, NoticeKind};

use super::{
    RecordError,
    assemble::{self, Ending},
    describe,
    instance::{Subject, Watched},
    novelty::Novelty,
};
use crate::{
    cgroup::Cgroup,
    container::Key,
    probe::{Events, Kind, Probe, ProbeError, RowValues, SeenRow, Settings},
    recording::{
        Call, Executable, FirstSeen, Given, Losses, Observation, Observations, Phase, Recording,
        estimate,
    },
    syscall::Machine,
};

/// How often the watcher is told; more would only flicker.
const TELL_EVERY: Duration = Duration::from_millis(100);

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

/// Who is told how a recording goes.
pub trait Watcher {
    /// The recording has begun: `what` is recorded from now on.
    fn began(&mut self, what: &str);
    /// Something that a user should know at once: one line, escaped.
    fn note(&mut self, text: &str);
    /// The recording ends by itself, and why: one line, escaped.
    fn ends(&mut self, why: &str);
    /// Called about ten times a second.
    fn progress(&mut self, progress: &Progress);
}

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Which.
    pub(super) instance: u32,
    /// What.
    pub(super) kind: NoticeKind,
}

/// What a row of marks means to a recording.
#[derive(Clone, Debug)]
struct Meaning {
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
    instances: Vec<Watched>,
    /// Numbers of forgotten instances, for others to have: a recorder may run for months.
    free_numbers: Vec<u32>,
    /// How many there were in all.
    counted: u64,
    by_id: HashMap<u64, u32>,
    /// Below which directory found cgroups lie.
    root: PathBuf,
    /// Every cgroup that user space has told the kernel side of.
    watched: HashSet<u64>,
    /// Child cgroups that inherited nothing, found at a checkpoint.
    late_cgroups: u64,
    /// Running processes that there was no room to introduce.
    not_introduced: u64,
    rows: HashMap<u32, Meaning>,
    observations: Observations,
    /// Events of rows that were not known when they came.
    waiting: Vec<(Event, AbiClass)>,
    /// Events that came before the notice of their instance, and were not kept.
    early_events: u64,
    news: Vec<News>,
    /// Instances that are not recorded any more, and since when.
    to_release: VecDeque<(Instant, u64)>,
    /// When exits were last needed.
    exits_needed: Instant,
    novelty: Novelty,
    /// How many calls are unseen, in a few words, as of the last checkpoint.
    unseen: String,
    /// When the watcher was last told.
    told: Instant,
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
            counted: 0,
            by_id: HashMap::new(),
            root: root.to_owned(),
            watched: HashSet::new(),
            late_cgroups: 0,
            not_introduced: 0,
            rows: HashMap::new(),
            observations: Observations::default(),
            waiting: Vec::new(),
            early_events: 0,
            news: Vec::new(),
            to_release: VecDeque::new(),
            exits_needed: Instant::now(),
            novelty: Novelty::new(Instant::now()),
            unseen: String::new(),
            told: Instant::now(),
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
        subject: Subject,
        first_exe: u64,
        kind: Kind,
    ) -> Result<u32, RecordError> {
        let number = self.add(Watched::new(cgroup.clone(), subject, kind));
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

    fn add(&mut self, watched: Watched) -> u32 {
        self.counted += 1;
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
    pub(super) fn instance(&self, number: u32) -> Option<&Watched> {
        self.instances.get(number as usize)
    }

    pub(super) fn instance_mut(&mut self, number: u32) -> Option<&mut Watched> {
        self.instances.get_mut(number as usize)
    }

    /// An instance is one that was asked for, of the workload of that key.
    pub(super) fn want(&mut self, number: u32, key: Option<&Key>) {
        let now = Instant::now();
        self.novelty.want(number, key, now);
        if let Some(watched) = self.instance(number)
            && !watched.kind.is_to_start()
        {
            self.novelty.begin(now);
        }
    }

    /// Whether nothing new came for `span`, while something that was asked for ran.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn is_stable(&mut self, span: Duration) -> Result<bool, RecordError> {
        if !self.seems_stable(span) {
            return Ok(false);
        }
        // What the ring has not told yet, or had no room for, is news as well.
        self.reconcile()?;
        Ok(self.seems_stable(span))
    }

    fn seems_stable(&mut self, span: Duration) -> bool {
        let runs = self
            .novelty
            .wanted()
            .any(|number| self.instance(number).is_some_and(Watched::runs));
        let quiet = self.novelty.quiet(runs, Instant::now());
        estimate::until_stable(span, quiet) == Some(Duration::ZERO)
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
        kind: Kind,
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
    pub fn introduce(
        &mut self,
        pid: u32,
        instance: u64,
        executable: &[u8],
    ) -> Result<(), RecordError> {
        if !self.probe.introduce(pid, instance, executable)? {
            self.not_introduced += 1;
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
        if self.instances.iter().any(Watched::needs_exits) {
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

    /// Takes in what the ring holds.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn drain(&mut self) -> Result<(), RecordError> {
        let waiting = &mut self.waiting;
        let mut notices = Vec::new();
        self.events.drain(
            |event, abi| waiting.push((event, abi)),
            |notice, kind| notices.push((notice.instance, kind)),
        );
        if let Some(logger) = &mut self.probe.logger {
            logger.flush();
        }
        self.probe.maintain();
        for (id, kind) in notices {
            self.take_notice(id, kind)?;
        }
        let mut unknown = HashSet::new();
        if self
            .waiting
            .iter()
            .any(|(event, _)| !self.rows.contains_key(&event.row))
        {
            let rows = self.probe.rows()?;
            self.learn(&rows)?;
            unknown = self.unannounced(&rows);
        }
        for (event, class) in std::mem::take(&mut self.waiting) {
            let Some(meaning) = self.rows.get(&event.row).cloned() else {
                // A row's key is written before any event that carries its number: this one is of an
                // instance that is not recorded any more, or whose notice found the ring full.
                if unknown.contains(&event.row) {
                    self.early_events += 1;
                }
                continue;
            };
            let first = FirstSeen {
                after_ns: event.time.saturating_sub(self.began_ns),
                pid: event.pid,
                tid: event.tid,
                comm: describe::text(event.comm.split(|byte| *byte == 0).next().unwrap_or(&[])),
                args: event.args,
            };
            let mark = u8::try_from(event.outcome).unwrap_or(u8::MAX);
            self.observe(meaning, class, event.nr, mark, Some(first));
        }
        self.release_due()
    }

    /// The rows of instances that no notice has told of yet.
    fn unannounced(&self, rows: &[SeenRow]) -> HashSet<u32> {
        let left: HashSet<u64> = self.to_release.iter().map(|(_, id)| *id).collect();
        rows.iter()
            .filter(|row| !self.by_id.contains_key(&row.key.instance))
            .filter(|row| !left.contains(&row.key.instance))
            .map(|row| row.number)
            .collect()
    }

    fn take_notice(&mut self, id: u64, kind: NoticeKind) -> Result<(), RecordError> {
        if kind == NoticeKind::Made {
            return self.adopt(id);
        }
        let Some(&instance) = self.by_id.get(&id) else {
            return Ok(());
        };
        match (kind, self.instance_mut(instance)) {
            (NoticeKind::Filtered, Some(watched)) => {
                watched.state.filtered = true;
                self.watch_exits()?;
            }
            (NoticeKind::Started, Some(watched)) => watched.state.started = true,
            // Its runtime will load a filter, if it is to have one.
            (NoticeKind::Entered, Some(watched)) => {
                watched.state.populated = true;
                if !watched.state.started {
                    self.watch_exits()?;
                }
            }
            _ => {}
        }
        self.news.push(News { instance, kind });
        Ok(())
    }

    /// Takes a cgroup that the kernel side found into the list.
    fn adopt(&mut self, id: u64) -> Result<(), RecordError> {
        if self.by_id.contains_key(&id) {
            return Ok(());
        }
        // Before all else: its runtime may be about to load a filter.
        self.watch_exits()?;
        // A path that found no room, or not all of it, is told by the cgroup's id.
        let path = match self.probe.take_path(id)? {
            Some((path, false)) => path,
            Some((_, true)) | None => format!("/cgroup-{id}").into_bytes(),
        };
        let instance = self.add(Watched::found(Cgroup::found(id, &self.root, &path)));
        let kind = NoticeKind::Made;
        self.news.push(News { instance, kind });
        Ok(())
    }

    /// What has happened since it was last asked.
    pub(super) fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Reads the marks back: what the ring had no room for is taken in now, without its evidence.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn reconcile(&mut self) -> Result<(), RecordError> {
        self.drain()?;
        self.skipped_runs = self.probe.skipped_runs();
        self.find_late_cgroups()?;
        self.find_missed_notices()?;
        self.learn_rows()?;
        self.read_rows(None)?;
        self.unseen = self.estimate();
        self.leave_exits_when_idle()
    }

    /// Reads what the calls of a row were given.
    fn read_values(&mut self, row: u32, who: &Meaning) -> Result<(), RecordError> {
        let RowValues { seen, cut } = self.probe.values(row)?;
        let seen = seen
            .into_iter()
            .map(|(class, nr, values)| (class, nr, Some(values)));
        let cut = cut.into_iter().map(|(class, nr)| (class, nr, None));
        for (class, nr, values) in seen.chain(cut) {
            let call = Call {
                abi: self.machine.abi(class),
                nr,
            };
            if values.is_some() && estimate::counts(who.phase, who.blocked) {
                self.novelty
                    .saw(who.instance, (call, values), Instant::now());
            }
            self.observations.add_arguments(Given {
                call,
                instance: who.instance,
                phase: who.phase,
                executable: who.executable.clone(),
                values,
            });
        }
        Ok(())
    }

    /// How many calls are unseen, when one workload is recorded: several have nothing in common.
    fn estimate(&self) -> String {
        if !self.novelty.is_one_workload() {
            return String::new();
        }
        // Of what the kernel side found, a folder for others has no calls and is no instance.
        let is_one = |watched: &Watched| watched.seen || !watched.found;
        let instances: BTreeSet<_> = self
            .novelty
            .wanted()
            .filter(|number| self.instance(*number).is_some_and(is_one))
            .collect();
        self.observations.incidence(&instances).brief()
    }

    /// Reads the marks of one instance, or of all.
    fn read_rows(&mut self, instance: Option<u32>) -> Result<(), RecordError> {
        let rows: HashMap<_, _> = self
            .rows
            .iter()
            .filter(|(_, meaning)| instance.is_none_or(|wanted| meaning.instance == wanted))
            .map(|(number, meaning)| (*number, meaning.clone()))
            .collect();
        for (number, meaning) in &rows {
            for (class, nr, mark) in self.probe.marks(*number)? {
                self.observe(meaning.clone(), class, nr, mark, None);
            }
            // Of what prepares a container, and of what was stopped, no values are kept.
            if !meaning.blocked && meaning.phase != Phase::Setup {
                self.read_values(*number, meaning)?;
            }
        }
        for (row, class, nr, mark) in self.probe.exotic()? {
            if let Some(meaning) = rows.get(&row) {
                self.observe(meaning.clone(), class, nr, mark, None);
            }
        }
        Ok(())
    }

    /// A cgroup whose making was under way at the very moment its parent began to be watched may
    /// have inherited nothing and not have been visible yet. It is followed from now on, and counted.
    fn find_late_cgroups(&mut self) -> Result<(), RecordError> {
        let watched: Vec<_> = self
            .instances
            .iter()
            .filter(|watched| watched.live && !watched.found)
            .map(|watched| (watched.cgroup.clone(), watched.kind))
            .collect();
        for (cgroup, kind) in watched {
            if cgroup.exists() {
                self.late_cgroups += self.watch_descendants(&cgroup, EXE_UNKNOWN, kind)?;
            }
        }
        Ok(())
    }

    /// What notices tell is in the maps too: those that found no room in the ring come late, but they
    /// come.
    fn find_missed_notices(&mut self) -> Result<(), RecordError> {
        for id in self.probe.found()? {
            self.adopt(id)?;
        }
        for number in (0..).take(self.instances.len()) {
            let Some(watched) = self.instance(number).filter(|watched| watched.live) else {
                continue;
            };
            let (id, known) = (watched.cgroup.id, watched.state);
            let Some(state) = self.probe.state(id)? else {
                continue;
            };
            if state.started && !known.started {
                self.take_notice(id, NoticeKind::Started)?;
            }
            if state.removed {
                self.take_notice(id, NoticeKind::Removed)?;
            }
            if let Some(watched) = self.instance_mut(number) {
                watched.state.merge(state);
            }
        }
        Ok(())
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
        self.end(number)?;
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
        }
        self.novelty.forget(number);
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
    pub(super) fn tried(&self, number: u32, names: &[&str]) -> bool {
        let abis = self.machine.abis();
        let calls = abis.into_iter().flat_map(|abi| {
            let numbers = names
                .iter()
                .filter_map(move |name| abi.syscall_number(name));
            numbers.map(move |nr| Call { abi, nr })
        });
        calls
            .into_iter()
            .any(|call| self.observations.tried(number, call))
    }

    /// How many cgroups were found faster than their paths could be kept.
    pub(super) fn unnamed_cgroups(&mut self) -> Result<u64, RecordError> {
        Ok(self.probe.counters()?.paths_full)
    }

    /// Tells the watcher how it goes, when it is time again.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn tell(&mut self, watcher: &mut dyn Watcher) -> Result<(), RecordError> {
        if self.told.elapsed() >= TELL_EVERY {
            watcher.progress(&self.progress()?);
            self.told = Instant::now();
        }
        Ok(())
    }

    fn progress(&mut self) -> Result<Progress, RecordError> {
        let now = Instant::now();
        let counters = self.probe.counters()?;
        Ok(Progress {
            distinct: self.observations.len(),
            calls: counters.calls,
            new_in_last_minute: self.novelty.in_last_minute(now),
            since_last_new: self.novelty.last().map(|at| now.duration_since(at)),
            losses: self.losses(&counters),
            unseen: self.unseen.clone(),
        })
    }

    fn losses(&self, counters: &tracer_ebpf::Counters) -> Losses {
        Losses {
            events: counters.events_dropped + self.events.malformed() + self.early_events,
            executables: counters.rows_full
                + counters.processes_full
                + counters.executables_full
                + self.not_introduced,
            calls: counters.calls_lost + counters.exotic_full,
            cgroups: counters.cgroups_full + self.late_cgroups,
            program_runs: self.skipped_runs,
            threads: counters.threads_full,
            phases: counters.phases_full,
            values: counters.values_full,
        }
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
    pub fn finish(mut self, endings: Vec<Ending>) -> Result<Vec<Recording>, RecordError> {
        self.stop()?;
        let counters = self.probe.counters()?;
        let losses = self.losses(&counters);
        Ok(assemble::recordings(
            endings,
            &self.instances,
            self.observations,
            &assemble::Whole {
                machine: self.machine,
                calls: (self.counted == 1).then_some(counters.calls),
                losses,
            },
        ))
    }

    fn observe(
        &mut self,
        who: Meaning,
        class: AbiClass,
        nr: u32,
        mark: u8,
        first: Option<FirstSeen>,
    ) {
        if let Some(watched) = self.instance_mut(who.instance) {
            watched.seen = true;
        }
        let call = Call {
            abi: self.machine.abi(class),
            nr,
        };
        if estimate::counts(who.phase, who.blocked) {
            self.novelty.saw(who.instance, (call, None), Instant::now());
        }
        self.observations.add(Observation {
            call,
            instance: who.instance,
            phase: who.phase,
            executable: who.executable,
            blocked: who.blocked.then(|| describe::blocked(mark)),
            first,
        });
    }

    fn learn_rows(&mut self) -> Result<(), RecordError> {
        let rows = self.probe.rows()?;
        self.learn(&rows)
    }

    fn learn(&mut self, rows: &[SeenRow]) -> Result<(), RecordError> {
        for row in rows {
            if self.rows.contains_key(&row.number) {
                continue;
            }
            let instance = self.by_id.get(&row.key.instance).copied();
            let instance = instance.filter(|number| {
                let watched = self.instance(*number);
                watched.is_some_and(|watched| watched.ended.is_none())
            });
            // It may belong to one whose notice is still to come, or that is not wanted any more.
            let Some(instance) = instance else {
                continue;
            };
            let executable = describe::executable(self.probe.executable(row.key.exe)?);
            self.rows.insert(
                row.number,
                Meaning {
                    instance,
                    phase: describe::phase(row.key.phase),
                    executable,
                    blocked: row.key.blocked != 0,
                },
            );
        }
        Ok(())
    }
}

fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .ok()
        .and_then(|time| u64::try_from(Duration::from(time).as_nanos()).ok())
        .unwrap_or(0)
}
