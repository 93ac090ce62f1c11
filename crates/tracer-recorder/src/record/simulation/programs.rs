//! The kernel side's programs and maps, as ARCHITECTURE.md has them ("The kernel side"), each table with
//! as much room as the schedule gives it. Simpler than the programs: no slots, no epochs, no threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tracer_abi::{
    AbiClass, CgroupEntry, Counters, EXE_LAUNCHER, ExecutablePath, FIRST_ROW, Notice, NoticeKind,
    Phase, ProcessEntry, RowKey, kind,
};

use super::{
    facts::{AccessFact, Fact},
    rows::overflow_row,
    schedule::Limits,
};
use crate::bpf::{KernelAccess, RingMessage};

/// A mark that a program is about to store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) due: u64,
    pub(super) pid: u32,
    pub(super) dir: u64,
    pub(super) key: RowKey,
    pub(super) row: u32,
    pub(super) call: (AbiClass, u32),
}

/// What is known of the values in a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub(super) seen: BTreeSet<(AbiClass, u32, [u64; 3])>,
    pub(super) cut: BTreeSet<(AbiClass, u32)>,
}

/// The kernel side.
pub(super) struct Kernel {
    pub(super) limits: Limits,
    pub(super) discover: bool,
    pub(super) cgroups: BTreeMap<u64, CgroupEntry>,
    pub(super) processes: BTreeMap<u32, ProcessEntry>,
    pub(super) executables: BTreeMap<u64, Vec<u8>>,
    pub(super) rows: BTreeMap<RowKey, u32>,
    /// Rows that were given back; those from `unused_row` on were never taken.
    pub(super) free_rows: VecDeque<u32>,
    pub(super) unused_row: u32,
    pub(super) marks: BTreeMap<u32, BTreeMap<(AbiClass, u32), u8>>,
    pub(super) unindexed: BTreeMap<(u32, AbiClass, u32), u8>,
    pub(super) values: BTreeMap<u32, Values>,
    pub(super) paths: BTreeMap<u64, Vec<u8>>,
    /// Key of an access: how often its report found the ring full.
    pub(super) reported: BTreeMap<u64, u32>,
    pub(super) generations: BTreeMap<u32, u64>,
    pub(super) events: VecDeque<RingMessage>,
    pub(super) accesses: VecDeque<KernelAccess>,
    pub(super) counters: Counters,
    pub(super) exits: bool,
    pub(super) skipped: u64,
    pub(super) held: Vec<Held>,
    /// Processes that there was no room to register.
    pub(super) not_registered: u64,
    /// What happened, as the kernel knows it.
    pub(super) facts: Vec<Fact>,
    pub(super) access_facts: Vec<AccessFact>,
    /// Instances with a process that came under a filter while exits were not watched; and those of
    /// which that was so before the recorder began to end the recording.
    pub(super) missed: BTreeSet<u64>,
    pub(super) missed_early: BTreeSet<u64>,
    /// The same of those that a process of the workload left.
    pub(super) escaped: BTreeSet<u64>,
    pub(super) escaped_early: BTreeSet<u64>,
    /// What the recorder was told last of what was counted.
    pub(super) counters_read: Counters,
    pub(super) unreported_read: u64,
    pub(super) skipped_read: u64,
    pub(super) began_ns: u64,
    /// Whether the recorder has begun to end the recording.
    pub(super) ending: bool,
    /// What the recorder did that it must not do.
    pub(super) violations: Vec<String>,
}

impl Kernel {
    pub(super) fn new(limits: Limits, discover: bool) -> Self {
        Self {
            limits,
            discover,
            cgroups: BTreeMap::new(),
            processes: BTreeMap::new(),
            executables: BTreeMap::new(),
            rows: BTreeMap::new(),
            free_rows: VecDeque::new(),
            unused_row: FIRST_ROW,
            marks: BTreeMap::new(),
            unindexed: BTreeMap::new(),
            values: BTreeMap::new(),
            paths: BTreeMap::new(),
            reported: BTreeMap::new(),
            generations: BTreeMap::new(),
            events: VecDeque::new(),
            accesses: VecDeque::new(),
            counters: Counters::default(),
            exits: false,
            skipped: 0,
            held: Vec::new(),
            not_registered: 0,
            facts: Vec::new(),
            access_facts: Vec::new(),
            missed: BTreeSet::new(),
            missed_early: BTreeSet::new(),
            escaped: BTreeSet::new(),
            escaped_early: BTreeSet::new(),
            counters_read: Counters::default(),
            unreported_read: 0,
            skipped_read: 0,
            began_ns: 0,
            ending: false,
            violations: Vec::new(),
        }
    }

    pub(super) fn insert_cgroup(&mut self, id: u64, entry: CgroupEntry) -> bool {
        let room = self.cgroups.contains_key(&id) || self.cgroups.len() < self.limits.cgroups;
        if room {
            self.cgroups.insert(id, entry);
        }
        room
    }

