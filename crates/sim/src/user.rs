//! What user space does at each event.

use tracer_abi::{EXE_UNKNOWN, ExecutablePath, Phase, Watch, kind};
use tracer_ebpf::machine::{hooks, objects, pause, user::Kind, user::Message, whole};

use crate::check;
use crate::driver::Shared;
use crate::event::{CLONE3, Event, IOCTL, SOCKET};
use crate::kernel::{Group, Told, World, program};
use crate::process::{Instance, Known};

/// Whether nothing else may be under way when an event begins.
pub(crate) fn needs_quiet(event: Event) -> bool {
    // Rows are given back a while after nothing can reach them any more.
    matches!(event, Event::Release { .. })
}

/// Does what happens at an event.
pub(crate) fn perform(world: &Shared, event: Event) {
    match event {
        Event::Mkdir { cgroup, parent } => mkdir(world, cgroup, parent),
        Event::Rmdir { cgroup } => rmdir(world, cgroup),
        Event::Watch { cgroup, container } => watch(world, cgroup, container),
        Event::Unwatch { cgroup } => unwatch(world, cgroup),
        Event::Release { cgroup } => release(world, cgroup),
        Event::WatchExits { on } => watch_exits(world, on),
        Event::Drain => drain(world),
        _ => {}
    }
}

/// The calls whose arguments are recorded.
pub(crate) fn ask(world: &World) {
    let watch = |masks, number, behind_pointer: bool, small: bool| Watch {
        masks,
        watched: 1,
        number,
        behind_pointer: u32::from(behind_pointer),
        small: u32::from(small),
    };
    let machine = world.machine;
    machine.ask(IOCTL, watch([0, 0xffff_ffff, 0], 0, false, true));
    machine.ask(SOCKET, watch([0xffff_ffff, 0xf, 0], 1, false, false));
    machine.ask(CLONE3, watch([u64::MAX, 0, 0], 2, true, false));
}

fn mkdir(world: &Shared, place: usize, parent: usize) {
    let (by, object) = {
        let world = &mut *world.borrow_mut();
        let (None, Some(above), Some(by)) =
            (world.groups[place], world.groups[parent], world.threads[0])
        else {
            return;
        };
        let id = world.next_cgroup;
        world.next_cgroup += 1;
        (by.task, objects::Cgroup::new(id, Some(above.object)))
    };
    hooks::mkdir(by, object, b"/a/path");
    let world = &mut *world.borrow_mut();
    let id = object.id();
    let above = world.instance(parent).filter(|_| {
        // Nothing is known of what lies below one that found no room.
        !world.groups[parent].is_some_and(|group| group.lost)
    });
    // Whether the one above is only a directory so far may depend on what is under way.
    let cgroups = whole(|| world.machine.cgroups());
    let known = cgroups.iter().find(|(cgroup, _)| *cgroup == id);
    let may_be_directory = world.settings.discover
        && above.is_some_and(|above| {
            let group = world.groups[parent];
            let is_root = group.is_some_and(|group| group.object.id() == above);
            let instance = world.instances.get(&above);
            is_root && instance.is_some_and(|it| it.kind == kind::CONTAINER)
        });
    let is_directory = may_be_directory && known.is_none_or(|(_, entry)| entry.instance == id);
    let instance = match above {
        Some(above) if !is_directory => Some(above),
        _ if world.settings.discover => {
            world.instances.insert(
                id,
                Instance {
                    kind: kind::CONTAINER,
                    first_exe: tracer_abi::EXE_LAUNCHER,
                    introduced: true,
                    started: false,
                    version: 0,
                    watched: true,
                    uncertain: false,
                },
            );
            Some(id)
        }
        _ => None,
    };
    world.groups[place] = Some(Group {
        object,
        parent,
        instance,
        lost: instance.is_some() && known.is_none(),
        populated: false,
    });
}

fn rmdir(world: &Shared, place: usize) {
    let (by, object) = {
        let world = &mut *world.borrow_mut();
        let (Some(group), Some(by)) = (world.groups[place], world.threads[0]) else {
            return;
        };
        let has_children = world
            .groups
            .iter()
            .flatten()
            .any(|other| other.parent == place);
        let is_used = world
            .threads
            .iter()
            .flatten()
            .any(|thread| world.processes[thread.process].cgroup == place);
        if place == 0 || has_children || is_used {
            return;
        }
        world.groups[place] = None;
        (by.task, group.object)
    };
    hooks::rmdir(by, object);
}

fn watch(world: &Shared, place: usize, container: bool) {
    let (machine, id, populated) = {
        let world = &mut *world.borrow_mut();
        let Some(group) = world.groups[place] else {
            return;
        };
        if place == 0 || world.instance(place).is_some() {
            return;
        }
        world.asking += 1;
        world.beginning.push((place, group.object.id()));
        let mut used = world.processes.iter().filter(|process| process.live > 0);
        let populated = used.any(|process| process.cgroup == place);
        (world.machine, group.object.id(), populated)
    };
    let kind = match (container, populated) {
        (true, true) => Kind::RUNNING_CONTAINER,
        (true, false) => Kind::NEW_CONTAINER,
        (false, _) => Kind::PLAIN,
    };
    let watched = machine.watch(id, id, EXE_UNKNOWN, kind).is_ok();
    {
        let world = &mut *world.borrow_mut();
        world.asking -= 1;
        world.asked += 1;
        world.beginning.retain(|(_, number)| *number != id);
        if !watched {
            return;
        }
        let instance = Instance {
            kind: kind.kind,
            first_exe: EXE_UNKNOWN,
            introduced: kind.introduced,
            started: kind.started,
            version: 0,
            watched: true,
            uncertain: false,
        };
        world.instances.insert(id, instance);
        if let Some(group) = &mut world.groups[place] {
            group.instance = Some(id);
            group.lost = false;
            group.populated = kind.populated;
        }
    }
    pause();
    introduce(world, place, id);
}

