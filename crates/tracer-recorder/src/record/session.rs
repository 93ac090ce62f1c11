//! One recording in the making: what the rings announce ([`intake`](super::intake)), reconciled with what
//! the marks say ([`checkpoint`](super::checkpoint)).
//!
//! The session only brings its parts together. Each has one job: [`Instances`] knows who is which,
//! [`RowTable`] what a row means, [`Observed`] what was seen, [`LossCounter`] what was lost,
//! [`DiscoveryClock`] for how long nothing was new. They take messages and give back facts, and know
//! neither the kernel nor the machine; those are [`Kernel`] and [`System`].

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    time::Instant,
};

use tracer_abi::{AbiClass, Event, NoticeKind};

use super::{
    RecordError,
    assemble::{self, FinishedWorkload},
    discovery::DiscoveryClock,
    exits::ExitWatch,
    file_lookup::FileLookup,
    instance::{InstanceInfo, TrackedInstance},
    instances::Instances,
    kernel::{Kernel, LiveKernel, NewCgroup},
    losses::LossCounter,
    mutation::{self, Mutation},
    observed::{AccessSource, Denial, Observed},
    rows::RowTable,
    selinux::SelinuxWatch,
    snapshot::Changes,
    supervisor::WorkloadAge,
    system::{System, ThisMachine},
};
use crate::{
    bpf::{CgroupKind, KernelAccess, ProbeError, Settings},
    cgroup::Cgroup,
    confine::profile::Access,
    container::WorkloadKey,
};
use syscalls::Machine;
use tracer_core::recording::{LossKind, Losses, Recording, Source};

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InstanceEvent {
    /// Which.
    pub(super) instance: u32,
    /// What.
    pub(super) kind: NoticeKind,
}

/// A running recording.
pub struct Session<K = LiveKernel, S = ThisMachine> {
    pub(super) kernel: K,
    pub(super) system: S,
    machine: Machine,
    /// Below which directory found cgroups lie.
    pub(super) root: PathBuf,
    pub(super) instances: Instances,
    pub(super) rows: RowTable,
    pub(super) observed: Observed,
    pub(super) losses: LossCounter,
    pub(super) discovery: DiscoveryClock,
    pub(super) exits: ExitWatch,
    /// Every cgroup that user space has told the kernel side of.
    watched: HashSet<u64>,
    /// Events of rows that were not known when they came.
    pub(super) pending_events: Vec<(Event, AbiClass)>,
    /// Accesses of rows that were not known when they came.
    pub(super) pending_accesses: Vec<KernelAccess>,
    /// By which hashes the kernel side knows what it reported, by instance.
    pub(super) reported: HashMap<u32, Vec<u64>>,
    /// What happened to instances since it was last asked.
    pub(super) instance_events: Vec<InstanceEvent>,
    /// Whether each call that a filter stops is kept for the listener.
    pub(super) reports_denials: bool,
    pub(super) denials: Vec<Denial>,
    /// Instances that are not recorded any more, and since when.
    pub(super) to_release: VecDeque<(Instant, u64)>,
    /// How many calls are unseen, in a few words, as of the last checkpoint.
    pub(super) unseen: String,
    /// When the listener was last told.
    pub(super) last_progress: Instant,
    /// What instances began to lose and the listener was not told of yet.
    pub(super) new_losses: Vec<(u32, LossKind)>,
    /// Who looks up the files that processes name; without it the session does so itself.
    pub(super) file_lookup: Option<FileLookup>,
    /// What the last snapshot does not have.
    pub(super) changes: Changes,
    /// Whether snapshots are kept for good, and not for the case of a kill.
    pub(super) is_supervised: bool,
    /// What is known of SELinux.
    pub(super) selinux: SelinuxWatch,
}

impl Session {
    /// Loads the kernel side. Nothing is recorded yet, but what `settings.discover` finds: cgroups
    /// below `root`.
    ///
    /// # Errors
    /// [`RecordError::Probe`].
    pub fn start(settings: &Settings, root: &Path) -> Result<Self, RecordError> {
        let machine = Machine::this().ok_or(ProbeError::Machine(std::env::consts::ARCH))?;
        // First, so that it has nothing of what is loaded.
        let file_lookup = FileLookup::start().map_err(RecordError::process(
            "start the process that looks up files",
        ))?;
        let kernel = LiveKernel::load(settings)?;
        let mut session = Self::with(kernel, ThisMachine, machine, root);
        session.file_lookup = Some(file_lookup);
        session.reports_denials = settings.report_every_blocked;
        let domain = settings.selinux_type.as_deref();
        session.selinux = SelinuxWatch::start(domain, session.kernel.mechanisms());
        Ok(session)
    }

    /// How it opens files: the names that a workload gave are resolved by itself.
    pub(super) fn file_access(&self) -> Access {
        Access::Resolve
    }

