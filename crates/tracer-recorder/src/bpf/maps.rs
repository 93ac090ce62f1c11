//! Reading the maps: the truth that a recording is reconciled with.

use std::{fs, os::fd::AsFd as _, os::fd::AsRawFd as _};

use anyhow::Context as _;
use aya::maps::{Array, HashMap, MapError, PerCpuArray};
use tracer_abi::{
    ABI_SLOTS, AbiClass, Counters, EXE_LAUNCHER, EXE_OVERFLOW, EXE_UNKNOWN, ExecutablePath, Phase,
    ProcessEntry, Row, RowKey, UnindexedKey, maps as names,
};

use super::{Probe, ProbeError, accesses, decode, executables::KeptExecutable, pod::Plain};

/// A row of marks and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenRow {
    /// Its number, as events carry it.
    pub number: u32,
    /// Instance and executable.
    pub key: RowKey,
}

/// The executable that a row stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowExecutable {
    /// It was seen to start: the path's bytes, and whether they are only its beginning.
    Path {
        /// The path of the file; the name that was given to exec where the file is not known.
        bytes: Vec<u8>,
        /// It was longer than what is kept.
        truncated: bool,
    },
    /// A script, of which only the name is known that was given to exec.
    Script {
        /// The name.
        name: Vec<u8>,
        /// The directory that it starts from when it is relative.
        start: Vec<u8>,
        /// The name was longer than what is kept.
        truncated: bool,
    },
    /// What starts the workload.
    Launcher,
    /// Not known.
    Unknown,
}

