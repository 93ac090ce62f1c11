//! Simulated CPUs: which task runs, and where another CPU may go on.
//!
//! Each CPU is a coroutine. The programs call [`pause`] around every operation on a map and every
//! access to a shared word; there the interleaving of the schedule decides whether this CPU waits.

use std::cell::Cell;

use corosensei::{Coroutine, CoroutineResult, Yielder};

/// Most CPUs that a machine has.
pub const MAX_CPUS: usize = 4;

/// What a CPU is given to do.
type Job = Box<dyn FnOnce()>;

/// Why a CPU gave way.
enum Signal {
    /// In the midst of its job.
    Paused,
    /// Its job is done.
    Done,
}

/// How a job is interrupted: whether at its n-th pause depends on these numbers alone, so that a job
/// is interrupted at the same places whatever else is left out of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Interleaving {
    /// Different for each job.
    pub seed: u64,
    /// One pause in so many is taken; 0 for none.
    pub one_in: u32,
}

#[derive(Clone, Copy)]
struct Running {
    cpu: usize,
    task: u64,
    yielder: *const Yielder<Job, Signal>,
    interleaving: Interleaving,
    pauses: u64,
}

const IDLE: Running = Running {
    cpu: 0,
    task: 0,
    yielder: core::ptr::null(),
    interleaving: Interleaving { seed: 0, one_in: 0 },
    pauses: 0,
};

thread_local! {
    static RUNNING: Cell<Running> = const { Cell::new(IDLE) };
}

/// A place where another CPU may go on.
pub fn pause() {
    let mut running = RUNNING.get();
    if running.yielder.is_null() || running.interleaving.one_in == 0 {
        return;
    }
    running.pauses += 1;
    RUNNING.set(running);
    let draw = mix(running.interleaving.seed, running.pauses);
    if draw.is_multiple_of(u64::from(running.interleaving.one_in)) {
        wait();
    }
}

/// Does something that no other CPU interrupts.
pub fn whole<R>(what: impl FnOnce() -> R) -> R {
    let before = RUNNING.get();
    let mut running = before;
    running.interleaving.one_in = 0;
    RUNNING.set(running);
    let result = what();
    let mut after = RUNNING.get();
    after.interleaving = before.interleaving;
    RUNNING.set(after);
    result
}

/// Gives way to the other CPUs.
pub fn wait() {
    let running = RUNNING.get();
    if running.yielder.is_null() {
        return;
    }
    // SAFETY: the yielder lives on the stack of the coroutine that is running.
    let yielder = unsafe { &*running.yielder };
    let _ = yielder.suspend(Signal::Paused);
}

/// The number of the running CPU.
pub(crate) fn current() -> usize {
    RUNNING.get().cpu
}

/// The address of the running task.
pub(crate) fn task() -> u64 {
    RUNNING.get().task
}

/// Makes a task the running one of this CPU.
pub fn run_task(task: u64) {
    let mut running = RUNNING.get();
    running.task = task;
    RUNNING.set(running);
}

/// A number that depends on both, well mixed.
pub fn mix(seed: u64, n: u64) -> u64 {
    crate::accesses::mix(seed ^ 0x9e37_79b9_7f4a_7c15, n)
}

struct Cpu {
    coroutine: Coroutine<Job, Signal, ()>,
    /// What was running when it gave way; `None` without a job.
    running: Option<Running>,
}

/// The CPUs of a machine.
pub struct Cpus {
    cpus: Vec<Cpu>,
}

impl Cpus {
    /// So many idle CPUs.
    pub fn new(count: usize) -> Self {
        Self {
            cpus: (0..count.min(MAX_CPUS)).map(|_| Cpu::new()).collect(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cpus.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cpus.is_empty()
    }

    /// Whether a CPU is in the midst of a job.
    pub fn is_busy(&self, cpu: usize) -> bool {
        self.cpus[cpu].running.is_some()
    }

    /// Begins a job on an idle CPU. Returns whether it is done already.
    pub fn start(
        &mut self,
        cpu: usize,
        interleaving: Interleaving,
        job: impl FnOnce() + 'static,
    ) -> bool {
        assert!(!self.is_busy(cpu), "CPU {cpu} has a job");
        self.cpus[cpu].running = Some(Running {
            cpu,
            interleaving,
            ..IDLE
        });
        self.go(cpu, Box::new(job))
    }

    /// Lets a CPU go on. Returns whether its job is done.
    pub fn resume(&mut self, cpu: usize) -> bool {
        self.go(cpu, Box::new(|| ()))
    }

    fn go(&mut self, cpu: usize, job: Job) -> bool {
        let this = &mut self.cpus[cpu];
        let Some(running) = this.running else {
            return true;
        };
        let before = RUNNING.replace(running);
        let result = this.coroutine.resume(job);
        let after = RUNNING.replace(before);
        match result {
            CoroutineResult::Yield(Signal::Paused) => {
                this.running = Some(after);
                false
            }
            CoroutineResult::Yield(Signal::Done) | CoroutineResult::Return(()) => {
                this.running = None;
                true
            }
        }
    }
}

impl Cpu {
    fn new() -> Self {
        Self {
            coroutine: Coroutine::new(|yielder: &Yielder<Job, Signal>, mut job: Job| {
                loop {
                    let mut running = RUNNING.get();
                    running.yielder = core::ptr::from_ref(yielder);
                    RUNNING.set(running);
                    job();
                    job = yielder.suspend(Signal::Done);
                }
            }),
            running: None,
        }
    }
}
