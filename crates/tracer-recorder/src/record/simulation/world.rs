//! A machine: its cgroups and processes, and what happens to them. The kernel side's programs, which
//! see it happen, are in [`programs`](super::programs).

use std::collections::{BTreeMap, VecDeque};

use tracer_abi::AbiClass;
use tracer_ebpf::machine::Machine;

use super::{
    programs::Kernel,
    schedule::{Action, Dir, Known, Limits, PIVOT_ROOT, Task, Use},
    source::{SECCOMP, SourceMachine},
};

/// Programs that processes execute.
const PROGRAMS: [&str; 4] = ["/bin/a", "/bin/b", "/usr/bin/c", "/opt/d e"];

/// What runs before anything was executed in a cgroup.
const RUNTIME: &str = "/usr/bin/runtime";

/// The syscall that loads a filter, where the programs' source has to see it.
const LOAD_FILTER: u32 = 100;

/// A syscall: ABI, number, and whether its values are recorded.
pub(super) const fn call(which: u32) -> (AbiClass, u32, bool) {
    match which {
        0 => (AbiClass::Native, 0, false),
        1 => (AbiClass::Native, 1, false),
        2 => (AbiClass::Native, 257, false),
        3 => (AbiClass::Compat, 3, false),
        // No byte in a row stands for these two.
        4 => (AbiClass::X32, 0x4000_0001, false),
        5 => (AbiClass::Native, 600, false),
        // socket and prctl.
        6 => (AbiClass::Native, 41, true),
        7 => (AbiClass::Native, 157, true),
        PIVOT_ROOT => (AbiClass::Native, 155, false),
        LOAD_FILTER => (AbiClass::Native, SECCOMP, false),
        _ => (AbiClass::Native, 39, false),
    }
}

/// A cgroup.
#[derive(Clone, Debug)]
pub(super) struct DirState {
    pub(super) id: u64,
    pub(super) path: String,
    pub(super) parent: Option<Dir>,
    /// The cgroup of the instance that it belongs to, by the rules and not by any table.
    pub(super) owner: Dir,
    pub(super) purpose: Use,
    pub(super) exists: bool,
    /// Whether a process was ever in it.
    pub(super) populated: bool,
    pub(super) made_ns: u64,
    /// Whether a look-up answered that it is a container that was asked for.
    pub(super) matched: bool,
    /// Whether a look-up answered with what its runtime's files say.
    pub(super) was_known: bool,
    /// Whether it was looked up at all.
    pub(super) looked_up: bool,
    /// When user space began to record it; `None` when the kernel side found it.
    pub(super) watched_ns: Option<u64>,
    /// Whether the recorder decided against it before the end.
    pub(super) left: bool,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct TaskState {
    pub(super) pid: u32,
    pub(super) dir: Option<Dir>,
    pub(super) exe: &'static str,
    pub(super) parent: Option<Task>,
    /// 0 for none.
    pub(super) filter: u64,
    pub(super) tty: bool,
    pub(super) alive: bool,
}

/// The machine.
pub(super) struct World {
    pub(super) now_ns: u64,
    pub(super) dirs: BTreeMap<Dir, DirState>,
    pub(super) tasks: BTreeMap<Task, TaskState>,
    pub(super) kernel: Kernel,
    /// The programs' own source, which sees what happens as well.
    pub(super) source: Option<SourceMachine>,
    /// The name that is asked for; `None` when all containers are.
    pub(super) wanted: Option<String>,
    /// What happens during a look: before which call to the kernel side, and what.
    during: VecDeque<(u32, Action)>,
    calls: u32,
    filters: u64,
}

impl World {
    pub(super) fn new(limits: Limits, discover: bool, wanted: Option<String>) -> Self {
        Self {
            now_ns: 1_000_000_000,
            dirs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            kernel: Kernel::new(limits, discover),
            source: None,
            wanted,
            during: VecDeque::new(),
            calls: 0,
            filters: 0,
        }
    }

    /// A look of the recorder begins: these things happen while it looks.
    pub(super) fn begin_look(&mut self, mut during: Vec<(u32, Action)>) {
        during.sort_by_key(|(call, _)| *call);
        self.during = during.into();
        self.calls = 0;
    }

    /// The recorder calls the kernel side: the machine goes on meanwhile.
    pub(super) fn preempt(&mut self) {
        self.calls += 1;
        while let Some((_, action)) = self.during.pop_front_if(|(call, _)| *call <= self.calls) {
            self.act(action);
        }
    }

    /// A look ends; what was to happen during it has happened now.
    pub(super) fn end_look(&mut self) {
        while let Some((_, action)) = self.during.pop_front() {
            self.act(action);
        }
    }

