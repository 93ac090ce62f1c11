//! The simulated machine behind the recorder's traits: [`Kernel`], [`System`] and [`ContainerLookup`].

use std::{
    cell::RefCell,
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracer_abi::{
    AbiClass, Account, CgroupEntry, EXE_LAUNCHER, EXE_OVERFLOW, EXE_UNKNOWN, ExecutablePath, Phase,
    ProcessEntry, kind,
};

use super::{
    rows::overflow_row,
    schedule::Random,
    world::{DirState, World},
};
use crate::{
    bpf::{
        CgroupKind, InstanceState, KernelAccess, Mechanism, Mechanisms, ProbeError, RingMessage,
        RowExecutable, RowValues, SeenRow,
    },
    cgroup::Cgroup,
    container::Container,
    record::{
        file_capabilities::FileCapabilities,
        kernel::{Kernel, KernelCounts, NewCgroup},
        lookup::ContainerLookup,
        system::{CgroupTree, Clock, InstanceProcess, Processes, System},
    },
};
use tracer_core::recording::{FilePath, Host};

/// A simulated machine that several hold.
pub(super) type Shared = Rc<RefCell<World>>;

/// The kernel side of a simulated machine.
pub(super) struct FakeKernel {
    pub(super) world: Shared,
    mechanisms: Mechanisms,
    /// Hands over events in another order than they came.
    pub(super) shuffle: Option<Random>,
}

impl FakeKernel {
    pub(super) fn new(world: Shared, shuffle: Option<u64>) -> Self {
        let best = Some(Mechanism::Lsm);
        Self {
            world,
            mechanisms: Mechanisms {
                files: best,
                sockets: best,
                mounts: best,
                capabilities: best,
                signals: best,
                selinux: None,
                traces: best,
                missing: Vec::new(),
            },
            shuffle: shuffle.map(Random::new),
        }
    }

    /// Messages in another order, if that is asked for.
    pub(super) fn shuffled(&mut self, mut messages: Vec<RingMessage>) -> Vec<RingMessage> {
        if let Some(random) = &mut self.shuffle {
            let (notices, mut events): (Vec<_>, Vec<_>) = messages
                .into_iter()
                .partition(|it| matches!(it, RingMessage::Notice(..)));
            random.shuffle(&mut events);
            messages = events;
            // Notices keep their order; where they are among the events does not matter.
            for (at, notice) in (0..).zip(notices) {
                messages.insert((at * 2).min(messages.len()), notice);
            }
        }
        messages
    }

    /// The machine goes on while it is asked.
    pub(super) fn with<T>(&self, ask: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.borrow_mut();
        world.preempt();
        ask(&mut world)
    }
}

impl Kernel for FakeKernel {
    fn drain(&mut self, take: &mut dyn FnMut(RingMessage)) {
        let messages = Vec::from(self.with(|world| std::mem::take(&mut world.kernel.events)));
        self.shuffled(messages).into_iter().for_each(take);
    }

    fn drain_accesses(&mut self, take: &mut dyn FnMut(KernelAccess)) {
        let mut accesses = Vec::from(self.with(|world| std::mem::take(&mut world.kernel.accesses)));
        if let Some(random) = &mut self.shuffle {
            random.shuffle(&mut accesses);
        }
        accesses.into_iter().for_each(take);
    }

    fn rows(&mut self) -> Result<Vec<SeenRow>, ProbeError> {
        Ok(self.with(|world| {
            let rows = world.kernel.rows.iter();
            rows.map(|(key, number)| SeenRow {
                number: *number,
                key: *key,
            })
            .collect()
        }))
    }

    fn marks(&mut self, row: u32) -> Result<Vec<(AbiClass, u32, u8)>, ProbeError> {
        Ok(self.with(|world| {
            if world.kernel.free_rows.contains(&row) {
                let violation = format!("row {row} was read after it was freed");
                world.kernel.violations.push(violation);
            }
            let marks = world.kernel.marks.get(&row).into_iter().flatten();
            marks
                .map(|((class, nr), mark)| (*class, *nr, *mark))
                .collect()
        }))
    }

    fn unindexed(&mut self) -> Result<Vec<(u32, AbiClass, u32, u8)>, ProbeError> {
        Ok(self.with(|world| {
            let all = world.kernel.unindexed.iter();
            all.map(|((row, class, nr), mark)| (*row, *class, *nr, *mark))
                .collect()
        }))
    }

    fn values(&mut self, row: u32) -> Result<RowValues, ProbeError> {
        Ok(self.with(|world| {
            let values = world.kernel.values.get(&row).cloned().unwrap_or_default();
            RowValues {
                seen: values.seen.into_iter().collect(),
                cut: values.cut.into_iter().collect(),
            }
        }))
    }

    fn executable(&mut self, id: u64) -> Result<RowExecutable, ProbeError> {
        Ok(self.with(|world| match id {
            EXE_UNKNOWN | EXE_OVERFLOW => RowExecutable::Unknown,
            EXE_LAUNCHER => RowExecutable::Launcher,
            id => match world.kernel.executables.get(&id) {
                Some(path) => RowExecutable::Path {
                    bytes: path.clone(),
                    truncated: false,
                },
                None => RowExecutable::Unknown,
            },
        }))
    }

    /// The model has no shares: all that is lost is counted for all.
    fn account(&mut self, _: u64) -> Result<Account, ProbeError> {
        Ok(Account::default())
    }

    fn counters(&mut self) -> Result<KernelCounts, ProbeError> {
        Ok(self.with(|world| {
            world.kernel.counters_read = world.kernel.counters;
            KernelCounts {
                programs: world.kernel.counters,
                ..KernelCounts::default()
            }
        }))
    }

    fn skipped_runs(&mut self) -> u64 {
        self.with(|world| {
            world.kernel.skipped_read = world.kernel.skipped;
            world.kernel.skipped
        })
    }

    fn watch(&mut self, cgroup: NewCgroup) -> Result<bool, ProbeError> {
        Ok(self.with(|world| {
            let is_root = cgroup.id == cgroup.instance;
            if is_root {
                world.kernel.existing_or_new(overflow_row(cgroup.id));
                world.found_by_user(cgroup.id);
            }
            let kind = cgroup.kind;
            let is_started = matches!(kind, CgroupKind::Container { started: true, .. });
            let entry = CgroupEntry {
                instance: cgroup.instance,
                first_exe: cgroup.first_exe,
                kind: match kind {
                    CgroupKind::Plain => kind::PLAIN,
                    CgroupKind::Container { .. } => kind::CONTAINER,
                },
                populated: u32::from(!kind.is_prestart()),
                started: u32::from(is_started),
                filtered: 0,
                missed_filter: 0,
                escaped: 0,
                introduced: u32::from(kind != CgroupKind::Plain),
                removed: 0,
            };
            world.kernel.insert_cgroup(cgroup.id, entry)
        }))
    }

    fn unwatch(&mut self, instance: u64) -> Result<(), ProbeError> {
        self.with(|world| {
            world
                .kernel
                .cgroups
                .retain(|_, entry| entry.instance != instance);
            world.left(instance);
        });
        Ok(())
    }

    fn state(&mut self, cgroup: u64) -> Result<Option<InstanceState>, ProbeError> {
        Ok(self.with(|world| {
            let entry = world.kernel.cgroups.get(&cgroup)?;
            Some(InstanceState {
                populated: entry.populated != 0,
                started: entry.started != 0,
                filtered: entry.filtered != 0,
                missed_filter: entry.missed_filter != 0,
                escaped: entry.escaped != 0,
                removed: entry.removed != 0,
            })
        }))
    }

    fn found(&mut self) -> Result<Vec<u64>, ProbeError> {
        Ok(self.with(|world| world.kernel.paths.keys().copied().collect()))
    }

    fn take_path(&mut self, cgroup: u64) -> Result<Option<(Vec<u8>, bool)>, ProbeError> {
        Ok(self.with(|world| Some((world.kernel.paths.remove(&cgroup)?, false))))
    }

    fn register_process(
        &mut self,
        pid: u32,
        instance: u64,
        executable: &[u8],
    ) -> Result<bool, ProbeError> {
        Ok(self.with(|world| {
            let kernel = &mut world.kernel;
            let exe = ExecutablePath::new(executable).id();
            let is_named = kernel.insert_executable(exe, executable);
            let is_known = kernel.processes.contains_key(&pid);
            let has_room = is_known || kernel.processes.len() < kernel.limits.processes;
            if has_room && !is_known {
                let process = ProcessEntry {
                    exe,
                    instance,
                    filter: 0,
                    phase: Phase::Run as u32,
                    late: 0,
                    filtered: 0,
                    pad: 0,
                };
                kernel.processes.insert(pid, process);
            }
            let is_registered = is_named && has_room;
            kernel.not_registered += u64::from(!is_registered);
            is_registered
        }))
    }

    fn release(&mut self, instances: &[u64], rows: &[SeenRow]) -> Result<(), ProbeError> {
        self.with(|world| {
            let kernel = &mut world.kernel;
            for instance in instances {
                kernel.cgroups.retain(|_, it| it.instance != *instance);
                kernel.paths.remove(instance);
            }
            for row in rows {
                if !instances.contains(&row.key.instance) {
                    continue;
                }
                if kernel.rows.remove(&row.key).is_none() {
                    let violation = format!("row {} was released twice", row.number);
                    kernel.violations.push(violation);
                    continue;
                }
                kernel.marks.remove(&row.number);
                kernel.values.remove(&row.number);
                kernel.unindexed.retain(|(of, ..), _| *of != row.number);
                *kernel.generations.entry(row.number).or_insert(0) += 1;
                kernel.free_rows.push_back(row.number);
            }
        });
        Ok(())
    }

    fn watch_exits(&mut self, watch: bool) -> Result<(), ProbeError> {
        self.with(|world| world.kernel.exits = watch);
        Ok(())
    }

    fn forget_accesses(&mut self, keys: &[u64]) -> Result<(), ProbeError> {
        self.with(|world| {
            for key in keys {
                world.kernel.reported.remove(key);
            }
        });
        Ok(())
    }

    fn unreported_accesses(&mut self) -> Result<u64, ProbeError> {
        Ok(self.with(|world| {
            let failed = world.kernel.reported.values().filter(|failed| **failed > 0);
            world.kernel.unreported_read = u64::try_from(failed.count()).unwrap();
            world.kernel.unreported_read
        }))
    }

    fn mechanisms(&self) -> &Mechanisms {
        &self.mechanisms
    }
}

/// Clocks, cgroups and processes of a simulated machine.
pub(super) struct FakeSystem {
    world: Shared,
    began: Instant,
}

impl FakeSystem {
    pub(super) fn new(world: Shared, began: Instant) -> Self {
        Self { world, began }
    }

    fn task(&self, pid: i32) -> Option<(&'static str, u64)> {
        let world = self.world.borrow();
        let task = u32::try_from(pid).ok()?.checked_sub(5000)?;
        let task = world.tasks.get(&task).filter(|task| task.alive)?;
        Some((task.exe, task.filter))
    }
}

impl Clock for FakeSystem {
    fn now(&self) -> Instant {
        self.began + Duration::from_nanos(self.world.borrow().now_ns)
    }

    fn wall_clock(&self) -> Timestamp {
        let now = self.world.borrow().now_ns;
        Timestamp::from_nanosecond(1_700_000_000_000_000_000 + i128::from(now)).unwrap()
    }

    fn monotonic_ns(&self) -> u64 {
        self.world.borrow().now_ns
    }
}

impl CgroupTree for FakeSystem {
    fn exists(&self, cgroup: &Cgroup) -> bool {
        let world = self.world.borrow();
        world.dir_by_id(cgroup.id).is_some_and(|dir| dir.exists)
    }

    fn is_populated(&self, cgroup: &Cgroup) -> Option<bool> {
        let world = self.world.borrow();
        let dir = world.dir_by_id(cgroup.id).filter(|dir| dir.exists)?;
        Some(!world.members(number(dir)).is_empty())
    }

    fn descendants(&self, cgroup: &Cgroup) -> Vec<Cgroup> {
        let world = self.world.borrow();
        let Some(above) = world.dir_by_id(cgroup.id).filter(|dir| dir.exists) else {
            return Vec::new();
        };
        let above = number(above);
        let below = world
            .dirs
            .iter()
            .filter(|(dir, state)| state.exists && **dir != above && world.is_within(**dir, above));
        below.map(|(_, dir)| found(dir)).collect()
    }

    fn processes(&self, cgroup: &Cgroup) -> Vec<i32> {
        let world = self.world.borrow();
        let Some(dir) = world.dir_by_id(cgroup.id).filter(|dir| dir.exists) else {
            return Vec::new();
        };
        let members = world.members(number(dir)).into_iter();
        members
            .map(|task| i32::try_from(world.tasks[&task].pid).unwrap())
            .collect()
    }

    fn is_at(&self, _: &Path, path: &str) -> bool {
        let world = self.world.borrow();
        world.dir_by_path(path).is_some_and(|dir| dir.exists)
    }
}

impl Processes for FakeSystem {
    fn executable(&self, pid: i32) -> Option<Vec<u8>> {
        Some(self.task(pid)?.0.as_bytes().to_vec())
    }

    fn is_under_filter(&self, pid: i32) -> bool {
        self.task(pid).is_some_and(|(_, filter)| filter != 0)
    }

    fn has_initial_pids(&self) -> bool {
        true
    }

    fn resolve(&self, _: InstanceProcess<'_>, text: &[u8], _: &[u8], _: bool) -> FilePath {
        FilePath::new(text)
    }

    fn find(&self, _: InstanceProcess<'_>, text: &[u8], _: &[u8]) -> Option<FilePath> {
        Some(FilePath::new(text))
    }

    fn made_socket(&self, _: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        Some(FilePath::new(path))
    }

    fn known_socket(&self, _: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        Some(FilePath::new(path))
    }

    fn interpreter(&self, _: InstanceProcess<'_>, _: &[u8]) -> Option<FilePath> {
        None
    }

    fn file_capabilities(&self, _: InstanceProcess<'_>, _: &[u8]) -> Option<FileCapabilities> {
        None
    }

    fn needs_device(&self, _: &str) -> bool {
        false
    }
}

impl System for FakeSystem {
    fn host(&self) -> Host {
        Host {
            kernel: "6.12.0".to_owned(),
            machine: "x86_64".to_owned(),
            tracer: "0".to_owned(),
        }
    }
}

/// What runtimes say of the containers of a simulated machine.
pub(super) struct FakeLookup(pub(super) Shared);

impl ContainerLookup for FakeLookup {
    fn resolve(&self, path: &str) -> Option<Container> {
        self.0.borrow_mut().look_up(path)
    }

    fn by_id(&self, _: &str, _: &str) -> Option<Container> {
        None
    }

    fn is_known_to_cri(&self, _: &str) -> bool {
        true
    }

    fn query_cri(&mut self) {}

    fn is_querying_cri(&self) -> bool {
        false
    }

    fn take_cri_answer(&mut self) -> bool {
        false
    }
}

fn number(dir: &DirState) -> u32 {
    u32::try_from(dir.id - 1000).unwrap()
}

/// A cgroup as user space finds it.
pub(super) fn found(dir: &DirState) -> Cgroup {
    Cgroup::found(dir.id, Path::new("/sys/fs/cgroup"), dir.path.as_bytes())
}
