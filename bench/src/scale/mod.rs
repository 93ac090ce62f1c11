//! `scale`: what a call costs, and what the tracer takes, as cgroups grow in number.

mod cost;
mod footprint;
mod report;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use self::{
    cost::Cost,
    footprint::{Executables, Footprint},
};
use crate::{
    cgroups::Cgroup,
    condition::Stage,
    kernel::{self, Programs},
    load,
    machine::Machine,
    results,
    sampler::Sampler,
    tracer,
};

/// Options of `scale`.
#[derive(Args)]
pub(crate) struct Options {
    /// Numbers of live cgroups.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1_000, 10_000])]
    cgroups: Vec<usize>,
    /// Rounds; in each, every number has its turn.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Where all samples are kept.
    #[arg(long, default_value = "target/bench/scale.json")]
    json: PathBuf,
    /// Few rounds and short samples: whether it works, not how fast it is.
    #[arg(long)]
    quick: bool,
}

/// A whole run of `scale`.
#[derive(Serialize)]
struct Scale {
    machine: Machine,
    rounds: usize,
    disturbed_parts: usize,
    costs: Vec<Cost>,
    footprints: Vec<Footprint>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let machine = Machine::this();
    println!("{}\n", machine.sentence());
    let (cpu, load_cpu) = load::cpus()?;
    load::pin(cpu)?;
    let output = tempfile::tempdir().context("cannot make a directory for results")?;
    let mut programs = Programs::load(
        &tracer::bench_object()?,
        kernel::Cgroups { load: 0, other: 0 },
    )?;
    let ours = programs.ids()?;
    let rounds = if options.quick { 1 } else { options.rounds };
    let mut results = Scale {
        machine,
        rounds,
        disturbed_parts: 0,
        costs: Vec::new(),
        footprints: Vec::new(),
    };
    let mut kinds: Vec<_> = options
        .cgroups
        .iter()
        .flat_map(|&cgroups| [(cgroups, true), (cgroups, false)])
        .collect();
    results.costs = kinds.iter().map(|&kind| Cost::new(kind)).collect();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for &kind in &kinds {
            let parent = Cgroup::top("scale")?;
            let other = Cgroup::top("other")?;
            let stage = Stage {
                programs: &mut programs,
                cgroup: &parent,
                other: &other,
                ours: ours.clone(),
                output: output.path(),
                cpu,
                load_cpu,
            };
            let mut sampler = Sampler::new(stage, options.quick);
            let sample = cost::measure(&mut sampler, kind)
                .with_context(|| format!("with {} cgroups", kind.0))?;
            results.disturbed_parts += sampler.disturbed;
            if let Some(cost) = results.costs.iter_mut().find(|cost| cost.is(kind)) {
                cost.push(sample);
            }
        }
        kinds.rotate_left(1);
    }
    for &cgroups in &options.cgroups {
        for executables in [Executables::Same, Executables::Own] {
            eprintln!("memory of {cgroups} cgroups");
            results.footprints.push(
                footprint::measure(cgroups, executables, output.path(), load_cpu)
                    .with_context(|| format!("with {cgroups} cgroups"))?,
            );
        }
    }
    report::print(&results);
    results::write(&results, &options.json)?;
    eprintln!("all samples: {}", options.json.display());
    Ok(())
}

fn populate(parent: &Cgroup, cgroups: usize) -> Result<Vec<PathBuf>> {
    (0..cgroups)
        .map(|index| parent.child(&format!("member-{index}")))
        .collect()
}