    /// Time passes.
    pub(super) fn advance(&mut self, ms: u32) {
        let end = self.now_ns + u64::from(ms) * 1_000_000;
        while let Some(due) = self.kernel.next_held(end) {
            self.now_ns = self.now_ns.max(due);
            self.land(due);
        }
        self.now_ns = end;
    }

    /// The machine of the programs' source.
    pub(super) fn machine(&self) -> Machine {
        self.source.as_ref().unwrap().machine
    }

    pub(super) fn dir_by_id(&self, id: u64) -> Option<&DirState> {
        self.dirs.get(&u32::try_from(id.checked_sub(1000)?).ok()?)
    }

    pub(super) fn dir_by_path(&self, path: &str) -> Option<&DirState> {
        self.dirs.values().find(|dir| dir.path == path)
    }

    /// Whether one cgroup is the other or below it.
    pub(super) fn is_within(&self, mut dir: Dir, above: Dir) -> bool {
        loop {
            if dir == above {
                return true;
            }
            match self.dirs.get(&dir).and_then(|dir| dir.parent) {
                Some(parent) => dir = parent,
                None => return false,
            }
        }
    }

    /// The living processes in a cgroup and below it.
    pub(super) fn members(&self, above: Dir) -> Vec<Task> {
        let is_in =
            |task: &TaskState| task.alive && task.dir.is_some_and(|dir| self.is_within(dir, above));
        let tasks = self.tasks.iter().filter(|(_, task)| is_in(task));
        tasks.map(|(number, _)| *number).collect()
    }

    /// Something happens, unless what it happens to is not there (any more).
    pub(super) fn act(&mut self, action: Action) {
        self.now_ns += 1_000;
        if let Some(source) = &self.source {
            source.set_time(self.now_ns);
        }
        match action {
            Action::Make(dir, parent, purpose) => self.make(dir, parent, purpose, true),
            Action::MakeLate(dir, parent) => self.make(dir, Some(parent), Use::Other, false),
            Action::Enter(task, dir) => {
                if self.exists(dir) && !self.tasks.contains_key(&task) {
                    self.add_task(task, None, None);
                    self.move_to(task, Some(dir));
                }
            }
            Action::Fork(parent, child, into) => self.fork(parent, child, into),
            Action::Exec(task, program, tty) => self.exec(task, program, tty),
            Action::Filter(task) => {
                self.finish_held(task);
                self.load_filter(task);
            }
            Action::Call(task, which, value) => self.call(task, which, value),
            Action::Blocked(task, which, outcome) => self.blocked(task, which, outcome),
            Action::Access(task, what) => self.access(task, what),
            Action::Hold(task, which, ms) => self.hold(task, which, ms),
            Action::Move(task, dir) => self.move_to(task, dir),
            Action::Exit(task) => self.exit(task),
            Action::Remove(dir) => self.remove(dir),
            Action::Skip => self.kernel.skipped += 1,
        }
    }

    fn exists(&self, dir: Dir) -> bool {
        self.dirs.get(&dir).is_some_and(|dir| dir.exists)
    }

    fn load_filter(&mut self, task: Task) {
        if self.source.is_some() {
            self.file_call(task, LOAD_FILTER, 0);
        }
        self.filters += 1;
        let filter = self.filters;
        let Some(state) = self.living(task) else {
            return;
        };
        state.filter = filter;
        let pid = state.pid;
        if let Some(source) = &mut self.source {
            source.filter(pid, filter);
        }
    }

    pub(super) fn living(&mut self, task: Task) -> Option<&mut TaskState> {
        self.tasks.get_mut(&task).filter(|task| task.alive)
    }

    fn make(&mut self, dir: Dir, parent: Option<Dir>, purpose: Use, is_seen: bool) {
        if self.dirs.contains_key(&dir) || parent.is_some_and(|parent| !self.exists(parent)) {
            return;
        }
        let above = parent.map_or_else(String::new, |parent| self.dirs[&parent].path.clone());
        let path = match purpose {
            Use::Unit => format!("{above}/system.slice/u{dir}.service"),
            Use::Pod => format!("{above}/pod{dir}"),
            _ => format!("{above}/c{dir}"),
        };
        // Below a cgroup that nobody was ever in, a new one is by itself.
        let owner = match parent.map(|parent| &self.dirs[&parent]) {
            Some(above) if above.populated || above.owner != parent.unwrap() => above.owner,
            Some(above) if !self.kernel.discover => above.owner,
            _ => dir,
        };
        let id = 1000 + u64::from(dir);
        let state = DirState {
            id,
            path: path.clone(),
            parent,
            owner,
            purpose,
            exists: true,
            populated: false,
            made_ns: self.now_ns,
            matched: false,
            was_known: false,
            looked_up: false,
            watched_ns: None,
            left: false,
        };
        self.dirs.insert(dir, state);
        if let Some(source) = &mut self.source {
            source.make(dir, id, parent, is_seen.then_some(path.as_str()));
        }
        if is_seen {
            let parent = parent.map(|parent| 1000 + u64::from(parent));
            self.kernel.mkdir(self.now_ns, id, parent, &path);
        }
    }

