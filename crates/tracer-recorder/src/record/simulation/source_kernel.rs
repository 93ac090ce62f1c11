//! The recorder's [`Kernel`] over the maps of the programs' own source.

use tracer_abi::{
    ABI_SLOTS, AbiClass, AccessKind, Account, Counters, EXE_LAUNCHER, EXE_OVERFLOW, EXE_UNKNOWN,
    NoticeKind, kind,
};
use tracer_ebpf::machine::{
    Machine,
    user::{Kind, Message},
};

use super::{
    fake::{FakeKernel, Shared},
    source::FILES,
    world::World,
};
use crate::{
    bpf::{
        CgroupKind, InstanceState, KernelAccess, Mechanisms, ProbeError, RingMessage,
        RowExecutable, RowValues, SeenRow, abi_class,
    },
    record::kernel::{Kernel, KernelCounts, NewCgroup},
};

/// The kernel side of a simulated machine, as its programs' source sees it.
pub(super) struct SourceKernel {
    /// Hears of everything too, and lets the machine go on.
    model: FakeKernel,
}

impl SourceKernel {
    pub(super) fn new(world: Shared, shuffle: Option<u64>) -> Self {
        Self {
            model: FakeKernel::new(world, shuffle),
        }
    }

    /// The machine goes on while it is asked.
    fn with<T>(&self, ask: impl FnOnce(&mut World, Machine) -> T) -> T {
        self.model.with(|world| {
            let machine = world.machine();
            ask(world, machine)
        })
    }

    fn machine(&self) -> Machine {
        self.model.world.borrow().machine()
    }
}

impl Kernel for SourceKernel {
    fn drain(&mut self, take: &mut dyn FnMut(RingMessage)) {
        let messages = self.with(|world, machine| {
            world.kernel.events.clear();
            machine.drain()
        });
        let messages = messages.into_iter().map(message).collect();
        self.model.shuffled(messages).into_iter().for_each(take);
    }

    fn drain_accesses(&mut self, take: &mut dyn FnMut(KernelAccess)) {
        let mut accesses = self.with(|world, machine| {
            world.kernel.accesses.clear();
            machine.drain_accesses()
        });
        if let Some(random) = &mut self.model.shuffle {
            random.shuffle(&mut accesses);
        }
        for (access, bytes) in accesses {
            let names = &bytes[..access.first_len as usize];
            let file = FILES
                .iter()
                .find(|path| names.starts_with(&path.as_bytes()[1..]));
            take(KernelAccess {
                access,
                kind: AccessKind::of(access.kind).unwrap(),
                abi: abi_class(access.abi).unwrap(),
                first: file.unwrap().as_bytes().to_vec(),
                second: Vec::new(),
            });
        }
    }

    fn rows(&mut self) -> Result<Vec<SeenRow>, ProbeError> {
        let rows = self.with(|_, machine| machine.rows()).into_iter();
        Ok(rows.map(|(key, number)| SeenRow { number, key }).collect())
    }

    fn marks(&mut self, row: u32) -> Result<Vec<(AbiClass, u32, u8)>, ProbeError> {
        let marks = self.with(|_, machine| machine.marks(row)).into_iter();
        Ok(marks.map(|it| (it.abi, it.number, it.outcome)).collect())
    }

    fn unindexed(&mut self) -> Result<Vec<(u32, AbiClass, u32, u8)>, ProbeError> {
        let all = self.with(|_, machine| machine.unindexed()).into_iter();
        let read = all.map(|(key, mark)| {
            let class = abi_class(key.abi).unwrap();
            (key.row, class, key.nr, u8::try_from(mark).unwrap())
        });
        Ok(read.collect())
    }

    fn values(&mut self, row: u32) -> Result<RowValues, ProbeError> {
        let (values, of_row) =
            self.with(|_, machine| (machine.values(), machine.seen_values(row).unwrap()));
        let seen = values
            .into_iter()
            .filter(|(_, number)| of_row.seen[*number as usize] != 0);
        let seen = seen.map(|(key, _)| {
            let at = key.call as usize;
            let class = if at < ABI_SLOTS {
                AbiClass::Native
            } else {
                AbiClass::Compat
            };
            (class, u32::try_from(at % ABI_SLOTS).unwrap(), key.values)
        });
        assert!(of_row.cut.iter().all(|cut| *cut == 0), "a value was lost");
        Ok(RowValues {
            seen: seen.collect(),
            cut: Vec::new(),
        })
    }

    fn executable(&mut self, id: u64) -> Result<RowExecutable, ProbeError> {
        if [EXE_UNKNOWN, EXE_OVERFLOW].contains(&id) {
            return Ok(RowExecutable::Unknown);
        }
        if id == EXE_LAUNCHER {
            return Ok(RowExecutable::Launcher);
        }
        let all = self.with(|_, machine| machine.executables());
        let path = all.into_iter().find(|(exe, _)| *exe == id);
        Ok(
            path.map_or(RowExecutable::Unknown, |(_, path)| RowExecutable::Path {
                bytes: path.bytes[..path.len as usize].to_vec(),
                truncated: path.truncated != 0,
            }),
        )
    }

    fn account(&mut self, instance: u64) -> Result<Account, ProbeError> {
        Ok(self
            .with(|_, machine| machine.account(instance))
            .unwrap_or_default())
    }

