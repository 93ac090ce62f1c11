//! Loading and attaching.

use anyhow::Context as _;
use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{HashMap, MapData, MapError, Queue},
    programs::BtfTracePoint,
};
use aya_log::EbpfLogger;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{SysconfVar, sysconf},
};
use tracer_ebpf::{CgroupEntry, EXE_OVERFLOW, FIRST_ROW, MAX_ROWS, Phase, RowKey, maps as names};

use super::{Events, ProbeError, control::Control, offsets, support};

/// The kernel programs, as `cargo xtask build` made them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer.bpf.o"));

/// The programs, by the tracepoint each attaches to. Their names in the object, and the order in
/// which they are attached: what keeps the state right comes before what uses it.
const PROGRAMS: [(&str, &str); 7] = [
    ("mkdir", "cgroup_mkdir"),
    ("release", "cgroup_release"),
    ("attach_task", "cgroup_attach_task"),
    ("fork", "sched_process_fork"),
    ("exec", "sched_process_exec"),
    ("exit", "sched_process_exit"),
    ("sys_enter", "sys_enter"),
];

/// Sizes and choices, as resolved from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the ring buffer: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Rows of marks: one for each (instance, phase, executable).
    pub max_rows: u32,
    /// Cgroups that can be recorded at once, children included.
    pub max_cgroups: u32,
    /// Whether the programs' own diagnostics are wanted.
    pub kernel_log: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ring_bytes: 256 * 1024,
            max_rows: 4096,
            max_cgroups: 16 * 1024,
            kernel_log: false,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), ProbeError> {
        let page = sysconf(SysconfVar::PAGE_SIZE)
            .ok()
            .flatten()
            .and_then(|size| u32::try_from(size).ok())
            .unwrap_or(4096);
        if !self.ring_bytes.is_power_of_two() || self.ring_bytes < page {
            return Err(ProbeError::RingSize(self.ring_bytes, page));
        }
        if !(16..=MAX_ROWS).contains(&self.max_rows) {
            return Err(ProbeError::MaxRows(self.max_rows, MAX_ROWS));
        }
        Ok(())
    }
}