impl Probe {
    /// Every row that is in use.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn rows(&mut self) -> Result<Vec<SeenRow>, ProbeError> {
        let rows: HashMap<_, Plain<RowKey>, u32> = self.map_mut(names::ROWS)?;
        rows.iter()
            .map(|entry| entry.map(|(Plain(key), number)| SeenRow { number, key }))
            .collect::<Result<_, _>>()
            .context("while it changed")
            .map_err(ProbeError::map("read", names::ROWS))
    }

    /// The calls that are marked in a row: ABI, number and mark.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn marks(&mut self, row: u32) -> Result<Vec<(AbiClass, u32, u8)>, ProbeError> {
        let marks: Array<_, Row> = self.map_mut(names::MARKS)?;
        let bytes = marks
            .get(&row, 0)
            .with_context(|| format!("row {row}"))
            .map_err(ProbeError::map("read", names::MARKS))?;
        let (native, compat) = bytes.split_at(ABI_SLOTS);
        let seen = |class, bytes: &[u8]| {
            (0..)
                .zip(bytes)
                .filter(|(_, mark)| **mark != 0)
                .map(move |(nr, mark)| (class, nr, *mark))
                .collect::<Vec<_>>()
        };
        let mut calls = seen(AbiClass::Native, native);
        calls.extend(seen(AbiClass::Compat, compat));
        Ok(calls)
    }

    /// The calls that no byte stands for: row, ABI, number and mark.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn unindexed(&mut self) -> Result<Vec<(u32, AbiClass, u32, u8)>, ProbeError> {
        let unindexed: HashMap<_, Plain<UnindexedKey>, u32> = self.map_mut(names::UNINDEXED)?;
        unindexed
            .iter()
            .map(|entry| {
                let (Plain(key), mark) = entry?;
                let mark = u8::try_from(mark)?;
                Ok((key.row, decode::abi_class(key.abi)?, key.nr, mark))
            })
            .collect::<anyhow::Result<_>>()
            .map_err(ProbeError::map("read", names::UNINDEXED))
    }

    /// What an executable id stands for.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn executable(&mut self, exe: u64) -> Result<RowExecutable, ProbeError> {
        match exe {
            EXE_UNKNOWN | EXE_OVERFLOW => return Ok(RowExecutable::Unknown),
            EXE_LAUNCHER => return Ok(RowExecutable::Launcher),
            _ => {}
        }
        let Some(KeptExecutable { named, resolved }) = self.kept_executable(exe)? else {
            return Ok(RowExecutable::Unknown);
        };
        let name = bytes_of(&named.bytes, named.len);
        let truncated = named.truncated != 0;
        Ok(match resolved {
            Some(start) if named.script != 0 => RowExecutable::Script {
                name,
                start: accesses::path_of_names(&bytes_of(&start.bytes, start.len)),
                truncated,
            },
            Some(file) => RowExecutable::Path {
                bytes: accesses::path_of_names(&bytes_of(&file.bytes, file.len)),
                truncated: file.truncated != 0,
            },
            // Accesses are not recorded, or it ran before: the name is all there is.
            None => RowExecutable::Path {
                bytes: name,
                truncated,
            },
        })
    }

    /// Files a running process under an executable, unless the kernel side knows better already.
    /// Returns whether there was room: else the executable stays unknown.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the kernel refuses for another reason.
    pub fn register_process(
        &mut self,
        pid: u32,
        instance: u64,
        path: &[u8],
    ) -> Result<bool, ProbeError> {
        const NO_OVERWRITE: u64 = 1; // BPF_NOEXIST
        let path = ExecutablePath::new(path);
        let exe = path.id();
        let mut executables: HashMap<_, u64, Plain<ExecutablePath>> =
            self.map_mut(names::EXECUTABLES)?;
        let kept = executables.insert(exe, Plain(path), NO_OVERWRITE);
        let is_new = kept.is_ok();
        let named = inserted(kept).map_err(ProbeError::map("add to", names::EXECUTABLES))?;
        if is_new {
            self.control.keep_executable();
        }
        let process = ProcessEntry {
            exe,
            instance,
            // It runs already, so nothing of it is a runtime's any more.
            filter: 0,
            phase: Phase::Run as u32,
            late: 0,
            filtered: 0,
            pad: 0,
        };
        let mut processes: HashMap<_, u32, Plain<ProcessEntry>> = self.map_mut(names::PROCESSES)?;
        let filed = inserted(processes.insert(pid, Plain(process), NO_OVERWRITE))
            .map_err(ProbeError::map("add to", names::PROCESSES))?;
        self.control.new_epoch();
        Ok(named && filed)
    }

    /// The counters of all CPUs together.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn counters(&mut self) -> Result<Counters, ProbeError> {
        let counters: PerCpuArray<_, Plain<Counters>> = self.map_mut(names::COUNTERS)?;
        let each = counters
            .get(&0, 0)
            .context("the only element")
            .map_err(ProbeError::map("read", names::COUNTERS))?;
        Ok(each
            .iter()
            .fold(Counters::default(), |sum, Plain(c)| Counters {
                calls: sum.calls + c.calls,
                misses: sum.misses + c.misses,
                events_dropped: sum.events_dropped + c.events_dropped,
                rows_full: sum.rows_full + c.rows_full,
                phases_full: sum.phases_full + c.phases_full,
                calls_lost: sum.calls_lost + c.calls_lost,
                cgroups_full: sum.cgroups_full + c.cgroups_full,
                processes_full: sum.processes_full + c.processes_full,
                executables_full: sum.executables_full + c.executables_full,
                exotic_full: sum.exotic_full + c.exotic_full,
                values_lost: sum.values_lost + c.values_lost,
                accesses_lost: sum.accesses_lost + c.accesses_lost,
                accesses_dropped: sum.accesses_dropped + c.accesses_dropped,
                slots_refused: sum.slots_refused + c.slots_refused,
                threads_full: sum.threads_full + c.threads_full,
                paths_full: sum.paths_full + c.paths_full,
                notices_dropped: sum.notices_dropped + c.notices_dropped,
            }))
    }

    /// Runs of our programs that the kernel skipped because one was running on that CPU already
    /// (`recursion_misses`, kernel/bpf/syscall.c, since Linux 5.12).
    pub fn skipped_runs(&self) -> u64 {
        self.ebpf
            .programs()
            .filter_map(|(_, program)| {
                let fd = program.fd().ok()?.as_fd().as_raw_fd();
                let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
                info.lines()
                    .find_map(|line| line.strip_prefix("recursion_misses:"))
                    .and_then(|number| number.trim().parse::<u64>().ok())
            })
            .sum()
    }

    /// Keeps the cache sound over very long recordings; call it about once a second.
    pub fn maintain(&mut self) {
        self.control.wipe_if_due();
    }
}

/// Whether it is in the map now: it may have been before, or the map may be full.
pub(super) fn inserted(result: Result<(), MapError>) -> anyhow::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(MapError::SyscallError(error)) => match error.io_error.raw_os_error() {
            Some(libc::EEXIST) => Ok(true),
            Some(libc::E2BIG) => Ok(false),
            _ => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// The bytes that are used of an array in a map.
fn bytes_of(bytes: &[u8], len: u32) -> Vec<u8> {
    bytes.get(..len as usize).unwrap_or(bytes).to_vec()
}
