//! `profile`: what calls cost under a profile, in containers, measured by the workload itself.

mod conditions;
mod report;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use tracer_tests::{
    filter::{self, Filter},
    oci::{self, Container, Runtime},
    scratch::Scratch,
    wait,
};

use crate::{
    interrupt, kernel,
    load::{self, Load, Work},
    machine::Machine,
    results::{self, Measured, Workload},
    sampler,
};
use conditions::Condition;

/// Options of `profile`.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; in each, every profile has its turn on every runtime.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// Where all samples are kept.
    #[arg(long, default_value = "target/bench/profile.json")]
    json: PathBuf,
    /// Few rounds and short samples: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Only these runtimes, as `runc 1.1.5`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Files that [`Work::Find`] visits, each with one process: few, so that a part is short.
const FILES: u64 = 10;

/// A whole run of `profile`.
#[derive(Serialize)]
struct Results {
    machine: Machine,
    rounds: usize,
    runtimes: Vec<OnRuntime>,
}

/// All of it on one runtime.
#[derive(Serialize)]
struct OnRuntime {
    /// Name and version.
    runtime: String,
    /// Of each profile, the filter that the kernel got.
    filters: Vec<Loaded>,
    workloads: Vec<Workload>,
}

/// A filter.
#[derive(Serialize)]
struct Loaded {
    title: &'static str,
    instructions: usize,
    /// Of each work that is one call, how many instructions decide it, and whether they look at nothing
    /// but its number, so that the kernel need not run them.
    calls: Vec<(&'static str, usize, bool)>,
}

/// A runtime's program: which, its version, where.
type Program = (Runtime, String, PathBuf);

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let machine = Machine::this();
    println!("{}\n", machine.sentence());
    let (cpu, load_cpu) = load::cpus()?;
    load::pin(cpu)?;
    let scratch = Scratch::new()?;
    let place = Place::new(&scratch, load_cpu)?;
    let conditions = conditions::all(&scratch, &place.argv)?;
    let programs = programs(&options.only)?;
    let rounds = if options.quick { 2 } else { options.rounds };

    let mut results = Results {
        machine,
        rounds,
        runtimes: programs
            .iter()
            .map(|program| OnRuntime::new(program, &conditions))
            .collect(),
    };
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let mut order: Vec<_> = (0..conditions.len()).collect();
        order.rotate_left(round % conditions.len());
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            for (program, of_it) in programs.iter().zip(&mut results.runtimes) {
                let (loaded, samples) =
                    measure(program, &conditions[index], &place, options.quick)?;
                of_it.push(index, loaded, samples);
            }
        }
    }
    for runtime in &results.runtimes {
        println!("{}", report::filters(runtime));
        for workload in &runtime.workloads {
            println!("{}", report::workload(&runtime.runtime, workload));
        }
    }
    results::write(&results, &options.json)?;
    eprintln!("all samples: {}", options.json.display());
    Ok(())
}

/// Where the load works, and what it is.
struct Place {
    dir: PathBuf,
    argv: Vec<PathBuf>,
}

impl Place {
    fn new(scratch: &Scratch, cpu: usize) -> Result<Self> {
        let dir = scratch.dir("work")?;
        let tree = dir.join("tree");
        load::plant(&tree, FILES)?;
        let bench = std::env::current_exe().context("cannot find the bench itself")?;
        let argv = [bench]
            .into_iter()
            .chain(load::arguments(cpu, &tree).map(PathBuf::from))
            .collect();
        Ok(Self { dir, argv })
    }
}

/// The machine's own runtimes, and those newer ones that are there.
fn programs(only: &[String]) -> Result<Vec<Program>> {
    let mut programs = oci::programs()?;
    programs.retain(|(runtime, version, _)| {
        let name = format!("{} {version}", runtime.name());
        only.is_empty() || only.contains(&name)
    });
    Ok(programs)
}