/// The loaded and attached kernel side. Dropping it detaches and frees everything.
pub struct Probe {
    pub(super) ebpf: Ebpf,
    pub(super) control: Control,
    /// Drains the programs' diagnostics, when they were asked for.
    pub logger: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Probe {
    /// Loads the programs and attaches them. Nothing is recorded until [`watch`](Self::watch).
    ///
    /// # Errors
    /// [`ProbeError`]: what is missing on this host, or what the kernel refused.
    pub fn load(settings: &Settings) -> Result<(Self, Events), ProbeError> {
        settings.check()?;
        support::check()?;
        if OBJECT.is_empty() {
            return Err(ProbeError::NoObject);
        }
        let mut config = offsets::of_running_kernel()?;
        config.slot_cache = 1;
        config.ring = 1;
        config.wakeup_bytes = settings.ring_bytes / 4;
        let log_level: u8 = if settings.kernel_log { 4 } else { 0 };

        let limit = MemlockLimit::of_now();
        let mut ebpf = EbpfLoader::new()
            .override_global(names::CONFIG, &config, true)
            .override_global(aya_log::LEVEL, &log_level, true)
            .map_max_entries(names::EVENTS, settings.ring_bytes)
            .map_max_entries(names::MARKS, settings.max_rows)
            .map_max_entries(names::ROWS, settings.max_rows)
            .map_max_entries(names::FREE_ROWS, settings.max_rows)
            .map_max_entries(names::EXECUTABLES, settings.max_rows)
            .map_max_entries(names::EXOTIC, settings.max_rows.saturating_mul(4))
            .map_max_entries(names::CGROUPS, settings.max_cgroups)
            .map_max_entries(names::PROCESSES, settings.max_cgroups)
            .load(OBJECT)
            .context("the kernel or aya refused the object")
            .map_err(ProbeError::Load)?;

        let logger = settings
            .kernel_log
            .then(|| EbpfLogger::init(&mut ebpf))
            .transpose()
            .context("the programs' diagnostics cannot be read")
            .map_err(ProbeError::Load)?;
        let control = Control::map(&mut ebpf)?;
        let events = Events::new(&mut ebpf)?;
        fill_free_rows(&mut ebpf, settings.max_rows)?;
        attach(&mut ebpf)?;
        limit.restore();
        give_memory_back();
        Ok((
            Self {
                ebpf,
                control,
                logger,
            },
            events,
        ))
    }

    /// Begins to record the cgroup with this id, and every child it has from now on.
    ///
    /// `first_exe` stands for the executable of processes that were not seen to exec.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when a map is full.
    pub fn watch(&mut self, cgroup: u64, instance: u64, first_exe: u64) -> Result<(), ProbeError> {
        self.reserve_overflow_row(instance)?;
        let mut cgroups: HashMap<_, u64, CgroupEntry> = self.map_mut(names::CGROUPS)?;
        cgroups
            .insert(
                cgroup,
                CgroupEntry {
                    instance,
                    first_exe,
                },
                0,
            )
            .context("a recorded cgroup")
            .map_err(ProbeError::map("add to", names::CGROUPS))?;
        self.control.new_epoch();
        Ok(())
    }

    /// Whether the kernel side records the cgroup with this id.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the map cannot be read.
    pub fn is_watched(&mut self, cgroup: u64) -> Result<bool, ProbeError> {
        let cgroups: HashMap<_, u64, CgroupEntry> = self.map_mut(names::CGROUPS)?;
        match cgroups.get(&cgroup, 0) {
            Ok(_) => Ok(true),
            Err(MapError::KeyNotFound) => Ok(false),
            Err(error) => Err(ProbeError::map("read", names::CGROUPS)(error.into())),
        }
    }

    /// Stops recording an instance: the cgroup it began with, and all that inherited from it.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the kernel refuses.
    pub fn unwatch(&mut self, instance: u64) -> Result<(), ProbeError> {
        let mut cgroups: HashMap<_, u64, CgroupEntry> = self.map_mut(names::CGROUPS)?;
        loop {
            // A child may be made while its parent is still in the map: look until none is left.
            let members: Vec<u64> = cgroups
                .iter()
                .flatten()
                .filter(|(_, entry)| entry.instance == instance)
                .map(|(cgroup, _)| cgroup)
                .collect();
            if members.is_empty() {
                break;
            }
            for cgroup in members {
                match cgroups.remove(&cgroup) {
                    Ok(()) | Err(MapError::KeyNotFound) => {}
                    Err(error) => {
                        return Err(ProbeError::map("remove from", names::CGROUPS)(error.into()));
                    }
                }
            }
        }
        self.control.new_epoch();
        Ok(())
    }

    /// So that a call always finds a row to be marked in, even when all others are taken.
    fn reserve_overflow_row(&mut self, instance: u64) -> Result<(), ProbeError> {
        let key = RowKey {
            instance,
            exe: EXE_OVERFLOW,
            phase: Phase::Run as u32,
            pad: 0,
        };
        let rows: HashMap<_, RowKey, u32> = self.map_mut(names::ROWS)?;
        if rows.get(&key, 0).is_ok() {
            return Ok(());
        }
        let row = {
            let mut free: Queue<_, u32> = self.map_mut(names::FREE_ROWS)?;
            free.pop(0)
                .context("no row is free; use a larger --max-rows")
                .map_err(ProbeError::map("take from", names::FREE_ROWS))?
        };
        let mut rows: HashMap<_, RowKey, u32> = self.map_mut(names::ROWS)?;
        rows.insert(key, row, 0)
            .context("the instance's overflow row")
            .map_err(ProbeError::map("add to", names::ROWS))
    }

    pub(super) fn map_mut<'a, M>(&'a mut self, name: &'static str) -> Result<M, ProbeError>
    where
        M: TryFrom<&'a mut aya::maps::Map, Error = MapError>,
    {
        self.ebpf
            .map_mut(name)
            .context("it is not in the object")
            .and_then(|map| M::try_from(map).map_err(Into::into))
            .map_err(ProbeError::map("open", name))
    }
}

/// The limit on locked memory. Before Linux 5.11 BPF memory counts against it, and aya raises it
/// for that; the command must inherit what tracer was started with.
struct MemlockLimit(Option<(u64, u64)>);

impl MemlockLimit {
    fn of_now() -> Self {
        Self(getrlimit(Resource::RLIMIT_MEMLOCK).ok())
    }

    fn restore(self) {
        if let Self(Some((soft, hard))) = self
            && getrlimit(Resource::RLIMIT_MEMLOCK).ok() != Some((soft, hard))
            && let Err(error) = setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)
        {
            log::warn!("the command gets another limit of locked memory than tracer had: {error}");
        }
    }
}

/// The kernel's BTF takes some 20 MB while it is read, in pieces that glibc keeps for later; a
/// recorder that runs for days has no later. musl gives freed memory back by itself.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no arguments that point anywhere.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn fill_free_rows(ebpf: &mut Ebpf, max_rows: u32) -> Result<(), ProbeError> {
    let map = ebpf
        .map_mut(names::FREE_ROWS)
        .context("it is not in the object")
        .map_err(ProbeError::map("open", names::FREE_ROWS))?;
    let mut free: Queue<&mut MapData, u32> = Queue::try_from(map)
        .map_err(|error| ProbeError::map("open", names::FREE_ROWS)(error.into()))?;
    for row in FIRST_ROW..max_rows {
        free.push(row, 0)
            .map_err(|error| ProbeError::map("fill", names::FREE_ROWS)(error.into()))?;
    }
    Ok(())
}

fn attach(ebpf: &mut Ebpf) -> Result<(), ProbeError> {
    let btf = Btf::from_sys_fs()
        .context(support::BTF_PATH)
        .map_err(ProbeError::Load)?;
    for (name, tracepoint) in PROGRAMS {
        let mut attach = || -> anyhow::Result<()> {
            let program: &mut BtfTracePoint = ebpf
                .program_mut(name)
                .context("it is not in the object")?
                .try_into()?;
            program.load(tracepoint, &btf)?;
            program.attach()?;
            Ok(())
        };
        attach().map_err(|cause| ProbeError::Attach {
            program: tracepoint,
            cause,
        })?;
    }
    Ok(())
}
