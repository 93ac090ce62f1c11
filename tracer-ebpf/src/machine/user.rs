//! What user space does with the kernel side, as `tracer`'s probe does it by system calls.

use tracer_abi::{
    ABI_SLOTS, AbiClass, Access, AccessEvent, Account, CgroupEntry, CgroupPath, Counters,
    EXE_OVERFLOW, Event, ExecutablePath, Notice, Phase, ProcessEntry, ROW_LEN, RowKey, SeenValues,
    UnindexedKey, ValueKey, Watch,
    access::{LONG_BYTES, SHORT_BYTES},
    kind, recent,
};

use super::{Machine, pause};
use crate::{maps, platform::SharedMut as _, platform::add_one};

/// `BPF_NOEXIST`.
const NO_OVERWRITE: u64 = 1;

/// How often it is looked for cgroups that were made meanwhile.
const LOOKS: usize = 16;

/// What a cgroup that is asked for is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// One of [`kind`].
    pub kind: u32,
    /// Whether a process is in it.
    pub populated: bool,
    /// Whether its workload was started.
    pub started: bool,
    /// Whether its processes are all known.
    pub introduced: bool,
}

impl Kind {
    /// A command's cgroup, with what is in it.
    pub const PLAIN: Self = Self {
        kind: kind::PLAIN,
        populated: true,
        started: false,
        introduced: true,
    };

    /// A container that is about to be made.
    pub const NEW_CONTAINER: Self = Self {
        kind: kind::CONTAINER,
        populated: false,
        started: false,
        introduced: true,
    };

    /// A container that runs, of which nothing is known.
    pub const RUNNING_CONTAINER: Self = Self {
        kind: kind::CONTAINER,
        populated: true,
        started: true,
        introduced: false,
    };
}

/// A marked call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Its ABI.
    pub abi: AbiClass,
    /// Its number.
    pub number: u32,
    /// One of [`tracer_abi::outcome`].
    pub outcome: u8,
}

/// What the ring of events carries.
#[derive(Clone, Copy, Debug)]
pub enum Message {
    /// A new observation.
    Event(Event),
    /// News of a cgroup.
    Notice(Notice),
}

