//! Filters: how they are loaded, and what they stop.

use tracer_abi::outcome;
use tracer_ebpf::machine::{hooks, objects, objects::Entry, pause};

use super::Step;
use crate::event::CALLS;
use crate::kernel::abi;
use crate::truth::What;

/// The number of `seccomp` on x86-64.
const SECCOMP: u32 = objects::FILTER_CALLS[1];

/// SIGSYS.
const SIGSYS: u32 = 31;

impl Step<'_> {
    pub(super) fn blocked(&self, place: usize, call: usize, errno: Option<u8>) {
        self.return_from_fork(place);
        let Some(thread) = self.thread(place).filter(|thread| thread.filter != 0) else {
            return;
        };
        let (nr, compat) = CALLS[call];
        let before = self.moment(&thread);
        let entry = if compat { Entry::Compat } else { Entry::Native };
        thread.task.enter(nr, entry, [0; 6]);
        let exits = self.world.borrow().exits;
        if exits {
            let returned = errno.map_or(i64::from(nr), |errno| -i64::from(errno));
            hooks::sys_exit(thread.task, returned);
        }
        let (who, strict) = self.since(&thread, &before);
        let certain = exits && strict && !thread.hazy && thread.in_call == Some(false);
        let recorded = who.must_be_seen();
        self.change(place, |thread| {
            if !strict {
                thread.in_call = None;
            } else if exits && recorded {
                thread.in_call = Some(false);
            }
        });
        let outcome = errno.unwrap_or(outcome::SIGNAL);
        self.note(
            abi(nr, compat),
            nr,
            What::Blocked(Some(outcome)),
            who,
            certain,
        );
    }

    /// A verdict ends the thread on its way into a call: there is no exit of the call.
    pub(super) fn killed(&self, place: usize, call: usize) {
        self.return_from_fork(place);
        let Some(thread) = self.thread(place).filter(|thread| thread.filter != 0) else {
            return;
        };
        let (nr, compat) = CALLS[call];
        if nr & tracer_abi::X32_BIT != 0 {
            return;
        }
        let before = self.moment(&thread);
        let entry = if compat { Entry::Compat } else { Entry::Native };
        thread.task.enter(nr, entry, [0; 6]);
        let exits = self.world.borrow().exits;
        let alone = self.world.borrow().processes[thread.process].live == 1;
        self.end(place, SIGSYS);
        let (mut who, strict) = self.since(&thread, &before);
        if strict {
            who = before.who;
        }
        // Nothing tells any more whether the filter is the one that a runtime came with.
        who.phase = None;
        if !alone {
            // Others may end at once, and whoever is looked up last is not known any more.
            who.exe = None;
        }
        let certain = exits && strict && !thread.hazy && thread.in_call == Some(false);
        // Nothing tells where registers lie before a task was looked up with them.
        self.note(
            abi(nr, compat),
            nr,
            What::Blocked(Some(outcome::SIGNAL)),
            who,
            certain && self.world.borrow().settings.slot_cache,
        );
    }

    pub(super) fn filter(&self, place: usize, all: bool) {
        if place == 0 || self.thread(place).is_none() {
            return;
        }
        let before = self.enter(place, SECCOMP, false, [1, 0, 0, 0, 0, 0], What::Made(None));
        let Some(thread) = self.thread(place) else {
            return;
        };
        let began = {
            let world = &mut *self.world.borrow_mut();
            world.next_filter += 0x40;
            let filter = world.next_filter;
            let others = if all {
                world.members(thread.process)
            } else {
                vec![place]
            };
            let process = &mut world.processes[thread.process];
            process.version += 1;
            process.filtering += u32::from(all);
            for other in others {
                if let Some(other) = &mut world.threads[other] {
                    other.filter = filter;
                    other.task.set_filter(filter);
                    other.in_call = None;
                }
            }
            (world.processes[thread.process].version, world.asked)
        };
        pause();
        let hazy = thread.hazy;
        self.leave(place, SECCOMP, false, 0, &before);
        let world = &mut *self.world.borrow_mut();
        let process = &mut world.processes[thread.process];
        let steady = began == (process.version, world.asked)
            && before.version.is_some()
            && process.moving.is_empty()
            && world.asking == 0
            && world.exits;
        process.version += 1;
        process.filtering -= u32::from(all);
        for member in world.members(thread.process) {
            if let Some(member) = &mut world.threads[member] {
                member.hazy |= hazy || !steady;
                member.in_call = None;
            }
        }
        let recorded = world
            .instance(world.processes[thread.process].cgroup)
            .is_some();
        if let Some(thread) = &mut world.threads[place] {
            thread.in_call = (steady && recorded).then_some(false);
        }
    }
}
