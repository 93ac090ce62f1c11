//! `overhead`: what one call costs more under each condition.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use tempfile::TempDir;

use crate::{
    cgroups::Cgroup,
    condition::{Condition, Held, Stage},
    kernel::{self, Programs},
    load::{self, FILES, Load, Work},
    machine::Machine,
    results::{self, Measured, Overhead, Workload},
    sampler::Sampler,
    startup, table,
    tracer::{self, Strace},
};

/// Options of `overhead`.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; in each, every condition has its turn.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Where all samples are kept.
    #[arg(long, default_value = "target/bench/overhead.json")]
    json: PathBuf,
    /// Few rounds and short samples: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Only the tracer's hot path, one step more in each program.
    #[arg(long)]
    steps: bool,
    /// Only these workloads: getppid, read, find.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Goal for a call's added cost, in units of the floor's.
const GOAL_RATIO: f64 = 1.3;
/// Goal for what recording adds to the time of a command, in milliseconds.
const GOAL_STARTUP: f64 = 150.0;

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let machine = Machine::this();
    println!("{}\n", machine.sentence());
    let (cpu, load_cpu) = load::cpus()?;
    load::pin(cpu)?;
    let rounds = if options.quick { 2 } else { options.rounds };
    let tree = tree()?;
    let output = tempfile::tempdir().context("cannot make a directory for results")?;
    let cgroup = Cgroup::top("load")?;
    let other = Cgroup::top("other")?;
    // A cgroup that is recorded is not empty.
    let _idle = Load::start(other.path(), cpu, tree.path())?;
    let mut programs = Programs::load(
        &tracer::bench_object()?,
        kernel::Cgroups {
            load: cgroup.id()?,
            other: other.id()?,
        },
    )?;
    let conditions = conditions(options, &programs);
    let ours = programs.ids()?;
    let stage = Stage {
        programs: &mut programs,
        cgroup: &cgroup,
        other: &other,
        ours,
        output: output.path(),
        cpu,
        load_cpu,
    };
    let mut sampler = Sampler::new(stage, options.quick);

    let mut results = Overhead {
        machine,
        rounds,
        disturbed_parts: 0,
        workloads: Work::ALL
            .into_iter()
            .filter(|work| options.only.is_empty() || options.only.iter().any(|o| o == work.name()))
            .map(|work| Workload::new(work, &conditions))
            .collect(),
        startup: None,
    };
    let works: Vec<_> = Work::ALL
        .into_iter()
        .filter(|work| results.workloads.iter().any(|w| w.name == work.name()))
        .collect();
    for number in 0..rounds {
        eprintln!("round {} of {rounds}", number + 1);
        let mut load = Load::start(cgroup.path(), load_cpu, tree.path())?;
        let samples = round(&mut sampler, &mut load, &conditions, &works, number)?;
        for (workload, samples) in results.workloads.iter_mut().zip(samples) {
            workload.push(samples);
        }
    }
    if !options.steps {
        let alone = || sampler.wait_until_alone(&Held::Nothing);
        results.startup = Some(startup::measure(rounds, output.path(), alone)?);
    }
    results.disturbed_parts = sampler.disturbed;
    print(&results);
    results::write(&results, &options.json)?;
    eprintln!("all samples: {}", options.json.display());
    Ok(())
}

fn conditions(options: &Options, programs: &Programs) -> Vec<Condition> {
    let design = |program: &str, recorded| Condition::Design {
        program: program.to_owned(),
        recorded,
    };
    let mut conditions = vec![Condition::None, Condition::Floor, design("floor_btf", true)];
    if options.steps {
        conditions.extend(
            programs
                .names("step_")
                .iter()
                .map(|name| design(name, true)),
        );
        return conditions;
    }
    conditions.extend([
        Condition::NotRecorded { accesses: false },
        Condition::Recorded { accesses: false },
        Condition::NotRecorded { accesses: true },
        Condition::Recorded { accesses: true },
        design("loads", false),
        design("loads", true),
        design("hash", false),
        design("hash", true),
        Condition::Event,
    ]);
    if Strace::is_installed() {
        conditions.push(Condition::Strace { same_cpu: true });
        conditions.push(Condition::Strace { same_cpu: false });
    } else {
        eprintln!("strace is not installed: no figures for it");
    }
    conditions
}

/// One round: every condition has its turn, another one first in each round.
///
/// Returns the parts of each sample, for each workload and condition.
fn round(
    sampler: &mut Sampler<'_>,
    load: &mut Load,
    conditions: &[Condition],
    works: &[Work],
    number: usize,
) -> Result<Vec<Vec<Vec<f64>>>> {
    let mut round = vec![vec![Vec::new(); conditions.len()]; works.len()];
    let mut order: Vec<_> = conditions.iter().enumerate().collect();
    order.rotate_left(number % conditions.len());
    if number % 2 == 1 {
        order.reverse();
    }
    for (index, condition) in order {
        let samples = sampler.samples(condition, load, works)?;
        for (work, sample) in round.iter_mut().zip(samples) {
            work[index] = sample;
        }
    }
    Ok(round)
}

/// A directory of files for `find`.
fn tree() -> Result<TempDir> {
    let tree = tempfile::tempdir().context("cannot make a directory for find")?;
    load::plant(tree.path(), FILES)?;
    Ok(tree)
}

impl Workload {
    fn new(work: Work, conditions: &[Condition]) -> Self {
        Self {
            name: work.name(),
            title: work.title(),
            one_call: work.is_one_call(),
            conditions: conditions
                .iter()
                .map(|condition| Measured {
                    name: condition.key(),
                    title: condition.title(),
                    samples: Vec::new(),
                    parts: Vec::new(),
                })
                .collect(),
        }
    }

    fn push(&mut self, samples: Vec<Vec<f64>>) {
        for (measured, parts) in self.conditions.iter_mut().zip(samples) {
            measured
                .samples
                .extend(parts.iter().copied().reduce(f64::min));
            measured.parts.push(parts);
        }
    }
}

fn print(results: &Overhead) {
    for workload in &results.workloads {
        println!("{}", table::workload(workload));
    }
    if let Some(startup) = &results.startup {
        println!("{}", table::startup(startup));
    }
    for workload in results.workloads.iter().filter(|w| w.one_call) {
        for condition in [
            Condition::Recorded { accesses: false },
            Condition::NotRecorded { accesses: false },
        ] {
            if let Some(ratio) = workload.ratio_of(&condition) {
                let what = format!("{}, {}, added cost", workload.name, condition.title());
                println!(
                    "{}",
                    table::goal(&what, GOAL_RATIO, "× the floor's", ratio.median)
                );
            }
        }
    }
    if let Some(added) = results
        .startup
        .as_ref()
        .and_then(|startup| crate::stats::Summary::of(&startup.added()))
    {
        println!(
            "{}",
            table::goal("record -- true, added", GOAL_STARTUP, "ms", added.median)
        );
    }
}
