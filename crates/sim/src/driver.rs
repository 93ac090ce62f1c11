//! Runs a schedule: begins its events in their order, each on a free CPU, and lets CPUs take turns where
//! events are interrupted.

use std::{cell::RefCell, rc::Rc};

use tracer_ebpf::machine::{Cpus, Interleaving, mix};

use crate::check::{self, Failure};
use crate::event::{Event, Schedule};
use crate::kernel::World;
use crate::{steps, user};

/// What a schedule came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Calls, blocked calls and opened files that the kernel side was to see.
    pub deeds: usize,
    /// How often a CPU was interrupted.
    pub interruptions: usize,
}

/// The world, as events hold it. Never borrowed where a CPU may be interrupted.
pub(crate) type Shared = Rc<RefCell<World>>;

/// An event that was begun.
struct Begun {
    event: Event,
    /// Places of the tasks that it keeps busy.
    tasks: Vec<usize>,
}

/// Runs a schedule, and compares what the kernel side says with what happened.
///
/// # Errors
/// A [`Failure`] when they differ.
pub fn run(schedule: &Schedule) -> Result<Report, Failure> {
    let world: Shared = Rc::new(RefCell::new(World::new(&schedule.settings)));
    let mut driver = Driver {
        cpus: Cpus::new(schedule.cpus),
        begun: (0..schedule.cpus).map(|_| None).collect(),
        world: Rc::clone(&world),
        turns: 0,
        schedule,
    };
    for (number, event) in &schedule.events {
        driver.begin(*number, *event);
    }
    driver.finish_all();
    user::drain(&world);
    check::all(&world.borrow())?;
    let deeds = world.borrow().deeds.len();
    Ok(Report {
        deeds,
        interruptions: driver.turns,
    })
}

struct Driver<'a> {
    cpus: Cpus,
    begun: Vec<Option<Begun>>,
    world: Shared,
    turns: usize,
    schedule: &'a Schedule,
}

impl Driver<'_> {
    fn begin(&mut self, number: u32, event: Event) {
        loop {
            let tasks = steps::tasks(&self.world.borrow(), event);
            let free = self.begun.iter().position(Option::is_none);
            if let Some(cpu) = free
                && !self.conflicts(event, &tasks)
            {
                self.start(cpu, number, event, tasks);
                return self.take_turns(number);
            }
            if let Some(cpu) = self.begun.iter().position(Option::is_some) {
                self.step(cpu);
            }
        }
    }

    /// Whether an event has to wait for one that was begun.
    fn conflicts(&self, event: Event, tasks: &[usize]) -> bool {
        self.begun.iter().flatten().any(|begun| {
            begun.tasks.iter().any(|task| tasks.contains(task))
                || user::needs_quiet(event)
                || excludes(begun.event, event)
                || excludes(event, begun.event)
        })
    }

    fn start(&mut self, cpu: usize, number: u32, event: Event, tasks: Vec<usize>) {
        self.begun[cpu] = Some(Begun { event, tasks });
        let interleaving = Interleaving {
            seed: mix(self.schedule.seed, u64::from(number)),
            one_in: if self.cpus.len() > 1 {
                self.schedule.one_in
            } else {
                0
            },
        };
        let world = Rc::clone(&self.world);
        let job = move || steps::perform(&world, number, event);
        if self.cpus.start(cpu, interleaving, job) {
            self.begun[cpu] = None;
        }
    }

    /// After an event was begun, others go on for a while.
    fn take_turns(&mut self, number: u32) {
        let seed = mix(self.schedule.seed ^ 0x7475_726e, u64::from(number));
        for turn in 0..mix(seed, 0) % 8 {
            let busy: Vec<usize> = (0..self.cpus.len())
                .filter(|cpu| self.begun[*cpu].is_some())
                .collect();
            if busy.is_empty() {
                return;
            }
            let pick = mix(seed, turn + 1) % busy.len() as u64;
            self.step(busy[usize::try_from(pick).unwrap_or(0)]);
        }
    }

    fn step(&mut self, cpu: usize) {
        self.turns += 1;
        if self.cpus.resume(cpu) {
            self.begun[cpu] = None;
        }
    }

    fn finish_all(&mut self) {
        while let Some(cpu) = self.begun.iter().position(Option::is_some) {
            self.step(cpu);
        }
    }
}

/// Whether the kernel, or user space, does not do these at once.
fn excludes(one: Event, other: Event) -> bool {
    use Event::{
        Drain, Exec, Exit, Fork, Killed, Mkdir, Move, Release, Rmdir, Unwatch, Watch, WatchExits,
    };
    match one {
        // `cgroup_mutex`; and user space does one thing after the other.
        Mkdir { .. } | Rmdir { .. } => matches!(
            other,
            Mkdir { .. }
                | Rmdir { .. }
                | Move { .. }
                | Watch { .. }
                | Unwatch { .. }
                | Fork { into: Some(_), .. }
                | Exec { .. }
        ),
        // A task that ends is in no cgroup to be moved from.
        Move { .. } => matches!(
            other,
            Move { .. } | Exit { .. } | Killed { .. } | Exec { .. }
        ),
        Watch { .. } => matches!(
            other,
            Watch { .. }
                | Unwatch { .. }
                | Release { .. }
                | WatchExits { .. }
                | Drain
                | Exit { .. }
                | Killed { .. }
                | Exec { .. }
                | Fork { .. }
                | Move { .. }
        ),
        Unwatch { .. } | Release { .. } | WatchExits { .. } | Drain => matches!(
            other,
            Unwatch { .. } | Release { .. } | WatchExits { .. } | Drain
        ),
        _ => false,
    }
}
