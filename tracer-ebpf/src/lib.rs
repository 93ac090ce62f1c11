//! The plain data that the kernel side and user space share: one definition of each struct, map
//! name and constant.
//!
//! Everything here is `no_std`, fixed-width and explicitly padded; sizes are asserted at compile
//! time. [`slot`] is the pure arithmetic of the per-task cache, kept here so that it can be tested
//! on the host.
#![no_std]

pub mod slot;

use core::mem::{align_of, size_of};

/// System call numbers below this are marked in a row; larger ones go to [`maps::EXOTIC`].
///
/// The largest number in Linux 6.18 is 470 (x86-64, i386, arm64); 1,024 bytes a row is the price
/// of one byte for each of two ABIs.
pub const ABI_SLOTS: usize = 512;

/// Bytes in a row of marks: the native ABI's numbers, then the 32-bit ABI's.
pub const ROW_LEN: usize = 2 * ABI_SLOTS;

/// One row of seen-marks: a byte for each (ABI, number), 0 for unseen.
///
/// A byte written by a plain store cannot lose another CPU's mark; a bit in a shared word could.
pub type Row = [u8; ROW_LEN];

/// The row of a call that no row could be had for. An empty slot holds it too, so it is never kept:
/// such a call is looked up, and counted, each time.
pub const NO_ROW: u32 = 0;

/// The row that stands for "this task is not recorded".
pub const UNRECORDED_ROW: u32 = 1;

/// The first row that holds marks.
pub const FIRST_ROW: u32 = 2;

/// Most rows there can be: a row number has 16 bits in a slot.
pub const MAX_ROWS: u32 = 1 << 16;

/// Longest executable path that is kept, terminating NUL included.
pub const PATH_LEN: usize = 256;

/// Length of a task's command name in the kernel (`TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// The number bit that marks an x32 call (`__X32_SYSCALL_BIT`, arch/x86/include/uapi/asm/unistd.h).
pub const X32_BIT: u32 = 0x4000_0000;

/// Names of the maps, as user space looks them up.
pub mod maps {
    /// cgroup id → [`CgroupEntry`](super::CgroupEntry): which cgroups are recorded.
    pub const CGROUPS: &str = "CGROUPS";
    /// [`RowKey`](super::RowKey) → row number.
    pub const ROWS: &str = "ROWS";
    /// Row number → [`Row`](super::Row): the truth about what was seen.
    pub const MARKS: &str = "MARKS";
    /// Queue of row numbers that are free.
    pub const FREE_ROWS: &str = "FREE_ROWS";
    /// Seen calls whose number has no byte in a row: [`ExoticKey`](super::ExoticKey) → 1.
    pub const EXOTIC: &str = "EXOTIC";
    /// Process id (tgid) → executable id.
    pub const PROCESSES: &str = "PROCESSES";
    /// Executable id → [`ExecutablePath`](super::ExecutablePath).
    pub const EXECUTABLES: &str = "EXECUTABLES";
    /// Ring buffer of [`Event`](super::Event).
    pub const EVENTS: &str = "EVENTS";
    /// Per-CPU [`Counters`](super::Counters).
    pub const COUNTERS: &str = "COUNTERS";
    /// One [`Control`](super::Control), mapped into user space.
    pub const CONTROL: &str = "CONTROL";
    /// Name of the read-only global that holds the [`Config`](super::Config).
    pub const CONFIG: &str = "CONFIG";
}

/// Calling convention of a system call, as the kernel side tells it.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbiClass {
    /// The machine's own 64-bit convention.
    Native = 0,
    /// The 32-bit convention: i386 on x86-64, arm on arm64.
    Compat = 1,
    /// x32: 64-bit entry with [`X32_BIT`] in the number.
    X32 = 2,
}

/// What a task is doing when it makes a call. One so far; the row's key has room for more.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The workload itself.
    Run = 0,
}

/// How the kernel side tells the ABI of a call.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiTest {
    /// There is only one ABI on this kernel.
    None = 0,
    /// x86-64: registers first, `thread_info.status & TS_COMPAT` when they do not settle it.
    X86 = 1,
    /// arm64: `pt_regs.pstate & PSR_MODE32_BIT`.
    Arm64 = 2,
}

