//! Tasks: how they are made, execute programs, are moved, and end.

use tracer_abi::ExecutablePath;
use tracer_ebpf::machine::{hooks, pause};

use super::{CLONE, Step};
use crate::event::Event;
use crate::kernel::{World, program};
use crate::truth::What;

/// Numbers of `execve` and `exit` on x86-64.
const EXECVE: u32 = 59;
const EXIT: u32 = 60;

impl Step<'_> {
    pub(super) fn fork(&self, event: Event) {
        let Event::Fork {
            task,
            child,
            thread: is_thread,
            into,
            silent,
            stack,
        } = event
        else {
            return;
        };
        let Some(parent) = self.thread(task) else {
            return;
        };
        {
            let world = self.world.borrow();
            let into_nowhere = into.is_some_and(|into| world.groups[into].is_none());
            if world.threads[child].is_some() || into_nowhere || task == 0 && is_thread {
                return;
            }
        }
        let before = self.enter(task, CLONE, false, [0; 6], What::Made(None));
        let made = {
            let world = &mut *self.world.borrow_mut();
            let process = is_thread.then_some(parent.process);
            let here = world.processes[parent.process].cgroup;
            let cgroup = into.filter(|_| !is_thread && !silent).unwrap_or(here);
            let filter = world.threads[task].map_or(0, |thread| thread.filter);
            let made = (world.groups[cgroup].is_some())
                .then(|| world.spawn(child, cgroup, process, stack, filter))
                .flatten();
            if let Some(made) = made.filter(|_| !is_thread) {
                world.processes[made.process].parent = parent.process;
                made.task.set_parent(world.processes[parent.process].leader);
                // Until its birth is told it may be moved, but not make a call.
                world.processes[made.process].unborn = true;
            }
            made
        };
        if let Some(made) = made {
            pause();
            let hazy = self.thread(task).is_some_and(|thread| thread.hazy);
            // Where a child is put, a workload may be started meanwhile.
            let starts = |world: &World| (world.executing, world.executed);
            let (version, before_it) = {
                let world = self.world.borrow();
                (world.version(&parent), starts(&world))
            };
            if !silent {
                hooks::fork(parent.task, made.task);
            }
            let world = &mut *self.world.borrow_mut();
            let alone = into.is_none() || before_it == (0, world.executed);
            let steady = alone && version.is_some() && version == world.version(&parent);
            if !is_thread {
                world.fork_ends(made.process, parent.process, silent);
                world.processes[made.process].uncertain |= !steady;
            }
            let born = !silent && steady && world.exits && made.filter != 0;
            let recorded = world
                .instance(world.processes[made.process].cgroup)
                .is_some();
            if let Some(thread) = &mut world.threads[child] {
                thread.newborn = !silent;
                thread.hazy = hazy || !steady || silent;
                thread.in_call = (born && recorded).then_some(true);
            }
        }
        pause();
        self.leave(task, CLONE, false, 100, &before);
    }

    pub(super) fn exec(&self, place: usize, number: usize) {
        let Some(thread) = self.thread(place).filter(|_| place != 0) else {
            return;
        };
        let before = self.enter(place, EXECVE, false, [0; 6], What::Made(None));
        let members = self.world.borrow().members(thread.process);
        for other in members {
            if other != place {
                self.end(other, 0);
            }
        }
        let path = program(number);
        let old = {
            let world = &mut *self.world.borrow_mut();
            let process = &mut world.processes[thread.process];
            process.version += 1;
            process.leader = thread.task;
            let tgid = process.tgid;
            // It takes over the first thread's id.
            thread.task.set_ids(tgid, tgid);
            if thread.tid != tgid {
                world.pids.retain(|pid| *pid != thread.tid);
            }
            let old = thread.tid;
            if let Some(thread) = &mut world.threads[place] {
                thread.tid = tgid;
            }
            old
        };
        let alone = {
            let world = &mut *self.world.borrow_mut();
            world.executing += 1;
            world.executed += 1;
            let parent = world.processes[thread.process].parent;
            let of = &world.processes[parent];
            let unclear = of.live == 0 || of.uncertain || !of.moving.is_empty();
            world.processes[thread.process].uncertain |= unclear;
            (world.executing == 1).then_some(world.executed)
        };
        hooks::exec(thread.task, old, path.as_bytes());
        {
            let world = &mut *self.world.borrow_mut();
            world.executing -= 1;
            let alone = alone == Some(world.executed);
            let exe = ExecutablePath::new(path.as_bytes()).id();
            world.execed(thread.process, exe);
            let steady = before
                .version
                .is_some_and(|version| version[1] == world.asked)
                && world.asking == 0;
            world.processes[thread.process].uncertain |= !steady || !alone;
            let recorded = world
                .instance(world.processes[thread.process].cgroup)
                .is_some();
            let exits = world.exits;
            if let Some(thread) = &mut world.threads[place]
                && thread.filter != 0
            {
                thread.in_call = (exits && recorded && steady).then_some(true);
            }
        }
        pause();
        self.leave(place, EXECVE, false, 0, &before);
    }

    pub(super) fn exit(&self, place: usize) {
        if place == 0 || self.thread(place).is_none() {
            return;
        }
        self.enter(place, EXIT, false, [0; 6], What::Made(None));
        self.end(place, 0);
    }

    /// A thread ends: `do_exit`.
    pub(super) fn end(&self, place: usize, code: u32) {
        let Some(thread) = self.thread(place) else {
            return;
        };
        {
            let world = &mut *self.world.borrow_mut();
            let process = &mut world.processes[thread.process];
            process.live -= 1;
            process.signal.set_live(process.live);
            // Whether a child that executes a program just now still finds it is uncertain.
            if process.live == 0 && world.executing > 0 {
                for child in &mut world.processes {
                    child.uncertain |= child.parent == thread.process;
                }
            }
        }
        thread.task.set_exit_code(code);
        // Filters are released before the tracepoint (Linux 6.11).
        thread.task.set_filter(0);
        pause();
        hooks::exit(thread.task);
        let world = &mut *self.world.borrow_mut();
        world.threads[place] = None;
        world.free_stacks.push(thread.stack);
        world.buried(&thread);
    }

    pub(super) fn r#move(&self, place: usize, cgroup: usize) {
        let (thread, group, leader, began) = {
            let world = &mut *self.world.borrow_mut();
            let (Some(thread), Some(group)) = (world.threads[place], world.groups[cgroup]) else {
                return;
            };
            let process = &world.processes[thread.process];
            if place == 0 || process.cgroup == cgroup || process.leader == world.processes[0].leader
            {
                return;
            }
            let leader = process.leader;
            world.move_begins(thread.process, cgroup);
            let began = (
                world.asked,
                world.asking,
                world.processes[thread.process].version,
            );
            (thread, group, leader, began)
        };
        pause();
        let Some(by) = self.thread(0) else {
            return;
        };
        hooks::attach(by.task, group.object, leader);
        let world = &mut *self.world.borrow_mut();
        let now = (
            world.asked,
            world.asking,
            world.processes[thread.process].version,
        );
        let steady = began == now && began.1 == 0;
        world.move_ends(thread.process);
        world.processes[thread.process].uncertain |= !steady;
    }
}
