//! What really happened: each syscall and access, and what the kernel side made of it. The recording is
//! held against this list.

use tracer_abi::{
    AbiClass, Access, AccessKind, COMM_LEN, EXE_LAUNCHER, EXE_OVERFLOW, EXE_UNKNOWN, Event, RowKey,
    access::{flag, open},
    outcome,
};

use super::{
    programs::Held,
    schedule::Task,
    source::FILES,
    world::{World, call},
};
use crate::bpf::{KernelAccess, RingMessage};

/// What became of a syscall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is marked.
    Marked,
    /// There was no row for it, or no room for its number: counted as a lost call.
    NoRow,
    /// Its cgroup was not recorded.
    NotRecorded,
    /// A filter stopped it while exits were not watched.
    NotWatched,
    /// A program stored it in a row that was not its instance's any more.
    Stale,
}

/// A syscall, or one that a filter stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fact {
    /// The cgroup that the process was in.
    pub(super) dir: u64,
    /// The key of its row: instance, phase and executable.
    pub(super) key: RowKey,
    pub(super) exe_is_named: bool,
    pub(super) call: (AbiClass, u32),
    pub(super) mark: u8,
    pub(super) values: Option<[u64; 3]>,
    /// Whether there was no room for the values in its row.
    pub(super) is_cut: bool,
    pub(super) time: u64,
    pub(super) pid: u32,
    pub(super) fate: Fate,
    /// Whether it was announced and the ring had room: `None` when it was not new.
    pub(super) announced: Option<bool>,
    /// Whether it happened before the recorder began to end the recording.
    pub(super) is_early: bool,
    /// Whether the recording may be without it: it happened before user space began to watch its cgroup
    /// (again).
    pub(super) is_optional: bool,
}

/// An access, and what became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccessFact {
    /// The key of its row.
    pub(super) key: RowKey,
    pub(super) exe_is_named: bool,
    /// Which of [`access`].
    pub(super) what: u32,
    pub(super) is_reported: bool,
    pub(super) is_optional: bool,
}

impl World {
    fn whereabouts(&mut self, task: Task) -> Option<(u32, u64, u64)> {
        let state = self.living(task)?;
        let (pid, filter, dir) = (state.pid, state.filter, state.dir?);
        Some((pid, filter, 1000 + u64::from(dir)))
    }

    /// A process makes a syscall.
    pub(super) fn call(&mut self, task: Task, which: u32, value: u64) {
        self.finish_held(task);
        let pid = self.living(task).map(|task| task.pid);
        if let (Some(source), Some(pid)) = (&mut self.source, pid) {
            let (class, nr, _) = call(which);
            source.call(pid, (class, nr), value);
        }
        self.file_call(task, which, value);
    }

    /// What the model makes of a syscall.
    pub(super) fn file_call(&mut self, task: Task, which: u32, value: u64) {
        let Some((pid, filter, dir)) = self.whereabouts(task) else {
            return;
        };
        let (abi, nr, has_values) = call(which);
        let values = has_values.then_some([value, 0, 0]);
        let Some(key) = self.kernel.who(self.now_ns, pid, dir, filter) else {
            self.note(
                pid,
                dir,
                None,
                (abi, nr),
                outcome::EXECUTED,
                Fate::NotRecorded,
            );
            return;
        };
        self.kernel.counters.calls += 1;
        self.mark(pid, dir, key, (abi, nr), outcome::EXECUTED, values);
    }

    /// A filter stops a syscall.
    pub(super) fn blocked(&mut self, task: Task, which: u32, mark: u8) {
        self.finish_held(task);
        let Some((pid, filter, dir)) = self.whereabouts(task).filter(|who| who.1 != 0) else {
            return;
        };
        let (abi, nr, _) = call(which);
        if let Some(source) = &mut self.source {
            source.blocked(pid, (abi, nr), mark);
        }
        if !self.kernel.exits {
            self.note(pid, dir, None, (abi, nr), mark, Fate::NotWatched);
            return;
        }
        match self.kernel.who(self.now_ns, pid, dir, filter) {
            Some(key) => {
                let key = RowKey { blocked: 1, ..key };
                self.mark(pid, dir, key, (abi, nr), mark, None);
            }
            None => {
                self.note(pid, dir, None, (abi, nr), mark, Fate::NotRecorded);
            }
        }
    }

