//! What happens in a simulated machine, as a list: made from a seed, printed when it fails, and shrunk.

use std::fmt;

/// A generator of numbers: the same seed gives the same ones everywhere (SplitMix64,
/// <https://prng.di.unimi.it/splitmix64.c>).
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).unwrap()
    }

    /// One time in `n`.
    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = self.below(u32::try_from(at + 1).unwrap()) as usize;
            list.swap(at, other);
        }
    }
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A command in a cgroup of tracer's own.
    Command,
    /// Cgroups that run already.
    Running,
    /// All containers.
    All,
    /// The containers of one name.
    Named,
}

/// Room in the kernel side's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) accesses: usize,
    pub(super) rows: u32,
    pub(super) cgroups: usize,
    pub(super) paths: usize,
    pub(super) processes: usize,
    pub(super) executables: usize,
    pub(super) reported: usize,
    pub(super) unindexed: usize,
    pub(super) values: usize,
}

impl Limits {
    /// Nothing is ever full.
    pub(super) const ROOMY: Self = Self {
        events: 10_000,
        accesses: 10_000,
        rows: 2_000,
        cgroups: 1_000,
        paths: 1_000,
        processes: 1_000,
        executables: 1_000,
        reported: 10_000,
        unindexed: 1_000,
        values: 1_000,
    };

    fn tight(random: &mut Random) -> Self {
        let mut limits = Self::ROOMY;
        for which in 0..10 {
            if random.one_in(3) {
                limits.narrow(which, random);
            }
        }
        limits
    }

    fn narrow(&mut self, which: u32, random: &mut Random) {
        let few = random.below(6);
        let some = few as usize;
        match which {
            0 => self.events = some * 2,
            1 => self.accesses = some,
            2 => self.rows = 2 + few * 2,
            3 => self.cgroups = 1 + some,
            4 => self.paths = some / 2,
            5 => self.processes = some,
            6 => self.executables = some,
            7 => self.reported = some,
            8 => self.unindexed = some / 2,
            _ => self.values = 1 + some / 2,
        }
    }
}

/// A cgroup, by the order in which the schedule made it.
pub(super) type Dir = u32;
/// A process, likewise.
pub(super) type Task = u32;

/// When runtimes' files tell of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Never: nothing tells.
    Never,
    /// From so many milliseconds after it was made, and as long as its cgroup is there.
    After(u32),
    /// From the beginning, and after its end.
    Always,
    /// By its cgroup's path alone, which has an id and no name; its files tell after a while.
    IdThen(u32),
}

/// What a cgroup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A container, one of three names.
    Container(u32, Known),
    /// The directory of a pod: no process is ever in it.
    Pod,
    /// A unit of systemd.
    Unit,
    /// Something else that nobody calls a container.
    Other,
}

/// Something that happens on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A cgroup is made, below another one or at the top.
    Make(Dir, Option<Dir>, Use),
    /// A cgroup is made and inherits nothing, as when its parent began to be watched just then.
    MakeLate(Dir, Dir),
    /// A process of no recorded cgroup comes into one; it starts outside.
    Enter(Task, Dir),
    /// A process forks a child, which is in the same cgroup or placed in another one.
    Fork(Task, Task, Option<Dir>),
    /// It executes one of some programs; with a terminal or without.
    Exec(Task, u32, bool),
    /// It loads a filter.
    Filter(Task),
    /// It makes a syscall: which of a list, and with which value.
    Call(Task, u32, u64),
    /// A filter stops a syscall of it.
    Blocked(Task, u32, u8),
    /// It accesses one of some things.
    Access(Task, u32),
    /// A program of the kernel side has found the row of its syscall, and marks it so many milliseconds
    /// later.
    Hold(Task, u32, u32),
    /// It goes to another cgroup, or out of all.
    Move(Task, Option<Dir>),
    /// It ends.
    Exit(Task),
    /// The cgroup is removed, and all that is in it.
    Remove(Dir),
    /// The kernel skips a run of a program.
    Skip,
}

/// One entry of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// It happens between two looks of the recorder.
    Do(Action),
    /// It happens during the next look, just before the nth call to the kernel side.
    During(u32, Action),
    /// So many milliseconds pass, and the recorder looks.
    Look(u32),
    /// The recorder reads the marks back, and looks.
    Checkpoint,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) mode: Mode,
    pub(super) limits: Limits,
    pub(super) ops: Vec<Op>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}, {:?}", self.seed, self.mode, self.limits)?;
        for op in &self.ops {
            writeln!(f, "    {op:?}")?;
        }
        Ok(())
    }
}

