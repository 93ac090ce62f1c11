//! The plain data that the kernel side and user space share: one definition of each struct, map
//! name and constant.
//!
//! Everything here is `no_std`, fixed-width and explicitly padded; sizes are asserted at compile
//! time. [`slot`] is the pure arithmetic of the per-task cache. There are no dependencies:
//! [`PlainData`] marks what may be read from a map as bytes, in whatever way the reader does that.
#![no_std]

pub mod access;
mod account;
mod config;
mod counts;
mod message;
pub mod outcome;
mod plain;
pub mod slot;
mod values;

pub use access::{Access, AccessEvent, AccessKind, Operation};
pub use account::{ACCOUNT_WORDS, Account, Quota};
pub use config::{AbiTest, Config, FileSource};
pub use counts::Counters;
pub use message::{Event, Notice, NoticeKind};
pub use plain::PlainData;
pub use values::{
    MAX_VALUES, MAX_WATCHES, SeenValues, VALUE_NUMBERS, VALUES_PER_CALL, ValueKey,
    WATCHED_ARGUMENTS, Watch, clone3, recent,
};

use core::mem::{align_of, size_of};

/// System call numbers below this are marked in a row; larger ones go to [`maps::UNINDEXED`].
///
/// The largest number in Linux 6.18 is 470 (x86-64, i386, arm64); 1,024 bytes a row is the price
/// of one byte for each of two ABIs.
pub const ABI_SLOTS: usize = 512;

/// Bytes in a row of marks: the native ABI's numbers, then the 32-bit ABI's.
pub const ROW_LEN: usize = 2 * ABI_SLOTS;

/// The same, as the number of entries of a map.
pub const ROW_BYTES: u32 = 1024;

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

/// Most rows there can be: of a slot's 16 bits, one is [`FILTERED_BIT`].
pub const MAX_ROWS: u32 = 1 << 15;

/// Set in what a slot says of a task that runs under a seccomp filter, beside its row.
pub const FILTERED_BIT: u32 = 1 << 15;

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
    /// cgroup id → [`CgroupPath`](super::CgroupPath), of those that the kernel side found by itself
    /// and user space has not read yet.
    pub const CGROUP_PATHS: &str = "CGROUP_PATHS";
    /// [`RowKey`](super::RowKey) → row number.
    pub const ROWS: &str = "ROWS";
    /// Row number → [`Row`](super::Row): the truth about what was seen.
    pub const MARKS: &str = "MARKS";
    /// Instance → [`Account`](super::Account), of those that took or lost something.
    pub const ACCOUNTS: &str = "ACCOUNTS";
    /// Row number → the instance that it belongs to, 0 for none.
    pub const ROW_OWNERS: &str = "ROW_OWNERS";
    /// cgroup id → 1, of those that user space does not want and that may live on.
    pub const UNWANTED: &str = "UNWANTED";
    /// Queue of row numbers that are free.
    pub const FREE_ROWS: &str = "FREE_ROWS";
    /// Byte in a row → [`Watch`](super::Watch): what is recorded of the call's arguments.
    pub const WATCHES: &str = "WATCHES";
    /// [`ValueKey`](super::ValueKey) → its number, below [`MAX_VALUES`](super::MAX_VALUES).
    pub const VALUES: &str = "VALUES";
    /// Queue of the numbers that are free.
    pub const FREE_VALUES: &str = "FREE_VALUES";
    /// Row number → [`SeenValues`](super::SeenValues).
    pub const SEEN_VALUES: &str = "SEEN_VALUES";
    /// Seen calls whose number has no byte in a row: [`UnindexedKey`](super::UnindexedKey) → 1.
    pub const UNINDEXED: &str = "UNINDEXED";
    /// Process id (tgid) → [`ProcessEntry`](super::ProcessEntry).
    pub const PROCESSES: &str = "PROCESSES";
    /// Thread id → where a thread under a filter is: [`OUTSIDE_SYSCALL`](super::OUTSIDE_SYSCALL) or
    /// [`INSIDE_SYSCALL`](super::INSIDE_SYSCALL).
    pub const THREADS: &str = "THREADS";
    /// Executable id → [`ExecutablePath`](super::ExecutablePath); and its id under another name → the same.
    pub const EXECUTABLES: &str = "EXECUTABLES";
    /// Executable id → [`ResolvedPath`](super::ResolvedPath), where accesses are recorded.
    pub const RESOLVED_PATHS: &str = "RESOLVED_PATHS";
    /// Hash of an access → 0 when user space was told of it, else how often that failed.
    pub const REPORTED: &str = "REPORTED";
    /// Hash of a directory, a row and a kind of access → how many files of it were told apart.
    pub const DIRECTORY_FILES: &str = "DIRECTORY_FILES";
    /// Row number → a number that changes when the row is given to others: part of each hash.
    pub const ROW_GENERATIONS: &str = "ROW_GENERATIONS";
    /// Byte in a row → [`Operation`](super::Operation): how a call is read when it ends.
    pub const OPERATIONS: &str = "OPERATIONS";
    /// Ring buffer of [`AccessEvent`](super::AccessEvent).
    pub const ACCESSES: &str = "ACCESSES";
    /// Ring buffer of [`Event`](super::Event) and [`Notice`](super::Notice).
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