    /// A program has found the row of a syscall, and has not marked it yet.
    pub(super) fn hold(&mut self, task: Task, which: u32, ms: u32) {
        self.finish_held(task);
        let Some((pid, filter, dir)) = self.whereabouts(task) else {
            return;
        };
        let Some(key) = self.kernel.who(self.now_ns, pid, dir, filter) else {
            return;
        };
        let (abi, nr, _) = call(which);
        if let Some((row, key)) = self.kernel.row_of(key) {
            self.kernel.held.push(Held {
                due: self.now_ns + u64::from(ms) * 1_000_000,
                pid,
                dir,
                key,
                row,
                call: (abi, nr),
            });
        } else {
            self.note(
                pid,
                dir,
                Some(key),
                (abi, nr),
                outcome::EXECUTED,
                Fate::NoRow,
            );
        }
    }

    /// A process goes on, so its program run has ended before.
    pub(super) fn finish_held(&mut self, task: Task) {
        let Some(pid) = self.tasks.get(&task).map(|task| task.pid) else {
            return;
        };
        let held = &mut self.kernel.held;
        let at = held.iter().position(|held| held.pid == pid);
        if let Some(held) = at.map(|at| held.remove(at)) {
            self.store(held);
        }
    }

    /// The first mark that is due by then is stored.
    pub(super) fn land(&mut self, due: u64) {
        let at = self.kernel.held.iter().position(|held| held.due <= due);
        if let Some(at) = at {
            let held = self.kernel.held.remove(at);
            self.store(held);
        }
    }

    fn store(&mut self, held: Held) {
        let is_its_own = self.kernel.rows.get(&held.key) == Some(&held.row);
        let fate = if is_its_own {
            Fate::Marked
        } else {
            Fate::Stale
        };
        let mark = outcome::EXECUTED;
        let at = self.note(held.pid, held.dir, Some(held.key), held.call, mark, fate);
        // The recording of the cgroup may have ended meanwhile.
        self.kernel.facts[at].is_optional = !self.kernel.cgroups.contains_key(&held.dir);
        self.mark_in(at, held.row);
    }

    fn mark(
        &mut self,
        pid: u32,
        dir: u64,
        key: RowKey,
        call: (AbiClass, u32),
        mark: u8,
        values: Option<[u64; 3]>,
    ) {
        let Some((row, key)) = self.kernel.row_of(key) else {
            self.note(pid, dir, Some(key), call, mark, Fate::NoRow);
            return;
        };
        let at = self.note(pid, dir, Some(key), call, mark, Fate::Marked);
        if let Some(values) = values {
            self.kernel.facts[at].values = Some(values);
            let limit = self.kernel.limits.values;
            let of_row = self.kernel.values.entry(row).or_default();
            let given = (call.0, call.1, values);
            let many = of_row.seen.iter().filter(|it| (it.0, it.1) == call).count();
            if many < limit || of_row.seen.contains(&given) {
                of_row.seen.insert(given);
            } else {
                of_row.cut.insert(call);
                self.kernel.facts[at].is_cut = true;
            }
        }
        self.mark_in(at, row);
    }

    fn note(
        &mut self,
        pid: u32,
        dir: u64,
        key: Option<RowKey>,
        call: (AbiClass, u32),
        mark: u8,
        fate: Fate,
    ) -> usize {
        let key = key.unwrap_or(super::rows::overflow_row(dir));
        self.kernel.facts.push(Fact {
            dir,
            key,
            exe_is_named: self.kernel.executables.contains_key(&key.exe),
            call,
            mark,
            values: None,
            is_cut: false,
            time: self.now_ns,
            pid,
            fate,
            announced: None,
            is_early: !self.kernel.ending,
            is_optional: false,
        });
        self.kernel.facts.len() - 1
    }

    /// Stores a mark, and announces it when it is new.
    fn mark_in(&mut self, at: usize, row: u32) {
        let kernel = &mut self.kernel;
        let fact = &mut kernel.facts[at];
        let (class, nr) = fact.call;
        let is_indexed = nr < 512 && class != AbiClass::X32;
        let is_new = if is_indexed {
            let marks = kernel.marks.entry(row).or_default();
            let is_new = !marks.contains_key(&fact.call);
            if is_new {
                marks.insert(fact.call, fact.mark);
            }
            is_new
        } else {
            let key = (row, class, nr);
            if kernel.unindexed.contains_key(&key) {
                false
            } else if kernel.unindexed.len() < kernel.limits.unindexed {
                kernel.unindexed.insert(key, fact.mark);
                true
            } else {
                kernel.counters.exotic_full += 1;
                fact.fate = Fate::NoRow;
                false
            }
        };
        if !is_new {
            return;
        }
        if kernel.events.len() >= kernel.limits.events {
            kernel.counters.events_dropped += 1;
            fact.announced = Some(false);
            return;
        }
        fact.announced = Some(true);
        let event = Event {
            time: fact.time,
            args: [u64::from(fact.pid); 6],
            row,
            nr,
            pid: fact.pid,
            tid: fact.pid,
            comm: comm(fact.pid),
            abi: class as u32,
            outcome: u32::from(fact.mark),
        };
        kernel.events.push_back(RingMessage::Event(event, class));
    }

