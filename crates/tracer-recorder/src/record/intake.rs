//! What the rings hold: first sightings, accesses, and what happened to cgroups; and where a ring was
//! full, what the maps say instead.

use std::collections::HashSet;

use tracer_abi::{EXE_UNKNOWN, NoticeKind};

use super::{
    RecordError, convert,
    file_lookup::{Answered, Question, Replay},
    instance::TrackedInstance,
    kernel::Kernel,
    mutation::{self, Mutation},
    observed::AccessSource,
    session::{InstanceEvent, Session, access_source},
    system::System,
};
use crate::{
    bpf::{KernelAccess, RingMessage, SeenRow},
    cgroup::Cgroup,
};
use tracer_core::recording::{LossKind, Source};

/// Accesses of instances that are not known yet, which are kept until they are.
const MAX_WAITING: usize = 65_536;

impl<K: Kernel, S: System> Session<K, S> {
    /// Takes in what the rings hold.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn drain(&mut self) -> Result<(), RecordError> {
        self.drain_events()?;
        self.drain_accesses()?;
        self.take_file_answers();
        self.release_due()
    }

    /// Takes in what the ring of events holds: notices first, so that the instances are known.
    pub(super) fn drain_events(&mut self) -> Result<(), RecordError> {
        let mut notices = Vec::new();
        let pending = &mut self.pending_events;
        self.kernel.drain(&mut |message| match message {
            RingMessage::Event(event, abi) => pending.push((event, abi)),
            RingMessage::Notice(notice, kind) => notices.push((notice.instance, kind)),
        });
        for (id, kind) in notices {
            self.take_notice(id, kind)?;
        }
        let mut unknown = HashSet::new();
        if self
            .pending_events
            .iter()
            .any(|(event, _)| !self.rows.knows(event.row))
        {
            let rows = self.learn_rows()?;
            unknown = self.unannounced(&rows);
        }
        for (event, class) in std::mem::take(&mut self.pending_events) {
            if mutation::once(Mutation::DropEvent) {
                continue;
            }
            let Some(row) = self.rows.get(event.row) else {
                // A row's key is written before any event that carries its number: this one is of an
                // instance that is not recorded any more, or whose notice found the ring full.
                if unknown.contains(&event.row) {
                    self.losses.events_without_row += 1;
                }
                continue;
            };
            let denial = self.observed.take_event(row, &event, class);
            self.denials.extend(denial.filter(|_| self.reports_denials));
            let instance = row.instance;
            self.note_seen(instance);
        }
        self.note_discovered();
        Ok(())
    }

    /// Takes in what the ring of accesses holds.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn drain_accesses(&mut self) -> Result<(), RecordError> {
        let pending = &mut self.pending_accesses;
        self.kernel
            .drain_accesses(&mut |access| pending.push(access));
        let mut unknown = HashSet::new();
        if pending
            .iter()
            .any(|access| !self.rows.knows(access.access.row))
        {
            let rows = self.learn_rows()?;
            unknown = self.unannounced(&rows);
        }
        let mut dropped = Vec::new();
        for access in std::mem::take(&mut self.pending_accesses) {
            // A row that is not known is of an instance that is not recorded any more, or of one that
            // no notice has told of yet. Unlike a call, an access has no mark: it is told once.
            if self.rows.knows(access.access.row) {
                self.take_access(access);
            } else if unknown.contains(&access.access.row) {
                if self.pending_accesses.len() < MAX_WAITING {
                    self.pending_accesses.push(access);
                } else {
                    self.losses.accesses_without_row += 1;
                }
            } else {
                dropped.push(access.access.key);
            }
        }
        // Nobody else would give their places back.
        if !dropped.is_empty() {
            self.kernel.forget_accesses(&dropped)?;
        }
        self.note_discovered();
        Ok(())
    }

    fn take_access(&mut self, access: KernelAccess) {
        let Some(row) = self.rows.get(access.access.row) else {
            return;
        };
        let number = row.instance;
        let Some(instance) = self.instances.get_mut(number) else {
            return;
        };
        instance.seen = true;
        let reported = self.reported.entry(number).or_default();
        reported.push(access.access.key);
        if let Some(file_lookup) = &mut self.file_lookup
            && self.observed.names_files(&access)
        {
            file_lookup.ask(Question {
                row: row.clone(),
                access,
                cgroup: instance.cgroup.clone(),
                is_command: instance.subject.source == Source::Command,
                sees_hooks: self.observed.sees_hooks(),
            });
            return;
        }
        let source = access_source(&self.system, instance);
        if self.observed.take_access(row, access, &source).is_err() {
            self.losses.unreadable_mounts += 1;
        }
    }

    /// Takes in the accesses whose files were looked up.
    fn take_file_answers(&mut self) {
        let Some(file_lookup) = &mut self.file_lookup else {
            return;
        };
        for answered in file_lookup.take_answered() {
            self.take_answered(answered);
        }
        self.note_discovered();
    }

    /// The same at the end, when those that have no answer soon get none.
    pub(super) fn finish_file_lookups(&mut self) {
        let Some(file_lookup) = &mut self.file_lookup else {
            return;
        };
        for answered in file_lookup.finish() {
            self.take_answered(answered);
        }
        self.note_discovered();
    }

    fn take_answered(&mut self, answered: Answered) {
        let Answered { question, answers } = answered;
        if answers.is_none() {
            self.note_loss(question.row.instance, LossKind::Paths, 1);
        }
        let source = AccessSource {
            files: &Replay::new(answers.unwrap_or_default()),
            cgroup: &question.cgroup,
            is_command: question.is_command,
        };
        let taken = self
            .observed
            .take_access(&question.row, question.access, &source);
        if taken.is_err() {
            self.losses.unreadable_mounts += 1;
        }
    }

    /// What an instance did may be forgotten by the kernel side.
    pub(super) fn forget_reported(&mut self, instance: u32) -> Result<(), RecordError> {
        let keys = self.reported.remove(&instance).unwrap_or_default();
        Ok(self.kernel.forget_accesses(&keys)?)
    }

    /// Something was seen of an instance.
    pub(super) fn note_seen(&mut self, instance: u32) {
        if let Some(instance) = self.instance_mut(instance) {
            instance.seen = true;
        }
    }

    /// Tells the clock of discoveries what may be new, and notes what was not kept.
    pub(super) fn note_discovered(&mut self) {
        for (instance, count) in self.observed.take_unkept_files() {
            self.note_loss(instance, LossKind::Accesses, count);
        }
        let now = self.system.now();
        for (instance, what) in self.observed.take_discovered() {
            self.discovery.saw(instance, what, now);
        }
        self.changes.instances.extend(self.observed.take_changed());
    }

    /// Learns the rows that are in use now, and returns them.
    pub(super) fn learn_rows(&mut self) -> Result<Vec<SeenRow>, RecordError> {
        let rows = self.kernel.rows()?;
        let (kernel, system, instances) = (&mut self.kernel, &self.system, &self.instances);
        self.rows.learn(&rows, instances, |exe, number| {
            let found = kernel.executable(exe)?;
            let instance = instances.get(number);
            let source = instance.map(|instance| access_source(system, instance));
            Ok(convert::executable(found, |name, start| {
                source.as_ref().map(|source| source.script(name, start))
            }))
        })?;
        Ok(rows)
    }

    /// The rows of instances that no notice has told of yet.
    fn unannounced(&self, rows: &[SeenRow]) -> HashSet<u32> {
        let left: HashSet<u64> = self.to_release.iter().map(|(_, id)| *id).collect();
        rows.iter()
            .filter(|row| !self.knows(row.key.instance))
            .filter(|row| !left.contains(&row.key.instance))
            .map(|row| row.number)
            .collect()
    }

    fn take_notice(&mut self, id: u64, kind: NoticeKind) -> Result<(), RecordError> {
        if kind == NoticeKind::Made {
            return self.adopt(id);
        }
        let Some(instance) = self.instances.number(id) else {
            return Ok(());
        };
        match (kind, self.instance_mut(instance)) {
            (NoticeKind::Filtered, Some(watched)) => {
                watched.state.filtered = true;
                self.watch_exits()?;
            }
            (NoticeKind::Started, Some(watched)) => {
                watched.state.started = true;
                self.selinux.begin_phase();
            }
            // Its runtime will load a filter, if it is to have one.
            (NoticeKind::Entered, Some(watched)) => {
                watched.state.populated = true;
                if !watched.state.started {
                    self.watch_exits()?;
                }
            }
            _ => {}
        }
        self.instance_events.push(InstanceEvent { instance, kind });
        Ok(())
    }

    /// Takes a cgroup that the kernel side found into the list.
    fn adopt(&mut self, id: u64) -> Result<(), RecordError> {
        if self.knows(id) {
            return Ok(());
        }
        // Before all else: its runtime may be about to load a filter.
        self.watch_exits()?;
        self.selinux.begin_phase();
        // A path that found no room, or not all of it, is told by the cgroup's id.
        let path = match self.kernel.take_path(id)? {
            Some((path, false)) => path,
            Some((_, true)) | None => format!("/cgroup-{id}").into_bytes(),
        };
        let began = self.system.wall_clock();
        let cgroup = Cgroup::found(id, &self.root, &path);
        let instance = self.instances.add(TrackedInstance::found(cgroup, began));
        let kind = NoticeKind::Made;
        self.instance_events.push(InstanceEvent { instance, kind });
        Ok(())
    }

    /// A cgroup whose making was under way at the very moment its parent began to be watched may
    /// have inherited nothing and not have been visible yet. It is followed from now on, and counted.
    pub(super) fn find_late_cgroups(&mut self) -> Result<(), RecordError> {
        let watched: Vec<_> = self
            .instances
            .live()
            .filter(|(_, instance)| !instance.found)
            .map(|(_, instance)| (instance.cgroup.clone(), instance.kind))
            .collect();
        for (cgroup, kind) in watched {
            if self.system.exists(&cgroup) {
                self.losses.late_cgroups += self.watch_descendants(&cgroup, EXE_UNKNOWN, kind)?;
            }
        }
        Ok(())
    }

    /// What notices tell is in the maps too: those that found no room in the ring come late, but they
    /// come.
    pub(super) fn find_missed_notices(&mut self) -> Result<(), RecordError> {
        if mutation::is(Mutation::SkipMissedNotices) {
            return Ok(());
        }
        for id in self.kernel.found()? {
            self.adopt(id)?;
        }
        let live: Vec<u32> = self.instances.live().map(|(number, _)| number).collect();
        for number in live {
            let Some(instance) = self.instance(number) else {
                continue;
            };
            let (id, known) = (instance.cgroup.id, instance.state);
            let Some(state) = self.kernel.state(id)? else {
                continue;
            };
            if state.started && !known.started {
                self.take_notice(id, NoticeKind::Started)?;
            }
            if state.removed {
                self.take_notice(id, NoticeKind::Removed)?;
            }
            if let Some(instance) = self.instance_mut(number) {
                instance.state.merge(state);
            }
        }
        Ok(())
    }
}
