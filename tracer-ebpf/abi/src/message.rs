//! What the ring carries.

use crate::COMM_LEN;

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
    /// An [`crate::AbiClass`].
    pub abi: u32,
    /// The mark: one of [`crate::outcome`]. Of a call that a filter stopped, the bits from
    /// [`crate::outcome::FILTERS_SHIFT`] on may have the number of filters on the thread.
    pub outcome: u32,
}

/// Something that happened to a cgroup. What it tells is in the maps too, so that a notice that
/// found no room only comes late.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Nanoseconds on the monotonic clock.
    pub time: u64,
    /// The instance.
    pub instance: u64,
    /// A [`NoticeKind`].
    pub kind: u32,
    /// Process id (tgid) of who did it.
    pub pid: u32,
}

/// What a [`Notice`] tells.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// A cgroup was made that may be a container's.
    Made = 1,
    /// The workload in it was started.
    Started = 2,
    /// A task of it came under a filter for the first time.
    Filtered = 3,
    /// The cgroup was removed: no task of it can make a call any more.
    Removed = 4,
    /// The first process came into a cgroup that may be a container's.
    Entered = 5,
}
