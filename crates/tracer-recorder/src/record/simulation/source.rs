//! The programs of the kernel side themselves: what happens on the simulated machine happens on the fake
//! machine of `tracer-ebpf` too, which runs the source that the kernel runs. [`SourceKernel`] answers the
//! recorder from its maps.
//!
//! The model of [`programs`](super::programs) hears of everything as well. It is no longer asked, but says
//! what the recordings should hold: nothing is ever full here, so both file each call alike.

use std::collections::BTreeMap;

use tracer_abi::{AbiClass, Watch, outcome};
use tracer_ebpf::machine::{
    Machine, Settings, hooks,
    objects::{self, Cgroup, Entry, Signal, Task},
    stand_at,
};

use super::schedule::Dir;

/// Numbers on x86-64.
const CLONE: u32 = 56;
const OPENAT: u32 = 257;
pub(super) const SECCOMP: u32 = objects::FILTER_CALLS[1];

/// The calls whose first argument is recorded, and where they are marked in a row.
const WATCHED: [u32; 2] = [41, 157];

/// The names of the files that are opened.
pub(super) const FILES: [&str; 2] = ["/passwd", "/hosts"];

/// Room for all that a schedule does.
const ROOM: Settings = Settings {
    rows: 512,
    cgroups: 128,
    unused_cgroups: 128,
    processes: 128,
    threads: 128,
    executables: 32,
    unindexed: 256,
    values: 64,
    ring_bytes: 1 << 18,
    told: 1024,
    access_bytes: 1 << 18,
    discover: false,
    slot_cache: true,
    report_every_blocked: false,
};

/// A process: one thread.
struct Process {
    task: Task,
    signal: Signal,
    stack: usize,
    parent: Option<u32>,
    filter: u64,
    /// Whether it has yet to return from the call that made it.
    newborn: bool,
}

/// The fake machine, and what lives on it.
pub(super) struct SourceMachine {
    pub(super) machine: Machine,
    root: Cgroup,
    /// Makes and removes cgroups, and moves processes.
    system: Task,
    dirs: BTreeMap<Dir, Cgroup>,
    processes: BTreeMap<u32, Process>,
    free_stacks: Vec<usize>,
    files: [u64; FILES.len()],
}

impl SourceMachine {
    pub(super) fn new(discover: bool) -> Self {
        let machine = Machine::new(&Settings { discover, ..ROOM });
        for (number, call) in (0..).zip(WATCHED) {
            let watch = Watch {
                masks: [u64::MAX, 0, 0],
                watched: 1,
                number,
                behind_pointer: 0,
                small: 0,
            };
            machine.ask(call, watch);
        }
        let root = Cgroup::new(1, None);
        let mut free_stacks: Vec<usize> = (0..tracer_ebpf::machine::MAX_STACKS).rev().collect();
        let stack = objects::stack(free_stacks.pop().unwrap());
        let system = Task::new(1, 1, stack, root, Signal::new());
        system.set_parent(system);
        let files = objects::Files::new();
        Self {
            machine,
            root,
            system,
            dirs: BTreeMap::new(),
            processes: BTreeMap::new(),
            free_stacks,
            files: FILES.map(|name| files.open(name.trim_start_matches('/').as_bytes())),
        }
    }

    /// It is this late now.
    pub(super) fn set_time(&self, now_ns: u64) {
        stand_at(now_ns);
    }

    /// A cgroup is made. Without a path, the programs do not hear of it.
    pub(super) fn make(&mut self, dir: Dir, id: u64, parent: Option<Dir>, path: Option<&str>) {
        let parent = parent.map_or(self.root, |parent| self.dirs[&parent]);
        let cgroup = Cgroup::new(id, Some(parent));
        self.dirs.insert(dir, cgroup);
        if let Some(path) = path {
            hooks::mkdir(self.system, cgroup, path.as_bytes());
        }
    }

    pub(super) fn remove(&mut self, dir: Dir) {
        if let Some(cgroup) = self.dirs.get(&dir) {
            hooks::rmdir(self.system, *cgroup);
        }
    }

    fn cgroup(&self, dir: Option<Dir>) -> Cgroup {
        dir.and_then(|dir| self.dirs.get(&dir).copied())
            .unwrap_or(self.root)
    }

