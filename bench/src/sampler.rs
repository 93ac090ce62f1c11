//! One sample: a load, under a condition, with nobody else's programs about.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    condition::{Condition, Held, Stage},
    interrupt,
    load::{FILES, Load, Work},
};

/// Parts of a sample; the least of them counts.
const PARTS: usize = 5;
/// Longest wait for others' programs to go.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Shorter waits are not worth a word.
const SOON: Duration = Duration::from_secs(2);

/// Takes samples.
pub(crate) struct Sampler<'a> {
    pub(crate) stage: Stage<'a>,
    quick: bool,
    /// Parts that were measured again, because others' programs came.
    pub(crate) disturbed: usize,
}

impl<'a> Sampler<'a> {
    pub(crate) fn new(stage: Stage<'a>, quick: bool) -> Self {
        Self {
            stage,
            quick,
            disturbed: 0,
        }
    }

    /// Brings a condition about and takes a sample of each workload.
    pub(crate) fn samples(
        &mut self,
        condition: &Condition,
        load: &mut Load,
        works: &[Work],
    ) -> Result<Vec<Vec<f64>>> {
        let held = self.stage.hold(condition, load)?;
        let before = load.calls();
        let samples = works
            .iter()
            .map(|&work| self.sample(condition, &held, load, work))
            .collect::<Result<_>>()?;
        self.stage.release(held, condition, load.calls() - before)?;
        Ok(samples)
    }

    /// Nanoseconds a unit of work, once for each part.
    pub(crate) fn sample(
        &mut self,
        condition: &Condition,
        held: &Held,
        load: &mut Load,
        work: Work,
    ) -> Result<Vec<f64>> {
        let slowness = condition.slowness() * if self.quick { 10 } else { 1 };
        let (times, units) = match work {
            Work::Getppid | Work::ReadZero | Work::Fcntl | Work::Open | Work::Personality => {
                let times = (250_000 / slowness).max(1);
                (times, times)
            }
            Work::Cold => {
                let times = (2_500 / slowness).max(1);
                (times, times)
            }
            Work::Find => (1, FILES),
        };
        let parts = match work {
            Work::Find if slowness > 1 => 1,
            _ => PARTS,
        };
        // The first calls after a change warm the caches.
        load.run(work, times.div_ceil(10))?;
        let mut sample = Vec::new();
        while sample.len() < parts {
            self.wait_until_alone(held)?;
            let part = load.run(work, times)?;
            if self.stage.strangers(held)?.is_empty() {
                sample.push(per_unit(part, units));
            } else {
                self.disturbed += 1;
            }
        }
        Ok(sample)
    }

    /// Waits until nobody else has programs at tracepoints: they would be measured too.
    pub(crate) fn wait_until_alone(&self, held: &Held) -> Result<()> {
        wait_for_nobody(|| self.stage.strangers(held))
    }
}

/// [`Sampler::wait_until_alone`], with `strangers` to tell whose programs there are.
pub(crate) fn wait_for_nobody(strangers: impl Fn() -> Result<BTreeSet<u32>>) -> Result<()> {
    let start = Instant::now();
    let mut told = false;
    loop {
        interrupt::check()?;
        let strangers = strangers()?;
        if strangers.is_empty() {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            bail!("programs of others are loaded and would be measured too: {strangers:?}");
        }
        // Programs that were detached take a moment to be gone.
        if !told && start.elapsed() > SOON {
            eprintln!("waiting: programs of others are loaded: {strangers:?}");
            told = true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ns are three months, and the count is small"
)]
pub(crate) fn per_unit(nanoseconds: u64, units: u64) -> f64 {
    nanoseconds as f64 / units as f64
}
