//! The kernel side of the benchmarks: loaded once, attached and detached by turns. The only place
//! that names aya.

use std::{
    collections::BTreeSet,
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::{Context, Result, bail};
use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, MapError, RingBuf},
    programs::{
        Program, loaded_programs, raw_trace_point::RawTracePointLink, tp_btf::BtfTracePointLink,
    },
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracer_abi::{Control, FIRST_ROW, ROW_LEN};

use crate::offsets::Offsets;

/// Words in a [`Control`]: the epoch and the slots.
const CONTROL_WORDS: usize = size_of::<Control>() / size_of::<u64>();

/// All programs of the object, loaded; none attached.
pub(crate) struct Programs {
    ebpf: Ebpf,
    cgroups: Cgroups,
    ring: Option<RingBuf<MapData>>,
}

/// Which cgroup the load is in, and another one.
#[derive(Clone, Copy)]
pub(crate) struct Cgroups {
    pub(crate) load: u64,
    pub(crate) other: u64,
}

/// A program that is attached as long as this lives.
pub(crate) enum Attached {
    Raw { _link: RawTracePointLink },
    Btf { _link: BtfTracePointLink },
}

impl Programs {
    pub(crate) fn load(object: &Path, cgroups: Cgroups) -> Result<Self> {
        let offsets = Offsets::of_this_kernel()?;
        let bytes = std::fs::read(object)
            .with_context(|| format!("cannot read the benchmark's BPF object {object:?}"))?;
        let mut ebpf = EbpfLoader::new()
            .override_global("TASK_CGROUPS", &offsets.task_cgroups, true)
            .override_global("CSS_SET_DFL_CGRP", &offsets.css_set_dfl_cgrp, true)
            .override_global("CGROUP_KN", &offsets.cgroup_kn, true)
            .override_global("KERNFS_ID", &offsets.kernfs_id, true)
            .override_global("STEPS_REGS", &offsets.registers[..], true)
            .override_global("STEPS_CGROUP", &cgroups.load, true)
            .load(&bytes)
            .with_context(|| format!("cannot load {object:?}"))?;
        let ring = ebpf
            .take_map("EVENT_RING")
            .context("the benchmark's BPF object has no map EVENT_RING")?;
        let mut programs = Self {
            ebpf,
            cgroups,
            ring: Some(RingBuf::try_from(ring).context("EVENT_RING")?),
        };
        programs.load_all()?;
        Ok(programs)
    }

    fn load_all(&mut self) -> Result<()> {
        let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
        for (name, program) in self.ebpf.programs_mut() {
            match program {
                Program::RawTracePoint(program) => program.load(),
                Program::BtfTracePoint(program) => program.load("sys_enter", &btf),
                _ => bail!("program {name} is of no kind that is measured"),
            }
            .with_context(|| format!("cannot load the program {name}"))?;
        }
        Ok(())
    }