/// Where in the life of its container a task is when it makes a call.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The workload itself.
    Run = 0,
    /// A runtime's process prepares the container, or its own entry into one that runs.
    Setup = 1,
    /// The same, on a thread that has loaded a filter since it came in.
    RuntimeInit = 2,
    /// A program that was put into the running container.
    Exec = 3,
    /// The same, with a controlling terminal when it was started: somebody's session.
    Terminal = 4,
}

impl Phase {
    /// Whether a runtime is at work: such a task's row may change with any call.
    pub const fn is_runtime(self) -> bool {
        matches!(self, Self::Setup | Self::RuntimeInit)
    }

    /// The phase of that number; a number that stands for none is [`Phase::Run`], which hides
    /// nothing.
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Setup,
            2 => Self::RuntimeInit,
            3 => Self::Exec,
            4 => Self::Terminal,
            _ => Self::Run,
        }
    }
}

/// What a recorded cgroup is taken for.
pub mod kind {
    /// All that happens in it is the workload: a command's cgroup, or one that was asked for.
    pub const PLAIN: u32 = 0;
    /// A container, or what may turn out to be one: what enters it is a runtime's process first.
    pub const CONTAINER: u32 = 1;
}

/// A thread under a filter is not in a call: an exit now is that of a call that was stopped. The bits above the
/// lowest are those of how often the thread had waited by then.
pub const OUTSIDE_SYSCALL: u32 = 0;

/// A thread under a filter is in a call that was seen to begin.
pub const INSIDE_SYSCALL: u32 = 1;

/// Beside [`OUTSIDE_SYSCALL`] in the state of a thread: a filter stopped the last call.
pub const STOPPED_SYSCALL: u32 = 2;

/// A recorded cgroup: which instance its tasks belong to.
///
/// The words at the end are the instance's, and kept in the entry of the cgroup that the
/// instance began with; `populated` is each cgroup's own. Each is only ever set, by a plain store.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupEntry {
    /// Id of the cgroup that the instance was started with; children inherit it.
    pub instance: u64,
    /// Executable id of its processes that have not been seen to exec: [`EXE_UNKNOWN`] or
    /// [`EXE_LAUNCHER`].
    pub first_exe: u64,
    /// One of [`kind`].
    pub kind: u32,
    /// 1 once a process has been put into this cgroup.
    pub populated: u32,
    /// 1 once the workload was started: what enters later is another program.
    pub started: u32,
    /// 1 once a task of it was seen under a filter.
    pub filtered: u32,
    /// 1 when a task came under a filter while [`Control::exits`] was 0: what the filter stopped then
    /// was not seen.
    pub missed_filter: u32,
    /// 1 once a process of the workload went to a cgroup that is not recorded, or had a child made
    /// there: what they did then was not seen.
    pub escaped: u32,
    /// 1 when its processes are all in [`maps::PROCESSES`]: one that is not has come from outside.
    pub introduced: u32,
    /// 1 once the cgroup was removed: no task of it can make a call any more.
    pub removed: u32,
}

/// Longest path of a cgroup that is kept, terminating NUL included. In Kubernetes they have some
/// 200 bytes; a node that is itself a container doubles that.
pub const CGROUP_PATH_LEN: usize = 1024;

