//! The state of the simulated kernel.

use std::collections::BTreeMap;

use tracer_abi::{AbiClass, Access, Counters, Event as RingEvent};
use tracer_ebpf::machine::{Machine, Settings, objects};

use crate::event::{CGROUPS, FILES, TASKS};
use crate::process::{Instance, Known};
use crate::truth::{Deed, Who};
use crate::user;

/// The first process id.
const FIRST_PID: u32 = 100;

/// How many kernel stacks there are: a few more than tasks, so that they are soon used again.
const STACKS: usize = TASKS + 2;

/// A thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    pub(crate) task: objects::Task,
    pub(crate) tid: u32,
    pub(crate) process: usize,
    pub(crate) stack: usize,
    pub(crate) filter: u64,
    /// Where the kernel side knows it to be: in a call, out of it, or unknown.
    pub(crate) in_call: Option<bool>,
    /// Whether it must return from the call that made it before it does anything else.
    pub(crate) newborn: bool,
    /// Whether it came under its filter when exits were not watched, or while that changed.
    pub(crate) hazy: bool,
}

/// A process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) tgid: u32,
    pub(crate) signal: objects::Signal,
    pub(crate) leader: objects::Task,
    pub(crate) live: u32,
    pub(crate) cgroup: usize,
    pub(crate) parent: usize,
    pub(crate) known: Option<Known>,
    /// Instances that its calls may be filed under while a move is in force and was not told.
    pub(crate) moving: Vec<Option<u64>>,
    /// The instances that it was moved from and to, all of them.
    pub(crate) moved: Vec<Option<u64>>,
    /// Grows with each change of what its calls are filed under.
    pub(crate) version: u64,
    /// How many of its threads are loading a filter for all.
    pub(crate) filtering: u32,
    /// Whether its birth was not told yet.
    pub(crate) unborn: bool,
    /// Whether its executable and phase depend on what came first, of things that happened at once.
    pub(crate) uncertain: bool,
}

/// A cgroup.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) object: objects::Cgroup,
    pub(crate) parent: usize,
    pub(crate) instance: Option<u64>,
    /// Whether the kernel side had no room for it.
    pub(crate) lost: bool,
    /// Whether a process was ever in it, as the kernel side heard.
    pub(crate) populated: bool,
}

/// An event of the ring, and whether its mark was there when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) event: RingEvent,
    pub(crate) marked: bool,
    /// What the row stood for.
    pub(crate) key: Option<tracer_abi::RowKey>,
}

/// Everything.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) threads: [Option<Thread>; TASKS],
    pub(crate) processes: Vec<Process>,
    pub(crate) groups: [Option<Group>; CGROUPS],
    pub(crate) instances: BTreeMap<u64, Instance>,
    pub(crate) free_stacks: Vec<usize>,
    pub(crate) pids: Vec<u32>,
    pub(crate) next_cgroup: u64,
    pub(crate) next_filter: u64,
    /// Whether the exits of calls are watched.
    pub(crate) exits: bool,
    /// Grows with each change that user space makes to what is recorded.
    pub(crate) asked: u64,
    /// How many such changes are under way.
    pub(crate) asking: u32,
    /// Places of cgroups that begin to be recorded just now, and instances that cease to be.
    pub(crate) beginning: Vec<(usize, u64)>,
    pub(crate) ending: Vec<u64>,
    /// How many calls were not found in instances that were given back.
    pub(crate) missing: u64,
    /// How many tasks are executing a program just now, and how many did so far.
    pub(crate) executing: u32,
    pub(crate) executed: u32,
    pub(crate) files: [u64; FILES],
    pub(crate) deeds: Vec<Deed>,
    pub(crate) told: Vec<Told>,
    pub(crate) accesses: Vec<(Access, Vec<u8>, Option<tracer_abi::RowKey>)>,
    pub(crate) wrong: Vec<String>,
    /// Words of user space, by value.
    pub(crate) words: [u64; 4],
}

impl World {
    pub(crate) fn new(settings: &Settings) -> Self {
        let machine = Machine::new(settings);
        let files = objects::Files::new();
        let root = objects::Cgroup::new(1, None);
        let mut this = Self {
            machine,
            settings: *settings,
            threads: [None; TASKS],
            processes: Vec::new(),
            groups: [None; CGROUPS],
            instances: BTreeMap::new(),
            free_stacks: (0..STACKS).rev().collect(),
            pids: Vec::new(),
            next_cgroup: 10,
            next_filter: 0x1000,
            exits: false,
            asked: 0,
            asking: 0,
            beginning: Vec::new(),
            ending: Vec::new(),
            missing: 0,
            executing: 0,
            executed: 0,
            files: core::array::from_fn(|file| files.open(file_name(file).as_bytes())),
            deeds: Vec::new(),
            told: Vec::new(),
            accesses: Vec::new(),
            wrong: Vec::new(),
            words: core::array::from_fn(|value| objects::word(value as u64)),
        };
        this.groups[0] = Some(Group {
            object: root,
            parent: 0,
            instance: None,
            lost: false,
            populated: true,
        });
        user::ask(&this);
        this.spawn(0, 0, None, 0, 0);
        this.processes[0]
            .leader
            .set_parent(this.processes[0].leader);
        this
    }

