//! Loading and attaching.

use std::collections::VecDeque;

use anyhow::Context as _;
use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{HashMap, MapData, MapError, Queue},
    programs::{BtfTracePoint, tp_btf::BtfTracePointLinkId},
};
use aya_log::EbpfLogger;
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{SysconfVar, sysconf},
};
use tracer_abi::{Config, FIRST_ROW, FileSource, MAX_ROWS, VALUE_NUMBERS, maps as names};

use super::{
    AccessRing, Events, Mechanism, MechanismChoice, Mechanisms, ProbeError,
    accesses::{self, UntoldAccesses},
    arguments::Values,
    control::Control,
    executables::UnusedExecutables,
    offsets::{self, RunningKernel},
    pod::Plain,
    support,
    verifier::{self, Target},
};
use syscalls::Machine;

/// The kernel programs, as `cargo xtask build` made them.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer.bpf.o"));

/// How much is shown of why the kernel refuses a program, in characters: the verifier's log has pages.
const WORDS_OF_KERNEL: usize = 200;

/// The programs, by the tracepoint each attaches to. Their names in the object, and the order in
/// which they are attached: what finds a cgroup before its first call comes last, when all that
/// records it is in place.
const PROGRAMS: [(&str, &str); 8] = [
    ("rmdir", "cgroup_rmdir"),
    ("attach_task", "cgroup_attach_task"),
    ("fork", "sched_process_fork"),
    ("exec", "sched_process_exec"),
    EXEC_ACCESSES,
    ("exit", "sched_process_exit"),
    ("sys_enter", "sys_enter"),
    ("mkdir", "cgroup_mkdir"),
];

/// What an exec maps, which is told after the program above has given the process its row; only where
/// accesses are recorded.
const EXEC_ACCESSES: (&str, &str) = ("exec_accesses", "sched_process_exec");

/// The program that sees what a filter stops, and its tracepoint: attached only while it is needed.
const EXITS: (&str, &str) = ("sys_exit", "sys_exit");

/// Sizes and choices, as resolved from the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the ring buffer: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Rows of marks: one for each (instance, phase, executable).
    pub max_rows: u32,
    /// Cgroups that can be recorded at once, children included.
    pub max_cgroups: u32,
    /// Whether every cgroup that is made from now on is recorded, as what may be a container.
    pub discover: bool,
    /// By what accesses to files, capabilities and the like are seen.
    pub accesses: MechanismChoice,
    /// Different accesses that can be told apart at once.
    pub max_accesses: u32,
    /// Whether each call that a filter stops is told, and not only the first of each kind.
    pub report_every_blocked: bool,
    /// Whether the programs' own diagnostics are wanted.
    pub kernel_log: bool,
    /// The SELinux type that the workload is to run in, if it was given.
    pub selinux_type: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ring_bytes: 256 * 1024,
            max_rows: 4096,
            max_cgroups: 16 * 1024,
            discover: false,
            accesses: MechanismChoice::Best,
            max_accesses: 64 * 1024,
            report_every_blocked: false,
            kernel_log: false,
            selinux_type: None,
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
    pub(super) values: Values,
    pub(super) unused_executables: UnusedExecutables,
    pub(super) untold: UntoldAccesses,
    /// The attachment of [`EXITS`].
    exits: Option<BtfTracePointLinkId>,
    /// Whether [`EXITS`] is attached from the beginning: where accesses are recorded, whose programs cost more
    /// than one that only looks for the call that loads a filter.
    exits_always: bool,
    /// What serves the kinds of access.
    mechanisms: Mechanisms,
    /// The last one of [`names::ROW_GENERATIONS`].
    pub(super) salt: u64,
    /// Drains the programs' diagnostics, when they were asked for.
    pub logger: Option<EbpfLogger<&'static dyn log::Log>>,
}

