//! The fake machine: memory, CPUs, maps, hooks, and what user space does with them.
//!
//! There is one machine a thread, and [`Machine::new`] begins it anew. Whoever drives it plays the
//! kernel: makes objects ([`objects`]), runs jobs on simulated CPUs ([`Cpus`]), calls the programs as
//! the kernel's tracepoints would ([`hooks`]), and looks at the maps as user space does ([`user`]).
//!
//! ```
//! use tracer_ebpf::machine::{Cpus, Interleaving, Machine, Settings, hooks, objects};
//!
//! let machine = Machine::new(&Settings::default());
//! let cgroup = objects::Cgroup::new(7, None);
//! machine.watch(cgroup.id(), cgroup.id(), 0, tracer_ebpf::machine::user::Kind::PLAIN).unwrap();
//! let task = objects::Task::new(1, 1, objects::stack(0), cgroup, objects::Signal::new());
//! let mut cpus = Cpus::new(1);
//! let whole = Interleaving { seed: 0, one_in: 0 };
//! cpus.start(0, whole, move || hooks::sys_enter(task, 39, objects::Entry::Native, [0; 6]));
//! let (_, row) = machine.rows()[1];
//! assert_eq!(machine.marks(row)[0].number, 39);
//! ```

pub mod hooks;
pub mod objects;
mod settings;
pub mod user;

use std::{cell::Cell, marker::PhantomData};

pub use crate::platform::host::{
    cpu::{Cpus, Interleaving, MAX_CPUS, mix, pause, run_task, wait, whole},
    memory::MAX_STACKS,
    mutation::{Mutation, set as mutate},
};
pub use settings::Settings;

use crate::platform::host::{configure, memory};

thread_local! {
    static CLOCK: Cell<u64> = const { Cell::new(0) };
    static STEP: Cell<u64> = const { Cell::new(1) };
}

/// Nanoseconds on the machine's clock, which goes on by one each time that it is looked at.
pub fn tick() -> u64 {
    let now = CLOCK.get() + STEP.get();
    CLOCK.set(now);
    now
}

/// Stops the clock at a moment, for a driver that has a clock of its own.
pub fn stand_at(now: u64) {
    CLOCK.set(now);
    STEP.set(0);
}

/// This thread's machine.
///
/// Its methods are what user space does with the kernel side; each operation on a map in them is a
/// place where simulated CPUs may go on, when they are called on one.
#[derive(Clone, Copy, Debug)]
pub struct Machine(PhantomData<*mut ()>);

impl Machine {
    /// Begins this thread's machine anew: empty memory, empty maps, programs loaded.
    pub fn new(settings: &Settings) -> Self {
        CLOCK.set(0);
        STEP.set(1);
        memory::reset();
        let mut config = objects::layout();
        settings.choose(&mut config);
        configure(config);
        settings.reset_maps();
        Self(PhantomData)
    }
}
