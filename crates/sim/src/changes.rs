//! How the state of the simulated kernel changes, when what changed it is over.

use tracer_ebpf::machine::whole;

use crate::kernel::{Thread, World};
use crate::process::Known;

impl World {
    /// Somebody came into a cgroup: one that was not followed from its making is found now.
    fn find_late(&mut self, cgroup: usize) {
        let Some(group) = self.groups[cgroup].filter(|group| group.lost) else {
            return;
        };
        let id = group.object.id();
        let cgroups = whole(|| self.machine.cgroups());
        let Some((_, entry)) = cgroups.iter().find(|(known, _)| *known == id) else {
            return;
        };
        let of_parent = self.groups[group.parent].and_then(|parent| parent.instance);
        if entry.instance != id && Some(entry.instance) != of_parent {
            self.wrong
                .push(format!("cgroup {id} was filed under {}", entry.instance));
        }
        if let Some(group) = &mut self.groups[cgroup] {
            group.lost = false;
            group.instance = Some(entry.instance);
        }
    }

    /// Its birth was told.
    pub(crate) fn fork_ends(&mut self, child: usize, parent: usize, silent: bool) {
        let cgroup = self.processes[child].cgroup;
        self.find_late(cgroup);
        let known_parent = self.processes[parent].known;
        let filter = self.filter_of_leader(child);
        let uncertain = self.processes[parent].uncertain;
        let this = &mut self.processes[child];
        this.version += 1;
        this.unborn = false;
        this.uncertain |= uncertain;
        if silent {
            return;
        }
        let Some(number) = self.instance(cgroup).filter(|_| !self.is_lost(cgroup)) else {
            let keeps = known_parent.is_some_and(|known| self.takes_something(&known));
            if keeps {
                self.processes[child].known = known_parent;
            }
            return;
        };
        let Some(instance) = self.instances.get(&number).copied() else {
            return;
        };
        if let Some(group) = &mut self.groups[cgroup] {
            group.populated = true;
        }
        let parent_is_in = self.instance(self.processes[parent].cgroup) == Some(number);
        self.processes[child].known = match known_parent {
            Some(known) if known.instance == number => Some(known),
            None if parent_is_in => None,
            known => Known::enter(known, number, &instance, filter),
        };
    }

    fn filter_of_leader(&self, process: usize) -> u64 {
        let leader = self.processes[process].leader;
        let of_leader = |thread: &&Thread| thread.task == leader;
        let thread = self.threads.iter().flatten().find(of_leader);
        thread.map_or(0, |thread| thread.filter)
    }

    fn is_lost(&self, cgroup: usize) -> bool {
        self.groups[cgroup].is_some_and(|group| group.lost)
    }

    /// Whether a process that is out of all recorded cgroups is still known.
    fn takes_something(&self, known: &Known) -> bool {
        known.phase != tracer_abi::Phase::Setup
            && self
                .instances
                .get(&known.instance)
                .is_some_and(|instance| instance.watched)
    }

    pub(crate) fn execed(&mut self, process: usize, exe: u64) {
        let cgroup = self.processes[process].cgroup;
        let known = self.processes[process].known;
        self.processes[process].version += 1;
        let number = self.instance(cgroup).filter(|_| !self.is_lost(cgroup));
        let Some(number) = number else {
            self.processes[process].known = None;
            return;
        };
        let Some(instance) = self.instances.get(&number).copied() else {
            return;
        };
        let parent = self.processes[process].parent;
        let of_parent = self.processes[parent].known;
        let is_hook = parent != process && of_parent.is_some_and(|known| known.instance == number);
        let (now, starts) = Known::exec(known, number, &instance, exe, is_hook);
        self.processes[process].known = Some(now);
        let uncertain = self.processes[process].uncertain;
        if let Some(instance) = self.instances.get_mut(&number) {
            instance.uncertain |= uncertain;
        }
        if starts && let Some(instance) = self.instances.get_mut(&number) {
            instance.version += u64::from(!instance.started);
            instance.started = true;
        }
    }

    /// A move is in force.
    pub(crate) fn move_begins(&mut self, process: usize, cgroup: usize) {
        // The kernel side does not know a cgroup that found no room.
        let known = |cgroup| self.instance(cgroup).filter(|_| !self.is_lost(cgroup));
        let before = known(self.processes[process].cgroup);
        let after = known(cgroup);
        let Some(group) = self.groups[cgroup] else {
            return;
        };
        for place in self.members(process) {
            if let Some(thread) = &self.threads[place] {
                thread.task.set_cgroup(group.object);
            }
        }
        let this = &mut self.processes[process];
        this.leader.set_cgroup(group.object);
        this.cgroup = cgroup;
        this.uncertain |= this.unborn;
        this.moved.extend([before, after]);
        this.moving = vec![before, after];
        this.version += 1;
    }

    /// It was told.
    pub(crate) fn move_ends(&mut self, process: usize) {
        let cgroup = self.processes[process].cgroup;
        self.find_late(cgroup);
        let filter = self.filter_of_leader(process);
        let lost = self.is_lost(cgroup);
        let number = self.instance(cgroup).filter(|_| !lost);
        let instance = number.and_then(|number| self.instances.get(&number).copied());
        let recorded = number.is_some();
        let this = &mut self.processes[process];
        this.moving.clear();
        this.uncertain |= this.unborn;
        this.version += 1;
        if let (Some(number), Some(instance)) = (number, instance) {
            this.known = Known::enter(this.known, number, &instance, filter);
        }
        if let Some(group) = &mut self.groups[cgroup] {
            group.populated = true;
        }
        for place in self.members(process) {
            if let Some(thread) = &mut self.threads[place] {
                thread.in_call = thread.in_call.filter(|_| recorded);
                // Other threads than the first are not told of (docs/limits.md).
                thread.hazy |= !recorded;
            }
        }
    }

    /// A thread is gone.
    pub(crate) fn buried(&mut self, thread: &Thread) {
        let process = &self.processes[thread.process];
        let (live, tgid) = (process.live, process.tgid);
        if thread.tid != tgid {
            self.pids.retain(|pid| *pid != thread.tid);
        }
        if live > 0 || !self.members(thread.process).is_empty() {
            return;
        }
        self.pids.retain(|pid| *pid != tgid);
        self.processes[thread.process].known = None;
        // Its children have another parent now.
        let system = self.processes[0].leader;
        for child in 0..self.processes.len() {
            if self.processes[child].parent == thread.process {
                self.processes[child].parent = 0;
                for place in self.members(child) {
                    if let Some(thread) = &self.threads[place] {
                        thread.task.set_parent(system);
                    }
                }
            }
        }
    }
}