/// Makes the numbers of cgroups and processes.
#[derive(Default)]
struct Numbers {
    dirs: u32,
    tasks: u32,
}

impl Numbers {
    fn dir(&mut self) -> Dir {
        self.dirs += 1;
        self.dirs - 1
    }

    fn task(&mut self) -> Task {
        self.tasks += 1;
        self.tasks - 1
    }
}

impl Schedule {
    /// The schedule of a seed, with whatever room in the tables.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let limits = if random.one_in(2) {
            Limits::ROOMY
        } else {
            Limits::tight(&mut random)
        };
        Self::with(seed, limits, &mut random)
    }

    /// The schedule of a seed where nothing is ever full.
    pub(super) fn roomy(seed: u64) -> Self {
        Self::with(seed, Limits::ROOMY, &mut Random::new(seed))
    }

    fn with(seed: u64, limits: Limits, random: &mut Random) -> Self {
        let mode = match random.below(8) {
            0 => Mode::Command,
            1 => Mode::Running,
            2..=5 => Mode::All,
            _ => Mode::Named,
        };
        let mut numbers = Numbers::default();
        let mut lives: Vec<Vec<Action>> = Vec::new();
        for _ in 0..=random.below(5) {
            let life = match mode {
                Mode::Command | Mode::Running => plain_life(&mut numbers, random),
                Mode::All | Mode::Named => found_life(&mut numbers, random),
            };
            lives.push(life);
        }
        let ops = interleave(lives, random);
        Self {
            seed,
            mode,
            limits,
            ops,
        }
    }
}

/// What happens in a cgroup that user space watches: 0 is the first one.
fn plain_life(numbers: &mut Numbers, random: &mut Random) -> Vec<Action> {
    let dir = if numbers.dirs == 0 { numbers.dir() } else { 0 };
    let task = numbers.task();
    let mut life = vec![Action::Enter(task, dir)];
    if random.one_in(8) {
        life.push(Action::Filter(task));
    }
    busy(&mut life, task, random);
    life.push(Action::Exec(task, random.below(4), false));
    work(&mut life, dir, task, numbers, random);
    if random.one_in(8) {
        life.push(Action::MakeLate(numbers.dir(), dir));
        life.push(Action::Move(task, Some(numbers.dirs - 1)));
        busy(&mut life, task, random);
    }
    life
}

/// What happens around a cgroup that the kernel side finds.
fn found_life(numbers: &mut Numbers, random: &mut Random) -> Vec<Action> {
    let mut life = Vec::new();
    let parent = random.one_in(4).then(|| {
        let pod = numbers.dir();
        life.push(Action::Make(pod, None, Use::Pod));
        pod
    });
    let dir = numbers.dir();
    let known = match random.below(8) {
        0 => Known::Never,
        1 | 2 => Known::After(random.below(3_000)),
        3 | 4 => Known::IdThen(random.below(3_000)),
        5 => Known::After(0),
        _ => Known::Always,
    };
    let purpose = match random.below(10) {
        0 => Use::Unit,
        1 => Use::Other,
        _ => Use::Container(random.below(3), known),
    };
    life.push(Action::Make(dir, parent, purpose));
    let task = numbers.task();
    life.push(Action::Enter(task, dir));
    busy(&mut life, task, random);
    if random.one_in(2) {
        life.push(Action::Call(task, PIVOT_ROOT, 0));
    }
    if random.one_in(2) {
        life.push(Action::Filter(task));
        busy(&mut life, task, random);
    }
    if !random.one_in(8) {
        life.push(Action::Exec(task, random.below(4), false));
    }
    work(&mut life, dir, task, numbers, random);
    if !random.one_in(3) {
        life.push(Action::Remove(dir));
        if let Some(pod) = parent.filter(|_| random.one_in(2)) {
            life.push(Action::Remove(pod));
        }
    }
    life
}