/// The path of a cgroup that the kernel side found, below the root of its hierarchy.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CgroupPath {
    /// Bytes used in `bytes`, without a terminating NUL.
    pub len: u32,
    /// 1 when the path was longer than [`CGROUP_PATH_LEN`] - 1 bytes.
    pub truncated: u32,
    /// The path.
    pub bytes: [u8; CGROUP_PATH_LEN],
}

/// A process of a recorded cgroup.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Executable id.
    pub exe: u64,
    /// The instance it came into last.
    pub instance: u64,
    /// Address of the seccomp filter that it came in with, 0 for none: a thread that has another
    /// one has loaded it since.
    pub filter: u64,
    /// A [`Phase`]: [`Phase::Setup`] until its program is started.
    pub phase: u32,
    /// 1 when it came into a container that ran already.
    pub late: u32,
    /// 1 once it was seen under a filter.
    pub filtered: u32,
    /// Always 0.
    pub pad: u32,
}

/// What a row of marks stands for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The instance, as in [`CgroupEntry`].
    pub instance: u64,
    /// Executable id: a hash of its file, [`EXE_UNKNOWN`] or [`EXE_OVERFLOW`].
    pub exe: u64,
    /// A [`Phase`].
    pub phase: u32,
    /// 1 for the calls that a filter stopped, 0 for those that were made.
    pub blocked: u32,
}

/// Executable id of a process whose exec was not seen.
pub const EXE_UNKNOWN: u64 = 0;

/// Executable id of the row that takes over when no row is left: observations stay complete, only
/// the executable behind them is lost.
pub const EXE_OVERFLOW: u64 = 1;

/// Executable id of what starts the workload, until it execs.
pub const EXE_LAUNCHER: u64 = 2;

/// The smallest executable id that stands for a file.
pub const EXE_FIRST_PATH: u64 = 3;

/// A seen call that has no byte in a row.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnindexedKey {
    /// The row that would have held it.
    pub row: u32,
    /// The number as the kernel got it.
    pub nr: u32,
    /// An [`AbiClass`].
    pub abi: u32,
    /// Always 0: keys are compared as bytes.
    pub pad: u32,
}

/// An executable: the file that runs, and the name it was asked for by (`linux_binprm.filename`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExecutablePath {
    /// `super_block.s_dev`, 0 when the file is not known.
    pub device: u32,
    /// `inode.i_generation`: another one when the number is used again, where file systems keep it.
    pub generation: u32,
    /// `inode.i_ino`, 0 when the file is not known.
    pub inode: u64,
    /// When the inode was changed last, in nanoseconds: where generations are not kept.
    pub changed: u64,
    /// 1 when the file is an interpreter, and what runs is the script that the name stands for.
    pub script: u32,
    /// Bytes used in `bytes`, without a terminating NUL.
    pub len: u32,
    /// For a script, the name's working directory as a number; else 0.
    pub start: u64,
    /// 1 when the name was longer than [`PATH_LEN`] - 1 bytes.
    pub truncated: u32,
    /// Always 0.
    pub pad: u32,
    /// The name.
    pub bytes: [u8; PATH_LEN],
}

/// FNV-1a's prime (<http://www.isthe.com/chongo/tech/comp/fnv/>).
const PRIME: u64 = 0x0100_0000_01b3;

impl ExecutablePath {
    /// Nothing is known.
    pub const EMPTY: Self = Self {
        device: 0,
        generation: 0,
        inode: 0,
        changed: 0,
        script: 0,
        len: 0,
        start: 0,
        truncated: 0,
        pad: 0,
        bytes: [0; PATH_LEN],
    };

    /// The value for a name whose file is not known, cut where the kernel side would cut it.
    pub const fn new(path: &[u8]) -> Self {
        let mut this = Self::EMPTY;
        while (this.len as usize) < path.len() && (this.len as usize) < PATH_LEN - 1 {
            this.bytes[this.len as usize] = path[this.len as usize];
            this.len += 1;
        }
        this.truncated = (this.len as usize == PATH_LEN - 1) as u32;
        this
    }