    /// `cgroup_mkdir`.
    pub(super) fn mkdir(&mut self, now: u64, id: u64, parent: Option<u64>, path: &str) {
        let above = parent.and_then(|parent| Some((parent, *self.cgroups.get(&parent)?)));
        match above {
            Some((parent, entry)) if !self.is_ancestor_only(&entry, parent) => {
                let child = CgroupEntry {
                    populated: 0,
                    ..entry
                };
                if !self.insert_cgroup(id, child) {
                    self.counters.cgroups_full += 1;
                }
            }
            _ if self.discover => self.found(now, id, path),
            _ => {}
        }
    }

    fn is_ancestor_only(&self, entry: &CgroupEntry, id: u64) -> bool {
        self.discover
            && entry.kind == kind::CONTAINER
            && entry.instance == id
            && entry.started == 0
            && entry.populated == 0
    }

    fn found(&mut self, now: u64, id: u64, path: &str) {
        let entry = CgroupEntry {
            instance: id,
            first_exe: EXE_LAUNCHER,
            kind: kind::CONTAINER,
            populated: 0,
            started: 0,
            filtered: 0,
            missed_filter: 0,
            escaped: 0,
            introduced: 1,
            removed: 0,
        };
        if !self.insert_cgroup(id, entry) {
            self.counters.cgroups_full += 1;
            return;
        }
        if self.existing_or_new(overflow_row(id)).is_none() {
            self.counters.rows_full += 1;
        }
        if self.paths.len() < self.limits.paths {
            self.paths.insert(id, path.as_bytes().to_vec());
        } else {
            self.counters.paths_full += 1;
        }
        self.notice(now, id, NoticeKind::Made);
    }

    pub(super) fn notice(&mut self, time: u64, instance: u64, kind: NoticeKind) {
        if self.events.len() >= self.limits.events {
            self.counters.notices_dropped += 1;
            return;
        }
        let notice = Notice {
            time,
            instance,
            kind: kind as u32,
            pid: 1,
        };
        self.events.push_back(RingMessage::Notice(notice, kind));
    }

    /// `cgroup_rmdir`.
    pub(super) fn rmdir(&mut self, now: u64, id: u64) {
        match self.cgroups.get_mut(&id) {
            Some(entry) if entry.instance == id => {
                entry.removed = 1;
                self.notice(now, id, NoticeKind::Removed);
            }
            Some(_) => {
                self.cgroups.remove(&id);
            }
            None => {}
        }
    }

    /// `cgroup_attach_task`.
    pub(super) fn attach_task(&mut self, now: u64, cgroup: Option<u64>, pid: u32, filter: u64) {
        let entry = self.populate(now, cgroup);
        let process = self.processes.get(&pid).copied();
        match (entry, process) {
            (Some(entry), process) => self.enter(pid, entry, filter, process),
            (None, Some(process)) => {
                self.escaped(&process);
            }
            (None, None) => {}
        }
    }

    fn populate(&mut self, now: u64, cgroup: Option<u64>) -> Option<CgroupEntry> {
        let entry = self.cgroups.get_mut(&cgroup?)?;
        let is_first = entry.populated == 0;
        entry.populated = 1;
        let entry = *entry;
        if is_first && entry.kind == kind::CONTAINER {
            self.notice(now, entry.instance, NoticeKind::Entered);
        }
        Some(entry)
    }

    fn escaped(&mut self, process: &ProcessEntry) -> bool {
        if process.phase == Phase::Setup as u32 {
            return false;
        }
        let Some(root) = self.cgroups.get_mut(&process.instance) else {
            return false;
        };
        root.escaped = 1;
        self.escaped.insert(process.instance);
        if !self.ending {
            self.escaped_early.insert(process.instance);
        }
        true
    }

    fn is_started(&self, entry: &CgroupEntry) -> bool {
        self.cgroups
            .get(&entry.instance)
            .is_some_and(|root| root.started != 0)
    }

    fn enter(&mut self, pid: u32, entry: CgroupEntry, filter: u64, process: Option<ProcessEntry>) {
        if let Some(process) = &process {
            if process.instance == entry.instance {
                return;
            }
            self.escaped(process);
        }
        if process.is_none() && entry.introduced == 0 {
            return;
        }
        let (exe, phase) = match (entry.kind, process) {
            (kind::CONTAINER, _) => (EXE_LAUNCHER, Phase::Setup),
            (_, Some(process)) => (process.exe, Phase::Run),
            (_, None) => return,
        };
        let process = ProcessEntry {
            exe,
            instance: entry.instance,
            filter,
            phase: phase as u32,
            late: u32::from(self.is_started(&entry)),
            filtered: 0,
            pad: 0,
        };
        self.remember(pid, process);
    }

    fn remember(&mut self, pid: u32, process: ProcessEntry) {
        let room =
            self.processes.contains_key(&pid) || self.processes.len() < self.limits.processes;
        if room {
            self.processes.insert(pid, process);
        } else {
            self.counters.processes_full += 1;
        }
    }