    /// Puts a new task into a free place: a thread of `process`, or a process of its own.
    pub(crate) fn spawn(
        &mut self,
        place: usize,
        cgroup: usize,
        process: Option<usize>,
        stack: usize,
        filter: u64,
    ) -> Option<Thread> {
        let group = self.groups[cgroup]?;
        let pick = self.free_stacks.len().checked_sub(1)?.saturating_sub(stack);
        let stack = self.free_stacks.remove(pick);
        let tid = (FIRST_PID..).find(|pid| !self.pids.contains(pid))?;
        self.pids.push(tid);
        let (signal, tgid) = match process {
            Some(process) => (self.processes[process].signal, self.processes[process].tgid),
            None => (objects::Signal::new(), tid),
        };
        let task = objects::Task::new(tid, tgid, objects::stack(stack), group.object, signal);
        task.set_filter(filter);
        let process = process.unwrap_or_else(|| {
            self.processes.push(Process {
                tgid,
                signal,
                leader: task,
                live: 0,
                cgroup,
                parent: 0,
                known: None,
                moving: Vec::new(),
                moved: Vec::new(),
                version: 0,
                filtering: 0,
                unborn: false,
                uncertain: false,
            });
            self.processes.len() - 1
        });
        let this = &mut self.processes[process];
        this.live += 1;
        signal.set_live(this.live);
        task.set_parent(self.processes[self.processes[process].parent].leader);
        let thread = Thread {
            task,
            tid,
            process,
            stack,
            filter,
            in_call: None,
            newborn: false,
            hazy: false,
        };
        self.threads[place] = Some(thread);
        Some(thread)
    }

    /// The instance that a cgroup belongs to.
    pub(crate) fn instance(&self, cgroup: usize) -> Option<u64> {
        let instance = self.groups[cgroup]?.instance?;
        self.instances.get(&instance)?.watched.then_some(instance)
    }

    /// Who a task is to a recording.
    pub(crate) fn who(&self, thread: &Thread) -> Who {
        let process = &self.processes[thread.process];
        let instance = self.instance(process.cgroup);
        let mut who = Who {
            instances: vec![instance],
            exe: None,
            phase: None,
        };
        for other in &process.moving {
            if !who.instances.contains(other) {
                who.instances.push(*other);
            }
        }
        for (cgroup, number) in &self.beginning {
            if *cgroup == process.cgroup {
                who.instances.push(Some(*number));
            }
        }
        let lost = self.groups[process.cgroup].is_some_and(|group| group.lost);
        if lost
            || who
                .instances
                .iter()
                .flatten()
                .any(|number| self.ending.contains(number))
        {
            who.instances.push(None);
        }
        if let Some(instance) = instance.and_then(|number| self.instances.get(&number))
            && process.moving.is_empty()
            && !process.uncertain
        {
            let (exe, phase) = Known::files(process.known, instance, thread.filter);
            who.exe = Some(exe);
            // Whether the workload was started is about to change.
            let starting = self.executing > 0 && process.known.is_none();
            who.phase = (!instance.uncertain && !starting).then_some(phase as u32);
        }
        who
    }

    /// What would have to stay the same for [`Self::who`] to hold; `None` while it is changing.
    pub(crate) fn version(&self, thread: &Thread) -> Option<[u64; 4]> {
        let process = &self.processes[thread.process];
        if !process.moving.is_empty() || self.asking > 0 || process.filtering > 0 {
            return None;
        }
        let instance = self.instance(process.cgroup);
        let of_instance = instance.and_then(|number| self.instances.get(&number));
        Some([
            process.version,
            self.asked,
            instance.unwrap_or(0),
            of_instance.map_or(0, |instance| instance.version),
        ])
    }

    /// The threads of a process.
    pub(crate) fn members(&self, process: usize) -> Vec<usize> {
        let of_process =
            |place: &usize| self.threads[*place].is_some_and(|thread| thread.process == process);
        (0..TASKS).filter(of_process).collect()
    }

    /// The sums of what all CPUs counted.
    pub(crate) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for each in self.machine.counters() {
            sum.calls += each.calls;
            sum.misses += each.misses;
            sum.events_dropped += each.events_dropped;
            sum.rows_full += each.rows_full;
            sum.calls_lost += each.calls_lost;
            sum.cgroups_full += each.cgroups_full;
            sum.processes_full += each.processes_full;
            sum.exotic_full += each.exotic_full;
            sum.values_lost += each.values_lost;
            sum.accesses_lost += each.accesses_lost;
            sum.accesses_dropped += each.accesses_dropped;
            sum.threads_full += each.threads_full;
        }
        sum
    }
}

/// The ABI by which the kernel side files a call.
pub(crate) fn abi(number: u32, compat: bool) -> AbiClass {
    if compat {
        AbiClass::Compat
    } else if number & tracer_abi::X32_BIT != 0 {
        AbiClass::X32
    } else {
        AbiClass::Native
    }
}

/// The name of a file.
pub(crate) fn file_name(file: usize) -> String {
    format!("file-{file}")
}

/// The path of a program.
pub(crate) fn program(number: usize) -> String {
    format!("/bin/program-{number}")
}