    /// A process appears: nobody has heard of it.
    pub(super) fn spawn(&mut self, pid: u32, dir: Option<Dir>, parent: Option<u32>) {
        let of_parent = parent.and_then(|parent| self.processes.get(&parent));
        let filter = of_parent.map_or(0, |parent| parent.filter);
        let above = of_parent.map_or(self.system, |parent| parent.task);
        let stack = self.free_stacks.pop().unwrap();
        let signal = Signal::new();
        signal.set_live(1);
        let task = Task::new(pid, pid, objects::stack(stack), self.cgroup(dir), signal);
        task.set_filter(filter);
        task.set_parent(above);
        let process = Process {
            task,
            signal,
            stack,
            parent,
            filter,
            newborn: false,
        };
        self.processes.insert(pid, process);
    }

    /// A process is moved.
    pub(super) fn attach(&mut self, pid: u32, dir: Option<Dir>) {
        let cgroup = self.cgroup(dir);
        let task = self.processes[&pid].task;
        task.set_cgroup(cgroup);
        hooks::attach(self.system, cgroup, task);
    }

    /// A process that has appeared was forked.
    pub(super) fn fork(&mut self, parent: u32, child: u32) {
        self.return_from_fork(parent);
        hooks::fork(self.processes[&parent].task, self.processes[&child].task);
        self.process(child).newborn = true;
    }

    fn process(&mut self, pid: u32) -> &mut Process {
        self.processes.get_mut(&pid).unwrap()
    }

    /// The exit of a call, of which the programs hear only while they watch exits.
    fn leave(&self, task: Task, returned: i64) {
        if self.machine.watches_exits() {
            hooks::sys_exit(task, returned);
        }
    }

    fn return_from_fork(&mut self, pid: u32) {
        let process = self.process(pid);
        let task = process.task;
        if std::mem::take(&mut process.newborn) {
            task.enter(CLONE, Entry::Native, [0; 6]);
            self.leave(task, 0);
        }
    }

    pub(super) fn exec(&mut self, pid: u32, path: &str, tty: bool) {
        self.return_from_fork(pid);
        let process = self.process(pid);
        process.signal.set_terminal(tty);
        hooks::exec(process.task, pid, path.as_bytes());
    }

    /// A process loads a filter: the call that does it is made and counted like any other.
    pub(super) fn filter(&mut self, pid: u32, filter: u64) {
        self.return_from_fork(pid);
        let process = self.process(pid);
        let task = process.task;
        hooks::sys_enter(task, SECCOMP, Entry::Native, [0; 6]);
        task.set_filter(filter);
        process.filter = filter;
        self.leave(task, 0);
    }

    pub(super) fn call(&mut self, pid: u32, (class, nr): (AbiClass, u32), value: u64) {
        self.return_from_fork(pid);
        let task = self.process(pid).task;
        hooks::sys_enter(task, nr, entry(class), [value, 0, 0, 0, 0, 0]);
        self.leave(task, 0);
    }

    /// A filter stops a call: there is an exit and no entry.
    pub(super) fn blocked(&mut self, pid: u32, (class, nr): (AbiClass, u32), mark: u8) {
        self.return_from_fork(pid);
        let task = self.process(pid).task;
        task.enter(nr, entry(class), [0; 6]);
        let rolled_back = i64::from(nr);
        self.leave(
            task,
            match mark {
                outcome::SIGNAL => rolled_back,
                outcome::VALUE => rolled_back + 7,
                errno => -i64::from(errno),
            },
        );
    }

    pub(super) fn open(&mut self, pid: u32, file: usize) {
        self.return_from_fork(pid);
        let task = self.processes[&pid].task;
        // What the registers hold says which call opens it.
        task.enter(OPENAT, Entry::Native, [0; 6]);
        hooks::file_open(task, self.files[file]);
    }

    pub(super) fn exit(&mut self, pid: u32) {
        let Some(process) = self.processes.remove(&pid) else {
            return;
        };
        process.signal.set_live(0);
        // Filters are released before the tracepoint (Linux 6.11).
        process.task.set_filter(0);
        hooks::exit(process.task);
        self.free_stacks.push(process.stack);
        for orphan in self.processes.values_mut() {
            if orphan.parent == Some(pid) {
                orphan.parent = None;
                orphan.task.set_parent(self.system);
            }
        }
    }
}

const fn entry(class: AbiClass) -> Entry {
    match class {
        AbiClass::Compat => Entry::Compat,
        AbiClass::Native | AbiClass::X32 => Entry::Native,
    }
}
