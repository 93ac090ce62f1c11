//! What was seen: from the kernel side's events, marks and accesses to a recording's observations. It
//! takes messages and gives back what is new.

mod accesses;
mod budget;
mod file_kinds;
mod mounts;
mod selinux;

use std::collections::{BTreeMap, HashMap, HashSet};

use tracer_abi::{
    AbiClass, AccessKind, Event, WATCHED_ARGUMENTS,
    access::{flag, open},
    outcome,
};

use self::budget::FileBudget;
use super::{
    convert,
    discovery::Discovered,
    rows::RowMeaning,
    system::{InstanceProcess, Processes},
};
use crate::{
    bpf::{KernelAccess, Mechanism, Mechanisms, RowValues, abi_of_class},
    cgroup::Cgroup,
};
use syscalls::{Abi, Machine};
use tracer_core::recording::{
    Accesses, Blocked, Executable, FilePath, FirstSeen, Observation, Observations,
    ObservedArguments, SyscallId, estimate,
};

/// A call that a filter stopped, each time it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The call.
    pub call: SyscallId,
    /// The executable.
    pub executable: Executable,
    /// What it saw.
    pub saw: Blocked,
    /// When, who, and with which arguments.
    pub seen: FirstSeen,
    /// How many filters the thread was under; `None` where they were not counted, or are many.
    pub filters: Option<u8>,
}

/// Where an access comes from, for the files that it names.
pub(super) struct AccessSource<'a> {
    pub(super) files: &'a dyn Processes,
    pub(super) cgroup: &'a Cgroup,
    pub(super) is_command: bool,
}

impl AccessSource<'_> {
    /// Where a script's name leads, which starts from a directory when it is relative. Which process
    /// executed it is not asked: the instance has one root for all.
    pub(super) fn script(&self, name: &[u8], start: &[u8]) -> FilePath {
        self.files.resolve(self.process(0), name, start, true)
    }

    fn process(&self, pid: u32) -> InstanceProcess<'_> {
        InstanceProcess {
            pid,
            cgroup: self.cgroup,
            is_command: self.is_command,
        }
    }
}

/// An access whose texts are not as they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Everything that was seen so far, by instance.
#[derive(Debug)]
pub(super) struct Observed {
    machine: Machine,
    /// The kernel's clock at the beginning, in nanoseconds.
    began_ns: u64,
    /// Whether accesses to files are seen by hooks.
    sees_hooks: bool,
    pub(super) calls: Observations,
    pub(super) accesses: Accesses,
    /// What the files of each instance take.
    budgets: HashMap<u32, FileBudget>,
    /// Uses of files that were not kept, by instance.
    unkept_files: BTreeMap<u32, u64>,
    /// What processes gave another name, which is still to come.
    renames: HashMap<u32, FilePath>,
    /// What may be new, and was not asked for yet.
    discovered: Vec<(u32, Discovered)>,
    /// The instances that something new was seen of.
    changed: HashSet<u32>,
}

impl Observed {
    pub(super) fn new(machine: Machine, began_ns: u64, mechanisms: &Mechanisms) -> Self {
        Self {
            machine,
            began_ns,
            sees_hooks: mechanisms.files != Some(Mechanism::Exits),
            calls: Observations::default(),
            accesses: Accesses::default(),
            budgets: HashMap::new(),
            unkept_files: BTreeMap::new(),
            renames: HashMap::new(),
            discovered: Vec::new(),
            changed: HashSet::new(),
        }
    }

    /// One that takes in accesses only to find out which files they lead to.
    pub(super) fn for_questions(sees_hooks: bool) -> Self {
        let machine = Machine {
            native: Abi::X86_64,
            compat: None,
        };
        Self {
            sees_hooks,
            ..Self::new(machine, 0, &Mechanisms::default())
        }
    }

    /// Whether accesses to files are seen by hooks.
    pub(super) fn sees_hooks(&self) -> bool {
        self.sees_hooks
    }