/// Starts a container under a profile, and takes a sample of each work; with them comes its filter, if it
/// has one and it can be read.
fn measure(
    (runtime, _, program): &Program,
    condition: &Condition,
    place: &Place,
    quick: bool,
) -> Result<(Option<Loaded>, Vec<Vec<f64>>)> {
    let container = Container::new(*runtime, &place.argv, &place.dir, &condition.profile, true)?;
    let container = container.by(program);
    let line = container.command_line()?;
    let (shell, args) = line.split_first().context("an empty command line")?;
    let mut load = Load::contained(Command::new(shell).args(args))?;
    let samples = Work::PROFILE
        .into_iter()
        .map(|work| sample(&mut load, work, quick))
        .collect::<Result<_>>()
        .with_context(|| format!("on {}: {}", runtime.name(), condition.title))?;
    let loaded = if condition.profile.is_null() || filter::unreadable().is_some() {
        None
    } else {
        let filter = Filter::of(wait::pid_in(&container.pid_file())?)?;
        Some(Loaded::new(condition.title, &filter)?)
    };
    Ok((loaded, samples))
}

/// Nanoseconds a unit of work, once for each part. Parts are so short that most have the processor to
/// themselves, whoever else wants it.
fn sample(load: &mut Load, work: Work, quick: bool) -> Result<Vec<f64>> {
    let (parts, times, units) = match work {
        Work::Find => (30, 1, FILES),
        _ => (60, 5_000, 5_000),
    };
    // The first calls warm the caches.
    load.run(work, times)?;
    (0..if quick { 2 } else { parts })
        .map(|_| {
            // Whoever records makes each call slower, under a filter or not.
            sampler::wait_for_nobody(|| Ok(kernel::others(&BTreeSet::new())))?;
            interrupt::check()?;
            Ok(sampler::per_unit(load.run(work, times)?, units))
        })
        .collect()
}

impl OnRuntime {
    fn new((runtime, version, _): &Program, conditions: &[Condition]) -> Self {
        let measured = |condition: &Condition| Measured {
            name: condition.key.to_owned(),
            title: condition.title.to_owned(),
            samples: Vec::new(),
            parts: Vec::new(),
        };
        Self {
            runtime: format!("{} {version}", runtime.name()),
            filters: Vec::new(),
            workloads: Work::PROFILE
                .into_iter()
                .map(|work| Workload {
                    name: work.name(),
                    title: work.title(),
                    one_call: work.is_one_call(),
                    conditions: conditions.iter().map(measured).collect(),
                })
                .collect(),
        }
    }

    fn push(&mut self, condition: usize, loaded: Option<Loaded>, samples: Vec<Vec<f64>>) {
        for (workload, parts) in self.workloads.iter_mut().zip(samples) {
            let measured = &mut workload.conditions[condition];
            measured
                .samples
                .extend(parts.iter().copied().reduce(f64::min));
            measured.parts.push(parts);
        }
        // The same in each round.
        let is_new = |loaded: &Loaded| self.filters.iter().all(|it| it.title != loaded.title);
        if let Some(loaded) = loaded.filter(is_new) {
            self.filters.push(loaded);
        }
    }
}

impl Loaded {
    fn new(title: &'static str, filter: &Filter) -> Result<Self> {
        let calls = Work::PROFILE
            .into_iter()
            .filter_map(|work| Some((work.name(), work.call()?)))
            .map(|(name, (nr, args))| {
                let verdict = filter.run(filter::X86_64, nr, args)?;
                let in_bitmap = verdict.constant && verdict.action == filter::ALLOW;
                Ok((name, verdict.steps, in_bitmap))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            title,
            instructions: filter.len(),
            calls,
        })
    }
}

/// The load's command line in a container, for who records it.
fn requests() -> String {
    Work::PROFILE
        .iter()
        .map(|work| format!("{} 1\n", work.name()))
        .collect()
}

fn write_requests(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("requests");
    std::fs::write(&path, requests()).context("cannot write what the load is to do")?;
    Ok(path)
}
