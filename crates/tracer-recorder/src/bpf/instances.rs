//! Which cgroups the kernel side records, and as what.

use std::collections::BTreeMap;

use anyhow::Context as _;
use aya::maps::{Array, HashMap, MapError, Queue};
use tracer_abi::{
    Account, CgroupEntry, CgroupPath, EXE_OVERFLOW, Phase, ROW_LEN, Row, RowKey, UnindexedKey,
    kind, maps as names,
};

use super::{
    Probe, ProbeError,
    maps::{SeenRow, inserted},
    pod::Plain,
};

/// What a cgroup is recorded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupKind {
    /// All that happens in it is the workload.
    Plain,
    /// A container: who comes in is its runtime's, and begins with the workload or another program.
    Container {
        /// Whether its workload runs already: what enters it is another program.
        started: bool,
        /// Whether its processes were introduced, so that one that is not known has come from
        /// outside.
        introduced: bool,
    },
}

impl CgroupKind {
    /// Whether it is a container whose workload has not been started.
    pub const fn is_prestart(self) -> bool {
        matches!(self, Self::Container { started: false, .. })
    }
}

/// What the kernel side knows of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceState {
    /// Whether a process was ever put into its own cgroup.
    pub populated: bool,
    /// Whether its workload was started.
    pub started: bool,
    /// Whether a task of it was seen under a filter.
    pub filtered: bool,
    /// Whether one came under a filter while exits were not watched.
    pub missed_filter: bool,
    /// Whether a process of the workload left for a cgroup that is not recorded.
    pub escaped: bool,
    /// Whether its cgroup was removed.
    pub removed: bool,
}

/// How often the members of an instance are looked for that is left: each time finds those that were
/// made during the last.
const LOOKUP_ATTEMPTS: usize = 16;

impl Probe {
    /// Begins to record the cgroup with this id, and every child it has from now on.
    ///
    /// `first_exe` stands for the executable of processes that were not seen to exec. Returns whether
    /// there was room.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when no row is free, or the kernel refuses.
    pub fn watch(
        &mut self,
        cgroup: u64,
        instance: u64,
        first_exe: u64,
        kind: CgroupKind,
    ) -> Result<bool, ProbeError> {
        self.reserve_overflow_row(instance)?;
        let mut cgroups: HashMap<_, u64, Plain<CgroupEntry>> = self.map_mut(names::CGROUPS)?;
        let entry = CgroupEntry {
            instance,
            first_exe,
            kind: match kind {
                CgroupKind::Plain => kind::PLAIN,
                CgroupKind::Container { .. } => kind::CONTAINER,
            },
            populated: u32::from(!kind.is_prestart()),
            started: u32::from(matches!(kind, CgroupKind::Container { started: true, .. })),
            filtered: 0,
            missed_filter: 0,
            escaped: 0,
            introduced: u32::from(matches!(
                kind,
                CgroupKind::Container {
                    introduced: true,
                    ..
                }
            )),
            removed: 0,
        };
        let room = inserted(cgroups.insert(cgroup, Plain(entry), 0))
            .map_err(ProbeError::map("add to", names::CGROUPS))?;
        self.control.new_epoch();
        Ok(room)
    }