/// A workload at work, with children, moves, programs that are put in, and cgroups of its own.
fn work(life: &mut Vec<Action>, dir: Dir, task: Task, numbers: &mut Numbers, random: &mut Random) {
    let mut tasks = vec![task];
    for _ in 0..random.below(8) {
        let which = tasks[random.below(u32::try_from(tasks.len()).unwrap()) as usize];
        match random.below(12) {
            0 | 1 => {
                let child = numbers.task();
                life.push(Action::Fork(which, child, None));
                tasks.push(child);
            }
            2 => life.push(Action::Exec(which, random.below(4), false)),
            3 => {
                let late = numbers.task();
                life.push(Action::Enter(late, dir));
                busy(life, late, random);
                life.push(Action::Exec(late, random.below(4), random.one_in(2)));
                tasks.push(late);
            }
            4 => {
                let child = numbers.dir();
                life.push(Action::Make(child, Some(dir), Use::Other));
                life.push(Action::Move(which, Some(child)));
            }
            5 => life.push(Action::Filter(which)),
            6 => life.push(Action::Blocked(
                which,
                random.below(CALLS),
                1 + low(random) % 203,
            )),
            7 => life.push(Action::Exit(which)),
            8 => life.push(Action::Move(which, random_dir(numbers, random))),
            9 => {
                let child = numbers.task();
                let into = random_dir(numbers, random);
                life.push(Action::Fork(which, child, into));
                tasks.push(child);
            }
            10 => life.push(Action::Hold(which, random.below(CALLS), random.below(90))),
            _ => life.push(Action::Skip),
        }
        busy(life, which, random);
    }
}

fn low(random: &mut Random) -> u8 {
    u8::try_from(random.below(256)).unwrap()
}

fn random_dir(numbers: &Numbers, random: &mut Random) -> Option<Dir> {
    (!random.one_in(3)).then(|| random.below(numbers.dirs))
}

/// How many syscalls [`super::world::call`] knows.
pub(super) const CALLS: u32 = 10;

/// Which of them is pivot_root.
pub(super) const PIVOT_ROOT: u32 = 9;

/// A process makes syscalls and accesses.
fn busy(life: &mut Vec<Action>, task: Task, random: &mut Random) {
    for _ in 0..random.below(4) {
        life.push(if random.one_in(3) {
            Action::Access(task, random.below(12))
        } else {
            // Only a runtime, or a workload that changes its root, calls the last one.
            Action::Call(task, random.below(CALLS - 1), u64::from(random.below(4)))
        });
    }
}

/// All lives at once, with looks of the recorder between them.
fn interleave(lives: Vec<Vec<Action>>, random: &mut Random) -> Vec<Op> {
    let mut lives: Vec<_> = lives.into_iter().map(|life| life.into_iter()).collect();
    let mut ops = Vec::new();
    let often = 2 + random.below(12);
    let preempts = 1 + random.below(8);
    while !lives.is_empty() {
        let which = random.below(u32::try_from(lives.len()).unwrap()) as usize;
        // A life goes on for a while, so that some begin and end between two looks.
        for _ in 0..=random.below(6) {
            match lives[which].next() {
                Some(action) if random.one_in(preempts) => {
                    ops.push(Op::During(1 + random.below(12), action));
                }
                Some(action) => ops.push(Op::Do(action)),
                None => {
                    lives.remove(which);
                    break;
                }
            }
        }
        if random.one_in(often) {
            ops.push(match random.below(10) {
                0..=2 => Op::Checkpoint,
                3 => Op::Look(2_500),
                4 => Op::Look(6_000),
                _ => Op::Look(10 + random.below(300)),
            });
        }
    }
    // A recording ends at any moment.
    if random.one_in(4) {
        ops.truncate(random.below(u32::try_from(ops.len() + 1).unwrap()) as usize);
    }
    ops
}

/// The shortest schedule with which `fails` still says so, as far as leaving out parts finds it.
pub(super) fn shrink(schedule: Schedule, fails: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut shortest = schedule;
    if shortest.limits != Limits::ROOMY {
        let roomy = Schedule {
            limits: Limits::ROOMY,
            ..shortest.clone()
        };
        if fails(&roomy) {
            shortest = roomy;
        }
    }
    let mut size = shortest.ops.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < shortest.ops.len() {
            let mut shorter = shortest.clone();
            let end = (at + size).min(shorter.ops.len());
            shorter.ops.drain(at..end);
            if fails(&shorter) {
                shortest = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    shortest
}