    /// Whether an access has names that lead to files, which only a file system can tell.
    pub(super) fn names_files(&self, reported: &KernelAccess) -> bool {
        let access = &reported.access;
        let is_unix = access.values[0] == u64::from(accesses::AF_UNIX);
        match reported.kind {
            _ if access.flags & flag::AS_GIVEN != 0 => true,
            AccessKind::MapExecutable => access.values[0] & open::READ != 0,
            AccessKind::SocketConnect | AccessKind::SocketBind => is_unix,
            AccessKind::Mount => true,
            _ => false,
        }
    }

    /// What may be new since it was last asked: instance, and what.
    pub(super) fn take_discovered(&mut self) -> impl Iterator<Item = (u32, Discovered)> + '_ {
        self.discovered.drain(..)
    }

    /// The instances that something new was seen of since it was last asked.
    pub(super) fn take_changed(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.changed.drain()
    }

    /// Takes in an event of a row. Returns the denial when a filter stopped the call.
    pub(super) fn take_event(
        &mut self,
        row: &RowMeaning,
        event: &Event,
        class: AbiClass,
    ) -> Option<Denial> {
        let first = FirstSeen {
            after_ns: event.time.saturating_sub(self.began_ns),
            pid: event.pid,
            tid: event.tid,
            comm: convert::text(event.comm.split(|byte| *byte == 0).next().unwrap_or(&[])),
            args: event.args,
        };
        let [mark, filters, ..] = event.outcome.to_le_bytes();
        let denial = row.blocked.then(|| Denial {
            call: self.call(class, event.nr),
            executable: row.executable.clone(),
            saw: convert::blocked(mark),
            seen: first.clone(),
            filters: (1..outcome::MAX_FILTERS)
                .contains(&filters)
                .then_some(filters),
        });
        self.add(row, class, event.nr, mark, Some(first));
        denial
    }

    /// Takes in a mark of a row.
    pub(super) fn take_mark(&mut self, row: &RowMeaning, class: AbiClass, nr: u32, mark: u8) {
        self.add(row, class, nr, mark, None);
    }

    /// Takes in what the calls of a row were given.
    pub(super) fn take_values(&mut self, row: &RowMeaning, values: RowValues) {
        let RowValues { seen, cut } = values;
        for (class, nr, values) in seen {
            self.add_values(row, self.call(class, nr), Some(values));
        }
        for (class, nr) in cut {
            self.add_values(row, self.call(class, nr), None);
        }
    }

    /// Leaves out all that an instance did.
    pub(super) fn forget(&mut self, instance: u32) {
        self.calls.forget(instance);
        self.accesses.forget(instance);
        self.budgets.remove(&instance);
    }

    /// Whether an instance tried one of these calls.
    pub(super) fn attempted(&self, instance: u32, names: &[&str]) -> bool {
        let abis = self.machine.abis();
        abis.into_iter().any(|abi| {
            let mut numbers = names.iter().filter_map(|name| abi.syscall_number(name));
            numbers.any(|nr| self.calls.attempted(instance, SyscallId { abi, nr }))
        })
    }

    fn call(&self, class: AbiClass, nr: u32) -> SyscallId {
        SyscallId {
            abi: abi_of_class(self.machine, class),
            nr,
        }
    }

    fn add(
        &mut self,
        row: &RowMeaning,
        class: AbiClass,
        nr: u32,
        mark: u8,
        first: Option<FirstSeen>,
    ) {
        let call = self.call(class, nr);
        if estimate::counts(row.phase, row.blocked) {
            self.discovered.push((row.instance, Discovered::Call(call)));
        }
        let is_new = self.calls.add(Observation {
            call,
            instance: row.instance,
            phase: row.phase,
            executable: row.executable.clone(),
            blocked: row.blocked.then(|| convert::blocked(mark)),
            first,
        });
        if is_new {
            self.changed.insert(row.instance);
        }
    }

    fn add_values(
        &mut self,
        row: &RowMeaning,
        call: SyscallId,
        values: Option<[u64; WATCHED_ARGUMENTS]>,
    ) {
        if let Some(values) = values
            && estimate::counts(row.phase, row.blocked)
        {
            self.discovered
                .push((row.instance, Discovered::Values(call, values)));
        }
        let is_new = self.calls.add_arguments(ObservedArguments {
            call,
            instance: row.instance,
            phase: row.phase,
            executable: row.executable.clone(),
            values,
        });
        if is_new {
            self.changed.insert(row.instance);
        }
    }
}
