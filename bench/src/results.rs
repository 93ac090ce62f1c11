//! What was measured, as it is kept.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{condition::Condition, machine::Machine, stats::Summary};

/// A whole run of `overhead`.
#[derive(Serialize)]
pub(crate) struct Overhead {
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    /// Parts of samples that were measured again, because somebody else's BPF programs were there.
    pub(crate) disturbed_parts: usize,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) startup: Option<Startup>,
}

/// One workload under all conditions.
#[derive(Serialize)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Whether a unit of work is one call, and not work that makes many.
    pub(crate) one_call: bool,
    pub(crate) conditions: Vec<Measured>,
}

/// One workload under one condition.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) title: String,
    /// One for each round: nanoseconds a unit of work, the least of the round's parts.
    pub(crate) samples: Vec<f64>,
    /// The parts of each sample.
    pub(crate) parts: Vec<Vec<f64>>,
}

/// `tracer record -- true` and `true`.
#[derive(Serialize)]
pub(crate) struct Startup {
    /// Milliseconds of `true`, one for each round.
    pub(crate) plain: Vec<f64>,
    /// Milliseconds of `tracer record -- true`, one for each round.
    pub(crate) recorded: Vec<f64>,
}

impl Workload {
    fn samples(&self, condition: &Condition) -> Option<&[f64]> {
        let key = condition.key();
        self.conditions
            .iter()
            .find(|measured| measured.name == key)
            .map(|measured| measured.samples.as_slice())
    }

    /// What `measured` adds to no tracer, round by round.
    pub(crate) fn added(&self, measured: &Measured) -> Vec<f64> {
        let none = self.samples(&Condition::None).unwrap_or_default();
        difference(&measured.samples, none)
    }

    /// What `measured` adds, in units of what the floor adds in the same round.
    pub(crate) fn ratio(&self, measured: &Measured) -> Vec<f64> {
        let none = self.samples(&Condition::None).unwrap_or_default();
        let floor = difference(self.samples(&Condition::Floor).unwrap_or_default(), none);
        self.added(measured)
            .iter()
            .zip(floor)
            .map(|(added, floor)| added / floor)
            .collect()
    }

    /// What `measured` adds, in per cent of no tracer, round by round.
    pub(crate) fn percent(&self, measured: &Measured) -> Vec<f64> {
        let none = self.samples(&Condition::None).unwrap_or_default();
        self.added(measured)
            .iter()
            .zip(none)
            .map(|(added, none)| added / none * 100.0)
            .collect()
    }

    /// The median ratio of a condition to the floor.
    pub(crate) fn ratio_of(&self, condition: &Condition) -> Option<Summary> {
        let key = condition.key();
        let measured = self.conditions.iter().find(|m| m.name == key)?;
        Summary::of(&self.ratio(measured))
    }
}

impl Startup {
    /// What recording adds, in milliseconds, round by round.
    pub(crate) fn added(&self) -> Vec<f64> {
        difference(&self.recorded, &self.plain)
    }
}

/// `a - b`, round by round.
pub(crate) fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Finds out before a long run, and not after it, whether results can be kept at `path`.
pub(crate) fn prepare(path: &Path) -> Result<()> {
    let context = || format!("cannot write the results to {path:?}");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(context)?;
    }
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .with_context(context)?;
    Ok(())
}

/// Writes results as JSON.
pub(crate) fn write(results: &impl Serialize, path: &Path) -> Result<()> {
    let context = || format!("cannot write the results to {path:?}");
    let mut text = serde_json::to_string_pretty(results).with_context(context)?;
    text.push('\n');
    fs::write(path, text).with_context(context)
}