/// Offsets and choices that user space derives from the running kernel's BTF.
///
/// It becomes a frozen read-only global: constants to the verifier, so that an offset is never
/// compiled in and a branch that this kernel does not need is never there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// An [`AbiTest`].
    pub abi_test: u32,
    /// 1: keep the row of each task in a slot; 0: look it up at each call.
    pub slot_cache: u32,
    /// 1: announce a new observation in the ring; 0: marks only.
    pub ring: u32,
    /// Bytes waiting in the ring that make a wake-up worth its cost.
    pub wakeup_bytes: u32,
    /// `task_struct.stack`.
    pub task_stack: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.signal`.
    pub task_signal: u32,
    /// `task_struct.thread_info.status` (x86).
    pub task_status: u32,
    /// `task_struct.cgroups`.
    pub task_cgroups: u32,
    /// `task_struct.seccomp.mode`.
    pub task_seccomp_mode: u32,
    /// `css_set.dfl_cgrp`.
    pub css_set_dfl_cgrp: u32,
    /// `signal_struct.live`.
    pub signal_live: u32,
    /// `linux_binprm.filename`.
    pub binprm_filename: u32,
    /// `cgroup.kn`.
    pub cgroup_kn: u32,
    /// `cgroup.root`.
    pub cgroup_root: u32,
    /// `cgroup.self.parent`.
    pub cgroup_parent: u32,
    /// `cgroup_subsys_state.cgroup`.
    pub css_cgroup: u32,
    /// `cgroup_root.hierarchy_id`: 0 for the v2 hierarchy, larger for v1 ones.
    pub root_hierarchy_id: u32,
    /// `kernfs_node.id`.
    pub kernfs_id: u32,
    /// x86: `pt_regs.cx`; arm64: `pt_regs.pstate`.
    pub regs_abi_a: u32,
    /// x86: `pt_regs.ip`.
    pub regs_abi_b: u32,
    /// x86: `pt_regs.r11`.
    pub regs_abi_c: u32,
    /// x86: `pt_regs.flags`.
    pub regs_abi_d: u32,
    /// `pt_regs` offsets of a native call's six arguments.
    pub native_args: [u32; 6],
    /// `pt_regs` offsets of a 32-bit call's six arguments.
    pub compat_args: [u32; 6],
}

impl Config {
    /// All zero: what stands in the object file until user space sets the real one.
    pub const EMPTY: Self = Self {
        abi_test: 0,
        slot_cache: 0,
        ring: 0,
        wakeup_bytes: 0,
        task_stack: 0,
        task_tgid: 0,
        task_signal: 0,
        task_status: 0,
        task_cgroups: 0,
        task_seccomp_mode: 0,
        css_set_dfl_cgrp: 0,
        signal_live: 0,
        binprm_filename: 0,
        cgroup_kn: 0,
        cgroup_root: 0,
        cgroup_parent: 0,
        css_cgroup: 0,
        root_hierarchy_id: 0,
        kernfs_id: 0,
        regs_abi_a: 0,
        regs_abi_b: 0,
        regs_abi_c: 0,
        regs_abi_d: 0,
        native_args: [0; 6],
        compat_args: [0; 6],
    };
}

/// A recorded cgroup: which instance its tasks belong to.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupEntry {
    /// Id of the cgroup that the instance was started with; children inherit it.
    pub instance: u64,
    /// Executable id of its processes that have not been seen to exec: [`EXE_UNKNOWN`] or
    /// [`EXE_LAUNCHER`].
    pub first_exe: u64,
}

/// What a row of marks stands for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The instance, as in [`CgroupEntry`].
    pub instance: u64,
    /// Executable id: a hash of its path, [`EXE_UNKNOWN`] or [`EXE_OVERFLOW`].
    pub exe: u64,
    /// A [`Phase`].
    pub phase: u32,
    /// Always 0: keys are compared as bytes.
    pub pad: u32,
}

/// Executable id of a process whose exec was not seen.
pub const EXE_UNKNOWN: u64 = 0;

/// Executable id of the row that takes over when no row is left: observations stay complete, only
/// the executable behind them is lost.
pub const EXE_OVERFLOW: u64 = 1;

/// Executable id of what starts the workload, until it execs.
pub const EXE_LAUNCHER: u64 = 2;

/// The smallest executable id that stands for a path.
pub const EXE_FIRST_PATH: u64 = 3;

/// A seen call that has no byte in a row.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExoticKey {
    /// The row that would have held it.
    pub row: u32,
    /// The number as the kernel got it.
    pub nr: u32,
    /// An [`AbiClass`].
    pub abi: u32,
    /// Always 0: keys are compared as bytes.
    pub pad: u32,
}

/// The path an executable was started by (`linux_binprm.filename`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExecutablePath {
    /// Bytes used in `bytes`, without a terminating NUL.
    pub len: u32,
    /// 1 when the path was longer than [`PATH_LEN`] - 1 bytes.
    pub truncated: u32,
    /// The path.
    pub bytes: [u8; PATH_LEN],
}

impl ExecutablePath {
    /// The value for a path, cut where the kernel side would cut it.
    pub const fn new(path: &[u8]) -> Self {
        let mut this = Self {
            len: 0,
            truncated: 0,
            bytes: [0; PATH_LEN],
        };
        while (this.len as usize) < path.len() && (this.len as usize) < PATH_LEN - 1 {
            this.bytes[this.len as usize] = path[this.len as usize];
            this.len += 1;
        }
        this.truncated = (this.len as usize == PATH_LEN - 1) as u32;
        this
    }

    /// The executable id of this path.
    ///
    /// It is a hash of the path as the program named it, not an inode: the same work gives the same
    /// ids, and the applets of a multi-call binary stay apart. FNV-1a, 64 bits
    /// (<http://www.isthe.com/chongo/tech/comp/fnv/>): two paths that collide would share evidence,
    /// never lose an observation.
    #[inline(always)]
    pub fn id(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        // Over the whole array and not `..len`: a loop of fixed length needs no bounds check that
        // the verifier would have to follow.
        for (i, byte) in self.bytes.iter().enumerate() {
            if i >= self.len as usize {
                break;
            }
            hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        }
        hash.max(EXE_FIRST_PATH)
    }
}

/// One new observation: the first call of its (row, ABI, number).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds on the monotonic clock (`bpf_ktime_get_ns`).
    pub time: u64,
    /// The six argument registers, as they were at entry.
    pub args: [u64; 6],
    /// The row that was marked.
    pub row: u32,
    /// The number as the kernel got it.
    pub nr: u32,
    /// Process id (tgid) in the initial pid namespace.
    pub pid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// The thread's command name, padded with NULs.
    pub comm: [u8; COMM_LEN],
    /// An [`AbiClass`].
    pub abi: u32,
    /// Always 0.
    pub pad: u32,
}

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
    /// Calls that found no row at all: observations lost.
    pub calls_lost: u64,
    /// Child cgroups that found [`maps::CGROUPS`] full: their calls are lost.
    pub cgroups_full: u64,
    /// Processes that found [`maps::PROCESSES`] full: their executable is unknown.
    pub processes_full: u64,
    /// Paths that found [`maps::EXECUTABLES`] full: the executable has no name.
    pub executables_full: u64,
    /// Calls that found [`maps::EXOTIC`] full: observations lost.
    pub exotic_full: u64,
    /// Look-ups of tasks whose registers were not where the cache expects them. Not a loss: such a
    /// task is looked up each time.
    pub slots_refused: u64,
    /// Recorded processes that were moved to a cgroup that is not recorded, or whose child was made
    /// there: what they did then was not seen.
    pub left: u64,
    /// Look-ups of tasks that run under a seccomp filter: what it stops is not seen.
    pub filtered: u64,
}

/// What user space maps, and both sides write while the programs run: whole words only.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    /// Grows whenever a task may have changed its row otherwise than by fork or exec; a slot of an
    /// older epoch is not believed.
    pub epoch: u64,
    /// Keeps the slots off the epoch's cache line.
    pub pad: [u64; 7],
    /// The per-task cache, see [`slot`].
    pub slots: [u64; slot::SLOTS],
}

const _: () = {
    assert!(size_of::<Config>() == 35 * 4 && align_of::<Config>() == 4);
    assert!(size_of::<CgroupEntry>() == 16);
    assert!(size_of::<RowKey>() == 24 && align_of::<RowKey>() == 8);
    assert!(size_of::<ExoticKey>() == 16);
    assert!(size_of::<ExecutablePath>() == 8 + PATH_LEN);
    assert!(size_of::<Event>() == 96 && align_of::<Event>() == 8);
    assert!(size_of::<Counters>() == 96);
    assert!(size_of::<Control>() == 64 + 8 * slot::SLOTS);
};

#[cfg(feature = "user")]
mod pod {
    use super::{CgroupEntry, Config, Counters, Event, ExecutablePath, ExoticKey, RowKey};

    macro_rules! pod {
        ($($name:ty),*) => {
            $(
                // SAFETY: fixed-width integers and arrays of them, padded explicitly (sizes are
                // asserted above), so every byte is initialised and any bytes are a value.
                unsafe impl aya::Pod for $name {}
            )*
        };
    }
    pod!(
        CgroupEntry,
        Config,
        Counters,
        Event,
        ExecutablePath,
        ExoticKey,
        RowKey
    );
}