    /// The executable id: of the file, however it was called. Of a script, and of what no file is known of,
    /// the name takes part. Two that collide would share evidence, never lose an observation; one file that
    /// has two ids is put together by its path.
    #[inline(always)]
    pub fn id(&self) -> u64 {
        let named = self.inode == 0 || self.script != 0;
        let mut hash = if named {
            self.hash_of_name()
        } else {
            0xcbf2_9ce4_8422_2325
        };
        if self.inode != 0 {
            let file = u64::from(self.device) << 32 | u64::from(self.generation);
            hash = spread(hash, file);
            hash = spread(hash, self.inode);
            hash = spread(hash, self.changed);
            hash = spread(hash, self.start);
        }
        hash.max(EXE_FIRST_PATH)
    }

    /// FNV-1a, 64 bits.
    #[inline(always)]
    fn hash_of_name(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        // Over the whole array and not `..len`: a loop of fixed length needs no bounds check that
        // the verifier would have to follow.
        for (i, byte) in self.bytes.iter().enumerate() {
            if i >= self.len as usize {
                break;
            }
            hash = (hash ^ *byte as u64).wrapping_mul(PRIME);
        }
        hash
    }
}

/// Adds a word to a hash, and brings the upper half back.
#[inline(always)]
const fn spread(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

/// Longest path of an executable that is kept, and room for one more name.
pub const RESOLVED_LEN: usize = 1024;

/// Where an executable lies: its names from the last one up, each ended by a NUL. For a script, those of the
/// directory that its name starts from.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ResolvedPath {
    /// Bytes used in `bytes`.
    pub len: u32,
    /// 1 when there was no room for all names.
    pub truncated: u32,
    /// The names.
    pub bytes: [u8; RESOLVED_LEN],
}

/// What user space maps, and both sides write while the programs run: whole words only.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    /// Grows whenever a task may have changed its row otherwise than by fork or exec; a slot of an
    /// older epoch is not believed.
    pub epoch: u64,
    /// 1 while the exits of calls are watched.
    pub exits: u64,
    /// Rows of marks that are taken.
    pub rows_taken: u64,
    /// Numbers of values that are taken.
    pub values_taken: u64,
    /// Cgroups that were found and that nobody was in so far. What several processors change at once may
    /// be counted twice or not at all.
    pub unused_cgroups: u64,
    /// The id of the first cgroup that was made after the programs were attached; ids only grow
    /// (`kernfs_new_node`, fs/kernfs/dir.c).
    pub first_new_cgroup: u64,
    /// Places in the table of reported accesses that are taken.
    pub accesses_taken: u64,
    /// Paths of executables that are kept.
    pub executables_kept: u64,
    /// The per-task cache, see [`slot`].
    pub slots: [u64; slot::SLOTS],
    /// Values of arguments that are marked already, see [`recent`].
    pub recent: [u64; recent::WORDS],
}

const _: () = {
    assert!(ROW_BYTES as usize == ROW_LEN && VALUE_NUMBERS as usize == MAX_VALUES);
    assert!(size_of::<Config>() == 108 * 4 && align_of::<Config>() == 4);
    assert!(size_of::<CgroupEntry>() == 48 && align_of::<CgroupEntry>() == 8);
    assert!(size_of::<CgroupPath>() == 8 + CGROUP_PATH_LEN);
    assert!(size_of::<ProcessEntry>() == 40 && align_of::<ProcessEntry>() == 8);
    assert!(size_of::<RowKey>() == 24 && align_of::<RowKey>() == 8);
    assert!(size_of::<UnindexedKey>() == 16);
    assert!(size_of::<Watch>() == 40 && align_of::<Watch>() == 8);
    assert!(size_of::<ValueKey>() == 32 && align_of::<ValueKey>() == 8);
    assert!(size_of::<SeenValues>() == MAX_VALUES + 2 * MAX_WATCHES);
    assert!(size_of::<ExecutablePath>() == 48 + PATH_LEN);
    assert!(size_of::<ResolvedPath>() == 8 + RESOLVED_LEN);
    assert!(size_of::<Access>() == 88 && align_of::<Access>() == 8);
    assert!(size_of::<Operation>() == 56);
    assert!(size_of::<Event>() == 96 && align_of::<Event>() == 8);
    assert!(size_of::<Notice>() == 24 && align_of::<Notice>() == 8);
    assert!(size_of::<Counters>() == 136);
    assert!(size_of::<Control>() == 64 + 8 * (slot::SLOTS + recent::WORDS));
};