    /// Whether the kernel side records the cgroup with this id.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn is_watched(&mut self, cgroup: u64) -> Result<bool, ProbeError> {
        Ok(self.entry(cgroup)?.is_some())
    }

    /// What is known of an instance; `None` when it is not recorded.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn state(&mut self, instance: u64) -> Result<Option<InstanceState>, ProbeError> {
        Ok(self.entry(instance)?.map(|entry| InstanceState {
            populated: entry.populated != 0,
            started: entry.started != 0,
            filtered: entry.filtered != 0,
            missed_filter: entry.missed_filter != 0,
            escaped: entry.escaped != 0,
            removed: entry.removed != 0,
        }))
    }

    fn entry(&mut self, cgroup: u64) -> Result<Option<CgroupEntry>, ProbeError> {
        let cgroups: HashMap<_, u64, Plain<CgroupEntry>> = self.map_mut(names::CGROUPS)?;
        match cgroups.get(&cgroup, 0) {
            Ok(Plain(entry)) => Ok(Some(entry)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(ProbeError::map("read", names::CGROUPS)(error.into())),
        }
    }

    /// The cgroups that the kernel side found and whose paths were not taken yet.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn found(&mut self) -> Result<Vec<u64>, ProbeError> {
        let paths: HashMap<_, u64, Plain<CgroupPath>> = self.map_mut(names::CGROUP_PATHS)?;
        // A key that goes away while they are listed only begins the list anew.
        Ok(paths.keys().flatten().collect())
    }

    /// Takes the path of a cgroup that the kernel side found; `None` when it is not there (any
    /// more). Whether it is only the path's beginning is told with it.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn take_path(&mut self, cgroup: u64) -> Result<Option<(Vec<u8>, bool)>, ProbeError> {
        let mut paths: HashMap<_, u64, Plain<CgroupPath>> = self.map_mut(names::CGROUP_PATHS)?;
        let path = match paths.get(&cgroup, 0) {
            Ok(Plain(path)) => path,
            Err(MapError::KeyNotFound) => return Ok(None),
            Err(error) => return Err(ProbeError::map("read", names::CGROUP_PATHS)(error.into())),
        };
        let _ = paths.remove(&cgroup);
        let bytes = path.bytes.get(..path.len as usize).unwrap_or(&path.bytes);
        Ok(Some((bytes.to_vec(), path.truncated != 0)))
    }

    /// Stops recording an instance: the cgroup it began with, and all that inherited from it.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the kernel refuses.
    pub fn unwatch(&mut self, instance: u64) -> Result<(), ProbeError> {
        self.refuse(instance)?;
        if self
            .entry(instance)?
            .is_some_and(|entry| entry.populated == 0)
        {
            self.control.forget_unused_cgroup();
        }
        // Before those below it: who moves or forks there meanwhile does not leave a recorded workload.
        let mut cgroups: HashMap<_, u64, Plain<CgroupEntry>> = self.map_mut(names::CGROUPS)?;
        remove(&mut cgroups, instance)?;
        // A child may be made while its parent is still in the map: look again until none is left. Not
        // for ever, as somebody may make them all the time.
        for _ in 0..LOOKUP_ATTEMPTS {
            let cgroups: HashMap<_, u64, Plain<CgroupEntry>> = self.map_mut(names::CGROUPS)?;
            let members: Vec<u64> = cgroups
                .iter()
                .flatten()
                .filter(|(_, Plain(entry))| entry.instance == instance)
                .map(|(cgroup, _)| cgroup)
                .collect();
            if members.is_empty() {
                break;
            }
            for cgroup in members {
                self.refuse(cgroup)?;
                let mut cgroups: HashMap<_, u64, Plain<CgroupEntry>> =
                    self.map_mut(names::CGROUPS)?;
                remove(&mut cgroups, cgroup)?;
            }
        }
        self.control.new_epoch();
        Ok(())
    }

    /// Says of a cgroup that it is not to be found again.
    fn refuse(&mut self, cgroup: u64) -> Result<(), ProbeError> {
        let mut unwanted: HashMap<_, u64, u32> = self.map_mut(names::UNWANTED)?;
        unwanted
            .insert(cgroup, 1, 0)
            .map_err(|error| ProbeError::map("add to", names::UNWANTED)(error.into()))
    }

    /// What an instance has taken and lost; nothing when it took nothing.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn account(&mut self, instance: u64) -> Result<Account, ProbeError> {
        let accounts: HashMap<_, u64, Plain<Account>> = self.map_mut(names::ACCOUNTS)?;
        match accounts.get(&instance, 0) {
            Ok(Plain(account)) => Ok(account),
            Err(MapError::KeyNotFound) => Ok(Account::default()),
            Err(error) => Err(ProbeError::map("read", names::ACCOUNTS)(error.into())),
        }
    }

    /// Gives back what instances took up, when no task of them can make a call any more: their
    /// cgroups are gone, or [`unwatch`](Self::unwatch) was called a while ago. `rows` is all that
    /// [`rows`](Self::rows) told since; theirs must have been read.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the kernel refuses.
    pub fn release(&mut self, instances: &[u64], rows: &[SeenRow]) -> Result<(), ProbeError> {
        for instance in instances {
            // Children that were made just when it was left have inherited from it.
            self.unwatch(*instance)?;
            let mut paths: HashMap<_, u64, Plain<CgroupPath>> =
                self.map_mut(names::CGROUP_PATHS)?;
            let _ = paths.remove(instance);
        }
        let theirs = rows
            .iter()
            .filter(|row| instances.contains(&row.key.instance));
        // No slot may lead to a row that is about to be somebody else's.
        self.control.new_epoch();
        let mut unindexed: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for (number, abi, nr, _) in self.unindexed()? {
            unindexed.entry(number).or_default().push((abi, nr));
        }
        let mut emptied = Vec::new();
        for row in theirs {
            let mut rows: HashMap<_, Plain<RowKey>, u32> = self.map_mut(names::ROWS)?;
            rows.remove(&Plain(row.key))
                .map_err(|error| ProbeError::map("remove from", names::ROWS)(error.into()))?;
            for (abi, nr) in unindexed.remove(&row.number).unwrap_or_default() {
                let mut unindexed: HashMap<_, Plain<UnindexedKey>, u32> =
                    self.map_mut(names::UNINDEXED)?;
                let key = UnindexedKey {
                    row: row.number,
                    nr,
                    abi: abi as u32,
                    pad: 0,
                };
                let _ = unindexed.remove(&Plain(key));
            }
            let mut marks: Array<_, Row> = self.map_mut(names::MARKS)?;
            marks
                .set(row.number, [0; ROW_LEN], 0)
                .map_err(|error| ProbeError::map("empty", names::MARKS)(error.into()))?;
            self.empty_values(row.number)?;
            self.renew_salt(row.number)?;
            emptied.push(row.number);
        }
        // What was marked in them is not marked any more; before anyone else gets one.
        self.control.forget_recent_values();
        self.control.give_back_rows(emptied.len() as u64);
        for instance in instances {
            let mut accounts: HashMap<_, u64, Plain<Account>> = self.map_mut(names::ACCOUNTS)?;
            // It may have taken nothing.
            let _ = accounts.remove(instance);
        }
        for row in emptied {
            let mut free: Queue<_, u32> = self.map_mut(names::FREE_ROWS)?;
            free.push(row, 0)
                .map_err(|error| ProbeError::map("give back to", names::FREE_ROWS)(error.into()))?;
        }
        Ok(())
    }

    /// So that a call always finds a row to be marked in, even when all others are taken.
    fn reserve_overflow_row(&mut self, instance: u64) -> Result<(), ProbeError> {
        let key = RowKey {
            instance,
            exe: EXE_OVERFLOW,
            phase: Phase::Run as u32,
            blocked: 0,
        };
        let rows: HashMap<_, Plain<RowKey>, u32> = self.map_mut(names::ROWS)?;
        if rows.get(&Plain(key), 0).is_ok() {
            return Ok(());
        }
        let row = {
            let mut free: Queue<_, u32> = self.map_mut(names::FREE_ROWS)?;
            free.pop(0).map_err(|error| match error {
                MapError::ElementNotFound => ProbeError::NoRow,
                other => ProbeError::map("take from", names::FREE_ROWS)(other.into()),
            })?
        };
        self.control.take_row();
        let mut owners: Array<_, u64> = self.map_mut(names::ROW_OWNERS)?;
        owners
            .set(row, instance, 0)
            .map_err(|error| ProbeError::map("change", names::ROW_OWNERS)(error.into()))?;
        let mut rows: HashMap<_, Plain<RowKey>, u32> = self.map_mut(names::ROWS)?;
        rows.insert(Plain(key), row, 0)
            .context("the instance's overflow row")
            .map_err(ProbeError::map("add to", names::ROWS))
    }
}

/// Removes an entry that may be gone already.
fn remove(
    cgroups: &mut HashMap<&mut aya::maps::MapData, u64, Plain<CgroupEntry>>,
    cgroup: u64,
) -> Result<(), ProbeError> {
    match cgroups.remove(&cgroup) {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(())
        }
        Err(error) => Err(ProbeError::map("remove from", names::CGROUPS)(error.into())),
    }
}