    fn add_task(&mut self, task: Task, dir: Option<Dir>, parent: Option<Task>) {
        let of_parent = parent.and_then(|parent| self.tasks.get(&parent));
        let state = TaskState {
            pid: 5000 + task,
            dir,
            exe: of_parent.map_or(RUNTIME, |parent| parent.exe),
            parent,
            filter: of_parent.map_or(0, |parent| parent.filter),
            tty: false,
            alive: true,
        };
        if let Some(source) = &mut self.source {
            source.spawn(state.pid, dir, parent.map(|parent| 5000 + parent));
        }
        self.tasks.insert(task, state);
    }

    fn move_to(&mut self, task: Task, dir: Option<Dir>) {
        self.finish_held(task);
        let is_there = dir.is_none_or(|dir| self.exists(dir));
        let Some(state) = self.living(task).filter(|_| is_there) else {
            return;
        };
        state.dir = dir;
        let (pid, filter) = (state.pid, state.filter);
        if let Some(dir) = dir.and_then(|dir| self.dirs.get_mut(&dir)) {
            dir.populated = true;
        }
        if let Some(source) = &mut self.source {
            source.attach(pid, dir);
        }
        let id = dir.map(|dir| 1000 + u64::from(dir));
        self.kernel.attach_task(self.now_ns, id, pid, filter);
    }

    fn fork(&mut self, parent: Task, child: Task, into: Option<Dir>) {
        self.finish_held(parent);
        let is_there = into.is_none_or(|dir| self.exists(dir)) && !self.tasks.contains_key(&child);
        let Some(from) = self.living(parent).filter(|_| is_there) else {
            return;
        };
        let (from, dir) = (from.dir, into.or(from.dir));
        self.add_task(child, dir, Some(parent));
        if let Some(dir) = dir.and_then(|dir| self.dirs.get_mut(&dir)) {
            dir.populated = true;
        }
        let [from, dir] = [from, dir].map(|dir| dir.map(|dir| 1000 + u64::from(dir)));
        let (pid, filter) = (self.tasks[&child].pid, self.tasks[&child].filter);
        let parent = self.tasks[&parent].pid;
        if let Some(source) = &mut self.source {
            source.fork(parent, pid);
        }
        self.kernel
            .fork(self.now_ns, (parent, from), (pid, dir), filter);
    }

    fn exec(&mut self, task: Task, program: u32, tty: bool) {
        self.finish_held(task);
        let Some(state) = self.living(task) else {
            return;
        };
        let path = PROGRAMS[program as usize % PROGRAMS.len()];
        state.exe = path;
        state.tty = tty;
        let (pid, filter, dir, parent) = (state.pid, state.filter, state.dir, state.parent);
        let parent = parent
            .and_then(|parent| self.tasks.get(&parent))
            .filter(|parent| parent.alive)
            .map(|parent| parent.pid);
        if let Some(source) = &mut self.source {
            source.exec(pid, path, tty);
        }
        let id = dir.map(|dir| 1000 + u64::from(dir));
        self.kernel
            .exec(self.now_ns, (pid, id), parent, path, (filter, tty));
    }

    fn exit(&mut self, task: Task) {
        self.finish_held(task);
        let Some(state) = self.living(task) else {
            return;
        };
        state.alive = false;
        state.dir = None;
        let pid = state.pid;
        if let Some(source) = &mut self.source {
            source.exit(pid);
        }
        self.kernel.exit(pid);
    }

    fn remove(&mut self, dir: Dir) {
        if !self.exists(dir) {
            return;
        }
        for task in self.members(dir) {
            self.exit(task);
        }
        // From below.
        let mut below: Vec<_> = self
            .dirs
            .iter()
            .filter(|(other, state)| state.exists && self.is_within(**other, dir))
            .map(|(other, state)| (std::cmp::Reverse(state.path.len()), *other))
            .collect();
        below.sort();
        for (_, dir) in below {
            if let Some(state) = self.dirs.get_mut(&dir) {
                state.exists = false;
                let id = state.id;
                if let Some(source) = &mut self.source {
                    source.remove(dir);
                }
                self.kernel.rmdir(self.now_ns, id);
            }
        }
    }

    /// Whether runtimes' files tell of a container now.
    pub(super) fn is_known(&self, dir: &DirState) -> bool {
        let since = |ms: u32| dir.exists && self.now_ns >= dir.made_ns + u64::from(ms) * 1_000_000;
        match dir.purpose {
            Use::Container(_, Known::Always) => true,
            Use::Container(_, Known::After(ms) | Known::IdThen(ms)) => since(ms),
            _ => false,
        }
    }
}
