//! What the ring tells: first sightings, and news of cgroups; and where it was full, what the maps
//! tell instead.

use std::collections::HashSet;

use tracer_abi::{EXE_UNKNOWN, NoticeKind};

use super::{Denial, InstanceEvent, Session};
use crate::bpf::abi_of_class;
use crate::{
    bpf::SeenRow,
    cgroup::Cgroup,
    record::{RecordError, convert, instance::TrackedInstance},
};
use tracer_core::recording::{FirstSeen, SyscallId};

impl Session {
    /// Takes in what the ring holds.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub fn drain(&mut self) -> Result<(), RecordError> {
        let pending_events = &mut self.pending_events;
        let mut notices = Vec::new();
        self.events.drain(
            |event, abi| pending_events.push((event, abi)),
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
            .pending_events
            .iter()
            .any(|(event, _)| !self.rows.contains_key(&event.row))
        {
            let rows = self.probe.rows()?;
            self.learn(&rows)?;
            unknown = self.unannounced(&rows);
        }
        for (event, class) in std::mem::take(&mut self.pending_events) {
            let Some(meaning) = self.rows.get(&event.row).cloned() else {
                // A row's key is written before any event that carries its number: this one is of an
                // instance that is not recorded any more, or whose notice found the ring full.
                if unknown.contains(&event.row) {
                    self.events_without_row += 1;
                }
                continue;
            };
            let first = FirstSeen {
                after_ns: event.time.saturating_sub(self.began_ns),
                pid: event.pid,
                tid: event.tid,
                comm: convert::text(event.comm.split(|byte| *byte == 0).next().unwrap_or(&[])),
                args: event.args,
            };
            let mark = u8::try_from(event.outcome).unwrap_or(u8::MAX);
            if self.reports_denials && meaning.blocked {
                self.denials.push(Denial {
                    call: SyscallId {
                        abi: abi_of_class(self.machine, class),
                        nr: event.nr,
                    },
                    executable: meaning.executable.clone(),
                    saw: convert::blocked(mark),
                    seen: first.clone(),
                });
            }
            self.observe(meaning, class, event.nr, mark, Some(first));
        }
        self.drain_accesses()?;
        self.release_due()
    }

    /// The rows of instances that no notice has told of yet.
    pub(super) fn unannounced(&self, rows: &[SeenRow]) -> HashSet<u32> {
        let escaped: HashSet<u64> = self.to_release.iter().map(|(_, id)| *id).collect();
        rows.iter()
            .filter(|row| !self.by_id.contains_key(&row.key.instance))
            .filter(|row| !escaped.contains(&row.key.instance))
            .map(|row| row.number)
            .collect()
    }

    pub(super) fn take_notice(&mut self, id: u64, kind: NoticeKind) -> Result<(), RecordError> {
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
        self.instance_events.push(InstanceEvent { instance, kind });
        Ok(())
    }

    /// Takes a cgroup that the kernel side found into the list.
    pub(super) fn adopt(&mut self, id: u64) -> Result<(), RecordError> {
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
        let instance = self.add(TrackedInstance::found(Cgroup::found(id, &self.root, &path)));
        let kind = NoticeKind::Made;
        self.instance_events.push(InstanceEvent { instance, kind });
        Ok(())
    }

    /// What has happened since it was last asked.
    pub(in crate::record) fn instance_events(&mut self) -> Vec<InstanceEvent> {
        std::mem::take(&mut self.instance_events)
    }

    /// A cgroup whose making was under way at the very moment its parent began to be watched may
    /// have inherited nothing and not have been visible yet. It is followed from now on, and counted.
    pub(super) fn find_late_cgroups(&mut self) -> Result<(), RecordError> {
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
    pub(super) fn find_missed_notices(&mut self) -> Result<(), RecordError> {
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
}
