//! One recording in the making: what the ring announces, reconciled with what the marks say.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use tracer_ebpf::{AbiClass, Counters, EXE_UNKNOWN, Event};

use super::{RecordError, describe};
use crate::{
    cgroup::Cgroup,
    probe::{Events, Probe, ProbeError, Settings, support},
    recording::{
        Call, Container, Coverage, Executable, FirstSeen, Host, Instance, Losses, Observation,
        Observations, Phase, Reason, ReasonCode, Recording, SCHEMA, Source, Workload,
    },
    syscall::Machine,
};

/// How often the watcher is told; more would only flicker.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// The window of "new in the last minute".
const MINUTE: Duration = Duration::from_secs(60);

/// What is recorded, for the instance's entry in the recording.
#[derive(Clone, Debug)]
pub struct Subject {
    /// How it came to be recorded.
    pub source: Source,
    /// Path of the cgroup below the hierarchy's root.
    pub cgroup: String,
    /// Whether it is recorded from its first call.
    pub start_observed: bool,
    /// The container that it is.
    pub container: Option<Container>,
}

/// A workload to make a recording of, when a session ends.
#[derive(Clone, Debug)]
pub struct Ending {
    /// What was recorded.
    pub workload: Workload,
    /// Its instances, by the order in which they were watched.
    pub instances: Vec<usize>,
    /// The reasons against its completeness that only the caller knows.
    pub reasons: Vec<Reason>,
}

/// How a recording goes, for the live line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Different calls so far.
    pub distinct: usize,
    /// Calls so far.
    pub calls: u64,
    /// Different calls that came up in the last minute.
    pub new_in_last_minute: usize,
    /// Since the last one came up; `None` before the first.
    pub since_last_new: Option<Duration>,
    /// Everything lost so far.
    pub losses: Losses,
}

/// Who is told how a recording goes.
pub trait Watcher {
    /// The recording has begun: `what` is recorded from now on.
    fn began(&mut self, what: &str);
    /// Called about ten times a second.
    fn progress(&mut self, progress: &Progress);
}

/// What a row of marks means to a recording.
#[derive(Clone, Debug)]
struct Meaning {
    instance: u32,
    executable: Executable,
}

/// A running recording.
pub struct Session {
    probe: Probe,
    events: Events,
    machine: Machine,
    began: Timestamp,
    /// The kernel's clock at the beginning, in nanoseconds.
    began_ns: u64,
    /// In the order of the recording's list.
    instances: Vec<(Cgroup, Subject)>,
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
    /// When calls came up, within the last minute.
    new: VecDeque<Instant>,
    last_new: Option<Instant>,
    /// When the watcher was last told.
    told: Instant,
    /// Program runs that the kernel skipped, as of the last checkpoint.
    skipped_runs: u64,
}

impl Session {
    /// Loads the kernel side. Nothing is recorded yet.
    ///
    /// # Errors
    /// [`RecordError::Probe`].
    pub fn start(settings: &Settings) -> Result<Self, RecordError> {
        let machine = Machine::this().ok_or(ProbeError::Machine(std::env::consts::ARCH))?;
        let (probe, events) = Probe::load(settings)?;
        Ok(Self {
            probe,
            events,
            machine,
            began: Timestamp::now(),
            began_ns: monotonic_ns(),
            instances: Vec::new(),
            watched: HashSet::new(),
            late_cgroups: 0,
            not_introduced: 0,
            rows: HashMap::new(),
            observations: Observations::default(),
            waiting: Vec::new(),
            new: VecDeque::new(),
            last_new: None,
            told: Instant::now(),
            skipped_runs: 0,
        })
    }

    /// Records a cgroup and everything below it as one instance.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when the kernel side has no room for it.
    pub fn watch(
        &mut self,
        cgroup: &Cgroup,
        subject: Subject,
        first_exe: u64,
    ) -> Result<(), RecordError> {
        self.instances.push((cgroup.clone(), subject));
        self.watched.insert(cgroup.id);
        self.probe.watch(cgroup.id, cgroup.id, first_exe)?;
        // Children that are made from now on inherit in the kernel; these are here already. One
        // that is made below a child before that child is watched inherits nothing, so look again
        // until nothing is new.
        while self.watch_descendants(cgroup, first_exe)? > 0 {}
        Ok(())
    }

