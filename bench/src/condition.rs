//! What is attached while the load runs.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Result, ensure};

use crate::{
    cgroups::Cgroup,
    kernel::{self, Attached, Drain, Programs},
    load::Load,
    tracer::{Strace, Tracer},
};

/// One column of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    None,
    /// An empty raw tracepoint program: what every other one is compared with.
    Floor,
    /// The tracer, recording the load's cgroup: everything that it can, or system calls alone.
    Recorded { accesses: bool },
    /// The tracer, recording another cgroup.
    NotRecorded { accesses: bool },
    /// A program of the benchmark's object; `recorded` says whether its tables hold the load's
    /// cgroup.
    Design { program: String, recorded: bool },
    /// One ring event for each call.
    Event,
    /// `strace -f`, on the load's own CPU or on the other.
    Strace { same_cpu: bool },
}

fn with(name: &str, accesses: bool) -> String {
    format!("{name}{}", if accesses { "-files" } else { "" })
}

/// What the tracer is asked for.
fn options(accesses: bool) -> Vec<String> {
    if accesses {
        Vec::new()
    } else {
        vec!["--accesses=none".to_owned()]
    }
}

impl Condition {
    /// A name without blanks, for files.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Floor => "floor".to_owned(),
            Self::Recorded { accesses } => with("recorded", *accesses),
            Self::NotRecorded { accesses } => with("not-recorded", *accesses),
            Self::Design { program, recorded } => {
                format!("{program}{}", if *recorded { "" } else { "-other" })
            }
            Self::Event => "event".to_owned(),
            Self::Strace { same_cpu: true } => "strace-same-cpu".to_owned(),
            Self::Strace { same_cpu: false } => "strace-other-cpu".to_owned(),
        }
    }

    /// A name for people.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::None => "no tracer".to_owned(),
            Self::Floor => "empty raw tracepoint: the floor".to_owned(),
            Self::Recorded { accesses: false } => "tracer, recorded".to_owned(),
            Self::NotRecorded { accesses: false } => "tracer, not recorded".to_owned(),
            Self::Recorded { accesses: true } => "tracer, recorded with files".to_owned(),
            Self::NotRecorded { accesses: true } => "tracer with files, not recorded".to_owned(),
            Self::Design { program, recorded } => {
                let what = match program.as_str() {
                    "floor_btf" => return "empty tp_btf".to_owned(),
                    "hash" => "cgroup helper + hash map",
                    "loads" => "cgroup by loads + table",
                    "step_1_slot" => return "the row, from the slot".to_owned(),
                    "step_2_count" => return "and the counter".to_owned(),
                    "step_3_abi" => return "and the ABI, by registers".to_owned(),
                    "step_4_mark" => return "and the mark".to_owned(),
                    other => other,
                };
                format!("{what}, {}recorded", if *recorded { "" } else { "not " })
            }
            Self::Event => "one ring event a call".to_owned(),
            Self::Strace { same_cpu: true } => "strace -f, same CPU".to_owned(),
            Self::Strace { same_cpu: false } => "strace -f, another CPU".to_owned(),
        }
    }

    /// How many times fewer calls a sample makes, so that it does not take for ever.
    pub(crate) const fn slowness(&self) -> u64 {
        match self {
            Self::Strace { .. } => 100,
            _ => 1,
        }
    }
}

/// Everything that conditions need.
pub(crate) struct Stage<'a> {
    pub(crate) programs: &'a mut Programs,
    /// The load's cgroup.
    pub(crate) cgroup: &'a Cgroup,
    /// Another cgroup.
    pub(crate) other: &'a Cgroup,
    /// Ids of the benchmark's own programs.
    pub(crate) ours: BTreeSet<u32>,
    /// Where the tracer writes.
    pub(crate) output: &'a Path,
    /// CPU of user space.
    pub(crate) cpu: usize,
    /// CPU of the load.
    pub(crate) load_cpu: usize,
}

/// A condition that holds until [`Held::release`].
pub(crate) enum Held {
    Nothing,
    Program { _program: Attached },
    Event { program: Attached, drain: Drain },
    Tracer(Tracer),
    Strace { _strace: Strace },
}

impl Stage<'_> {
    /// Brings `condition` about for `load`.
    pub(crate) fn hold(&mut self, condition: &Condition, load: &Load) -> Result<Held> {
        Ok(match condition {
            Condition::None => Held::Nothing,
            Condition::Floor => Held::Program {
                _program: self.programs.attach("floor_raw")?,
            },
            Condition::Design { program, recorded } => {
                self.programs.record(*recorded)?;
                Held::Program {
                    _program: self.programs.attach(program)?,
                }
            }
            Condition::Event => {
                self.programs.record(true)?;
                let drain = Drain::start(self.programs.take_ring()?);
                Held::Event {
                    program: self.programs.attach("event")?,
                    drain,
                }
            }
            Condition::Recorded { accesses } => Held::Tracer(Tracer::record(
                self.cgroup.path(),
                self.output,
                &options(*accesses),
            )?),
            Condition::NotRecorded { accesses } => Held::Tracer(Tracer::record(
                self.other.path(),
                self.output,
                &options(*accesses),
            )?),
            Condition::Strace { same_cpu } => {
                let cpu = if *same_cpu { self.load_cpu } else { self.cpu };
                Held::Strace {
                    _strace: Strace::attach(load.pid(), cpu)?,
                }
            }
        })
    }

    /// Programs at tracepoints that belong neither to the benchmark nor to what is held.
    pub(crate) fn strangers(&self, held: &Held) -> Result<BTreeSet<u32>> {
        let mut known = self.ours.clone();
        if let Held::Tracer(tracer) = held {
            known.extend(tracer.programs()?);
        }
        Ok(kernel::others(&known))
    }

    /// Ends what [`Stage::hold`] began, and checks that it was what it is called: `made` is the
    /// number of calls that the load made in the meantime.
    ///
    /// # Errors
    /// When calls that should have been recorded were not, or the other way round.
    pub(crate) fn release(&mut self, held: Held, condition: &Condition, made: u64) -> Result<()> {
        match held {
            Held::Event { program, drain } => {
                drop(program);
                self.programs.put_ring(drain.stop()?);
            }
            Held::Tracer(tracer) => {
                let counted = tracer.stop()?;
                match condition {
                    Condition::Recorded { .. } => ensure!(
                        counted >= made,
                        "the load made {made} calls, the tracer counted {counted}"
                    ),
                    // The other cgroup's process does nothing but wait.
                    _ => ensure!(
                        counted < 100,
                        "another cgroup was recorded, and the tracer counted {counted} calls in it"
                    ),
                }
            }
            Held::Program { _program: program } => {
                drop(program);
                if let Condition::Design { program, recorded } = condition {
                    let nr = usize::try_from(libc::SYS_getppid)?;
                    if let Some(saw) = self.programs.saw(program, nr)? {
                        ensure!(
                            saw == *recorded,
                            "the design {program} should {}have seen the load's calls",
                            if *recorded { "" } else { "not " }
                        );
                    }
                }
            }
            Held::Nothing | Held::Strace { .. } => {}
        }
        Ok(())
    }
}