    /// `sched_process_fork`, of processes: who, and in which cgroup.
    pub(super) fn fork(
        &mut self,
        now: u64,
        parent: (u32, Option<u64>),
        child: (u32, Option<u64>),
        filter: u64,
    ) {
        let entry = self.populate(now, child.1);
        let known = self.processes.get(&parent.0).copied();
        match (entry, known) {
            (None, None) => {}
            (None, Some(known)) => {
                if self.escaped(&known) {
                    self.remember(child.0, known);
                }
            }
            (Some(entry), Some(known)) if known.instance == entry.instance => {
                self.remember(child.0, known);
            }
            (Some(entry), None)
                if parent
                    .1
                    .and_then(|cgroup| self.cgroups.get(&cgroup))
                    .is_some_and(|own| own.instance == entry.instance) => {}
            (Some(entry), known) => self.enter(child.0, entry, filter, known),
        }
    }

    /// `sched_process_exec`: who and where, the parent, the program, and filter and terminal.
    pub(super) fn exec(
        &mut self,
        now: u64,
        (pid, cgroup): (u32, Option<u64>),
        parent: Option<u32>,
        path: &str,
        (filter, tty): (u64, bool),
    ) {
        let Some(entry) = cgroup.and_then(|cgroup| self.cgroups.get(&cgroup)).copied() else {
            self.processes.remove(&pid);
            return;
        };
        let known = self.processes.get(&pid).copied();
        let mut process = known.unwrap_or(ProcessEntry {
            exe: EXE_LAUNCHER,
            instance: entry.instance,
            filter: 0,
            phase: Phase::Run as u32,
            late: 0,
            filtered: 0,
            pad: 0,
        });
        let mut started = false;
        if entry.kind == kind::CONTAINER {
            if known.is_none() && !self.is_started(&entry) {
                process.phase = Phase::Setup as u32;
            }
            let is_hook = parent
                .and_then(|parent| self.processes.get(&parent))
                .is_some_and(|parent| parent.instance == entry.instance);
            if process.phase == Phase::Setup as u32 && !is_hook {
                process.phase = match (process.late != 0, tty) {
                    (false, _) => Phase::Run,
                    (true, false) => Phase::Exec,
                    (true, true) => Phase::Terminal,
                } as u32;
                started = process.late == 0;
            }
        }
        let _ = filter;
        process.exe = self.intern(path);
        self.remember(pid, process);
        if started {
            if let Some(root) = self.cgroups.get_mut(&entry.instance) {
                root.started = 1;
            }
            self.notice(now, entry.instance, NoticeKind::Started);
        }
    }

    pub(super) fn exit(&mut self, pid: u32) {
        self.processes.remove(&pid);
    }

    pub(super) fn intern(&mut self, path: &str) -> u64 {
        let exe = ExecutablePath::new(path.as_bytes()).id();
        if !self.insert_executable(exe, path.as_bytes()) {
            self.counters.executables_full += 1;
        }
        exe
    }

    pub(super) fn insert_executable(&mut self, exe: u64, path: &[u8]) -> bool {
        let room =
            self.executables.contains_key(&exe) || self.executables.len() < self.limits.executables;
        if room {
            self.executables.insert(exe, path.to_vec());
        }
        room
    }

    /// Whose syscall it is: the row's key.
    pub(super) fn who(&mut self, now: u64, pid: u32, cgroup: u64, filter: u64) -> Option<RowKey> {
        let entry = *self.cgroups.get(&cgroup)?;
        if filter != 0 {
            self.came_under_filter(now, &entry, pid);
        }
        let process = self.processes.get(&pid).copied();
        Some(RowKey {
            instance: entry.instance,
            exe: process.map_or(entry.first_exe, |process| process.exe),
            phase: self.phase(&entry, process.as_ref(), filter) as u32,
            blocked: 0,
        })
    }

    fn phase(&self, entry: &CgroupEntry, process: Option<&ProcessEntry>, filter: u64) -> Phase {
        if entry.kind == kind::PLAIN {
            return Phase::Run;
        }
        match process {
            Some(process) if process.phase == Phase::Setup as u32 => {
                if filter == process.filter {
                    Phase::Setup
                } else {
                    Phase::RuntimeInit
                }
            }
            Some(process) => Phase::from_number(process.phase),
            None if self.is_started(entry) => Phase::Run,
            None => Phase::Setup,
        }
    }

    fn came_under_filter(&mut self, now: u64, entry: &CgroupEntry, pid: u32) {
        let mut is_runtime = false;
        if let Some(process) = self.processes.get_mut(&pid) {
            if process.filtered != 0 {
                return;
            }
            is_runtime = process.phase == Phase::Setup as u32;
            if !is_runtime || self.exits {
                process.filtered = 1;
            }
        }
        let exits = self.exits;
        let Some(root) = self.cgroups.get_mut(&entry.instance) else {
            return;
        };
        if !is_runtime && !exits {
            root.missed_filter = 1;
            self.missed.insert(entry.instance);
            if !self.ending {
                self.missed_early.insert(entry.instance);
            }
        }
        if root.filtered == 0 {
            root.filtered = 1;
            self.notice(now, entry.instance, NoticeKind::Filtered);
        }
    }
}