    /// A process accesses something.
    pub(super) fn access(&mut self, task: Task, what: u32) {
        self.finish_held(task);
        let Some((pid, filter, dir)) = self.whereabouts(task) else {
            return;
        };
        if let Some(source) = &mut self.source {
            source.open(pid, (what - OPENED) as usize);
        }
        let Some(key) = self.kernel.who(self.now_ns, pid, dir, filter) else {
            return;
        };
        let Some((row, key)) = self.kernel.row_of(key) else {
            self.kernel.counters.accesses_lost += 1;
            return;
        };
        let generation = self.kernel.generations.get(&row).copied().unwrap_or(0);
        let hash = (u64::from(row) << 32) | (generation << 8) | u64::from(what);
        let fact = AccessFact {
            key,
            exe_is_named: self.kernel.executables.contains_key(&key.exe),
            what,
            is_reported: true,
            is_optional: false,
        };
        let failed = self.kernel.reported.get(&hash).copied();
        if failed == Some(0) {
            return;
        }
        let has_room = self.kernel.accesses.len() < self.kernel.limits.accesses;
        if failed.is_none() && self.kernel.reported.len() >= self.kernel.limits.reported {
            self.kernel.counters.accesses_lost += 1;
            return;
        }
        self.kernel.access_facts.push(AccessFact {
            is_reported: has_room,
            ..fact
        });
        if !has_room {
            self.kernel.counters.accesses_dropped += 1;
            self.kernel.reported.insert(hash, failed.unwrap_or(0) + 1);
            return;
        }
        self.kernel.reported.insert(hash, 0);
        let report = report(what, row, pid, hash, self.now_ns);
        self.kernel.accesses.push_back(report);
    }
}

/// The executable of a row, as a recording calls it.
pub(super) fn executable(key: &RowKey, is_named: bool, paths: &World) -> String {
    match key.exe {
        EXE_LAUNCHER => "launcher".to_owned(),
        EXE_UNKNOWN | EXE_OVERFLOW => "unknown".to_owned(),
        _ if !is_named => "unknown".to_owned(),
        exe => String::from_utf8(paths.kernel.executables[&exe].clone()).unwrap(),
    }
}

fn comm(pid: u32) -> [u8; COMM_LEN] {
    let mut comm = [0; COMM_LEN];
    let text = format!("t{pid}");
    comm[..text.len()].copy_from_slice(text.as_bytes());
    comm
}

/// From this number on, an access is to one of the files that the programs' source can be shown.
pub(super) const OPENED: u32 = 12;

/// What an access is: the kind, and the path or the number.
pub(super) fn access(what: u32) -> (AccessKind, &'static str, u64) {
    match what {
        0 => (AccessKind::Open, "/etc/passwd", open::READ),
        1 => (AccessKind::Open, "/var/log/x", open::WRITE),
        2 => (AccessKind::Open, "/etc/hosts", open::READ),
        3 => (AccessKind::Create, "/tmp/made", 0),
        4 => (AccessKind::MakeDirectory, "/tmp/dir", 0),
        5 => (AccessKind::Remove, "/tmp/made", 0),
        6 => (AccessKind::Capability, "", 21),
        7 => (AccessKind::Capability, "", 10),
        8 => (AccessKind::SignalSend, "", 15),
        9 => (AccessKind::SocketCreate, "", 2),
        10 => (AccessKind::ChangeMode, "/tmp/made", 0),
        OPENED.. => (
            AccessKind::Open,
            FILES[(what - OPENED) as usize],
            open::READ,
        ),
        // Its text was too long.
        _ => (AccessKind::Mount, "", 0),
    }
}

fn report(what: u32, row: u32, pid: u32, key: u64, time: u64) -> KernelAccess {
    let (kind, path, value) = access(what);
    let flags = if kind == AccessKind::Mount {
        flag::TRUNCATED
    } else {
        0
    };
    KernelAccess {
        access: Access {
            time,
            key,
            values: [value, 0, 0],
            row,
            kind: kind as u32,
            flags,
            pid,
            nr: u32::MAX,
            abi: 0,
            first_len: 0,
            second_len: 0,
            comm: comm(pid),
        },
        kind,
        abi: AbiClass::Native,
        first: path.as_bytes().to_vec(),
        second: Vec::new(),
    }
}