/// No room was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Machine {
    /// Begins to record a cgroup.
    ///
    /// # Errors
    /// [`Full`] when no row is left, or no room for a cgroup.
    pub fn watch(self, cgroup: u64, instance: u64, first_exe: u64, kind: Kind) -> Result<(), Full> {
        self.reserve_overflow_row(instance)?;
        let entry = CgroupEntry {
            instance,
            first_exe,
            kind: kind.kind,
            populated: u32::from(kind.populated),
            started: u32::from(kind.started),
            filtered: 0,
            missed_filter: 0,
            escaped: 0,
            introduced: u32::from(kind.introduced),
            removed: 0,
        };
        let added = maps::CGROUPS.insert(cgroup, entry, 0).map_err(|_| Full);
        self.new_epoch();
        added
    }

    fn reserve_overflow_row(self, instance: u64) -> Result<(), Full> {
        let key = RowKey {
            instance,
            exe: EXE_OVERFLOW,
            phase: Phase::Run as u32,
            blocked: 0,
        };
        if maps::ROWS.get_ptr(key).is_some() {
            return Ok(());
        }
        let row = maps::FREE_ROWS.pop().ok().flatten().ok_or(Full)?;
        crate::accounts::take_row(instance, row);
        maps::ROWS.insert(key, row, 0).map_err(|_| Full)?;
        crate::accounts::took_row(instance);
        Ok(())
    }

    /// Stops recording an instance.
    pub fn unwatch(self, instance: u64) {
        // First, so that it is not found again.
        let _ = maps::UNWANTED.insert(instance, 1, 0);
        if let Some(entry) = maps::CGROUPS.get_ptr(instance)
            && let Some(control) = maps::CONTROL.get_ptr_mut(0)
        {
            // SAFETY: elements of the maps, in one step.
            unsafe {
                if (*entry).populated == 0 {
                    (*control).unused_cgroups = (*control).unused_cgroups.saturating_sub(1);
                }
            }
        }
        let _ = maps::CGROUPS.remove(instance);
        for _ in 0..LOOKS {
            let mut members = self.cgroups();
            members.retain(|(_, entry)| entry.instance == instance);
            if members.is_empty() {
                break;
            }
            for (cgroup, _) in members {
                let _ = maps::UNWANTED.insert(cgroup, 1, 0);
                let _ = maps::CGROUPS.remove(cgroup);
            }
        }
        self.new_epoch();
    }

    /// Gives back what an instance took up. Its marks must have been read, and no task of it can make a
    /// call any more.
    pub fn release(self, instance: u64) {
        self.unwatch(instance);
        let _ = maps::CGROUP_PATHS.remove(instance);
        let mut rows = self.rows();
        rows.retain(|(key, _)| key.instance == instance);
        // No slot may lead to a row that is about to be somebody else's.
        self.new_epoch();
        for (key, row) in &rows {
            let _ = maps::ROWS.remove(key);
            for (unindexed, _) in maps::UNINDEXED.entries() {
                if unindexed.row == *row {
                    let _ = maps::UNINDEXED.remove(unindexed);
                }
            }
            self.empty(*row);
        }
        if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
            for index in 0..recent::WORDS {
                // SAFETY: below the array's length.
                unsafe { (*control).recent[index] = 0 };
            }
        }
        let _ = maps::ACCOUNTS.remove(instance);
        if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
            // SAFETY: a word of the map, in one step.
            unsafe { (*control).rows_taken -= rows.len() as u64 };
        }
        for (_, row) in rows {
            let _ = maps::FREE_ROWS.push(row, 0);
        }
    }

    fn empty(self, row: u32) {
        // SAFETY: elements of the maps; a system call writes all of one.
        unsafe {
            if let Some(marks) = maps::MARKS.get_ptr_mut(row) {
                marks.store([0; ROW_LEN]);
            }
            if let Some(values) = maps::SEEN_VALUES.get_ptr_mut(row) {
                values.store(SeenValues::EMPTY);
            }
            if let Some(salt) = maps::ROW_GENERATIONS.get_ptr_mut(row) {
                salt.store(super::tick());
            }
        }
    }

    /// Makes room for other accesses: those with these keys were reported.
    pub fn forget_accesses(self, keys: &[u64]) {
        let removed = keys
            .iter()
            .filter(|key| maps::REPORTED.remove(*key).is_ok());
        let removed = removed.count() as u64;
        if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
            // SAFETY: a word of the map.
            unsafe { (*control).accesses_taken -= removed };
        }
    }

    /// What an instance has taken of what all share, and lost.
    pub fn account(self, instance: u64) -> Option<Account> {
        let account = maps::ACCOUNTS.get_ptr(instance)?;
        // SAFETY: an element of the map.
        Some(unsafe { *account })
    }

    /// Files a running process under an executable, unless the kernel side knows better.
    ///
    /// # Errors
    /// [`Full`] when there was no room for it.
    pub fn introduce(self, pid: u32, instance: u64, path: &[u8]) -> Result<(), Full> {
        let path = ExecutablePath::new(path);
        let exe = path.id();
        let known = |result: Result<(), i32>| matches!(result, Ok(()) | Err(-17));
        let named = known(maps::EXECUTABLES.insert(exe, path, NO_OVERWRITE));
        let process = ProcessEntry {
            exe,
            instance,
            filter: 0,
            phase: Phase::Run as u32,
            late: 0,
            filtered: 0,
            pad: 0,
        };
        let filed = known(maps::PROCESSES.insert(pid, process, NO_OVERWRITE));
        self.new_epoch();
        (named && filed).then_some(()).ok_or(Full)
    }

    /// Begins or ends to watch the exits of calls.
    pub fn watch_exits(self, watched: bool) {
        if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
            // SAFETY: a word of the map.
            unsafe { (&raw mut (*control).exits).store(u64::from(watched)) };
        }
        if !watched {
            for (thread, _) in maps::THREADS.entries() {
                let _ = maps::THREADS.remove(thread);
            }
        }
    }

    /// Whether they are watched.
    pub fn watches_exits(self) -> bool {
        crate::slots::exits_are_watched()
    }

    /// Makes every task look its row up again.
    pub fn new_epoch(self) {
        if let Some(control) = maps::CONTROL.get_ptr_mut(0) {
            // SAFETY: a word of the map.
            unsafe { add_one(&raw mut (*control).epoch) };
        }
    }

    /// Asks for the arguments of the call that is marked at a place in a row.
    pub fn ask(self, index: u32, watch: Watch) {
        if let Some(element) = maps::WATCHES.get_ptr_mut(index) {
            // SAFETY: an element of the map.
            unsafe { element.store(watch) };
        }
    }

    /// The cgroups that are recorded.
    pub fn cgroups(self) -> Vec<(u64, CgroupEntry)> {
        maps::CGROUPS.entries()
    }

    /// The cgroups that the kernel side found.
    pub fn paths(self) -> Vec<(u64, CgroupPath)> {
        maps::CGROUP_PATHS.entries()
    }

    /// Takes the path of one of them.
    pub fn take_path(self, cgroup: u64) -> Option<CgroupPath> {
        let path = maps::CGROUP_PATHS.get_ptr(cgroup);
        // SAFETY: an element of the map.
        let path = path.map(|path| unsafe { *path });
        let _ = maps::CGROUP_PATHS.remove(cgroup);
        path
    }

    /// The rows in use, and what they stand for.
    pub fn rows(self) -> Vec<(RowKey, u32)> {
        maps::ROWS.entries()
    }

    /// How many rows are free.
    pub fn free_rows(self) -> usize {
        maps::FREE_ROWS.len()
    }

    /// How many numbers of values are free.
    pub fn free_values(self) -> usize {
        maps::FREE_VALUES.len()
    }

    /// The calls that are marked in a row.
    pub fn marks(self, row: u32) -> Vec<Mark> {
        pause();
        let Some(marks) = maps::MARKS.get(row) else {
            return Vec::new();
        };
        let seen = marks
            .iter()
            .enumerate()
            .filter(|(_, outcome)| **outcome != 0);
        seen.map(|(index, outcome)| Mark {
            abi: if index < ABI_SLOTS {
                AbiClass::Native
            } else {
                AbiClass::Compat
            },
            number: u32::try_from(index % ABI_SLOTS).unwrap_or(u32::MAX),
            outcome: *outcome,
        })
        .collect()
    }

    /// The calls that no byte of a row stands for.
    pub fn unindexed(self) -> Vec<(UnindexedKey, u32)> {
        maps::UNINDEXED.entries()
    }

    /// What was seen of the arguments of a row's calls.
    pub fn seen_values(self, row: u32) -> Option<SeenValues> {
        pause();
        maps::SEEN_VALUES.get(row).copied()
    }

    /// The combinations of values, and their numbers.
    pub fn values(self) -> Vec<(ValueKey, u32)> {
        maps::VALUES.entries()
    }

    /// The processes that the kernel side knows.
    pub fn processes(self) -> Vec<(u32, ProcessEntry)> {
        maps::PROCESSES.entries()
    }

    /// The threads under a filter.
    pub fn threads(self) -> Vec<(u32, u32)> {
        maps::THREADS.entries()
    }

    /// The paths of executables.
    pub fn executables(self) -> Vec<(u64, ExecutablePath)> {
        maps::EXECUTABLES.entries()
    }

    /// Which accesses were told: 0, or how often that failed.
    pub fn told(self) -> Vec<(u64, u32)> {
        maps::REPORTED.entries()
    }

    /// What each CPU counted.
    pub fn counters(self) -> Vec<Counters> {
        maps::COUNTERS.all(0)
    }

    /// Takes what waits in the ring of events.
    pub fn drain(self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(bytes) = maps::EVENTS.take() {
            // SAFETY: the programs put nothing else there; both are plain data.
            messages.push(unsafe {
                if bytes.len() == size_of::<Event>() {
                    Message::Event(bytes.as_ptr().cast::<Event>().read_unaligned())
                } else {
                    Message::Notice(bytes.as_ptr().cast::<Notice>().read_unaligned())
                }
            });
        }
        messages
    }

    /// Takes what waits in the ring of accesses: heads, and the bytes behind them.
    pub fn drain_accesses(self) -> Vec<(Access, Vec<u8>)> {
        const LENGTHS: [usize; 3] = [
            size_of::<AccessEvent<0>>(),
            size_of::<AccessEvent<SHORT_BYTES>>(),
            size_of::<AccessEvent<LONG_BYTES>>(),
        ];
        let mut accesses = Vec::new();
        while let Some(bytes) = maps::ACCESSES.take() {
            assert!(
                bytes.len() >= LENGTHS[0],
                "an event of {} bytes",
                bytes.len()
            );
            // SAFETY: plain data, and long enough.
            let head = unsafe { bytes.as_ptr().cast::<Access>().read_unaligned() };
            accesses.push((head, bytes[LENGTHS[0]..].to_vec()));
        }
        accesses
    }
}