    /// Waits until there may be something new, a second at most. Safe to drop while it
    /// waits.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when the ring cannot be polled.
    pub async fn wait(&mut self) -> Result<(), RecordError> {
        let Some(file_lookup) = &mut self.file_lookup else {
            return Ok(self.kernel.ready().await?);
        };
        tokio::select! {
            ready = self.kernel.ready() => Ok(ready?),
            () = file_lookup.ready() => Ok(()),
        }
    }
}

impl<K: Kernel, S: System> Session<K, S> {
    /// A recording by this kernel side, on this machine.
    pub(super) fn with(kernel: K, system: S, machine: Machine, root: &Path) -> Self {
        let now = system.now();
        Self {
            observed: Observed::new(machine, system.monotonic_ns(), kernel.mechanisms()),
            kernel,
            system,
            machine,
            root: root.to_owned(),
            instances: Instances::default(),
            rows: RowTable::default(),
            losses: LossCounter::default(),
            discovery: DiscoveryClock::new(now),
            exits: ExitWatch::new(now),
            watched: HashSet::new(),
            pending_events: Vec::new(),
            pending_accesses: Vec::new(),
            reported: HashMap::new(),
            instance_events: Vec::new(),
            reports_denials: false,
            denials: Vec::new(),
            to_release: VecDeque::new(),
            unseen: String::new(),
            last_progress: now,
            new_losses: Vec::new(),
            file_lookup: None,
            changes: Changes::default(),
            is_supervised: false,
            selinux: SelinuxWatch::default(),
        }
    }

    /// Records a cgroup and everything below it as one instance; returns its number.
    ///
    /// # Errors
    /// [`RecordError::TooManyCgroups`] when the kernel side has no room for it.
    pub fn watch(
        &mut self,
        cgroup: &Cgroup,
        info: InstanceInfo,
        first_exe: u64,
        kind: CgroupKind,
    ) -> Result<u32, RecordError> {
        let began = self.system.wall_clock();
        let number = self
            .instances
            .add(TrackedInstance::new(cgroup.clone(), info, kind, began));
        self.watched.insert(cgroup.id);
        // It may have been left just now: its rows are its own again.
        if !mutation::is(Mutation::ReleaseWatched) {
            self.to_release.retain(|(_, id)| *id != cgroup.id);
        }
        let root = NewCgroup {
            id: cgroup.id,
            instance: cgroup.id,
            first_exe,
            kind,
        };
        if !self.kernel.watch(root)? {
            return Err(RecordError::TooManyCgroups);
        }
        // What it lost before it was left was told then.
        let account = self.kernel.account(cgroup.id)?;
        if let Some(instance) = self.instance_mut(number) {
            instance.account = account;
        }
        // Children that are made from now on inherit in the kernel; these are here already. One
        // that is made below a child before that child is watched inherits nothing, so look again
        // until nothing is new.
        while self.watch_descendants(cgroup, first_exe, kind)? > 0 {}
        Ok(number)
    }

    /// Watches the cgroups below that the kernel side does not know; returns how many there were. Those
    /// that there is no room for are counted as lost.
    pub(super) fn watch_descendants(
        &mut self,
        cgroup: &Cgroup,
        first_exe: u64,
        kind: CgroupKind,
    ) -> Result<u64, RecordError> {
        let mut new = 0;
        for child in self.system.descendants(cgroup) {
            // One that is gone by now has taken its entry with it: only one that is still there
            // after the question was really not known.
            if self.watched.insert(child.id)
                && !self.is_watched(child.id)?
                && self.system.exists(&child)
            {
                let child = NewCgroup {
                    id: child.id,
                    instance: cgroup.id,
                    first_exe,
                    kind,
                };
                if self.kernel.watch(child)? {
                    new += 1;
                } else {
                    self.losses.late_cgroups += 1;
                }
            }
        }
        Ok(new)
    }

    /// An instance by its number.
    pub(super) fn instance(&self, number: u32) -> Option<&TrackedInstance> {
        self.instances.get(number)
    }

    pub(super) fn instance_mut(&mut self, number: u32) -> Option<&mut TrackedInstance> {
        self.instances.get_mut(number)
    }

    /// An instance is one that was asked for, of the workload of that key.
    pub(super) fn want(&mut self, number: u32, key: Option<&WorkloadKey>) {
        let now = self.system.now();
        self.discovery.want(number, key, now);
        if let Some(watched) = self.instance(number)
            && !watched.kind.is_prestart()
        {
            self.discovery.begin(now);
        }
    }

    /// Whether there is an instance that began with the cgroup of this id.
    pub(super) fn knows(&self, cgroup: u64) -> bool {
        self.instances.number(cgroup).is_some()
    }

    /// Whether the kernel side records the cgroup with this id already.
    pub(super) fn is_watched(&mut self, cgroup: u64) -> Result<bool, RecordError> {
        Ok(self.kernel.state(cgroup)?.is_some())
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
        if !self.kernel.register_process(pid, instance, executable)? {
            self.losses.processes_not_registered += 1;
        }
        Ok(())
    }

