//! How large a machine's maps are, and what user space chose.

use tracer_abi::{Config, FIRST_ROW, FileSource, MAX_VALUES, ROW_BYTES};

use crate::maps;

/// Sizes and choices. The default has room for all that a short schedule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Rows of marks, the two that hold none among them.
    pub rows: u32,
    /// Cgroups that can be recorded.
    pub cgroups: u32,
    /// Cgroups without processes that are followed.
    pub unused_cgroups: u32,
    /// Processes whose executable is known.
    pub processes: u32,
    /// Threads under a filter.
    pub threads: u32,
    /// Paths of executables.
    pub executables: u32,
    /// Calls that have no byte in a row.
    pub unindexed: u32,
    /// Combinations of values; at most [`MAX_VALUES`].
    pub values: u32,
    /// Bytes of the ring of events.
    pub ring_bytes: u32,
    /// Different accesses that can be told apart.
    pub told: u32,
    /// Bytes of the ring of accesses.
    pub access_bytes: u32,
    /// Whether every cgroup that is made is recorded as what may be a container.
    pub discover: bool,
    /// Whether tasks' rows are kept in slots.
    pub slot_cache: bool,
    /// Whether each blocked call is announced.
    pub report_every_blocked: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rows: 48,
            cgroups: 24,
            unused_cgroups: 24,
            processes: 32,
            threads: 32,
            executables: 16,
            unindexed: 16,
            values: 32,
            ring_bytes: 1 << 16,
            told: 64,
            access_bytes: 1 << 16,
            discover: false,
            slot_cache: true,
            report_every_blocked: false,
        }
    }
}

impl Settings {
    pub(super) fn choose(&self, config: &mut Config) {
        config.slot_cache = u32::from(self.slot_cache);
        config.ring = 1;
        config.wakeup_bytes = self.ring_bytes / 4;
        config.discover = u32::from(self.discover);
        config.report_every_blocked = u32::from(self.report_every_blocked);
        config.common_rows = self.rows / 2;
        config.row_share = (self.rows / 8).max(2);
        config.common_accesses = self.told / 4 * 3;
        config.access_share = (self.told / 8).max(2);
        config.common_values = self.values / 2;
        config.value_share = (self.values / 8).max(1);
        config.most_unused_cgroups = self.unused_cgroups;
        config.files_by = FileSource::Hooks as u32;
        config.accesses_wakeup = self.access_bytes / 4;
    }

    pub(super) fn reset_maps(&self) {
        maps::CGROUPS.reset(self.cgroups);
        maps::CGROUP_PATHS.reset(self.cgroups);
        maps::CGROUP_SCRATCH.reset();
        maps::ROWS.reset(self.rows);
        maps::MARKS.reset(self.rows);
        maps::SEEN_VALUES.reset(self.rows);
        maps::ROW_GENERATIONS.reset(self.rows);
        maps::FREE_ROWS.reset(self.rows);
        maps::ACCOUNTS.reset(self.cgroups);
        maps::ROW_OWNERS.reset(self.rows);
        maps::UNWANTED.reset(64);
        maps::WATCHES.reset(ROW_BYTES);
        maps::VALUES.reset(self.values);
        maps::FREE_VALUES.reset(self.values);
        maps::UNINDEXED.reset(self.unindexed);
        maps::PROCESSES.reset(self.processes);
        maps::THREADS.reset(self.threads);
        maps::EXECUTABLES.reset(self.executables);
        maps::SCRATCH.reset();
        maps::RESOLVED_PATHS.reset(self.executables);
        maps::RESOLVED_SCRATCH.reset();
        maps::EVENTS.reset(self.ring_bytes);
        maps::REPORTED.reset(self.told);
        maps::DIRECTORY_FILES.reset(16);
        maps::EXECUTING.reset(8);
        maps::ACCESSES.reset(self.access_bytes);
        maps::COUNTERS.reset();
        maps::CONTROL.reset(1);
        maps::GEOMETRY.reset(1);
        for row in FIRST_ROW..self.rows {
            let _ = maps::FREE_ROWS.push(row, 0);
        }
        let values = self.values.min(u32::try_from(MAX_VALUES).unwrap_or(0));
        for number in 0..values {
            let _ = maps::FREE_VALUES.push(number, 0);
        }
    }
}