    /// Names of the programs that begin with `prefix`, in the object's order.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .ebpf
            .programs()
            .map(|(name, _)| name.to_owned())
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        names
    }

    /// Ids of the programs.
    pub(crate) fn ids(&self) -> Result<BTreeSet<u32>> {
        self.ebpf
            .programs()
            .map(|(name, program)| {
                let info = program
                    .info()
                    .with_context(|| format!("cannot look at the program {name}"))?;
                Ok(info.id())
            })
            .collect()
    }

    pub(crate) fn attach(&mut self, name: &str) -> Result<Attached> {
        let context = || format!("cannot attach the program {name}");
        match self.ebpf.program_mut(name) {
            Some(Program::RawTracePoint(program)) => {
                let id = program.attach("sys_enter").with_context(context)?;
                let link = program.take_link(id).with_context(context)?;
                Ok(Attached::Raw { _link: link })
            }
            Some(Program::BtfTracePoint(program)) => {
                let id = program.attach().with_context(context)?;
                let link = program.take_link(id).with_context(context)?;
                Ok(Attached::Btf { _link: link })
            }
            _ => bail!("the benchmark's BPF object has no program {name}"),
        }
    }

    /// Makes the designs that keep a table record one of the two cgroups, from nothing.
    pub(crate) fn record(&mut self, load: bool) -> Result<()> {
        let (on, off) = if load {
            (self.cgroups.load, self.cgroups.other)
        } else {
            (self.cgroups.other, self.cgroups.load)
        };
        let mut marks: HashMap<_, u64, [u8; ROW_LEN]> = self.map("HASH_MARKS")?;
        let _ = marks.remove(&off);
        marks.insert(on, [0; ROW_LEN], 0)?;
        let mut events: HashMap<_, u64, u32> = self.map("EVENT_CGROUPS")?;
        let _ = events.remove(&off);
        events.insert(on, 1, 0)?;
        let mut table: Array<_, [u64; 2]> = self.map("LOADS_TABLE")?;
        let places = u64::from(table.len());
        table.set(u32::try_from(off % places)?, [0, 0], 0)?;
        table.set(u32::try_from(on % places)?, [on, u64::from(FIRST_ROW)], 0)?;
        let mut slots: Array<_, [u64; CONTROL_WORDS]> = self.map("STEPS_CONTROL")?;
        slots.set(0, Box::new([0; CONTROL_WORDS]), 0)?;
        for map in ["LOADS_MARKS", "STEPS_MARKS"] {
            let mut marks: Array<_, [u8; ROW_LEN]> = self.map(map)?;
            marks.set(FIRST_ROW, [0; ROW_LEN], 0)?;
        }
        Ok(())
    }

    /// Whether a design that keeps marks has one of the load's call; `None` for one that keeps none.
    pub(crate) fn saw(&mut self, program: &str, nr: usize) -> Result<Option<bool>> {
        let load = self.cgroups.load;
        let row = match program {
            "hash" => {
                let marks: HashMap<_, u64, [u8; ROW_LEN]> = self.map("HASH_MARKS")?;
                marks.get(&load, 0).unwrap_or([0; ROW_LEN])
            }
            "loads" => {
                let marks: Array<_, [u8; ROW_LEN]> = self.map("LOADS_MARKS")?;
                marks.get(&FIRST_ROW, 0)?
            }
            "step_4_mark" => {
                let marks: Array<_, [u8; ROW_LEN]> = self.map("STEPS_MARKS")?;
                marks.get(&FIRST_ROW, 0)?
            }
            _ => return Ok(None),
        };
        Ok(row.get(nr).map(|&mark| mark != 0))
    }

    fn map<'a, M>(&'a mut self, name: &str) -> Result<M>
    where
        M: TryFrom<&'a mut Map, Error = MapError>,
    {
        let map = self
            .ebpf
            .map_mut(name)
            .with_context(|| format!("the benchmark's BPF object has no map {name}"))?;
        M::try_from(map).with_context(|| format!("the map {name} is of another kind"))
    }

    /// The ring of the event design, until [`Programs::put_ring`].
    pub(crate) fn take_ring(&mut self) -> Result<RingBuf<MapData>> {
        self.ring.take().context("the ring is read already")
    }

    /// Gives the ring back.
    pub(crate) fn put_ring(&mut self, ring: RingBuf<MapData>) {
        self.ring = Some(ring);
    }
}

/// A thread that reads a ring as long as this lives.
pub(crate) struct Drain {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<RingBuf<MapData>>>,
}

impl Drain {
    /// Reads `ring` on the CPU of the calling thread.
    pub(crate) fn start(mut ring: RingBuf<MapData>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut events = [PollFd::new(ring.as_fd(), PollFlags::POLLIN)];
                let _ = poll(&mut events, PollTimeout::from(50_u8));
                while let Some(event) = ring.next() {
                    std::hint::black_box(&*event);
                }
            }
            ring
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends the thread and hands the ring back.
    pub(crate) fn stop(mut self) -> Result<RingBuf<MapData>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .and_then(|thread| thread.join().ok())
            .context("the thread that reads the ring ended early")
    }
}

/// Kinds of programs that run at tracepoints: `BPF_PROG_TYPE_TRACEPOINT`, `_RAW_TRACEPOINT` and
/// `_TRACING` (include/uapi/linux/bpf.h).
const AT_TRACEPOINTS: [u32; 3] = [5, 17, 26];

/// Programs of others at tracepoints: whatever they cost would be measured too.
pub(crate) fn others(ours: &BTreeSet<u32>) -> BTreeSet<u32> {
    loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| AT_TRACEPOINTS.contains(&(program.program_type() as u32)))
        .map(|program| program.id())
        .filter(|id| !ours.contains(id))
        .collect()
}