impl Probe {
    /// Loads the programs and attaches them. Nothing is recorded until [`watch`](Self::watch), but
    /// what [`Settings::discover`] finds.
    ///
    /// # Errors
    /// [`ProbeError`]: what is missing on this host, or what the kernel refused.
    #[expect(
        clippy::too_many_lines,
        reason = "the steps of loading, in their order; each is a function"
    )]
    pub fn load(settings: &Settings) -> Result<(Self, Events), ProbeError> {
        settings.check()?;
        support::check()?;
        if OBJECT.is_empty() {
            return Err(ProbeError::NoObject);
        }
        let RunningKernel {
            config,
            accesses,
            attach_points: btf,
        } = offsets::of_running_kernel()?;
        let limit = MemlockLimit::of_now();
        let machine = Machine::this().ok_or(ProbeError::Machine(std::env::consts::ARCH))?;
        let preferred_mechanisms = match accesses {
            Ok(offered) => accesses::preferred_mechanisms(settings.accesses, offered),
            Err(why) => {
                log::warn!("files, capabilities and the like are not recorded: {why}");
                Vec::new()
            }
        };
        let mut preferred_mechanisms: VecDeque<_> = preferred_mechanisms
            .into_iter()
            .map(Some)
            .chain([None])
            .collect();
        // An object of which nothing is attached yet, and what it was made for.
        let mut unused: Option<(FileSource, Ebpf)> = None;
        let (mut ebpf, mechanisms) = loop {
            let files = preferred_mechanisms.pop_front().flatten();
            let by = accesses::files_by(files);
            let mut ebpf = match unused.take() {
                Some((same, ebpf)) if same == by => ebpf,
                _ => load_object(settings, config, files, &btf)?,
            };
            // One program tells whether the kernel takes any of the kind: all the others, which take the
            // verifier a tenth of a second, are loaded after that.
            let cause = match accesses::first(&mut ebpf, &btf, files) {
                Ok(()) => {
                    let targets = all_targets(files);
                    verifier::load_all(&mut ebpf, &btf, &targets);
                    if files.is_some() {
                        attach_exits(&mut ebpf, &btf)?;
                    }
                    match accesses::load(&mut ebpf, &btf, files, settings.accesses) {
                        Ok(mechanisms) => break (ebpf, mechanisms),
                        Err(cause) => cause,
                    }
                }
                Err(cause) => {
                    unused = Some((by, ebpf));
                    cause
                }
            };
            match settings.accesses {
                MechanismChoice::Only(mechanism) => {
                    return Err(ProbeError::Accesses {
                        mechanism,
                        cause: cause.into(),
                    });
                }
                // A better way that is not there is no failure; the next one is tried.
                _ => log::debug!("a way of seeing files is not there: {cause:#}"),
            }
            if preferred_mechanisms.len() == 1 {
                let cause = format!("{cause:#}");
                let line = cause.lines().next().unwrap_or_default();
                let why: String = line.chars().take(WORDS_OF_KERNEL).collect();
                log::warn!("files, capabilities and the like are not recorded: {why}");
            }
        };

        let logger = settings
            .kernel_log
            .then(|| EbpfLogger::init(&mut ebpf))
            .transpose()
            .context("the programs' diagnostics cannot be read")
            .map_err(|cause| ProbeError::Load(cause.into()))?;
        let control = Control::map(&mut ebpf)?;
        let accesses = AccessRing::new(&mut ebpf)?;
        let events = Events::new(&mut ebpf, accesses)?;
        fill_free_rows(&mut ebpf, settings.max_rows)?;
        accesses::fill_operations(&mut ebpf, machine)?;
        let values = Values::ask(&mut ebpf, machine)?;
        attach(&mut ebpf, &btf, mechanisms.files.is_some())?;
        drop(btf);
        limit.restore();
        give_memory_back();
        let exits_always = mechanisms.files.is_some();
        Ok((
            Self {
                ebpf,
                control,
                values,
                unused_executables: UnusedExecutables::new(settings.max_rows),
                untold: UntoldAccesses::new(settings.max_accesses / 2),
                exits: None,
                exits_always,
                mechanisms,
                salt: 0,
                logger,
            },
            events,
        ))
    }

    /// What serves the kinds of access.
    pub fn mechanisms(&self) -> &Mechanisms {
        &self.mechanisms
    }

    /// Whether the exits of calls are watched, by which calls that a filter stops are seen.
    pub fn watches_exits(&self) -> bool {
        self.exits.is_some()
    }

    /// Begins or ends to watch the exits of calls.
    ///
    /// # Errors
    /// [`ProbeError::Attach`] when the kernel refuses.
    pub fn watch_exits(&mut self, watch: bool) -> Result<(), ProbeError> {
        if self.exits_always {
            self.control.watch_exits(watch);
            return if watch { Ok(()) } else { self.forget_threads() };
        }
        if watch == self.watches_exits() {
            return Ok(());
        }
        // Beginning, the word comes first, so that no exit is taken for one whose entry was not
        // noted; ending, it goes first too, and what is known of threads goes with it.
        self.control.watch_exits(watch);
        let mut change = || -> anyhow::Result<_> {
            let program: &mut BtfTracePoint = self
                .ebpf
                .program_mut(EXITS.0)
                .context("it is not in the object")?
                .try_into()?;
            Ok(match self.exits.take() {
                None => Some(program.attach()?),
                Some(link) => {
                    program.detach(link)?;
                    None
                }
            })
        };
        self.exits = change().map_err(|cause| ProbeError::Attach {
            program: EXITS.1,
            cause: cause.into(),
        })?;
        if !watch {
            self.forget_threads()?;
        }
        Ok(())
    }

    fn forget_threads(&mut self) -> Result<(), ProbeError> {
        let mut threads: HashMap<_, u32, u32> = self.map_mut(names::THREADS)?;
        for tid in threads.keys().flatten().collect::<Vec<_>>() {
            // It may have ended in the meantime.
            let _ = threads.remove(&tid);
        }
        Ok(())
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

/// Loads the object, with the sizes and choices of the settings; its programs are not loaded yet.
fn load_object(
    settings: &Settings,
    mut config: Config,
    files: Option<Mechanism>,
    btf: &Btf,
) -> Result<Ebpf, ProbeError> {
    config.slot_cache = 1;
    config.ring = 1;
    config.wakeup_bytes = settings.ring_bytes / 4;
    config.discover = u32::from(settings.discover);
    config.report_every_blocked = u32::from(settings.report_every_blocked);
    config.common_rows = settings.max_rows / 2;
    // Of a command with many programs the common half is enough; 16 others have room beside it.
    config.row_share = (settings.max_rows / 32).max(8);
    // One workload seldom has more than a thousand.
    config.common_accesses = settings.max_accesses / 4 * 3;
    config.access_share = (settings.max_accesses / 64).max(8);
    config.common_values = VALUE_NUMBERS / 2;
    config.value_share = VALUE_NUMBERS / 16;
    config.most_unused_cgroups = settings.max_cgroups / 4;
    config.files_by = accesses::files_by(files) as u32;
    config.exits_attached = u32::from(files.is_some());
    // An access takes some 600 bytes, an event of a call 100.
    let accesses_bytes = match files {
        Some(_) => settings.ring_bytes.saturating_mul(16),
        None => settings.ring_bytes,
    };
    config.accesses_wakeup = accesses_bytes / 4;
    let max_accesses = match files {
        Some(_) => settings.max_accesses,
        None => 1,
    };
    let resolved_paths = files.map_or(1, |_| settings.max_rows);
    let log_level: u8 = if settings.kernel_log { 4 } else { 0 };
    EbpfLoader::new()
        .btf(Some(btf))
        .override_global(names::CONFIG, &Plain(config), true)
        .override_global(aya_log::LEVEL, &log_level, true)
        .map_max_entries(names::EVENTS, settings.ring_bytes)
        .map_max_entries(names::MARKS, settings.max_rows)
        .map_max_entries(names::SEEN_VALUES, settings.max_rows)
        .map_max_entries(names::ROWS, settings.max_rows)
        .map_max_entries(names::FREE_ROWS, settings.max_rows)
        .map_max_entries(names::ROW_OWNERS, settings.max_rows)
        .map_max_entries(names::ACCOUNTS, settings.max_cgroups)
        .map_max_entries(names::UNWANTED, settings.max_cgroups)
        .map_max_entries(names::EXECUTABLES, settings.max_rows.saturating_mul(2))
        .map_max_entries(names::RESOLVED_PATHS, resolved_paths)
        .map_max_entries(names::UNINDEXED, settings.max_rows.saturating_mul(4))
        .map_max_entries(names::CGROUPS, settings.max_cgroups)
        .map_max_entries(names::PROCESSES, settings.max_cgroups)
        .map_max_entries(names::THREADS, settings.max_cgroups)
        .map_max_entries(names::ACCESSES, accesses_bytes)
        .map_max_entries(names::REPORTED, max_accesses)
        .map_max_entries(names::DIRECTORY_FILES, max_accesses)
        .map_max_entries(names::ROW_GENERATIONS, settings.max_rows)
        .load(OBJECT)
        .context("the kernel or aya refused the object")
        .map_err(|cause| ProbeError::Load(cause.into()))
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

/// The kernel's BTF takes several megabytes while it is read, which glibc keeps for later; a recorder that runs
/// for days has no later. musl gives freed memory back by itself.
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

/// Those that are always there, or with accesses, in their order.
fn programs(accesses: bool) -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    PROGRAMS
        .into_iter()
        .filter(move |program| accesses || *program != EXEC_ACCESSES)
}

fn attach(ebpf: &mut Ebpf, btf: &Btf, accesses: bool) -> Result<(), ProbeError> {
    let failed = |tracepoint| {
        move |cause: anyhow::Error| ProbeError::Attach {
            program: tracepoint,
            cause: cause.into(),
        }
    };
    // The verifier takes its time; attaching is then quick.
    for (program, what) in programs(accesses).chain([EXITS]) {
        verifier::load(ebpf, btf, Target { program, what }).map_err(failed(what))?;
    }
    for (program, what) in programs(accesses) {
        attach_one(ebpf, program).map_err(failed(what))?;
    }
    Ok(())
}

/// All programs that are likely to be loaded.
fn all_targets(files: Option<Mechanism>) -> Vec<Target<'static>> {
    let own = programs(files.is_some()).chain([EXITS]);
    let own = own.map(|(program, what)| Target { program, what });
    accesses::targets(files).into_iter().chain(own).collect()
}

/// Before what else looks at the ends of calls: the exit of the call that loads a filter is the first that must be
/// watched.
fn attach_exits(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), ProbeError> {
    let (program, what) = EXITS;
    verifier::load(ebpf, btf, Target { program, what })
        .and_then(|()| attach_one(ebpf, program))
        .map_err(|cause| ProbeError::Attach {
            program: what,
            cause: cause.into(),
        })
}

fn attach_one(ebpf: &mut Ebpf, program: &str) -> anyhow::Result<()> {
    let program: &mut BtfTracePoint = ebpf
        .program_mut(program)
        .context("it is not in the object")?
        .try_into()?;
    program.attach()?;
    Ok(())
}