    fn counters(&mut self) -> Result<KernelCounts, ProbeError> {
        let programs = self.with(|world, machine| {
            world.kernel.counters_read = sum(&machine.counters());
            world.kernel.counters_read
        });
        Ok(KernelCounts {
            programs,
            ..KernelCounts::default()
        })
    }

    fn skipped_runs(&mut self) -> u64 {
        self.model.skipped_runs()
    }

    fn watch(&mut self, cgroup: NewCgroup) -> Result<bool, ProbeError> {
        let has_room = self.model.watch(cgroup)?;
        let (started, introduced) = match cgroup.kind {
            CgroupKind::Plain => (false, false),
            CgroupKind::Container {
                started,
                introduced,
            } => (started, introduced),
        };
        let kind = Kind {
            kind: match cgroup.kind {
                CgroupKind::Plain => kind::PLAIN,
                CgroupKind::Container { .. } => kind::CONTAINER,
            },
            populated: !cgroup.kind.is_prestart(),
            started,
            introduced,
        };
        let watched = self
            .machine()
            .watch(cgroup.id, cgroup.instance, cgroup.first_exe, kind);
        assert_eq!(has_room, watched.is_ok());
        Ok(has_room)
    }

    fn unwatch(&mut self, instance: u64) -> Result<(), ProbeError> {
        self.model.unwatch(instance)?;
        self.machine().unwatch(instance);
        Ok(())
    }

    fn state(&mut self, cgroup: u64) -> Result<Option<InstanceState>, ProbeError> {
        let all = self.with(|_, machine| machine.cgroups());
        let entry = all.into_iter().find(|(id, _)| *id == cgroup);
        Ok(entry.map(|(_, entry)| InstanceState {
            populated: entry.populated != 0,
            started: entry.started != 0,
            filtered: entry.filtered != 0,
            missed_filter: entry.missed_filter != 0,
            escaped: entry.escaped != 0,
            removed: entry.removed != 0,
        }))
    }

    fn found(&mut self) -> Result<Vec<u64>, ProbeError> {
        let paths = self.with(|_, machine| machine.paths()).into_iter();
        Ok(paths.map(|(cgroup, _)| cgroup).collect())
    }

    fn take_path(&mut self, cgroup: u64) -> Result<Option<(Vec<u8>, bool)>, ProbeError> {
        let path = self.with(|world, machine| {
            world.kernel.paths.remove(&cgroup);
            machine.take_path(cgroup)
        });
        Ok(path.map(|path| {
            let bytes = path.bytes[..path.len as usize].to_vec();
            (bytes, path.truncated != 0)
        }))
    }

    fn register_process(
        &mut self,
        pid: u32,
        instance: u64,
        executable: &[u8],
    ) -> Result<bool, ProbeError> {
        let has_room = self.model.register_process(pid, instance, executable)?;
        let introduced = self.machine().introduce(pid, instance, executable);
        assert_eq!(has_room, introduced.is_ok());
        Ok(has_room)
    }

    fn release(&mut self, instances: &[u64], _: &[SeenRow]) -> Result<(), ProbeError> {
        // The model has numbers of its own for the same rows.
        let rows: Vec<SeenRow> = {
            let world = self.model.world.borrow();
            let rows = world.kernel.rows.iter();
            rows.map(|(key, number)| SeenRow {
                number: *number,
                key: *key,
            })
            .collect()
        };
        self.model.release(instances, &rows)?;
        let machine = self.machine();
        for instance in instances {
            machine.release(*instance);
        }
        Ok(())
    }

    fn watch_exits(&mut self, watch: bool) -> Result<(), ProbeError> {
        self.model.watch_exits(watch)?;
        self.machine().watch_exits(watch);
        Ok(())
    }

    fn forget_accesses(&mut self, keys: &[u64]) -> Result<(), ProbeError> {
        self.with(|_, machine| machine.forget_accesses(keys));
        Ok(())
    }

    fn unreported_accesses(&mut self) -> Result<u64, ProbeError> {
        Ok(self.with(|world, machine| {
            let failed = machine.told().into_iter().filter(|(_, failed)| *failed > 0);
            world.kernel.unreported_read = u64::try_from(failed.count()).unwrap();
            world.kernel.unreported_read
        }))
    }

    fn mechanisms(&self) -> &Mechanisms {
        self.model.mechanisms()
    }
}

fn message(message: Message) -> RingMessage {
    match message {
        Message::Event(event) => RingMessage::Event(event, abi_class(event.abi).unwrap()),
        Message::Notice(notice) => {
            let kinds = [
                NoticeKind::Made,
                NoticeKind::Started,
                NoticeKind::Filtered,
                NoticeKind::Removed,
                NoticeKind::Entered,
            ];
            let kind = kinds.into_iter().find(|it| *it as u32 == notice.kind);
            RingMessage::Notice(notice, kind.unwrap())
        }
    }
}

/// What all CPUs counted. There is room for everything, so nothing but calls is counted as lost.
fn sum(of_cpus: &[Counters]) -> Counters {
    let mut sum = Counters::default();
    for counters in of_cpus {
        sum.calls += counters.calls;
        let lost = Counters {
            calls: 0,
            misses: 0,
            ..*counters
        };
        assert_eq!(lost, Counters::default(), "something was lost");
    }
    sum
}
