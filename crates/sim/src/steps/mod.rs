//! What the simulated kernel does at each event, step by step.

mod filters;
mod tasks;

use tracer_abi::{AbiClass, WATCHED_ARGUMENTS};
use tracer_ebpf::machine::{hooks, objects::Entry, pause};

use crate::driver::Shared;
use crate::event::{CALLS, CLONE3, Event, IOCTL, SOCKET};
use crate::kernel::{Thread, World, abi};
use crate::truth::{Deed, Values, What, Who};
use crate::user;

/// The number of `clone` on x86-64.
const CLONE: u32 = 56;

/// The places of the tasks that an event keeps busy.
pub(crate) fn tasks(world: &World, event: Event) -> Vec<usize> {
    match event {
        Event::Call { task, .. }
        | Event::Blocked { task, .. }
        | Event::Killed { task, .. }
        | Event::Exit { task }
        | Event::Filter { task, .. }
        | Event::Open { task, .. } => vec![task],
        Event::Fork { task, child, .. } => vec![task, child],
        Event::Exec { task, .. } => match world.threads[task] {
            Some(thread) => world.members(thread.process),
            None => vec![task],
        },
        _ => Vec::new(),
    }
}

/// Does what happens at an event.
pub(crate) fn perform(world: &Shared, number: u32, event: Event) {
    let on = Step { world, number };
    match event {
        Event::Call { task, call, value } => on.call(task, call, value),
        Event::Blocked { task, call, errno } => on.blocked(task, call, errno),
        Event::Killed { task, call } => on.killed(task, call),
        Event::Fork { .. } => on.fork(event),
        Event::Exec { task, program } => on.exec(task, program),
        Event::Exit { task } => on.exit(task),
        Event::Move { task, cgroup } => on.r#move(task, cgroup),
        Event::Filter { task, all } => on.filter(task, all),
        Event::Open { task, file } => on.open(task, file),
        _ => user::perform(world, event),
    }
}

/// What a deed's certainty depends on, before and after.
struct Moment {
    who: Who,
    version: Option<[u64; 4]>,
    /// How often its process had been moved.
    moves: usize,
    /// How often user space had changed what is recorded.
    asked: u64,
}

/// An event that is being done.
struct Step<'a> {
    world: &'a Shared,
    number: u32,
}

impl Step<'_> {
    fn thread(&self, place: usize) -> Option<Thread> {
        self.world.borrow().threads[place]
    }

    fn change(&self, place: usize, change: impl FnOnce(&mut Thread)) {
        if let Some(thread) = &mut self.world.borrow_mut().threads[place] {
            change(thread);
        }
    }

    fn moment(&self, thread: &Thread) -> Moment {
        let world = self.world.borrow();
        Moment {
            who: world.who(thread),
            version: world.version(thread),
            moves: world.processes[thread.process].moved.len(),
            asked: world.asked,
        }
    }

    /// Who it was, and whether that is certain, from a moment until now.
    fn since(&self, thread: &Thread, before: &Moment) -> (Who, bool) {
        let after = self.moment(thread);
        if before.version.is_some() && before.version == after.version {
            return (after.who, true);
        }
        let mut who = before.who.or(&after.who);
        let world = self.world.borrow();
        let moved = &world.processes[thread.process].moved;
        who.instances.extend_from_slice(&moved[before.moves..]);
        if world.asked != before.asked || world.asking > 0 {
            who.instances.push(None);
        }
        (who, false)
    }

    fn note(&self, abi: AbiClass, number: u32, what: What, who: Who, certain: bool) {
        self.world.borrow_mut().deeds.push(Deed {
            event: self.number,
            abi,
            number,
            what,
            who,
            certain,
            settled: false,
        });
    }

    /// A call begins. Returns what was so before.
    fn enter(
        &self,
        place: usize,
        nr: u32,
        compat: bool,
        arguments: [u64; 6],
        what: What,
    ) -> Moment {
        self.return_from_fork(place);
        let Some(thread) = self.thread(place) else {
            unreachable!("the caller has looked");
        };
        let before = self.moment(&thread);
        let entry = if compat { Entry::Compat } else { Entry::Native };
        hooks::sys_enter(thread.task, nr, entry, arguments);
        let (who, strict) = self.since(&thread, &before);
        if thread.filter != 0 {
            let recorded = who.must_be_seen();
            let exits = self.world.borrow().exits;
            self.change(place, |thread| {
                if !strict {
                    thread.in_call = None;
                } else if recorded && exits {
                    thread.in_call = Some(true);
                }
            });
        }
        self.note(abi(nr, compat), nr, what, who, true);
        before
    }

    /// The call ends that began at a moment.
    fn leave(&self, place: usize, nr: u32, compat: bool, returned: i64, before: &Moment) {
        let Some(thread) = self.thread(place) else {
            return;
        };
        if self.world.borrow().exits {
            hooks::sys_exit(thread.task, returned);
        }
        let Some(thread) = self.thread(place) else {
            return;
        };
        let (who, strict) = self.since(&thread, before);
        let (recorded, exits) = (who.must_be_seen(), self.world.borrow().exits);
        self.change(place, |thread| {
            if !strict {
                thread.in_call = None;
            } else if thread.filter != 0 && recorded && exits {
                thread.in_call = Some(false);
            }
        });
        if thread.filter != 0 && !strict {
            // A call whose beginning was not seen as recorded may look blocked (docs/limits.md).
            self.note(abi(nr, compat), nr, What::Blocked(None), who, false);
        }
    }

    fn return_from_fork(&self, place: usize) {
        let Some(thread) = self.thread(place).filter(|thread| thread.newborn) else {
            return;
        };
        self.change(place, |thread| thread.newborn = false);
        let before = self.moment(&thread);
        thread.task.enter(CLONE, Entry::Native, [0; 6]);
        self.leave(place, CLONE, false, 0, &before);
    }

    fn call(&self, place: usize, call: usize, value: u64) {
        if self.thread(place).is_none() {
            return;
        }
        let (nr, compat) = CALLS[call];
        let (arguments, values) = arguments(&self.world.borrow(), nr, compat, value);
        let before = self.enter(place, nr, compat, arguments, What::Made(values));
        pause();
        self.leave(place, nr, compat, 0, &before);
    }

    fn open(&self, place: usize, file: usize) {
        let Some(thread) = self.thread(place) else {
            return;
        };
        let before = self.moment(&thread);
        let address = self.world.borrow().files[file];
        hooks::file_open(thread.task, address);
        let (who, _) = self.since(&thread, &before);
        self.note(AbiClass::Native, 0, What::Opened(file), who, true);
    }
}

/// The arguments of a call, and the values that are recorded of them.
fn arguments(world: &World, nr: u32, compat: bool, value: u64) -> ([u64; 6], Option<Values>) {
    let are = |values: [u64; WATCHED_ARGUMENTS]| Some(Values::Are(values));
    match (nr, compat) {
        (IOCTL, false) => ([3, value, 9, 0, 0, 0], are([0, value, 0])),
        // Of the type only the lower bits matter.
        (SOCKET, false) => (
            [value % 3, value | 0x80_0000, 0, 0, 0, 0],
            are([value % 3, value, 0]),
        ),
        (CLONE3, false) => match world.words.get(usize::try_from(value).unwrap_or(0)) {
            Some(address) => ([*address, 88, 0, 0, 0, 0], are([value, 0, 0])),
            None => ([8, 88, 0, 0, 0, 0], Some(Values::Unreadable)),
        },
        _ => ([value; 6], None),
    }
}
