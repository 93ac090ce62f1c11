//! The state of the kernel side. User space looks the maps up by the names in
//! [`tracer_abi::maps`] and sets their sizes when it loads them.

use tracer_abi::{
    AccessEvent, Account, CgroupEntry, CgroupPath, Config, Control, Counters, ExecutablePath,
    Operation, ProcessEntry, ROW_BYTES, ResolvedPath, Row, RowKey, SeenValues, UnindexedKey,
    VALUE_NUMBERS, ValueKey, Watch, access::LONG_BYTES,
};

use crate::platform::{
    bindings::BPF_F_MMAPABLE,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, Queue, RingBuf},
};

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static CGROUPS: HashMap<u64, CgroupEntry> = HashMap::with_max_entries(1024, 0);

/// Paths wait here only until user space has read them, so there is room for many of one moment. It
/// is taken beforehand: memory that is asked for in a program is refused when many ask at once.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static CGROUP_PATHS: HashMap<u64, CgroupPath> = HashMap::with_max_entries(1024, 0);

/// Where a cgroup's path is put together.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static CGROUP_SCRATCH: PerCpuArray<CgroupPath> = PerCpuArray::with_max_entries(1, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static ROWS: HashMap<RowKey, u32> = HashMap::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static MARKS: Array<Row> = Array::with_max_entries(1024, 0);

/// Only those that took or lost something are in it: its entries are few.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static ACCOUNTS: HashMap<u64, Account> = HashMap::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static ROW_OWNERS: Array<u64> = Array::with_max_entries(1024, 0);

/// The map drops what was put in longest ago: such a cgroup is found again, and decided about again.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static UNWANTED: LruHashMap<u64, u32> = LruHashMap::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static FREE_ROWS: Queue<u32> = Queue::with_max_entries(1024, 0);

/// An array, although most of it is empty: it is asked at the first time of each call.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static WATCHES: Array<Watch> = Array::with_max_entries(ROW_BYTES, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static VALUES: HashMap<ValueKey, u32> = HashMap::with_max_entries(VALUE_NUMBERS, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static FREE_VALUES: Queue<u32> = Queue::with_max_entries(VALUE_NUMBERS, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static SEEN_VALUES: Array<SeenValues> = Array::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static UNINDEXED: HashMap<UnindexedKey, u32> = HashMap::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static PROCESSES: HashMap<u32, ProcessEntry> = HashMap::with_max_entries(1024, 0);

/// Only threads under a filter are in it.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static THREADS: HashMap<u32, u32> = HashMap::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static EXECUTABLES: HashMap<u64, ExecutablePath> = HashMap::with_max_entries(1024, 0);

/// Where a path is put together: too large for the 512 bytes of a program's stack.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static SCRATCH: PerCpuArray<ExecutablePath> = PerCpuArray::with_max_entries(1, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static RESOLVED_PATHS: HashMap<u64, ResolvedPath> = HashMap::with_max_entries(1, 0);

/// Where a resolved path is put together.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static RESOLVED_SCRATCH: PerCpuArray<ResolvedPath> = PerCpuArray::with_max_entries(1, 0);

/// Only asked for what is done seldom or was not told before, so a hash map: no row could hold all
/// paths there are.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static REPORTED: HashMap<u64, u32> = HashMap::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static DIRECTORY_FILES: LruHashMap<u64, u32> = LruHashMap::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static ROW_GENERATIONS: Array<u64> = Array::with_max_entries(1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static OPERATIONS: Array<Operation> = Array::with_max_entries(ROW_BYTES, 0);

/// What a process maps to be executed while it executes a program. One whose exec failed stays until
/// there is no room for another.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static EXECUTING: LruHashMap<u32, crate::accesses::Executing> =
    LruHashMap::with_max_entries(1024, 0);

/// Where an event is put together that begins with a program's words.
#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static TEXT_SCRATCH: PerCpuArray<AccessEvent<LONG_BYTES>> =
    PerCpuArray::with_max_entries(1, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static ACCESSES: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static CONTROL: Array<Control> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Where the slots and a task's registers lie; see [`crate::slots`].
#[repr(C)]
pub(crate) struct Geometry {
    /// The address of [`CONTROL`]'s element, as a number.
    pub(crate) control: u64,
    /// `pt_regs` relative to `task_struct.stack`: one constant for all tasks of a kernel.
    pub(crate) regs_offset: u64,
}

#[cfg_attr(target_arch = "bpf", aya_ebpf::macros::map)]
pub(crate) static GEOMETRY: Array<Geometry> = Array::with_max_entries(1, 0);

/// Offsets and choices for this kernel; frozen by user space before the programs are loaded.
#[unsafe(no_mangle)]
pub(crate) static CONFIG: Config = Config::EMPTY;

pub(crate) use crate::platform::config;