    /// Watches the exits of calls from now on, as long as an instance needs it: by them, calls that a
    /// filter stops are seen.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when the kernel refuses.
    pub fn watch_exits(&mut self) -> Result<(), RecordError> {
        self.exits.need(self.system.now());
        if !self.exits.is_on {
            self.kernel.watch_exits(true)?;
            self.exits.is_on = true;
        }
        Ok(())
    }

    /// Exits are watched only while an instance is under a filter or may be about to be: every call
    /// of the machine pays for it.
    pub(super) fn leave_exits_when_idle(&mut self) -> Result<(), RecordError> {
        if self
            .instances
            .all()
            .iter()
            .any(TrackedInstance::needs_exits)
        {
            self.watch_exits()?;
        } else if self.exits.is_idle(self.system.now()) {
            self.kernel.watch_exits(false)?;
            self.exits.is_on = false;
        }
        Ok(())
    }

    /// Whether an instance tried one of these calls.
    pub(super) fn attempted(&self, number: u32, names: &[&str]) -> bool {
        self.observed.attempted(number, names)
    }

    /// How many cgroups were found faster than their paths could be kept.
    pub(super) fn unnamed_cgroups(&mut self) -> Result<u64, RecordError> {
        Ok(self.kernel.counters()?.programs.paths_full)
    }

    /// Whether there are processes in an instance now, as far as can be told. Where tracer is in a
    /// cgroup namespace of its own it cannot see the directory: then one that was not removed is taken
    /// for running.
    pub(super) fn runs(&self, number: u32) -> bool {
        self.instance(number).is_some_and(|instance| {
            instance.live
                && !instance.state.removed
                && self.system.is_populated(&instance.cgroup).unwrap_or(true)
        })
    }

    /// What time it is, for spans.
    pub(super) fn now(&self) -> Instant {
        self.system.now()
    }

    /// The path of an instance's cgroup.
    pub(super) fn path(&self, number: u32) -> String {
        self.instance(number)
            .map_or_else(String::new, |it| it.cgroup.path.display().to_string())
    }

    /// Whether files that an instance named are still looked up.
    pub(super) fn waits_for_files(&self, number: u32) -> bool {
        let file_lookup = self.file_lookup.as_ref();
        file_lookup.is_some_and(|file_lookup| file_lookup.has(number))
    }

    /// How far the recording of an instance's workload has come.
    pub(super) fn age(&self, number: u32) -> WorkloadAge {
        self.discovery.age(number, self.system.now())
    }

    /// Whether an instance that is recorded has cgroups below it.
    pub(super) fn has_descendants(&self, number: u32) -> bool {
        self.instance(number).is_some_and(|instance| {
            instance.live && !self.system.descendants(&instance.cgroup).is_empty()
        })
    }

    /// What happened to instances since it was last asked.
    pub(super) fn take_instance_events(&mut self) -> Vec<InstanceEvent> {
        std::mem::take(&mut self.instance_events)
    }

    /// Leaves an instance that nobody wants, and all that was seen of it.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be changed.
    pub(super) fn forget(&mut self, number: u32) -> Result<(), RecordError> {
        let Some(instance) = self.instance(number) else {
            return Ok(());
        };
        let (id, live, seen) = (instance.cgroup.id, instance.live, instance.seen);
        if live {
            self.end(number)?;
            self.kernel.unwatch(id)?;
            self.to_release.push_back((self.system.now(), id));
        }
        if seen && !mutation::is(Mutation::KeepForgotten) {
            self.observed.forget(number);
        }
        self.forget_reported(number)?;
        // Nobody asked what it lost.
        self.new_losses.retain(|(of, _)| *of != number);
        if let Some(file_lookup) = &mut self.file_lookup {
            file_lookup.forget(number);
        }
        self.discovery.forget(number);
        self.changes.forget(number);
        self.watched.remove(&id);
        self.instances.forget(number);
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
        let counts = self.kernel.counters()?;
        let mut losses = self.losses.total(&counts);
        if counts.programs.accesses_dropped > 0 {
            losses.accesses += self.kernel.unreported_accesses()?;
        }
        let totals = self.totals();
        Ok(assemble::recordings(
            finished_workloads,
            self.instances.all(),
            self.observed.calls,
            self.observed.accesses,
            &assemble::SessionTotals {
                calls: self.instances.is_single().then_some(counts.programs.calls),
                losses,
                ..totals
            },
        ))
    }

    /// What is known of the session from its beginning.
    pub(super) fn totals(&self) -> assemble::SessionTotals {
        assemble::SessionTotals {
            host: self.system.host(),
            machine: self.machine,
            calls: None,
            losses: Losses::default(),
            mechanisms: self.kernel.mechanisms().clone(),
            selinux: self.selinux.clone(),
        }
    }
}

/// Where the accesses of an instance come from.
pub(super) fn access_source<'a>(
    system: &'a impl System,
    instance: &'a TrackedInstance,
) -> AccessSource<'a> {
    AccessSource {
        files: system,
        cgroup: &instance.cgroup,
        is_command: instance.subject.source == Source::Command,
    }
}
