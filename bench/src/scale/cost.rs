//! What a call costs in one cgroup of many.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::populate;
use crate::{
    condition::{Condition, Held},
    interrupt,
    load::{Load, Work},
    results,
    sampler::Sampler,
    visit::visit,
};

/// A call's cost with a number of cgroups.
#[derive(Serialize)]
pub(super) struct Cost {
    pub(super) cgroups: usize,
    /// Whether they are recorded, and the load with them.
    pub(super) recorded: bool,
    /// Nanoseconds a call, one for each round.
    pub(super) none: Vec<f64>,
    pub(super) floor: Vec<f64>,
    pub(super) tracer: Vec<f64>,
}

/// Nanoseconds a call with no tracer, at the floor, and with the tracer.
pub(super) fn measure(
    sampler: &mut Sampler<'_>,
    (cgroups, recorded): (usize, bool),
) -> Result<[f64; 3]> {
    let condition = if recorded {
        Condition::Recorded { accesses: false }
    } else {
        Condition::NotRecorded { accesses: false }
    };
    let parent = sampler.stage.cgroup;
    let cpu = sampler.stage.load_cpu;
    let none = Path::new("/");
    // A cgroup that is recorded is not empty.
    let _idle = Load::start(sampler.stage.other.path(), sampler.stage.cpu, none)?;
    let first = Load::start(parent.path(), cpu, none)?;
    let held = sampler.stage.hold(&condition, &first)?;
    let members = populate(parent, cgroups)?;
    for member in &members {
        interrupt::check()?;
        visit(member, None)?;
    }
    let member = members.get(cgroups / 2).context("no cgroups asked for")?;
    let mut load = Load::start(member, cpu, none)?;
    let before = load.calls();
    let traced = sampler.sample(&condition, &held, &mut load, Work::Getppid)?;
    let made = load.calls() - before;
    sampler.stage.release(held, &condition, made)?;
    let floor = sampler.samples(&Condition::Floor, &mut load, &[Work::Getppid])?;
    let none = sampler.sample(&Condition::None, &Held::Nothing, &mut load, Work::Getppid)?;
    Ok([none, floor.concat(), traced].map(|parts| parts.into_iter().fold(f64::INFINITY, f64::min)))
}

impl Cost {
    pub(super) const fn new((cgroups, recorded): (usize, bool)) -> Self {
        Self {
            cgroups,
            recorded,
            none: Vec::new(),
            floor: Vec::new(),
            tracer: Vec::new(),
        }
    }

    pub(super) fn is(&self, kind: (usize, bool)) -> bool {
        (self.cgroups, self.recorded) == kind
    }

    pub(super) fn push(&mut self, [none, floor, tracer]: [f64; 3]) {
        self.none.push(none);
        self.floor.push(floor);
        self.tracer.push(tracer);
    }

    /// What the tracer adds, in nanoseconds, round by round.
    pub(super) fn added(&self) -> Vec<f64> {
        results::difference(&self.tracer, &self.none)
    }

    /// What the tracer adds, in units of what the floor adds in the same round.
    pub(super) fn ratio(&self) -> Vec<f64> {
        self.added()
            .iter()
            .zip(results::difference(&self.floor, &self.none))
            .map(|(added, floor)| added / floor)
            .collect()
    }
}
