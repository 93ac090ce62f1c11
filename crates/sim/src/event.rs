//! What happens in a schedule.

use std::fmt;

use tracer_ebpf::machine::Settings;

/// How many tasks there can be at once. The first is the system's own: it is not recorded and never
/// ends.
pub(crate) const TASKS: usize = 10;

/// How many cgroups there can be at once. The first is the root, which is not recorded.
pub(crate) const CGROUPS: usize = 7;

/// How many files there are.
pub(crate) const FILES: usize = 3;

/// The calls that are made: number, and whether by the 32-bit entry.
pub(crate) const CALLS: [(u32, bool); 14] = [
    (0, false),
    (1, false),
    (39, false),
    (IOCTL, false),
    (IOCTL, false),
    (SOCKET, false),
    (SOCKET, false),
    (CLONE3, false),
    (157, false),
    (3, true),
    (20, true),
    // No byte in a row stands for these.
    (600, false),
    (0x4000_0001, false),
    (700, true),
];

/// Calls whose arguments are recorded.
pub(crate) const IOCTL: u32 = 16;
pub(crate) const SOCKET: u32 = 41;
pub(crate) const CLONE3: u32 = 435;

/// Something that happens. Tasks and cgroups are named by their places in tables; an event that finds
/// nobody there, or that the kernel would refuse, does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A task makes a call, which its filter does not stop.
    Call {
        /// Who.
        task: usize,
        /// Which of the calls.
        call: usize,
        /// Chooses its arguments.
        value: u64,
    },
    /// A task makes a call that its filter stops.
    Blocked {
        /// Who.
        task: usize,
        /// Which of the calls.
        call: usize,
        /// What it is answered with; `None` for a signal.
        errno: Option<u8>,
    },
    /// A call is stopped by a verdict that ends the thread.
    Killed {
        /// Who.
        task: usize,
        /// Which of the calls.
        call: usize,
    },
    /// A task makes another one.
    Fork {
        /// Who.
        task: usize,
        /// Where the child is put.
        child: usize,
        /// Whether it is a thread of the same process.
        thread: bool,
        /// The cgroup it is made in, by `CLONE_INTO_CGROUP`.
        into: Option<usize>,
        /// Whether the kernel makes it without the tracepoint.
        silent: bool,
        /// Which of the free kernel stacks it gets, the latest first.
        stack: usize,
    },
    /// A task executes a program.
    Exec {
        /// Who.
        task: usize,
        /// Which program.
        program: usize,
    },
    /// A thread ends.
    Exit {
        /// Who.
        task: usize,
    },
    /// The process of a task is moved.
    Move {
        /// One of its threads.
        task: usize,
        /// Where to.
        cgroup: usize,
    },
    /// A task loads a filter.
    Filter {
        /// Who.
        task: usize,
        /// Whether for all threads of its process.
        all: bool,
    },
    /// A task opens a file.
    Open {
        /// Who.
        task: usize,
        /// Which file.
        file: usize,
    },
    /// A cgroup is made.
    Mkdir {
        /// Where it is put.
        cgroup: usize,
        /// Below which.
        parent: usize,
    },
    /// A cgroup is removed.
    Rmdir {
        /// Which.
        cgroup: usize,
    },
    /// User space begins to record a cgroup.
    Watch {
        /// Which.
        cgroup: usize,
        /// Whether as a container.
        container: bool,
    },
    /// User space ends to record the instance that a cgroup belongs to.
    Unwatch {
        /// Which.
        cgroup: usize,
    },
    /// User space reads an instance that is over and gives back what it took up.
    Release {
        /// The place of the cgroup that it began with.
        cgroup: usize,
    },
    /// User space begins or ends to watch the exits of calls.
    WatchExits {
        /// Begins.
        on: bool,
    },
    /// User space reads the rings.
    Drain,
}

/// Events, and how they are run.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The number it was drawn from, and by which events are interrupted.
    pub seed: u64,
    /// How many CPUs there are.
    pub cpus: usize,
    /// An event is interrupted at one in so many places.
    pub one_in: u32,
    /// Sizes of maps, and choices.
    pub settings: Settings,
    /// What happens, in the order in which it begins. Each has a number of its own, which it keeps when
    /// others are left out: by it, it is interrupted at the same places.
    pub events: Vec<(u32, Event)>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "schedule {}: {} CPUs, interrupted at one place in {}, {:?}",
            self.seed, self.cpus, self.one_in, self.settings
        )?;
        for (number, event) in &self.events {
            writeln!(f, "  {number:3} {event:?}")?;
        }
        Ok(())
    }
}