    /// Says of the instance that was watched last whether it is recorded from its first call.
    pub fn start_observed(&mut self, observed: bool) {
        if let Some((_, subject)) = self.instances.last_mut() {
            subject.start_observed = observed;
        }
    }

    /// Watches the cgroups below that the kernel side does not know; returns how many there were.
    fn watch_descendants(&mut self, cgroup: &Cgroup, first_exe: u64) -> Result<u64, RecordError> {
        let mut new = 0;
        for child in cgroup.descendants().unwrap_or_default() {
            // One that is gone by now has taken its entry with it: only one that is still there
            // after the question was really not known.
            if self.watched.insert(child.id) && !self.probe.is_watched(child.id)? && child.exists()
            {
                self.probe.watch(child.id, cgroup.id, first_exe)?;
                new += 1;
            }
        }
        Ok(new)
    }

    /// Tells the kernel side which executable a running process is.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map is full.
    pub fn introduce(&mut self, pid: u32, executable: &[u8]) -> Result<(), RecordError> {
        if !self.probe.introduce(pid, executable)? {
            self.not_introduced += 1;
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
        self.events.drain(|event, abi| waiting.push((event, abi)));
        if let Some(logger) = &mut self.probe.logger {
            logger.flush();
        }
        self.probe.maintain();
        if self
            .waiting
            .iter()
            .any(|(event, _)| !self.rows.contains_key(&event.row))
        {
            self.learn_rows()?;
        }
        for (event, class) in std::mem::take(&mut self.waiting) {
            // A row's key is written before any event that carries its number.
            let Some(meaning) = self.rows.get(&event.row).cloned() else {
                log::warn!("an event names row {}, which does not exist", event.row);
                continue;
            };
            let first = FirstSeen {
                after_ns: event.time.saturating_sub(self.began_ns),
                pid: event.pid,
                tid: event.tid,
                comm: describe::text(event.comm.split(|byte| *byte == 0).next().unwrap_or(&[])),
                args: event.args,
            };
            self.observe(meaning, class, event.nr, Some(first));
        }
        Ok(())
    }

    /// Reads the marks back: what the ring had no room for is taken in now, without its evidence.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn reconcile(&mut self) -> Result<(), RecordError> {
        self.drain()?;
        self.skipped_runs = self.probe.skipped_runs();
        self.find_late_cgroups()?;
        self.learn_rows()?;
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|(number, meaning)| (*number, meaning.clone()))
            .collect();
        for (number, meaning) in rows {
            for (class, nr) in self.probe.marks(number)? {
                self.observe(meaning.clone(), class, nr, None);
            }
        }
        for (row, class, nr) in self.probe.exotic()? {
            if let Some(meaning) = self.rows.get(&row).cloned() {
                self.observe(meaning, class, nr, None);
            }
        }
        Ok(())
    }

    /// A cgroup whose making was under way at the very moment its parent began to be watched may
    /// have inherited nothing and not have been visible yet. It is followed from now on, and counted.
    fn find_late_cgroups(&mut self) -> Result<(), RecordError> {
        for (cgroup, _) in self.instances.clone() {
            if cgroup.exists() {
                self.late_cgroups += self.watch_descendants(&cgroup, EXE_UNKNOWN)?;
            }
        }
        Ok(())
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
        while self
            .new
            .front()
            .is_some_and(|at| now.duration_since(*at) > MINUTE)
        {
            self.new.pop_front();
        }
        let counters = self.probe.counters()?;
        Ok(Progress {
            distinct: self.observations.len(),
            calls: counters.calls,
            new_in_last_minute: self.new.len(),
            since_last_new: self.last_new.map(|at| now.duration_since(at)),
            losses: self.losses(&counters),
        })
    }

    /// Ends the session, and makes a recording of each workload.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn finish(mut self, endings: Vec<Ending>) -> Result<Vec<Recording>, RecordError> {
        self.find_late_cgroups()?;
        // Stop first, so that the counters and the marks speak of the same calls.
        for (cgroup, _) in &self.instances {
            self.probe.unwatch(cgroup.id)?;
        }
        self.reconcile()?;
        let counters = self.probe.counters()?;
        let ended = Timestamp::now();
        Ok(endings
            .into_iter()
            .map(|ending| self.recording(ending, &counters, ended))
            .collect())
    }

    fn recording(&self, ending: Ending, counters: &Counters, ended: Timestamp) -> Recording {
        let alone = self.instances.len() == 1;
        let numbers: Vec<_> = ending
            .instances
            .iter()
            .filter_map(|index| u32::try_from(*index).ok())
            .collect();
        let observations = self.observations.of_instances(&numbers);
        let mut reasons = ending.reasons;
        reasons.extend(self.reasons(&observations, counters));
        Recording {
            schema: SCHEMA.to_owned(),
            workload: ending.workload,
            host: Host {
                kernel: support::kernel_release(),
                machine: support::machine_name(),
                tracer: env!("CARGO_PKG_VERSION").to_owned(),
            },
            instances: ending
                .instances
                .iter()
                .filter_map(|index| self.instances.get(*index))
                .map(|(_, subject)| Instance {
                    source: subject.source,
                    cgroup: subject.cgroup.clone(),
                    began: self.began.to_string(),
                    ended: ended.to_string(),
                    start_observed: subject.start_observed,
                    container: subject.container.clone(),
                    calls: alone.then_some(counters.calls),
                })
                .collect(),
            providers: vec![describe::syscall_provider(self.machine.native)],
            syscalls: observations.into_syscalls(),
            coverage: Coverage::new(reasons, self.losses(counters)),
        }
    }

    /// What the observations themselves say against the recording's completeness.
    ///
    /// A filter or a process that left is known of the session, not of the workload: of several
    /// that are recorded at once, each may be the one.
    fn reasons(&self, observations: &Observations, counters: &Counters) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let io_uring = self.machine.abis().into_iter().any(|abi| {
            ["io_uring_setup", "io_uring_enter", "io_uring_register"]
                .into_iter()
                .filter_map(|name| abi.syscall_number(name))
                .any(|nr| observations.contains(Call { abi, nr }))
        });
        if io_uring {
            reasons.push(Reason {
                code: ReasonCode::IoUring,
                text: "the workload used io_uring or tried to: what it does there is done without system calls, was not seen, and is not bound by seccomp either".to_owned(),
            });
        }
        if counters.filtered > 0 {
            reasons.push(Reason {
                code: ReasonCode::FilterInPlace,
                text: "a seccomp filter was in place: calls that it stopped were not seen; record the workload without the filter".to_owned(),
            });
        }
        if counters.left > 0 {
            reasons.push(Reason {
                code: ReasonCode::LeftCgroup,
                text: "a process of the workload went to another cgroup, where it was not seen any more; record that cgroup, or run the command without what moves it (sudo, systemd-run, a container runtime)".to_owned(),
            });
        }
        reasons
    }

    fn losses(&self, counters: &Counters) -> Losses {
        Losses {
            events: counters.events_dropped + self.events.malformed(),
            executables: counters.rows_full
                + counters.processes_full
                + counters.executables_full
                + self.not_introduced,
            calls: counters.calls_lost + counters.exotic_full,
            cgroups: counters.cgroups_full + self.late_cgroups,
            program_runs: self.skipped_runs,
        }
    }

    fn observe(&mut self, who: Meaning, class: AbiClass, nr: u32, first: Option<FirstSeen>) {
        let new = self.observations.add(Observation {
            call: Call {
                abi: self.machine.abi(class),
                nr,
            },
            instance: who.instance,
            phase: Phase::Run,
            executable: who.executable,
            first,
        });
        if new {
            let now = Instant::now();
            self.new.push_back(now);
            self.last_new = Some(now);
        }
    }

    fn learn_rows(&mut self) -> Result<(), RecordError> {
        for row in self.probe.rows()? {
            if self.rows.contains_key(&row.number) {
                continue;
            }
            let instance = self
                .instances
                .iter()
                .position(|(cgroup, _)| cgroup.id == row.key.instance)
                .and_then(|index| u32::try_from(index).ok());
            let Some(instance) = instance else {
                log::warn!("row {} belongs to no instance", row.number);
                continue;
            };
            let executable = describe::executable(self.probe.executable(row.key.exe)?);
            self.rows.insert(
                row.number,
                Meaning {
                    instance,
                    executable,
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
