//! What the programs count.

/// What one CPU counted. Every way to lose something has a counter of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of recorded tasks.
    pub calls: u64,
    /// Calls whose task was not in its slot. Not a loss: it tells how well the cache does.
    pub misses: u64,
    /// Events that found the ring full: evidence lost, the observation is in the marks.
    pub events_dropped: u64,
    /// Look-ups that found no row free: the overflow row of the instance takes the task's calls.
    pub rows_full: u64,
    /// Those of them that were not of the workload itself, and are taken for it now: what a runtime does,
    /// or a program that was put into the container.
    pub phases_full: u64,
    /// Calls that found no row at all: observations lost.
    pub calls_lost: u64,
    /// Child cgroups that found [`crate::maps::CGROUPS`] full: their calls are lost.
    pub cgroups_full: u64,
    /// Processes that found [`crate::maps::PROCESSES`] full: their executable is unknown.
    pub processes_full: u64,
    /// Paths that found [`crate::maps::EXECUTABLES`] full: the executable has no name.
    pub executables_full: u64,
    /// Calls that found [`crate::maps::UNINDEXED`] full: observations lost.
    pub exotic_full: u64,
    /// Calls whose arguments were lost, and the row says so: the share of the instance, or
    /// [`crate::maps::VALUES`], was full.
    pub values_lost: u64,
    /// Accesses to files and the like that found [`crate::maps::REPORTED`] or the rows full, or whose path
    /// could not be read.
    pub accesses_lost: u64,
    /// Those that found the ring full. Each is told when it is made again; which of them never was, the
    /// map knows.
    pub accesses_dropped: u64,
    /// Look-ups of tasks whose registers were not where the cache expects them. Not a loss: such a
    /// task is looked up each time.
    pub slots_refused: u64,
    /// Threads under a filter that found [`crate::maps::THREADS`] full: what the filter stopped of theirs
    /// was not seen.
    pub threads_full: u64,
    /// Paths of cgroups that found [`crate::maps::CGROUP_PATHS`] full: such a cgroup has no name.
    pub paths_full: u64,
    /// Notices that found the ring full. Not a loss: the maps tell the same.
    pub notices_dropped: u64,
}