/// Files what runs in a cgroup already.
fn introduce(world: &Shared, place: usize, id: u64) {
    let there: Vec<usize> = {
        let world = world.borrow();
        let mut all = 0..world.processes.len();
        let is_there = |process: &usize| {
            let process = &world.processes[*process];
            process.live > 0 && process.cgroup == place
        };
        all.by_ref().filter(is_there).collect()
    };
    for process in there {
        let (machine, tgid) = {
            let world = &mut *world.borrow_mut();
            world.asking += 1;
            (world.machine, world.processes[process].tgid)
        };
        let path = program(process % 3);
        let room = machine.introduce(tgid, id, path.as_bytes());
        let world = &mut *world.borrow_mut();
        world.asking -= 1;
        world.asked += 1;
        let this = &mut world.processes[process];
        let machine = world.machine;
        let processes = whole(|| machine.processes());
        let filed = processes.iter().any(|(pid, _)| *pid == tgid);
        if this.known.is_none() && (room.is_ok() || filed) {
            this.known = Some(Known {
                exe: ExecutablePath::new(path.as_bytes()).id(),
                instance: id,
                filter: 0,
                phase: Phase::Run,
                late: false,
            });
        }
    }
}

fn unwatch(world: &Shared, place: usize) {
    let (machine, number) = {
        let world = &mut *world.borrow_mut();
        let Some(number) = world.instance(place) else {
            return;
        };
        world.asking += 1;
        world.ending.push(number);
        (world.machine, number)
    };
    machine.unwatch(number);
    let world = &mut *world.borrow_mut();
    if let Some(instance) = world.instances.get_mut(&number) {
        instance.watched = false;
    }
    world.ending.retain(|ending| *ending != number);
    for group in world.groups.iter_mut().flatten() {
        group.instance = group.instance.filter(|instance| *instance != number);
    }
    world.asking -= 1;
    world.asked += 1;
}

fn release(world: &Shared, place: usize) {
    let over = {
        let world = world.borrow();
        let living: Vec<u64> = world
            .groups
            .iter()
            .flatten()
            .filter_map(|group| group.instance)
            .collect();
        let over: Vec<u64> = world
            .instances
            .iter()
            .filter(|(number, instance)| !living.contains(number) || !instance.watched)
            .map(|(number, _)| *number)
            .collect();
        over.get(place % over.len().max(1)).copied()
    };
    let Some(number) = over else {
        return;
    };
    // Nothing is under way yet, so that what happened is what there is.
    whole(|| drain(world));
    {
        let world = &mut *world.borrow_mut();
        whole(|| check::settle(world, number));
        world.instances.remove(&number);
        for group in world.groups.iter_mut().flatten() {
            if group.instance == Some(number) {
                group.instance = None;
            }
        }
        world.asked += 1;
    }
    let machine = world.borrow().machine;
    machine.release(number);
}

fn watch_exits(world: &Shared, on: bool) {
    let machine = {
        let world = &mut *world.borrow_mut();
        if world.exits == on {
            return;
        }
        world.asking += 1;
        if !on {
            // The word goes first; then the program is detached.
            world.asked += 1;
        }
        world.machine
    };
    machine.watch_exits(on);
    let world = &mut *world.borrow_mut();
    world.exits = on;
    world.asking -= 1;
    world.asked += 1;
    for thread in world.threads.iter_mut().flatten() {
        thread.in_call = None;
        // What was stopped before is told by a word of the instance, or not at all.
        thread.hazy |= thread.filter != 0;
    }
}

/// Reads the rings, and looks whether the marks say the same.
pub(crate) fn drain(world: &Shared) {
    let machine = world.borrow().machine;
    let messages = machine.drain();
    let accesses = machine.drain_accesses();
    // After the rings: what they tell of is in the maps by then.
    let rows = machine.rows();
    let exotic = machine.unindexed();
    let key = |number: u32| {
        rows.iter()
            .find(|(_, row)| *row == number)
            .map(|(key, _)| *key)
    };
    let mut told = Vec::new();
    for message in messages {
        let Message::Event(event) = message else {
            continue;
        };
        let in_row = machine
            .marks(event.row)
            .iter()
            .any(|mark| mark.abi as u32 == event.abi && mark.number == event.nr);
        let beside = exotic
            .iter()
            .any(|(key, _)| key.row == event.row && key.nr == event.nr && key.abi == event.abi);
        told.push(Told {
            event,
            marked: in_row || beside,
            key: key(event.row),
        });
    }
    let world = &mut *world.borrow_mut();
    world.told.extend(told);
    for (access, bytes) in accesses {
        world.accesses.push((access, bytes, key(access.row)));
    }
}
